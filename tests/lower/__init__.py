"""Tests of the steps between languages."""
