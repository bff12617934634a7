"""What a browser gets at ``/_utils/``: our page, or a copy of Fauxton."""
