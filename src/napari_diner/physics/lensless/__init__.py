"""Multi-height lensless imaging: propagation to several heights, and the information in the recorded intensities."""
