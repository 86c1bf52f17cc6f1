"""The napari docks, their layers and their sample data. The only folder that knows Qt and napari."""
