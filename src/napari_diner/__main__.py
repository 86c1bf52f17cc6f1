"""``python -m napari_diner`` is the command line."""

from napari_diner.cli import main

if __name__ == "__main__":
    main()
