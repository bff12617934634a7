"""Several processes that serve one place at one address: who starts them, and how they know of each other."""
