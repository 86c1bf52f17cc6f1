"""The napari docks, their layers and their sample data. The only package that imports Qt and napari."""
