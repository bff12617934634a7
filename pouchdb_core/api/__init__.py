"""The public methods of databases, as plain functions: each checks its arguments and makes a request."""
