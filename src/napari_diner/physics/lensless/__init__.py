"""Multi-height lensless imaging: propagation to several heights, and what the recorded intensities tell."""
