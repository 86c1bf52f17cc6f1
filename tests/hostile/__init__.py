"""Malformed files and option values, and a measurement of what they do: ``python -m tests.hostile``."""
