"""The algorithm, derived: reductions that depend on each other brought into one sweep."""
