"""Settings that survive a restart of napari: those of the last run, and those that the user has entered in a dock."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from napari.settings import get_plugin_settings
from platformdirs import user_config_path
from qtpy.QtCore import QTimer

from napari_diner.errors import DinerError, OutputError
from napari_diner.io.folder import replaced
from napari_diner.tasks.recipe import Recipe, absolute_paths

if TYPE_CHECKING:
    from napari_diner.widgets.dock.task_dock import TaskDock

RecipeT = TypeVar("RecipeT", bound=Recipe)

_DELAY_MS = 500


def last_recipe(task: str) -> Path:
    """Return the file with the settings of the last run of a task; it need not exist."""
    return user_config_path("napari-diner", appauthor=False) / f"{task}.yaml"


def entered_settings(task: str) -> Path:
    """Return the file with the settings that the user entered in the dock of a task; it need not exist."""
    return last_recipe(task).with_stem(f"{task}-entered")


def remember(recipe: Recipe, path: Path) -> bool:
    """Keep settings; return whether the user's folder for them could be written."""
    with contextlib.suppress(OSError, OutputError):
        path.parent.mkdir(parents=True, exist_ok=True)
        # files keep their whole names, as they may be on another drive, and the folder is the user's own
        values = absolute_paths(type(recipe), recipe.model_dump(exclude_unset=True), Path.cwd())
        text = type(recipe).parse(values).to_yaml(complete=False)
        replaced(path, lambda file: file.write_text(text, encoding="utf-8"))
        return True
    return False


def without(recipe: RecipeT, keys: Iterable[str]) -> RecipeT:
    """Return a recipe with the defaults of some fields; keys are as in ``"preprocess.crop_px"``."""
    exclude: dict[str, Any] = {}
    for key in keys:
        name, _, nested = key.partition(".")
        if not nested:
            exclude[name] = True
        elif exclude.get(name) is not True:
            exclude.setdefault(name, set()).add(nested)
    return type(recipe).parse(recipe.model_dump(exclude_defaults=True, exclude=exclude))


def recalls() -> bool:
    """Return whether docks open with the settings of the last session: a preference of napari."""
    preferences: Any = get_plugin_settings().get("napari-diner")
    return preferences is None or bool(preferences.docks.remember)


class EnteredSettings(Generic[RecipeT]):
    """The settings that the user has entered in a dock, as opposed to those that a layer specifies.

    They are kept a moment after each change, and shown when the dock is opened again; what a layer has filled in, such
    as the optics of a sample, is not carried over to other data.

    Parameters
    ----------
    dock
        The dock.
    """

    def __init__(self, dock: TaskDock[RecipeT]) -> None:
        self._dock = dock
        self.recipe: RecipeT = dock.recipe_type.parse({})
        """What the user has entered; all else has its default."""
        self._kept = self.recipe
        self._filled_in: dict[str, object] = {}
        self._is_lost = False
        self._timer = QTimer(dock)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY_MS)
        self._timer.timeout.connect(self.keep)

    def expect(self, *_: object) -> None:
        """Keep the settings a moment after a change, unless they change again."""
        self._timer.start()

    def set(self, recipe: RecipeT) -> None:
        """Take all settings of a recipe as entered."""
        self._filled_in = {}
        self.recipe = self._without_data(recipe)

    def fill_in(self, notes: Mapping[str, object]) -> None:
        """Show what a layer specifies; what the previous one had filled in returns to what the user has entered."""
        for name, editor in self._dock.editors.items():
            if notes.get(name) is not None:
                editor.set_value(notes[name])
                self._filled_in[name] = editor.value()
            elif name in self._filled_in and editor.value() == self._filled_in.pop(name):
                # the user has not changed what the previous layer had filled in
                editor.set_value(getattr(self.recipe, name))

    def fill_gaps(self, notes: Mapping[str, object]) -> None:
        """Show what a layer specifies, where nothing is set."""
        for name, note in notes.items():
            editor = self._dock.editors.get(name)
            if editor is not None and note is not None and editor.value() in (None, ""):
                editor.set_value(note)
                self._filled_in[name] = editor.value()

    def recall(self) -> bool:
        """Show what the user entered in an earlier session; return whether these are other than the defaults."""
        path, kind = entered_settings(self._dock.task_name), self._dock.recipe_type
        if not recalls() or not path.is_file():
            return False
        try:
            recipe = kind.load(path)
        except DinerError:  # damaged, or of another version
            self._dock.panel.say("The settings of the last session cannot be read, so these are the defaults")
            return False
        if recipe != kind.parse({}):
            self._kept = recipe
            self._dock.set_recipe(recipe)
            return True
        return False

    def keep(self) -> None:
        """Keep what the user has entered."""
        dock = self._dock
        with contextlib.suppress(DinerError):  # about a text that is not finished
            recipe = self._without_data(dock.recipe_type.parse(dock.values()))
            of_layer = [name for name, value in self._filled_in.items() if dock.editors[name].value() == value]
            recipe = recipe.updated({name: getattr(self.recipe, name) for name in of_layer})
            self.recipe = recipe
            if recipe != self._kept:
                self._kept = recipe
                path = entered_settings(dock.task_name)
                was_lost, self._is_lost = self._is_lost, not remember(recipe, path)
                if self._is_lost and not was_lost and not dock.panel.status.text():
                    dock.panel.say(f"Settings are not kept for the next session, as {path.parent} cannot be written")

    def _without_data(self, recipe: RecipeT) -> RecipeT:
        """Return a recipe without the fields that depend on the data, and without those that have their defaults."""
        return without(recipe, (self._dock.task.source_field, "input_sha256", *self._dock.of_data()))
