"""What answers the routes: plain functions ``handler(request, database)``."""
