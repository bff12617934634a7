"""Replication: the CouchDB protocol between any two databases, as one generator."""
