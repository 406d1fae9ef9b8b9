"""What must run to be known: the numbers of this machine, the seconds of a call."""
