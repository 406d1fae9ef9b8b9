"""einfall: tensor mathematics with named ranks, compiled."""
