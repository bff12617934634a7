"""Where documents live: ``base`` is the contract, ``sql`` keeps them on SQLite."""
