"""What a person is told about a kernel, as data and as text."""
