"""Solvers that fit a representation to known values."""
