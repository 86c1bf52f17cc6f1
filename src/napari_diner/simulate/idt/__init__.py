"""Recordings of known cells by intensity diffraction tomography."""
