"""The dock of intensity diffraction tomography."""
