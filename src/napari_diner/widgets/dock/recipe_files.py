"""Dialogs for recipe files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_diner.errors import OutputError
from napari_diner.io.arrays import Array
from napari_diner.io.folder import replaced
from napari_diner.tasks.attached import stored, without_files
from napari_diner.tasks.command import command_line
from napari_diner.tasks.recipe import Recipe
from napari_diner.tasks.sharing import shared
from napari_diner.widgets.forms.editors import title_of_key

RECIPES = "Recipe (*.yaml *.yml)"
"""Filter of file dialogs."""


def save_recipe(parent: QWidget, recipe: Recipe, images: Mapping[str, Array]) -> str:
    """Ask for a file, write a recipe into it, and return its path; empty if the user cancels.

    Images of layers that are used in place of files are written beside it, and named in it.

    Raises
    ------
    OutputError
        If it cannot be written; an existing file is kept then.
    """
    path, _ = QFileDialog.getSaveFileName(parent, "Save recipe", f"{recipe.task}.yaml", RECIPES)
    if path:
        folder = Path(path).parent
        try:
            complete, _ = stored(recipe, without_files(recipe, images), folder, f"{Path(path).stem}-")
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise OutputError(f"The images beside {path} cannot be written ({reason}); choose another folder") from None
        text = shared(complete, folder).to_yaml()
        replaced(Path(path), lambda file: file.write_text(text, encoding="utf-8"))
    return path


def copy_command(recipe: Recipe, source: str, output: str) -> None:
    """Copy the command that runs a recipe on a source to the clipboard."""
    clipboard = QGuiApplication.clipboard()
    if clipboard is not None:
        clipboard.setText(command_line(recipe, source, output))


def unsaved(recipe: Recipe, images: Mapping[str, Array]) -> str:
    """Return a hint about images of layers that no command can read; empty if there are none."""
    titles = [f'"{title_of_key(type(recipe), key)}"' for key in without_files(recipe, images)]
    return f"; it cannot read the layer of {' and '.join(titles)}: save the recipe, which stores it" if titles else ""
