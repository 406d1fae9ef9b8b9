"""What is derived from dependent reductions, and that it is right."""
