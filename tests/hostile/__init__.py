"""Malformed files and option values, and a measurement of their effects: ``python -m tests.hostile``."""
