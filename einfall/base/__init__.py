"""What everything stands on: interned nodes, rewrite drivers, errors, settings."""
