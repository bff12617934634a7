"""Several processes that serve one place at one address: what starts them, and how they communicate."""
