"""Tests of the pure core, on a virtual clock."""
