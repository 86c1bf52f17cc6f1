"""Phantoms and sample data, simulated with the physics that reconstructs them."""
