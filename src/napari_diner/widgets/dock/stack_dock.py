"""Base of the docks for recordings: a stack of frames in a layer, with a pixel size."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import ClassVar, TypeVar

import napari
from napari.layers import Image, Labels

from napari_diner.io.arrays import Array
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.lensless.recipe import RecordingRecipe
from napari_diner.tasks.registry import task
from napari_diner.tasks.task import Frames
from napari_diner.widgets.dock.task_dock import TaskDock
from napari_diner.widgets.forms.editors import Editor
from napari_diner.widgets.forms.source_choice import SourceChoice
from napari_diner.widgets.forms.stack_choice import StackChoice
from napari_diner.widgets.layers.layer_axes import name_axes
from napari_diner.widgets.layers.layer_metadata import files_of
from napari_diner.widgets.layers.pixel_size import doubts_about, lay_over, pixel_side
from napari_diner.widgets.layers.placement import Placement
from napari_diner.widgets.layers.result_layers import ResultLayers
from napari_diner.widgets.layers.world import fit_labels, shown_place

StackRecipeT = TypeVar("StackRecipeT", bound=RecordingRecipe | IdtRecipe)


class StackDock(TaskDock[StackRecipeT]):
    """A dock for stacks of frames.

    Parameters
    ----------
    napari_viewer, own_editors, layers
        See `TaskDock`.
    """

    elsewhere: ClassVar[tuple[str, ...]] = (
        "axes",
        "select",
    )

    painted: ClassVar[tuple[str, ...]] = ("mask", "prior.support")
    """Images that may be painted, or drawn, in a layer."""

    choice: StackChoice

    def __init__(
        self,
        napari_viewer: napari.Viewer,
        own_editors: Mapping[str, Editor] | None = None,
        layers: ResultLayers | None = None,
    ) -> None:
        choice = StackChoice(napari_viewer, offers_series=task(self.task_name).follows)
        super().__init__(napari_viewer, choice, own_editors, layers)
        self.sources = {
            key: SourceChoice(napari_viewer, is_mask=key in self.painted)
            for key in self.task.attachments
            if key not in (own_editors or {})
        }
        """Where the images beside the frames come from, by the keys of the recipe."""
        for key, source in self.sources.items():
            self.editors |= self.advanced.exchange(key, source)
        self.choice.part_chosen.connect(self._on_part)

    @property
    def frame(self) -> int:
        """The frame of the stack that the viewer shows, counted from 0."""
        part = self.choice.part
        if part is None or part.frames_axis is None:
            return 0
        return shown_place(self.viewer, part.layer, part.frames_axis)

    def attachments(self) -> Mapping[str, Array]:
        """Return the layers that are used in place of other files."""
        part = self.choice.part
        if part is None:
            return {}
        images = {key: source.array(part) for key, source in self.sources.items()}
        return {key: image for key, image in images.items() if image is not None}

    def fill_in(self, layer: Image) -> None:
        """Fill in what the chosen layer specifies about itself, and offer the others for further images."""
        for source in self.sources.values():
            source.set_stack(layer)
        super().fill_in(layer)

    def frames(self, layer: Image) -> Frames:
        """Return the frames of a layer, and the layers that are used in place of other files."""
        pixel_size_um = self.editors["pixel_size_um"].value()
        doubts = doubts_about(layer, pixel_size_um if isinstance(pixel_size_um, float) else None)
        part = self.choice.part_of(layer)
        return replace(part.frames(self.attachments(), doubts), files=files_of(layer, part.shape[0]))

    def values(self) -> dict[str, object]:
        """Return the values in the dock, with the part of the layer."""
        part = self.choice.part
        return super().values() | {"select": "" if part is None else part.select}

    def of_data(self) -> Collection[str]:
        """Return the keys of settings that belong to the data: also which frames and which part of them are used."""
        return (*StackDock.elsewhere, "leave_out", "preprocess.crop_px", *self.painted_in_layers())

    def painted_in_layers(self) -> Collection[str]:
        """Return the keys of images beside the frames that are in layers only, such as painted masks."""
        return [key for key, source in self.sources.items() if source.is_only_layer]

    def read_as(self, layer: Image) -> Mapping[str, str]:
        """Return the names of the axes and the part that give the frames of the layer when read from its file."""
        return self.choice.part_of(layer).read_as

    def ready_recipe(self, layer: Image) -> StackRecipeT:
        """Return the recipe, and give the layer its pixel size if the description of the recording is complete.

        Raises
        ------
        DinerError
            If something is missing, or the pixels are not square.
        """
        recipe: StackRecipeT = self.recipe()
        pixel_side(Placement.of(layer), layer.name)
        recipe.check_complete(self.choice.part_of(layer).shape[0])
        name_axes(layer, "NYX" if layer.ndim == 3 else "YX")
        fit_labels(self.viewer)
        self.give_pixel_size(layer, recipe.pixel_size_um)
        for source in self.sources.values():
            if isinstance(source.layer, Image | Labels):
                lay_over(self.viewer, source.layer, layer)
        return recipe

    def _on_part(self) -> None:
        self._on_layer(self.choice.layer)
