"""Language 3: with which instructions, a grid of independent instances over values and memory."""
