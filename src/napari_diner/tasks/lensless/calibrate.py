"""Self-calibration of distances, shifts and gains of a lensless recording."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from napari_diner.errors import RecipeError
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.lensless.point_source import real_distance_um
from napari_diner.physics.settings import PaddingSettings
from napari_diner.preprocess.soundness import numbered
from napari_diner.solvers.calibration.calibrated import Calibrated
from napari_diner.solvers.calibration.frame_geometry import (
    COLUMNS,
    DOWN,
    GAIN,
    RIGHT,
    SOURCE,
    Derivatives,
    Geometry,
    Prior,
    Vector,
    Z,
    trend,
)
from napari_diner.solvers.calibration.lensless import SelfCalibration
from napari_diner.solvers.solver import Resumable
from napari_diner.solvers.step import Step
from napari_diner.tasks.lensless.model import ModelBuilder, problem_of
from napari_diner.tasks.lensless.prepared import PreparedFrames
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.setup import Setup, magnifications
from napari_diner.wording import digits

_FEWEST_FRAMES = 3
# blur of the farthest frame, in pixels, by the smallest source and by one of unknown size; and the factor by which it
# may change
_LEAST_BLUR_PX, _FIRST_BLUR_PX, _SOURCE_RANGE = 0.1, 2.0, 20.0
# largest assumed surround of a crop, which is otherwise the reach of diffraction
_MOST_PADDING_PX = 128


def check_calibration(recipe: LenslessRecipe, frames: int) -> None:
    """Check that a stack of `frames` frames determines the quantities to calibrate.

    Raises
    ------
    RecipeError
        If there are too few frames, or all are at one distance and a tilt is requested.
    """
    settings = recipe.calibration
    if not settings.wanted:
        return
    if frames < _FEWEST_FRAMES:
        what = "one height" if frames == 1 else f"{frames} heights"
        raise RecipeError(
            f"{_listed(settings.wanted)} cannot be calibrated with {what}, which some object explains for any "
            f"geometry; record at least {_FEWEST_FRAMES}"
        )
    if settings.source and recipe.source_distance_um is None:
        raise RecipeError(
            "The frames determine the size of the source only in relation to its distance; give {field}",
            "source_distance_um",
        )
    if settings.tilt and not settings.shift and np.ptp(recipe.distances_um) == 0:
        raise RecipeError(
            "All frames are at one distance, which does not determine a tilt; calibrate the shift instead"
        )


@dataclass(frozen=True)
class CalibratedRecording:
    """Result of a calibration."""

    setup: Setup
    """The calibrated geometry."""
    prepared: PreparedFrames
    """The frames, with calibrated gains."""
    field: Tensor | None
    """The object for this geometry, complex, (Y, X), on the grid of the reconstruction; None if the calibration used
    another grid.
    """
    is_start: bool
    """Whether the object is a good start. It is not if the field is continued beyond its edges: there it contains
    errors of the continuation.
    """
    report: Mapping[str, Any]
    """The part ``calibration`` of the report."""


class Calibration(Resumable):
    """The calibration of a recording; a `Solver`.

    Parameters
    ----------
    recipe
        The user's recipe, complete; its section ``calibration`` selects the quantities.
    setup, prepared
        The prepared frames.
    builder
        Builds forward models.
    """

    kept = answer = ("_solver",)

    def __init__(self, recipe: LenslessRecipe, setup: Setup, prepared: PreparedFrames, builder: ModelBuilder) -> None:
        settings = recipe.calibration
        self.recipe, self.settings = recipe, settings
        self._setup, self._prepared = setup, prepared
        if setup.super_resolution > 1:
            setup, builder = of_the_sensor(setup, builder)
        self._cut = middle(prepared.amplitudes.shape[1:], settings.field_px)
        part = prepared
        if self._cut is not None:
            part = prepared.part(*self._cut)
            if builder.illumination is not None:
                builder = dataclasses.replace(builder, illumination=builder.illumination[self._cut])
        setup = _padded(setup, is_part=self._cut is not None)
        frames, heights, device = len(prepared.amplitudes), setup.heights, builder.device
        shifts = heights.shifts_um if heights.shifts_um is not None else ((0.0, 0.0),) * frames
        light, longest = heights.light, max(heights.distances_um)
        pixels_um = setup.pixel_size_um / replace(light, size_um=1.0).blur_um(longest) if settings.source else 0.0
        least_source_um = _LEAST_BLUR_PX * pixels_um
        self.given = Geometry(
            np.array(heights.distances_um),
            np.array(shifts),
            np.array(prepared.gains),
            max(light.size_um or _FIRST_BLUR_PX * pixels_um, least_source_um),
        )

        def model(geometry: Geometry) -> MultiHeight:
            return builder.one_piece(_with_geometry(setup, geometry), part)

        first = model(self.given)
        self._solver = SelfCalibration(
            problem_of(first, part.amplitudes, part.mask, part.at_least),
            model,
            Derivatives(first.padding.padded_shape, setup.optics, first.dtype, device),
            self.given,
            self._prior(setup.pixel_size_um),
            settings.wanted,
            depth_of_field_um=setup.optics.depth_of_field_um,
            least_source_um=least_source_um,
            rounds=settings.rounds,
            object_steps=settings.cg_steps,
            answer_steps=settings.answer_steps,
            warm_up=recipe.gauss_newton.warm_up,
        )

    def _prior(self, pixel_size_um: float) -> Prior:
        settings, distances = self.settings, self.given.distances_um
        even = np.ones_like(distances)
        # only the order of magnitude of the source is known in advance
        source = _SOURCE_RANGE**2 * max(self.given.source_um, 1e-6) ** 2 * even
        return Prior(
            np.column_stack(
                [
                    settings.z_sd * distances,
                    *(settings.shift_sd_px * pixel_size_um * even,) * 2,
                    settings.gain_sd * even,
                    # all frames together
                    source * math.sqrt(len(even)),
                ]
            ),
            np.column_stack(
                [
                    settings.z_range * distances,
                    *(settings.shift_range_px * pixel_size_um * even,) * 2,
                    np.log(settings.gain_range) * even,
                    source,
                ]
            ),
        )

    def steps(self) -> Iterator[Step]:
        """Yield a step after each update."""
        yield from self._solver.steps()

    def result(self) -> CalibratedRecording:
        """Return the best geometry so far."""
        return self._recording(self._solver.result())

    def current(self) -> CalibratedRecording:
        """Return the current geometry."""
        return self._recording(self._solver.current())

    def _recording(self, calibrated: Calibrated) -> CalibratedRecording:
        # an object of a part of the field, without its surround, or with coarser pixels cannot be used
        covers_all = self._cut is None and self._setup.super_resolution == 1
        covers_all &= self._setup.padding_mode != "unknown"
        gains = tuple(calibrated.geometry.gains.tolist())
        return CalibratedRecording(
            _with_geometry(self._setup, calibrated.geometry),
            dataclasses.replace(self._prepared, gains=gains),
            calibrated.field if covers_all else None,
            covers_all and self._setup.padding_mode == "none",
            self._report(calibrated),
        )

    def _report(self, calibrated: Calibrated) -> dict[str, Any]:
        """Return the calibrated values with their standard errors.

        Distances and shifts are those on the sensor, also for a point source. Shifts have their mean and linear trend
        in z removed; the trend is the tilt. Standard errors of quantities that were not calibrated are zero.
        """
        distances, per_distance = self._on_the_sensor(calibrated.geometry.distances_um)
        nominal, _ = self._on_the_sensor(self.given.distances_um)
        magnified = np.array(magnifications(self.recipe, distances.tolist()))[:, None]
        shifts = magnified * calibrated.geometry.shifts_um
        frames = len(distances)
        scale = np.column_stack([per_distance, magnified, magnified, np.ones((frames, COLUMNS - 3))]).ravel()
        covariance = (calibrated.covariance * np.outer(scale, scale)).reshape(frames, COLUMNS, frames, COLUMNS)
        line = trend(distances, shifts)
        design = np.column_stack([np.ones(frames), distances])
        inverse = np.linalg.pinv(design)
        rest = np.eye(frames) - design @ inverse
        shift_errors, tilt_errors = np.zeros((frames, 2)), np.zeros(2)
        for axis, column in enumerate((DOWN, RIGHT)):
            part = covariance[:, column, :, column]
            shift_errors[:, axis] = _roots(rest @ part @ rest.T)
            tilt_errors[axis] = _roots(inverse @ part @ inverse.T)[1]
        gains = calibrated.geometry.gains
        nominal_shifts = np.array(self.recipe.shifts_um if self.recipe.shifts_um is not None else np.zeros((frames, 2)))
        report: dict[str, Any] = {
            "parameters": list(self.settings.wanted),
            "distances_um": distances.tolist(),
            "distances_um_se": _roots(covariance[:, Z, :, Z]).tolist(),
            "shifts_um": line.rest_um.tolist(),
            "shifts_um_se": shift_errors.tolist(),
            "tilt": line.tilt.tolist(),
            "tilt_se": tilt_errors.tolist(),
            "gains": gains.tolist(),
            "gains_se": (gains * _roots(covariance[:, GAIN, :, GAIN])).tolist(),
            "given_distances_um": nominal.tolist(),
            "total_shifts_um": shifts.tolist(),
            "moved_um": (distances - nominal).tolist(),
            "shifts_moved_um": (shifts - nominal_shifts).tolist(),
            "gains_moved": (gains / self.given.gains - 1).tolist(),
            "noise": calibrated.noise,
            "finest_um": None if calibrated.up_to is None else self._setup.pixel_size_um / calibrated.up_to,
            "rounds": self._solver.rounds_done,
            "warnings": self._warnings(calibrated),
        }
        if self.settings.source:
            size, square = calibrated.geometry.source_um, math.sqrt(max(covariance[0, SOURCE, 0, SOURCE], 0.0))
            report["source_size_um"] = size
            # of s² = v, whose root is known to √(v + σ) − √v at least
            report["source_size_um_se"] = min(square / (2 * size), math.sqrt(size**2 + square) - size)
        if calibrated.plane is not None:
            report["common_distance_um"] = calibrated.plane.offset_um
            report["common_distance_um_se"] = calibrated.plane.error_um
        report["summary"] = summary(report)
        return report

    def _on_the_sensor(self, effective_um: Vector) -> tuple[Vector, Vector]:
        """Return distances from sample to sensor, and their derivative by those for parallel light."""
        source = self.recipe.source_distance_um
        if source is None:
            return effective_um, np.ones_like(effective_um)
        to = self.recipe.source_distance_to
        real, ahead = (np.array([real_distance_um(z, source, to) for z in effective_um * by]) for by in (1.0, 1.0001))
        return real, (ahead - real) / (effective_um * 1e-4)

    def _warnings(self, calibrated: Calibrated) -> list[str]:
        warnings = []
        if calibrated.at_bounds.any():
            frames = numbered(np.flatnonzero(calibrated.at_bounds))
            warnings.append(f"calibration: {frames} stopped at the bound; give better values, or widen the range")
        if calibrated.plane is not None and calibrated.plane.at_end:
            warnings.append(
                "calibration: the sharpest plane is at the end of the range of common distances; check by focusing"
            )
        if self._cut is not None:
            warnings.append(f"calibration used the middle {self.settings.field_px} pixels of the field")
        return warnings


def summary(report: Mapping[str, Any]) -> str:
    """Summarise a calibration in one line."""
    parts = []
    calibrated = report["parameters"]
    if "z" in calibrated:
        moved = np.array(report["moved_um"])
        error = max(report["distances_um_se"])
        parts.append(f"distances {moved.min():+.2f} to {moved.max():+.2f} µm (± {digits(error)})")
    if "shift" in calibrated:
        shifts = np.abs(report["shifts_um"]).max()
        parts.append(f"shifts up to {digits(shifts)} µm (± {digits(np.max(report['shifts_um_se']), 1)})")
    if "shift" in calibrated or "tilt" in calibrated:
        (dy, dx), error = report["tilt"], max(report["tilt_se"])
        parts.append(f"tilt {digits(dy, 3)}, {digits(dx, 3)} (± {digits(error, 1)})")
    if "gain" in calibrated:
        gains = report["gains"]
        parts.append(f"gains {min(gains):.3f} to {max(gains):.3f} (± {digits(max(report['gains_se']), 1)})")
    if "source" in calibrated:
        parts.append(f"source {digits(report['source_size_um'], 4)} µm (± {digits(report['source_size_um_se'])})")
    return "; ".join(parts)


def _roots(covariance: Vector) -> Vector:
    """Return the standard deviations of a covariance."""
    roots: Vector = np.sqrt(np.clip(np.diag(covariance), 0, None))
    return roots


def _listed(words: tuple[str, ...]) -> str:
    text = " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
    return text[0].upper() + text[1:]


def _with_geometry(setup: Setup, geometry: Geometry) -> Setup:
    return setup.with_heights(
        distances_um=tuple(geometry.distances_um.tolist()),
        shifts_um=tuple((dy, dx) for dy, dx in geometry.shifts_um.tolist()),
        gains=tuple(geometry.gains.tolist()),
        light=replace(setup.heights.light, size_um=geometry.source_um),
    )


def of_the_sensor(setup: Setup, builder: ModelBuilder) -> tuple[Setup, ModelBuilder]:
    """Return setup and builder without super-resolution, which the geometry does not need."""
    by, illumination = setup.super_resolution, builder.illumination
    if illumination is not None:
        builder = dataclasses.replace(builder, illumination=illumination[by // 2 :: by, by // 2 :: by])
    return setup.without_super_resolution(), builder


def middle(shape: tuple[int, ...], most: int) -> tuple[slice, slice] | None:
    """Return the middle of a field that is wider than `most`, or None."""
    if max(shape) <= most:
        return None
    rows, columns = (slice((size - min(size, most)) // 2, (size + min(size, most)) // 2) for size in shape)
    return rows, columns


def _padded(setup: Setup, *, is_part: bool) -> Setup:
    """Return a setup with an assumed surround in place of an unknown one, or for a part of a periodic field."""
    if setup.padding_mode != "unknown" and not (is_part and setup.padding_mode == "none"):
        return setup
    optics = setup.optics
    reach = max(setup.heights.distances_um) * optics.wavelength_in_medium_um / (2 * optics.pixel_size_um)
    width = min(reach, _MOST_PADDING_PX * optics.pixel_size_um)
    return dataclasses.replace(setup, padding=PaddingSettings(mode="reflect", width_um=width))
