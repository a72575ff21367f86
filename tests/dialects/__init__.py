"""Dialects: translation between XML and signals."""
