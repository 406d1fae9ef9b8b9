"""Arrays, memory and calls of compiled programs."""
