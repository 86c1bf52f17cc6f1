"""The dock for intensity diffraction tomography: a volume of refractive index from oblique illumination."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

import napari
from napari.layers import Image
from qtpy.QtWidgets import QFormLayout, QWidget

from napari_diner.errors import RecipeError
from napari_diner.physics.idt.illumination import Illumination
from napari_diner.solvers.registry import sections_of, solver_names
from napari_diner.tasks.check import Alternative, Check, Ranking
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.task import aberration_rows, dark_field_rows
from napari_diner.tasks.result import Result
from napari_diner.tasks.task import AnyTask, Frames
from napari_diner.widgets.dock.ranking_dialog import RankingDialog
from napari_diner.widgets.dock.stack_dock import StackDock
from napari_diner.widgets.forms.controls import button, row
from napari_diner.widgets.forms.editors import WheelGuard
from napari_diner.widgets.forms.source_choice import SourceChoice
from napari_diner.widgets.idt.geometry_layers import GeometryLayers
from napari_diner.widgets.idt.illumination_editor import IlluminationEditor
from napari_diner.widgets.idt.view_bar import ViewBar
from napari_diner.widgets.idt.volume_layers import VolumeLayers
from napari_diner.widgets.layers.layer_metadata import layer_notes
from napari_diner.wording import count, digits, effort

if TYPE_CHECKING:
    from napari_diner.tasks.idt.geometry_preview import Circles, GeometryCheck


BACKGROUNDS = {
    "mean": "Mean of each frame",
    "blur": "Blur of each frame",
    "ratio": "I / background",
    "none": "I / background − 1",
}
"""Titles of the words that a recipe takes for the background; the first is the default."""
MODELS = {"born": "Single scattering", "multislice": "Multiple scattering"}
"""Titles of the models in a report."""


class IdtDock(StackDock[IdtRecipe]):
    """Reconstructs the refractive index in three dimensions from a stack with oblique illumination."""

    task_name = "idt"
    essentials = (
        "wavelength_um",
        "pixel_size_um",
        "na",
        "medium_index",
        "slice_count",
        "slice_spacing_um",
        "model",
        "solver",
    )
    elsewhere: ClassVar[tuple[str, ...]] = (*StackDock.elsewhere, "illuminations", "ring")
    none_texts: ClassVar = {
        "first_slice_um": "centred",
        "width_um": "reach of light",
        "tikhonov": "chosen",
        "tv": "chosen",
    }

    layers: VolumeLayers

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        self.background = SourceChoice(napari_viewer, BACKGROUNDS)
        self.background.setToolTip(IdtRecipe.model_fields["background"].description or "")
        WheelGuard(self.background)
        super().__init__(
            napari_viewer,
            {"background": self.background},
            VolumeLayers(napari_viewer),
        )
        self.sources["background"] = self.background
        self._geometry = GeometryLayers(napari_viewer)
        self.geometry_check = self.latest_work()
        self.geometry_check.failed.connect(self._on_check_failed)
        self.geometry_check.done.connect(self._on_checked)
        self.illumination = IlluminationEditor()
        self._lit_by_layer: dict[str, object] = {}
        self.illumination.failed.connect(self.panel.complain)
        self.illumination.left_out.connect(self._leave_out)
        self.illumination.dark_field_used.connect(self._use_dark_field)
        for name in ("na", "leave_out", "dark_field"):
            self.editors[name].changed.connect(self._update_illumination)
        napari_viewer.dims.events.current_step.connect(self._on_step)
        tip = "Show the spectra of the frames, and the circles that should bound them"
        self.check_button = button("Check geometry", tip, self.check_geometry)
        self._check = self.task.checks[0]
        self.ranking = self.latest_work()
        self.ranking.done.connect(self._on_ranked)
        self.ranking.idle.connect(self._on_ranking_idle)
        self.ranking_buttons = {
            check.name: button(check.title, check.summary, functools.partial(self.rank, check))
            for check in self.task.checks
        }
        background = QFormLayout()
        background.addRow("Background", self.background)
        self.views = ViewBar(self, self.layers)
        self.add_below(self.views)
        # beside the names of frames, this is all that 1366 pixels leave at 150 %
        self.setMinimumWidth(280)
        self.arrange(
            self.rows("wavelength_um", "pixel_size_um", "na", "medium_index"),
            self.illumination,
            row(self.check_button, self.ranking_buttons["directions"]),
            background,
            self.rows("slice_count", "slice_spacing_um"),
            row(self.ranking_buttons["slices"]),
            self.rows("model", "solver"),
        )
        for follow in (self.panel.checks.expect, self.panel.forget_complaint, self.entered.expect):
            self.illumination.changed.connect(follow)
        self.mark.others = {"illuminations": self.illumination.field}
        for name, each in self.illumination.ring.items():
            self.mark.others[f"ring.{name}"] = functools.partial(cast, QWidget, each)

    def values(self) -> dict[str, object]:
        """Return the values in the dock, including the illumination."""
        return super().values() | self.illumination.values()

    def set_recipe(self, recipe: IdtRecipe) -> None:
        """Show a recipe without changing the layer."""
        super().set_recipe(recipe)
        self.illumination.set_values(recipe.illuminations, recipe.ring)
        self._update_illumination()

    def sections_in_use(self) -> Collection[str]:
        """Return the sections that apply to the solver and to the model that it may use."""
        solver = str(self.editors["solver"].value())
        hidden = {section for name in solver_names("idt") for section in sections_of("idt", name)}
        hidden -= {*sections_of("idt", solver), "regularization", "multislice"}
        if self.editors["model"].value() == "born":
            hidden.add("multislice")
        return self.advanced.sections.keys() - hidden

    def complete_recipe(self, layer: Image) -> IdtRecipe:
        """Return the recipe, and give the layer its pixel size if the description of the recording is complete."""
        recipe = self.ready_recipe(layer)
        self.layers.begin(recipe, self.choice.part_of(layer).place)
        return recipe

    def summary(self, result: Result) -> str:
        """Return the range of the index and the share of the signal that the model explains."""
        report, index = result.report, result["n_re"].data
        return (
            f"{report['verdict']}\n"
            f"The volume has an index from {float(index.min()):.4f} to {float(index.max()):.4f}, after "
            f"{effort(report['iterations'], report['seconds'])}\n"
            f"{MODELS[report['model']]}: the sample delays light by up to {digits(report['peak_phase_rad'])} rad"
            + "".join(f"\nAberrations: {row.value}" for row in aberration_rows(report))
            + "".join(f"\nDark field: {row.value}" for row in dark_field_rows(report))
        )

    def show_outcome(self, outcome: object) -> None:
        """Show the volume in three dimensions, or that of a partial result slice by slice."""
        super().show_outcome(outcome)
        self.views.show_new_volume(is_partial=self.result is not None and self.result.partial)

    def fill_in(self, layer: Image) -> None:
        """Fill in what the chosen layer specifies about its recording."""
        super().fill_in(layer)
        notes = layer_notes(layer)
        if "illuminations" in notes or "ring" in notes:
            self.illumination.set_values(notes.get("illuminations", ()), notes.get("ring", {}))
            self._lit_by_layer = self.illumination.values()
        elif self._is_lit_by_layer():
            entered = self.entered.recipe
            self.illumination.set_values(entered.illuminations, entered.ring)
        self._update_illumination()

    def of_data(self) -> Collection[str]:
        """Return the keys of settings that belong to the data: also the directions if they are those of a layer."""
        return (*super().of_data(), *(("illuminations", "ring") if self._is_lit_by_layer() else ()))

    def _is_lit_by_layer(self) -> bool:
        """Return whether the directions are those that a layer specifies."""
        with contextlib.suppress(RecipeError):  # the user is typing
            return self.illumination.values() == self._lit_by_layer
        return False

    def check_geometry(self) -> None:
        """Show the spectra of the frames, with the circles of the illuminations, nominal and calibrated."""
        with self.panel.explaining():
            layer = self.chosen_layer()
            recipe = self.ready_recipe(layer)
            self.check_button.setEnabled(False)
            self.geometry_check.request(functools.partial(checked, self.task, recipe, self.frames(layer)))

    def rank(self, check: Check) -> None:
        """Rank the alternatives of a check, and let the user choose one."""
        with self.panel.explaining():
            layer = self.chosen_layer()
            recipe = self.ready_recipe(layer)
            self._check = check
            self._enable_ranking(False)
            self.panel.say(f"{check.title} Comparing…")
            self.ranking.request(functools.partial(self.task.rank, check, recipe, self.frames(layer)))

    def _update_illumination(self) -> None:
        part, na = self.choice.part, self.editors["na"].value()
        frames = None if part is None else part.shape[0]
        without: object = ()
        with contextlib.suppress(RecipeError):  # reported when it is used
            without = self.editors["leave_out"].value()
        numbers = tuple(each for each in without if isinstance(each, int)) if isinstance(without, Sequence) else ()
        dark_field = str(self.editors["dark_field"].value())
        self.illumination.set_recording(frames, na if isinstance(na, float) else None, numbers, dark_field)

    def _leave_out(self, frames: tuple[int, ...]) -> None:
        self.editors["leave_out"].set_value(frames)
        self._update_illumination()
        self.panel.say(f"{count(len(frames), 'frame')} left out; the numbers are under Advanced")

    def _use_dark_field(self) -> None:
        self.editors["dark_field"].set_value("use")
        self._update_illumination()
        self.panel.say("Dark field is used after bright field, for detail beyond its resolution")

    def _on_layer(self, layer: Image | None) -> None:
        super()._on_layer(layer)
        if layer is None:
            self.background.set_stack(None)
            self._update_illumination()

    def _on_step(self) -> None:
        """Enlarge the dots of the sources of the frame that the viewer shows."""
        if self.viewer.dims.ndisplay == 2:
            self.illumination.plot.set_current(self.frame)

    def _on_check_failed(self) -> None:
        self.check_button.setEnabled(True)

    def _on_checked(self, check: GeometryCheck) -> None:
        self.check_button.setEnabled(True)
        part = self.choice.part
        if part is None or part.shape[0] != check.spectra.data.shape[0]:
            return
        self._geometry.show(part, check.spectra, check.circles, self._calibrated_circles())
        words = (
            "The spectrum of each frame is bright in two discs, and the circles should bound them. Look through the "
            "frames with the slider."
        )
        self.panel.warn(words, check.warnings)

    def _on_ranking_idle(self) -> None:
        self._enable_ranking(True)

    def _enable_ranking(self, enabled: bool) -> None:
        for each in self.ranking_buttons.values():
            each.setEnabled(enabled)

    def _on_ranked(self, ranking: Ranking) -> None:
        self.panel.say("")
        self.dialog = RankingDialog(self, self._check.title, ranking)
        self.dialog.picked.connect(self._use)
        self.dialog.open()

    def _use(self, way: Alternative) -> None:
        """Show the directions, or the slices, of an alternative."""
        with self.panel.explaining():
            recipe = self.recipe().updated(way.changes)
            self.illumination.set_values(recipe.illuminations, recipe.ring)
            for name in ("slice_count", "slice_spacing_um", "first_slice_um"):
                self.editors[name].set_value(getattr(recipe, name))
            self.panel.say(f"{self._check.title} {way.name[0].upper()}{way.name[1:]}")

    def _calibrated_circles(self) -> Circles | None:
        """Return the circles of the illuminations calibrated by the last run."""
        recipe = None if self.result is None else self.result.recipe
        if self.result is None or "calibration" not in self.result.report or not isinstance(recipe, IdtRecipe):
            return None
        if recipe.wavelength_um is None or recipe.na is None:
            return None
        from napari_diner.tasks.idt.geometry_preview import circles

        apertures = self.result.report["calibration"]["illuminations_na"]
        return circles(Illumination.of(apertures), recipe.wavelength_um, recipe.na)

    def _on_theme(self) -> None:
        super()._on_theme()
        self.illumination.set_theme(self.viewer.theme)


def checked(task: AnyTask, recipe: IdtRecipe, frames: Frames) -> GeometryCheck:
    """Return spectra, circles and warnings; runs in a thread, as it loads torch."""
    from napari_diner.tasks.idt.geometry_preview import check_geometry

    return check_geometry(recipe, task.assemble(recipe, frames))
