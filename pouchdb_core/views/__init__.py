"""Indexes that follow the changes feed, and map/reduce on top of them."""
