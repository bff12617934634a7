"""Documents over SQL, through peewee. The SQL is in ``store``; ``sqlite``, ``disk`` and ``memory`` are SQLite's own."""
