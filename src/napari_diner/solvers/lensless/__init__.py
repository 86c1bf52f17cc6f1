"""Self-calibration of multi-height lensless recordings."""
