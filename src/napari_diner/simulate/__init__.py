"""Phantoms and sample data, made by the same physics that reconstructs them."""
