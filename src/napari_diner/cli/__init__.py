"""The command line: ``napari-diner``. Starting it loads neither torch nor Qt; commands load what they need."""

from napari_diner.cli.app import main

__all__ = ["main"]
