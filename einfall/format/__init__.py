"""How arrays are stored: level kinds, codecs, and the rewrite that puts stored arrays in the place of dense ones."""
