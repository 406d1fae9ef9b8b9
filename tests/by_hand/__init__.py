"""The programs of tests/programs written again in plain NumPy, as directly as possible."""
