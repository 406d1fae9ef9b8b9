"""Tests of scalar."""
