"""The ``_replicator`` database: documents that are replications, and the supervisor that runs them."""
