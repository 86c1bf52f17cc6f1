"""The inverse of intensity diffraction tomography: from the data of all frames to the volume of contrast."""
