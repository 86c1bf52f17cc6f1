"""The menu of a dock for its recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFileDialog, QMenu, QPushButton

from napari_diner.widgets.dock.recipe_files import RECIPES
from napari_diner.widgets.dock.remembered import last_recipe

if TYPE_CHECKING:
    from napari_diner.widgets.dock.task_dock import TaskDock


class RecipeMenu(QPushButton):
    """A button with a menu to save, load, reset and copy the settings of a dock.

    Parameters
    ----------
    dock
        The dock.
    """

    def __init__(self, dock: TaskDock[Any]) -> None:
        super().__init__("Recipe")
        self.setToolTip("Save, load or reset all settings, or copy them as a command")
        self._dock = dock
        menu = QMenu(self)
        menu.addAction("Save recipe…", dock.save_recipe)
        menu.addAction("Load recipe…", self.load)
        menu.addAction("Settings of the last run", self.load_last)
        menu.addAction("Reset", self.reset)
        menu.addAction("Copy as command", dock.copy_command)
        self.setMenu(menu)

    def load(self) -> None:
        """Ask for a recipe, and show its settings."""
        path, _ = QFileDialog.getOpenFileName(self._dock, "Load recipe", "", f"{RECIPES};;All files (*)")
        if path:
            self._dock.open_recipe(path)

    def load_last(self) -> None:
        """Show the settings of the last run of this task, also of an earlier session."""
        path, panel = last_recipe(self._dock.task_name), self._dock.panel
        if not path.is_file():
            panel.say("There was no run yet")
            return
        self._dock.open_recipe(path)
        if not panel.status.is_warning:
            panel.say("Settings are those of the last run")

    def reset(self) -> None:
        """Show the default settings, and what the chosen layer specifies."""
        dock = self._dock
        with dock.panel.explaining():
            dock.set_recipe(dock.recipe_type())
            if dock.choice.layer is not None:
                dock.fill_in(dock.choice.layer)
            dock.panel.say("Settings are the defaults, and what the layer specifies")
