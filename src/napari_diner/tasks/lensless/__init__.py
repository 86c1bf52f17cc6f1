"""Multi-height lensless phase retrieval: amplitude and phase from intensities at several distances."""
