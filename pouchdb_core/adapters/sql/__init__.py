"""What stores in SQL have in common; a storage of a plug-in builds on it as SQLite does."""
