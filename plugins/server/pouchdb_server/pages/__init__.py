"""What a browser gets at ``/_utils/``: a page of our own, or a copy of Fauxton."""
