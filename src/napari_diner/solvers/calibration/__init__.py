"""Nuisance parameters of a recording: distances, shifts, gains and tilt; directions of the illumination."""
