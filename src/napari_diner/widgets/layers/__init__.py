"""Between napari's layers and our arrays: reading, placing, showing, writing."""
