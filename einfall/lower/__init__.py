"""Steps from one language to the next; the only room that speaks two."""
