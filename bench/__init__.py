"""Speed, as ratios to named peers."""
