"""Autofocus: the distances of a lensless recording from its own sharpness."""
