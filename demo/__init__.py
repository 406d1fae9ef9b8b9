"""Programs on real data, each beside what its user would otherwise have written: `make demo`."""
