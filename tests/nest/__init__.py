"""Tests of nests."""
