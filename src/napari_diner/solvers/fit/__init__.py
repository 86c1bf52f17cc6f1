"""Solvers that fit a representation to values."""
