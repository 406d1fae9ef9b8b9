"""Tile programs as Triton source: a vector loop is an axis of tensors."""
