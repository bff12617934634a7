"""The handlers of the routes: plain functions ``handler(request, database)``."""
