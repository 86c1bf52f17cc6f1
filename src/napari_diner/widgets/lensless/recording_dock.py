"""Base of the docks for lensless recordings: a stack, distances, and the preparation of frames."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TypeVar

import napari
from napari.layers import Image

from napari_diner.io.arrays import NamedArray
from napari_diner.io.names import distances_in_names
from napari_diner.tasks.lensless.recipe import RecordingRecipe
from napari_diner.tasks.task import AnyTask, Frames
from napari_diner.widgets.dock.stack_dock import StackDock
from napari_diner.widgets.layers.layer_metadata import files_of
from napari_diner.widgets.layers.preview_layers import PreviewLayers
from napari_diner.widgets.lensless.distances_table import DistancesTable
from napari_diner.widgets.lensless.layer_placement import placement_on
from napari_diner.widgets.lensless.preparation_buttons import PreparationButtons
from napari_diner.widgets.lensless.rectangle import drawn_part, offer_rectangle

RecordingT = TypeVar("RecordingT", bound=RecordingRecipe)


class RecordingDock(StackDock[RecordingT]):
    """A dock for stacks with one frame per height.

    Its section on the preparation has two buttons: one shows the prepared frames, the other crops them to a rectangle
    in a Shapes layer.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        self.distances = DistancesTable()
        super().__init__(napari_viewer, {"distances_um": self.distances})
        self.distances.failed.connect(self.panel.complain)
        self.pictures = PreviewLayers(napari_viewer)
        self.preparing = self.latest_work()
        self.preparing.done.connect(self.pictures.show)
        self.preparation = PreparationButtons(self.show_prepared, self.crop)
        self._preprocess = self.advanced.sections["preprocess"]
        self._preprocess.addWidget(self.preparation)

    def fill_in(self, layer: Image) -> None:
        """Adapt the distances to the frames of the chosen layer, and fill in what the layer specifies."""
        frames = self.choice.part_of(layer).shape[0]
        files = files_of(layer, frames)
        self.distances.set_frames(frames, files)
        super().fill_in(layer)
        named = distances_in_names(files)
        if named and self.distances.entered() == list(named):
            self.panel.say("Distances are those in the names of the files")

    def notes(self, layer: Image) -> Mapping[str, object]:
        """Return the fields that a layer and its files specify, such as distances in their names."""
        named = distances_in_names(files_of(layer, self.choice.part_of(layer).shape[0]))
        return {"distances_um": named or None, **super().notes(layer)}

    def complete_recipe(self, layer: Image) -> RecordingT:
        """Return the recipe, and give the layer its pixel size if the description of the recording is complete."""
        recipe = self.ready_recipe(layer)
        self.layers.arguments = placement_on(self.choice.part_of(layer), recipe)
        return recipe

    def show_prepared(self) -> None:
        """Show the prepared frames, and the pixels that will be ignored."""
        with self.panel.explaining():
            layer, recipe = self.chosen_layer(), self.recipe()
            self.pictures.arguments = placement_on(self.choice.part_of(layer), recipe)
            self.preparing.request(functools.partial(prepared, self.task, recipe, self.frames(layer)))

    def crop(self) -> None:
        """Crop the frames to the drawn rectangle, or offer to draw one."""
        with self.panel.explaining():
            layer = self.chosen_layer()
            offer_rectangle(self.viewer, layer)
            drawn = drawn_part(self.viewer, layer)
            self._preprocess.form.editors["crop_px"].set_value(drawn.part)
            self.panel.say(f"{drawn.described}; clear the field Crop to use all")


def prepared(task: AnyTask, recipe: RecordingRecipe, frames: Frames) -> tuple[NamedArray, ...]:
    """Return prepared frames, and the pixels that will be ignored; runs in a thread, as it loads torch."""
    from napari_diner.tasks.lensless.preview import preview

    return preview(recipe, task.assemble(recipe, frames))
