"""Tests of `qbcall doctor`."""
