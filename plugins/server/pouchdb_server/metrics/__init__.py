"""What the server tells of itself: counters, an access log, spans."""
