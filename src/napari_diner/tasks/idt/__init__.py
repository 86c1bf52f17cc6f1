"""The task of intensity diffraction tomography: a volume of complex refractive index from oblique illumination."""
