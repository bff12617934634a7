"""Databases on a server: CouchDB, PouchDB Server, Cloudant and whatever speaks their HTTP API."""
