"""Targets: where kernels become machine code."""
