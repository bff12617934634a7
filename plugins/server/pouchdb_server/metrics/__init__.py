"""What the server reports about itself: counters, an access log, spans."""
