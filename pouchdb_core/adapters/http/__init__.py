"""Databases on a server: CouchDB, PouchDB Server, Cloudant and others with their HTTP API."""
