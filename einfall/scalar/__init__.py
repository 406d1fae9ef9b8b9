"""The expression language that every height shares, its operators, numbers and integer indices."""
