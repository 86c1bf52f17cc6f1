"""napari's layers and our arrays: axes, units, placement, styles, samples, saving."""
