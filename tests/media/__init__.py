"""Tests of sources, sinks, and what is between them."""
