"""Documents over SQL, through peewee. All SQL text is in ``store``, all that is SQLite's own in ``sqlite``."""
