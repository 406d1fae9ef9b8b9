"""Formats: levels, codecs, packing, operands from other libraries."""
