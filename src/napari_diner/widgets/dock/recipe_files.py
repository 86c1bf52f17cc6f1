"""Dialogs for recipe files."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_diner.io.folder import replaced
from napari_diner.tasks.recipe import Recipe
from napari_diner.tasks.sharing import shared

_RECIPES = "Recipe (*.yaml *.yml)"


def save_recipe(parent: QWidget, recipe: Recipe) -> str:
    """Ask for a file, write a recipe into it, and return its path; None if the user cancels.

    Raises
    ------
    OutputError
        If it cannot be written; an existing file is kept then.
    """
    path, _ = QFileDialog.getSaveFileName(parent, "Save recipe", f"{recipe.task}.yaml", _RECIPES)
    if path:
        text = shared(recipe, Path(path).parent).to_yaml()
        replaced(Path(path), lambda file: file.write_text(text, encoding="utf-8"))
    return path


def chosen_recipe(parent: QWidget) -> str:
    """Ask for a recipe, and return its path; None if the user cancels."""
    path, _ = QFileDialog.getOpenFileName(parent, "Load recipe", "", f"{_RECIPES};;All files (*)")
    return path
