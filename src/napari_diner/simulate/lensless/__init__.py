"""Lensless recordings of a known specimen."""
