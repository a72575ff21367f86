"""Measurements: `python -m benchmarks [NAME...] [--smoke]`."""
