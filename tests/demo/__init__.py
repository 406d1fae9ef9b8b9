"""The programs of the demo."""
