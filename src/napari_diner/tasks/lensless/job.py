"""A lensless reconstruction: one recipe on one recording."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_diner import device as devices
from napari_diner.errors import RecipeError
from napari_diner.io.arrays import Array, NamedArray
from napari_diner.io.stacks import checksum
from napari_diner.physics.elementwise import load_early
from napari_diner.physics.lensless.tiles import TiledMultiHeight
from napari_diner.preprocess.changed import CHANGED_CURE
from napari_diner.preprocess.soundness import OTHER_EXPOSURE
from napari_diner.tasks.blurred_frames import blurred_frames, warnings_of_blur
from napari_diner.tasks.frame_doubts import frame_doubts
from napari_diner.tasks.frame_list import about_distances, frame_list
from napari_diner.tasks.job import Job, Outcome, RunRecord, Stage
from napari_diner.tasks.lensless.calibrate import check_calibration
from napari_diner.tasks.lensless.data import (
    LenslessData,
    checked_illumination,
    kept,
    prepare,
    resolved,
    with_all_frames,
)
from napari_diner.tasks.lensless.findings import of_geometry
from napari_diner.tasks.lensless.geometry import object_shape, onto_object
from napari_diner.tasks.lensless.geometry_doubts import GeometryDoubts
from napari_diner.tasks.lensless.illumination import illumination_doubts, illumination_report
from napari_diner.tasks.lensless.memory import plan
from napari_diner.tasks.lensless.model import ModelBuilder
from napari_diner.tasks.lensless.out_of_focus import out_of_focus
from napari_diner.tasks.lensless.phase_output import phase_images
from napari_diner.tasks.lensless.plausibility import doubts
from napari_diner.tasks.lensless.prior import checked_support, prior_report, support_doubts
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.register import check_registration
from napari_diner.tasks.lensless.setup import Setup, geometry_report, light_report
from napari_diner.tasks.lensless.slow_phase import slow_phase
from napari_diner.tasks.lensless.stages import LenslessStages
from napari_diner.tasks.lensless.state import LenslessState
from napari_diner.tasks.lensless.truth import Truth, band_errors, check_truth, score
from napari_diner.tasks.lensless.uncertainty import uncertainty_images, uncertainty_report
from napari_diner.tasks.preflight import Finding, saturation
from napari_diner.tasks.report import psnr_db
from napari_diner.tasks.static_pattern import static_pattern
from napari_diner.tasks.stripes_left import stripes_left
from napari_diner.tasks.surround import surround_mode, surround_warnings
from napari_diner.tasks.unexplained import Unexplained

_PREVIEW_PIXELS = 512
# recordings leave up to 0.05 unexplained, 0.03 of it beyond noise, with the right geometry, and more with a wrong one:
# see benchmarks/unexplained.py
_DOUBTFUL = (
    0.06, 0.025, "an empty field",
    "check the order of the frames, their distances and brightness, the wavelength and the pixel size",
)  # fmt: skip
_DOUBTFUL_FRAME = 0.002
_OF_FRAME = "distance, alignment, sharpness and exposure"
# part of the residual of a doubtful result that the frames must share to be its cause
_MOSTLY = 0.5


class LenslessJob(Job[LenslessState]):
    """The reconstruction of amplitude and phase from one recording.

    Parameters
    ----------
    recipe
        All settings.
    data
        The recording.
    truth
        The true object to score against, if there is one.

    Raises
    ------
    DinerError
        As for `napari_diner.tasks.task.Task.job`.
    """

    task = "lensless"

    def __init__(self, recipe: LenslessRecipe, data: LenslessData, truth: Truth | None = None) -> None:
        load_early(data.frames.shape[1:])
        self.checksum = checksum(data.frames)
        used, data, self._left_out = kept(recipe, data)
        with self._left_out.counting():
            self._prepare(used, data, truth)
        # the stored recipe has the complete lists
        self.recipe = with_all_frames(self._used, recipe)

    def _prepare(self, recipe: LenslessRecipe, data: LenslessData, truth: Truth | None) -> None:
        frames = data.frames
        self._used = resolved(recipe, data)
        check_registration(self._used, len(frames))
        check_calibration(self._used, len(frames))
        if truth is not None:
            check_truth(truth, object_shape(recipe, frames.shape[1:]))
        self.truth = truth
        self.device = devices.choose_device(recipe.device)
        plan(self._used, frames.shape).check(self.device)
        self._prepared = prepare(self._used, data)
        self.measures_light = self._prepared.measures_light
        amplitudes, mask = self._prepared.amplitudes, self._prepared.mask
        mode = surround_mode(self._used.padding.mode, amplitudes, mask)
        self._used = self._used.updated({"padding": {"mode": mode}})
        self.memory = plan(self._used, frames.shape)
        self.memory.check(self.device)
        self._setup = setup = Setup.of(self._used, self._prepared.gains)
        notes, warnings = about_distances(data.files, recipe.distances_um, needed=recipe.needs_distances)
        self.notes = (*data.notes, *notes)
        implausible = doubts(self._used, setup, object_shape(recipe, frames.shape[1:]))
        repeats = surround_warnings(mode, amplitudes, mask)
        self.warnings = (*data.warnings, *warnings, *implausible, *self._prepared.warnings, *repeats)
        self._files = data.files
        illumination, self._brightness = checked_illumination(data), 1.0
        if illumination is not None:
            if np.iscomplexobj(illumination):
                real, imaginary = (onto_object(recipe, part) for part in (illumination.real, illumination.imag))
                illumination = real + np.complex64(1j) * imaginary
            else:
                illumination = onto_object(recipe, illumination)
            # the remaining brightness is that of the object
            self._brightness = float(np.sqrt(np.mean(np.abs(illumination) ** 2, dtype=np.float64)))
            illumination = illumination / np.float32(self._brightness)
        builder = ModelBuilder(illumination, self.device, self.memory.work)
        support = checked_support(recipe, data)
        self._is_implausible = bool(implausible)
        self._doubts = GeometryDoubts(self._used, self._prepared, builder, is_implausible=self._is_implausible)
        unclear = illumination_doubts(self._used, data.illumination_phase)
        about = self._doubts
        self.warnings = (*about.first, *self.warnings, *about.last, *support_doubts(support), *unclear)
        self._stages = LenslessStages(self._used, builder, support)
        self.warnings = tuple(self._left_out.counted(self.warnings))

    @functools.cached_property
    def suspicions(self) -> Sequence[str]:
        """The error of the recording that would explain most, at most one of them."""
        # what values that do not measure light leave looks like other errors
        if not self.measures_light:
            return ()
        with self._left_out.counting():
            return self._left_out.counted(self._doubts.confirmed())

    def findings(self) -> Sequence[Finding]:
        """Return what geometry and saturation allow."""
        setup, prepared = self._setup, self._prepared
        shape = object_shape(self._used, prepared.amplitudes.shape[1:])
        return [*of_geometry(setup.heights, shape), saturation(prepared.at_least, self._used.preprocess.saturated)]

    def begin(self) -> LenslessState:
        """Return the state with prepared frames and a start."""
        return self._stages.begin(self._setup, self._prepared)

    def stages(self) -> Sequence[Stage[LenslessState]]:
        """Return the stages in order."""
        return list(self._stages)

    def check_series(self) -> None:
        """Check that frames are not resampled, since registration is done for the first recording only."""
        if self._used.registration in ("similarity", "deformation"):
            raise RecipeError("A series cannot have its frames resampled; set {field} to shift or off", "registration")

    def follow(self, previous: LenslessState) -> LenslessState:
        """Return the state with geometry and object of the previous recording."""
        return self._stages.follow(self._prepared, previous)

    def later_stages(self) -> Sequence[Stage[LenslessState]]:
        """Return only the stages of solver and uncertainty."""
        return list(self._stages.later())

    def preview(self, state: LenslessState) -> tuple[NamedArray, ...]:
        """Return amplitude and phase of a state, thinned."""
        field = _view(state)
        stride = -(-max(field.shape) // _PREVIEW_PIXELS)
        return _images(self._amplitude_unit(state) * field, state.setup.pixel_size_um, stride)

    def _amplitude_unit(self, state: LenslessState) -> float:
        """Return the amplitude of an object, in the units of the frames, for a field of one."""
        return float(state.prepared.unit**0.5) / self._brightness

    def outcome(self, state: LenslessState, record: RunRecord) -> Outcome:
        """Return amplitude, phase and residual of a state, and derived images."""
        recipe, setup, problem = self._used, state.setup, state.problem
        unit = self._amplitude_unit(state)
        amplitude, phase = _images(unit * _view(state), setup.pixel_size_um)
        weights = {name: value.cpu().numpy() for name, value in state.parameters.items()}
        moduli = problem.modulus(state.field)
        residual = problem.intensity_residual_of(moduli)
        error, misfit = problem.intensity_error(residual), problem.misfit_of(moduli)
        figures = self._figures(state, record, error, misfit)
        reference = problem.flat_residual()
        left, empty = residual.cpu().numpy(), reference.cpu().numpy()
        unexplained = Unexplained.of(left, empty)
        figures |= unexplained.figures()
        warnings = self._behind(state, unexplained)
        if state.start is not None:
            figures["start_unexplained"] = state.start.share
        if not warnings or (state.start is not None and state.start.is_doubtful(*_DOUBTFUL[:2])):
            # what another solver has explained is no fault of the data
            levels = [float(frame.square().mean()) for frame in problem.amplitudes]
            warnings += self._of_frames(unexplained, left, empty, levels, setup.heights.distances_um, record)
        for part, report in (("registration", state.registration), ("calibration", state.calibration)):
            if report is not None:
                figures[part] = {key: value for key, value in report.items() if key != "warnings"}
                warnings += report["warnings"]
        if not warnings and record.finished and not record.is_suspected:
            warnings += self._focus(state)
        if self._left_out.numbers:
            figures["left_out"] = [number + 1 for number in self._left_out.numbers]
        if self.truth is not None:
            figures["truth"] = score(amplitude.data, phase.data, self.truth)
            figures["truth_bands"] = band_errors(phase.data, self.truth, setup.pixel_size_um)
        uncertainties: tuple[NamedArray, ...] = ()
        if state.uncertainty is not None:
            uncertainty = state.uncertainty.in_units(unit, state.prepared.unit)
            uncertainties = uncertainty_images(uncertainty, setup.pixel_size_um, bands=recipe.uncertainty.bands)
            figures["uncertainty"] = uncertainty_report(
                uncertainty, setup.heights, noise_is_given=recipe.uncertainty.noise is not None
            )
        lights: tuple[NamedArray, ...] = ()
        if state.light is not None:
            figures["illumination"] = illumination_report(state)
            lights = tuple(
                dataclasses.replace(image, name=f"illumination_{image.name}")
                for image in _images(self._brightness * problem.model.padding.view(state.light), setup.pixel_size_um)
            )
        return Outcome(
            arrays=(
                *uncertainties,
                *lights,
                amplitude,
                phase,
                NamedArray(
                    "residual",
                    state.prepared.unit * residual.cpu().numpy(),
                    "NYX",
                    (1.0, *[setup.frame_optics.pixel_size_um] * 2),
                ),
                *phase_images(phase, recipe.phase_output, setup.optics.wavelength_um),
            ),
            figures=figures,
            warnings=self._left_out.counted(warnings),
            # of a result that does not explain the frames, the shape says nothing about the light
            remarks=[] if unexplained.share > _DOUBTFUL[0] else self._slow_phase(state, phase.data),
            weights=weights or {"amplitude": amplitude.data, "phase": phase.data},
        )

    def _slow_phase(self, state: LenslessState, phase: Array) -> list[str]:
        recipe, mask = self._used, state.prepared.mask
        if recipe.phase_output.remove != "none" or state.light is not None or recipe.illumination is not None:
            return []
        source_um = recipe.source_distance_um if recipe.source_distance_to == "sample" else None
        valid = None if mask is None or mask.shape[1:] != phase.shape else np.asarray(mask.any(0))
        return slow_phase(phase, state.setup.optics, source_um, valid)

    def _focus(self, state: LenslessState) -> list[str]:
        """Return a warning if the sample is sharper in another plane, where only medium lies between."""
        recipe = self._used
        is_lit = state.light is not None or recipe.illumination is not None
        if is_lit or recipe.source_distance_um is not None or recipe.calibration.z or not self.measures_light:
            return []
        return out_of_focus(_view(state), state.setup.optics, state.setup.heights.distances_um)

    def _of_frames(
        self,
        unexplained: Unexplained,
        left: npt.NDArray[np.floating],
        empty: npt.NDArray[np.floating],
        levels: Sequence[float],
        distances_um: Sequence[float],
        record: RunRecord,
    ) -> list[str]:
        """Return warnings about what is left of the frames, by the residuals of the object and of an empty field."""
        if not self.measures_light:
            return unexplained.warnings(*_DOUBTFUL, first=CHANGED_CURE)
        if self._is_implausible or not record.finished:
            # what settings outside physical reason leave looks like many causes; and whoever ends a run early does not
            # want to wait for the search, whose cure would be to let it finish
            return [
                *unexplained.warnings(*_DOUBTFUL, first=record.first_cure),
                *unexplained.frame_warnings(_DOUBTFUL_FRAME, _OF_FRAME),
            ]
        frames = frame_doubts(
            left,
            empty,
            unexplained,
            levels,
            cure="mask them, or leave these frames out (leave_out)",
            cure_of_scale="registration: similarity",
            is_scaled=self._used.registration in ("similarity", "deformation"),
        )
        # another exposure that is not provided for leaves residuals like those of a blur, also in other frames
        uneven = float(np.abs(np.array(levels) / np.median(levels) - 1).max()) > OTHER_EXPOSURE
        is_misled = uneven and not _has_gains(self._used)
        blurred = [] if is_misled else [pair for pair in blurred_frames(frames.spectra) if pair[0] not in frames.unlike]
        # wrong settings leave something that frames share, too, but more that they do not
        least = _MOSTLY if unexplained.is_doubtful(*_DOUBTFUL[:2]) else 0.0
        static = static_pattern(left, empty, is_corrected=self._used.preprocess.flat is not None, least=least)
        named = frames.named | {number for number, _ in blurred}
        return [
            *frames.texts,
            *(static or unexplained.warnings(*_DOUBTFUL, first=record.first_cure)),
            *([] if static else stripes_left(left, empty)),
            *warnings_of_blur(blurred, distances_um),
            *([] if frames.disturbs else unexplained.frame_warnings(_DOUBTFUL_FRAME, _OF_FRAME, named)),
        ]

    def _behind(self, state: LenslessState, unexplained: Unexplained) -> list[str]:
        """Return a warning if a representation explains less than its start."""
        recipe = self._used
        if state.start is None:
            return []
        cure = f"choose the solver {recipe.start}" if recipe.has_start else "start from the result of a solver"
        return unexplained.behind(state.start, recipe.solver, recipe.start, cure)

    def _figures(self, state: LenslessState, record: RunRecord, error: float, misfit: float) -> dict[str, Any]:
        problem, prepared = state.problem, state.prepared
        figures: dict[str, Any] = {
            "solver": self._used.solver,
            "start": self._used.start,
            "measurement_psnr_db": psnr_db(np.array(prepared.unit * error**0.5), prepared.peak),
            "measurement_peak": prepared.peak,
            "parameters": 2 * state.field.numel() if state.parameter_count is None else state.parameter_count,
            "gains": list(prepared.gains),
            "frames": frame_list(self._left_out.kept, self._files, {"distance_um": self._used.distances_um}),
            **geometry_report(self._used, state.setup),
            **light_report(state.setup),
            **record.reconstruction,
        }
        if isinstance(problem.model, TiledMultiHeight):
            rows, columns = problem.model.edges
            figures["tiles"] = {"rows": rows, "columns": columns, "window_px": list(problem.model.window)}
        if state.noise is not None:
            # of the intensities: variance = shot * intensity + read_sigma², without the part that the object has fitted
            noise = state.noise.scaled(1 / problem.freedom).in_units(prepared.unit)
            figures["noise"] = {"shot": 4 * noise.shot, "read_sigma": noise.read_sigma}
        if problem.priors is not None:
            priors = problem.priors.adapted(misfit)
            if self._used.prior.wanted or priors.support is not None:
                figures["prior"] = prior_report(priors, state.choice, prepared.unit)
            padding = problem.model.padding
            if padding.is_unknown:
                figures["surround"] = {
                    "object_px": padding.object_shape,
                    "before_px": padding.before,
                    "smoothness": priors.smoothness_weight,
                }
        return figures


def _view(state: LenslessState) -> Tensor:
    """Return the field before the sensor, (Y, X)."""
    return state.problem.model.padding.view(state.field)


def _images(field: Tensor, pixel_size_um: float, stride: int = 1) -> tuple[NamedArray, NamedArray]:
    """Return amplitude and phase of a field; the unobservable mean of the phase is removed."""
    thinned = field[::stride, ::stride].to(torch.complex64)
    thinned = thinned * torch.exp(-1j * thinned.sum().angle())
    scale = (pixel_size_um * stride,) * 2
    return (
        NamedArray("amplitude", thinned.abs().cpu().numpy(), "YX", scale),
        NamedArray("phase", thinned.angle().cpu().numpy(), "YX", scale, "rad"),
    )


def _has_gains(recipe: LenslessRecipe) -> bool:
    return recipe.gains is not None or recipe.equalise_gains or recipe.calibration.gain
