"""A recording by diffraction tomography that has been checked: data and settings of the reconstruction to come."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from napari_diner import device as devices
from napari_diner.errors import InputError, RecipeError
from napari_diner.io.stacks import check_frames, check_frames_first, checksum, frames_last
from napari_diner.physics.idt.illumination import Illumination
from napari_diner.physics.padding import Padding
from napari_diner.preprocess.changed import CHANGED_CURE
from napari_diner.preprocess.odd_frames import odd_frames
from napari_diner.preprocess.same_exposure import of_one_light
from napari_diner.preprocess.soundness import identical, numbered, repeated, without_light
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.regularisers import TotalVariation, VolumePriors
from napari_diner.tasks.frame_list import frame_list
from napari_diner.tasks.idt.calibrate import IlluminationCalibration
from napari_diner.tasks.idt.contrast_side import sign_of_sample
from napari_diner.tasks.idt.dark_field import DarkFrames, bright_only, left_out_bright
from napari_diner.tasks.idt.data import IdtData, contrast_of, saturated_in, with_file_facts, without
from napari_diner.tasks.idt.memory import layout_of, plan, with_tiles
from napari_diner.tasks.idt.optics import (
    ComputedModels,
    GivenModels,
    Models,
    computed_models,
    findings,
    within_aperture,
)
from napari_diner.tasks.idt.plausibility import drift, few_frames, one_direction, optics_doubts
from napari_diner.tasks.idt.recipe import OF_FRAMES, IdtRecipe
from napari_diner.tasks.idt.state import IdtState
from napari_diner.tasks.idt.surround import width_px, with_surround
from napari_diner.tasks.idt.tiles import Tile
from napari_diner.tasks.idt.truth import TrueVolume, check_truth
from napari_diner.tasks.idt.ways import GivenDirections
from napari_diner.tasks.left_out import LeftOut
from napari_diner.tasks.preflight import saturation

_AXES_CURE = "check which axis counts the frames, see below"


class IdtRecording:
    """Checked data and resolved settings.

    Parameters
    ----------
    recipe
        The settings.
    data
        The recording.
    truth
        The true index, for a score; None if unknown.

    Raises
    ------
    DinerError
        If recipe and data cannot be used, or do not fit each other or the memory.
    """

    def __init__(self, recipe: IdtRecipe, data: IdtData, truth: TrueVolume | None = None) -> None:
        self.checksum = checksum(np.asarray(data.frames))
        self.left_out = LeftOut.of(recipe, len(data.frames) if data.frames.ndim == 3 else 0)
        """Frames that are left out of bright field: those of the recipe, without light, or with dark field."""
        self.dark: DarkFrames | None = None
        """The dark-field frames, if they are used."""
        self.doubts_geometry = False
        """Whether `suspicions` are about directions or optics."""
        self._bright: list[str] = []
        self._directions: GivenDirections | None = None
        with self.left_out.counting():
            self._check(recipe, data)
        given = self.left_out
        if self.left_out.kept:  # anything else is refused below
            self.left_out = bright_only(self.recipe, given)
            self.dark = DarkFrames.of(self.recipe, data, given, self.left_out)
            self._bright = left_out_bright(self.recipe, np.asarray(data.frames), given, self.left_out)
        with self.left_out.counting():
            if self.left_out.kept and data.transfer is None:
                # frames lit from outside the objective would otherwise look as if they were in another unit
                start, _ = within_aperture(self.recipe, self._illumination())
                geometry = self.recipe.geometry((self.recipe.slice_count, 1, 1))
                listed = bool(self.recipe.illuminations)
                start.check(geometry.na, geometry.medium_index, field="illuminations" if listed else "ring.na")
            self._prepare(recipe, data, truth)

    def _check(self, recipe: IdtRecipe, data: IdtData) -> None:
        """Check that settings are complete, and that the recording fits the memory."""
        frames = np.asarray(data.frames)
        self.recipe: IdtRecipe = with_file_facts(recipe, data)
        check_frames_first(frames.shape, len(self.recipe.illuminations), self.recipe.axes)
        self.recipe.check_complete(len(frames) if frames.ndim == 3 else 0)
        self.device = devices.choose_device(recipe.device)
        if frames.ndim == 3:  # anything else is refused below
            self.memory = plan(self.recipe, frames.shape, device=self.device)
            self.memory.check(self.device)
            # impossible lengths before directions, which may be right
            optics_doubts(self.recipe, (frames.shape[1], frames.shape[2]))
        if self.left_out.numbers and recipe.transfer_functions is not None:
            raise RecipeError("{field} and {field:transfer_functions} exclude each other; remove one", "leave_out")

    def _prepare(self, recipe: IdtRecipe, data: IdtData, truth: TrueVolume | None) -> None:
        whole = data
        data = without(data, self.left_out)
        frames = np.asarray(data.frames)
        check_frames(frames)
        shape = (recipe.slice_count, frames.shape[1], frames.shape[2])
        last = frames_last(frames.shape, self.recipe.axes)
        doubts = [*([] if last is None else [last]), *optics_doubts(self.recipe, shape[1:])]
        warnings = [*doubts, *repeated(frames)]
        data, unlit = self._lit(data)
        # from here on, frames without light are not counted
        counted_before = self.left_out.counted((*data.warnings, *warnings))
        counted_before += self.left_out.counted(_said_of(unlit))
        self.left_out = self.left_out.and_of_the_rest(unlit)
        contrast, warnings = contrast_of(self.recipe, data)
        self.first_cure = "" if last is None else _AXES_CURE
        """What to do before anything else if too little is explained, as a warning about the data says; or empty."""
        self.measures_light = data.changed.measures_light
        if not self.measures_light:
            self.first_cure = CHANGED_CURE
        odd = odd_frames(1 + contrast, oblique=True)
        warnings += [*odd.warnings, *few_frames(len(contrast), recipe.slice_count)]
        warnings += of_one_light(contrast)
        self.recipe, repeats = with_surround(self.recipe, contrast, is_computed=data.transfer is None)
        warnings += repeats
        if truth is not None:
            check_truth(truth, shape)
        self.truth = truth
        # impossible optics are reported before any work is done
        models, more = self._models(data, shape)
        warnings += more
        prior, solver = recipe.regularization, recipe.solver
        about_optics = []
        if isinstance(models, ComputedModels):
            dark = None if self.dark is None else self.dark.illumination
            about_optics = findings(models.geometry, models.illumination, dark)
        if isinstance(models, ComputedModels):
            warnings += [*one_direction(models.illumination), *drift(self.recipe, contrast, models.illumination)]
            if not doubts:  # further warnings would be consequences
                warnings += [line.sentence for line in about_optics if line.level != "good"]
                # of identical frames, at most one shows the light of its direction
                alike = [number for group in identical(frames) for number in group]
                faulty = tuple(sorted({*odd.numbers, *alike}))
                self._directions = GivenDirections(recipe, models, torch.from_numpy(contrast), faulty)
        has_sign = prior.positivity and solver != "tikhonov"
        expected = 0
        if has_sign and prior.sign == "auto" and self._directions is not None:
            expected = self._directions.sign
        priors = VolumePriors(
            tikhonov=prior.tikhonov or 0.0,
            tv=prior.tv or 0.0,
            sign_re=sign_of_sample(prior.sign, expected) if has_sign else 0,
            sign_im=1 if prior.positive_absorption and solver != "tikhonov" else 0,
        )
        full, more = saturated_in(self.recipe, data)
        warnings += more
        self.findings = [*about_optics, saturation(full, self.recipe.saturated)]
        if self.dark is not None:
            self.findings.append(self.dark.finding)
        tiled = with_tiles(self.recipe, frames.shape, device=self.device)
        if tiled is not None:
            self.recipe = tiled.updated({"padding": {"mode": "unknown"}})
        self.layout = None if tiled is None else layout_of(tiled, frames.shape)
        if isinstance(models, ComputedModels) and width_px(self.recipe, models.geometry):
            self.memory = plan(self.recipe, frames.shape, device=self.device)
            self.memory.check(self.device)
        self._models_of_field, self._priors, self._full, self.contrast = models, priors, full, contrast
        about_dark = () if self.dark is None else self.dark.warnings
        self.warnings = (*self._bright, *counted_before, *self.left_out.counted(warnings), *about_dark)
        self.notes = data.notes
        self.dark = None if self.dark is None else self.dark.among(self.used)
        self.frames = self._listed(whole)

    @functools.cached_property
    def suspicions(self) -> Sequence[str]:
        """What comparisons with other directions and optics say, see `Job.suspicions`."""
        given, self._directions = self._directions, None
        if given is None:
            return ()
        with self.left_out.counting():
            texts = given.warnings()
            self.doubts_geometry = given.doubts_geometry
            return self.left_out.counted(texts)

    def state(self, tile: Tile | None = None) -> IdtState:
        """Return the state with the data and a linear model of the whole field, or of a tile."""
        place = (slice(None), *(() if tile is None else tile.place))
        contrast = torch.from_numpy(np.ascontiguousarray(self.contrast[place])).to(self.device)
        models, padding, calibration = self._models_of_field, None, None
        if isinstance(models, ComputedModels):
            rows, columns = contrast.shape[1:]
            models = models.of_size(rows, columns)
            if self.recipe.calibration.wanted:
                calibration = IlluminationCalibration.of(self.recipe.calibration, models)
            if width := width_px(self.recipe, models.geometry):
                padding = Padding((rows, columns), "unknown", width)
                models = models.of_size(*padding.padded_shape)
        tv = TotalVariation.of_voxels(*self.recipe.voxel_um[:2])
        without_level = None
        if self.recipe.background in OF_FRAMES:
            without_level = torch.ones(len(contrast), dtype=torch.bool, device=self.device)
        problem = VolumeProblem(
            models.linear(),
            contrast,
            self._priors,
            tv,
            at_least=self.bounds(tile),
            padding=padding,
            without_level=without_level,
        )
        return IdtState(models, problem, calibration=calibration, dark=self.dark)

    @property
    def used(self) -> LeftOut:
        """Frames that are not used at all."""
        dark = () if self.dark is None else self.dark.numbers
        return LeftOut(self.left_out.frames, tuple(n for n in self.left_out.numbers if n not in dark))

    def _listed(self, data: IdtData) -> list[Mapping[str, object]]:
        """Return the list of the used frames for the report."""
        used = self.used
        directions: list[object] = []
        if data.transfer is None:
            illumination = self.recipe.illumination(used.frames).without(used.numbers)
            directions = [[[source.na_y, source.na_x] for source in frame] for frame in illumination.frames]
        return frame_list(used.kept, used.rest(data.files), {"na_yx": directions})

    def bounds(self, tile: Tile | None = None) -> torch.Tensor | None:
        """Return where pixels are saturated, so that they bound the light, (N, Y, X); None if all are exact."""
        place = (slice(None), *(() if tile is None else tile.place))
        return None if self._full is None else torch.from_numpy(self._full[place].copy()).to(self.device)

    def busiest(self) -> Tile:
        """Return the tile with most structure."""
        tiles = [] if self.layout is None else self.layout.tiles
        return max(tiles, key=lambda tile: float(np.square(self.contrast[:, *tile.place]).sum(dtype=np.float64)))

    def _models(self, data: IdtData, shape: tuple[int, int, int]) -> tuple[Models, list[str]]:
        recipe, frames = self.recipe, len(data.frames)
        if data.transfer is not None:
            return GivenModels(data.transfer, recipe.slices(shape), frames, self.device), []
        return computed_models(recipe, self._illumination(), shape, self.device)

    def _illumination(self) -> Illumination:
        return self.recipe.illumination(self.left_out.frames).without(self.left_out.numbers)

    def _lit(self, data: IdtData) -> tuple[IdtData, list[int]]:
        """Return the data without frames that have no light, and the positions of these frames."""
        unlit = without_light(np.asarray(data.frames), self.recipe.background_offset)
        if unlit and (self.recipe.transfer_functions is not None or self.recipe.calibration.wanted):
            raise InputError(
                f"There is {_noise_in(unlit)}; take them out of the stack, and out of the list of illuminations"
            )
        return without(data, LeftOut(len(data.frames), tuple(unlit))), unlit


def _noise_in(unlit: Sequence[int]) -> str:
    return f"nothing but noise, as without light, in {numbered(unlit)}"


def _said_of(unlit: Sequence[int]) -> list[str]:
    verb = "is" if len(unlit) == 1 else "are"
    return [f"there is {_noise_in(unlit)}, which {verb} left out"] if unlit else []
