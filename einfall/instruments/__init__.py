"""What people and tests use to look at einfall: the command line, generated programs, benchmarks."""
