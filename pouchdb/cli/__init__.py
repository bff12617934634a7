"""The command ``pouchdb``: see docs/command-line.md. Needs click and rich, the extra ``cli``."""
