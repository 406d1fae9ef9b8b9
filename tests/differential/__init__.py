"""Every program at every height."""
