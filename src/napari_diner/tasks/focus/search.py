"""Find the distances of a lensless recording: each frame by its own sharpness, and all of them together."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_diner import device as devices
from napari_diner.errors import DinerError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.stacks import checksum
from napari_diner.physics.lensless.contrast_transfer import contrast_transfer_inverse
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.lensless.point_source import effective_distance_um, magnification, real_distance_um
from napari_diner.physics.padding import Padding
from napari_diner.preprocess.focus import Focus, Refocus, search
from napari_diner.preprocess.steps import prepared_shape
from napari_diner.solvers.lensless.alternating import AlternatingProjections
from napari_diner.solvers.lensless.problem import PhaseProblem
from napari_diner.solvers.settings import AlternatingSettings
from napari_diner.tasks.focus.recipe import FocusRecipe
from napari_diner.tasks.lensless.data import LenslessData, corrected, padding_width_px
from napari_diner.tasks.lensless.geometry import at_the_sample
from napari_diner.tasks.report import provenance
from napari_diner.tasks.run import Progress, Reconstruction, Result, remaining_s

# where single frames have found the distances, the twin image displaces them by less than this many depths of field
_TWIN_REACH = 6.0


def focus(recipe: FocusRecipe, data: LenslessData) -> FocusSearch:
    """Prepare the search for the distances of a recording.

    Parameters
    ----------
    recipe
        All settings; see `FocusRecipe`.
    data
        The recording.

    Returns
    -------
    FocusSearch
        Iterate it for `Progress`, then ask it for the `Result`, whose report has the distances.

    Raises
    ------
    RecipeError
        If settings are missing or do not fit the data.
    InputError
        If the data cannot be used.
    OutOfMemoryError
        If the work does not fit the memory.
    """
    return FocusSearch(recipe, data)


class FocusSearch(Reconstruction):
    """A search for distances in progress; made by `focus`.

    First each frame by itself: the square root of its intensity is propagated back over the range, and the sharpest
    distance is taken. As the phase at the sensor is not known, a twin image, twice as far out of focus, lies over the
    sample and displaces the peak by up to a few depths of field, most so for transparent samples. Then, with two frames
    or more, all together: alternating projections recover the phase, with the distances that the recipe gives or else
    those of the single frames, and the field is refocused. It has no twin image; its peak tells by how much *all*
    distances must be lengthened.
    """

    def __init__(self, recipe: FocusRecipe, data: LenslessData) -> None:
        super().__init__()
        frames = data.frames
        count = len(frames) if frames.ndim == 3 else 0
        resolved: dict[str, Any] = {"stack": recipe.stack or data.source}
        if recipe.pixel_size_um is None and data.pixel_size_um is not None:
            resolved["pixel_size_um"] = data.pixel_size_um
        self.recipe = recipe.updated(resolved)
        self.recipe.check_complete(count)
        self.model_recipe = at_the_sample(self.recipe.with_distances(count))
        self.device = devices.choose_device(recipe.device)
        shape = prepared_shape(recipe.preprocess, frames.shape[1:])
        devices.check_memory(
            (count * 24 + 200) * shape[0] * shape[1],
            f"Focusing {count} frames of {shape[0]}×{shape[1]} pixels",
            self.device,
        )
        prepared = corrected(self.recipe, data)
        self.notes = list(prepared.notes)
        intensities = np.clip(prepared.intensities, 0, None)
        self._amplitudes = torch.from_numpy(np.sqrt(intensities)).to(self.device)
        self._mask = None if prepared.mask is None else torch.from_numpy(prepared.mask).to(self.device)
        self._checksum = checksum(frames)
        self.optics = self.model_recipe.optics
        self.found: list[Focus] = []
        """What each frame by itself has told so far; distances as for parallel light."""
        self.joint: Focus | None = None
        """What all frames together have told: by how much the distances must be lengthened."""
        self._field: Tensor | None = None
        self._timed_out = False

    @property
    def complete(self) -> bool:
        """Whether every frame has a distance."""
        return len(self.found) == len(self._amplitudes)

    def _run(self) -> Generator[Progress, None, None]:
        limit = self.recipe.max_seconds
        for progress in self._search():
            yield progress
            if limit is not None and self.clock.seconds >= limit:
                self._timed_out = True
                return

    def _search(self) -> Generator[Progress, None, None]:
        recipe = self.recipe
        count = len(self._amplitudes)
        for number in range(count):
            searching = search(
                self._amplitudes[number], *self._range(number), self.optics, recipe.metric, recipe.step_um
            )
            self.found.append((yield from self._told(f"frame {number + 1} of {count}", searching)))
        if recipe.joint and count > 1:
            base = self._base()
            field = yield from self._recover(base)
            reach = _TWIN_REACH * self.optics.depth_of_field_um
            near, far = -reach, reach
            if recipe.distances_um:
                near, far = (edge - base[0] for edge in self._range(0))
            searching = search(field, near, far, self.optics, recipe.metric, recipe.step_um)
            self.joint = yield from self._told("all frames", searching)
            self._field = Refocus(field, self.optics).at(self.joint.distance_um)

    def _told(self, stage: str, searching: Generator[tuple[int, int], None, Focus]) -> Generator[Progress, None, Focus]:
        """Run a search, telling how it goes; return what it finds."""
        began = self.clock.seconds
        while True:
            try:
                done, total = next(searching)
            except StopIteration as end:
                found: Focus = end.value
                return found
            seconds = self.clock.seconds
            yield Progress(stage, done, total, {}, seconds, remaining_s(done / total, seconds - began))

    def _range(self, number: int) -> tuple[float, float]:
        """Return the nearest and the farthest distance to try for a frame, as for parallel light."""
        recipe = self.recipe
        if recipe.near_um is not None and recipe.far_um is not None:
            return self._effective(recipe.near_um), self._effective(recipe.far_um)
        distance = self.model_recipe.distances_um[number]
        return distance * (1 - recipe.search_range), distance * (1 + recipe.search_range)

    def _base(self) -> tuple[float, ...]:
        """Return the distances that the recipe gives, or else those of the single frames, as for parallel light."""
        if self.recipe.distances_um:
            return self.model_recipe.distances_um
        return tuple(found.distance_um for found in self.found)

    def _recover(self, distances_um: tuple[float, ...]) -> Generator[Progress, None, Tensor]:
        """Recover the complex field at these distances before the sensor, (Y, X)."""
        recipe, optics = self.model_recipe, self.optics
        shape = (self._amplitudes.shape[1], self._amplitudes.shape[2])
        width = padding_width_px(recipe, optics.pixel_size_um)
        means = self._amplitudes.square().mean((1, 2))
        model = MultiHeight(
            shape,
            Heights(
                optics,
                distances_um,
                band_limit=recipe.band_limit,
                gains=(means / means.mean()).tolist(),
            ),
            padding=Padding(shape, recipe.padding.mode, width, recipe.padding.apodise),
            device=self.device,
        )
        problem = PhaseProblem(model, self._amplitudes, self._mask)
        start = contrast_transfer_inverse(model, problem.filled_amplitudes())
        solver = AlternatingProjections(problem, start, AlternatingSettings(iterations=recipe.rounds))
        began = self.clock.seconds
        for step in solver.steps():
            left = remaining_s(step.done, self.clock.seconds - began)
            yield Progress(
                "phase of all", step.iteration, step.iterations, {"loss": step.loss}, self.clock.seconds, left
            )
        return solver.field()

    def _effective(self, real_um: float) -> float:
        source = self.recipe.source_distance_um
        if source is None:
            return real_um
        return effective_distance_um(real_um, magnification(source, real_um, self.recipe.source_distance_to))

    def _real(self, effective_um: float) -> float:
        source = self.recipe.source_distance_um
        return (
            effective_um if source is None else real_distance_um(effective_um, source, self.recipe.source_distance_to)
        )

    def _with_errors(self, pairs: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
        """Return distances from sample to sensor, and their standard errors, from those for parallel light."""
        distances = [self._real(value) for value, _ in pairs]
        # to first order; the derivative by a difference that is small whatever the error
        errors = [abs(self._real(value * 1.0001) / distance - 1) / 1e-4 * distance / value * error
                  for (value, error), distance in zip(pairs, distances, strict=True)]  # fmt: skip
        return distances, errors

    def _snapshot(self) -> Result:
        if not self.found:
            raise DinerError("No frame is done yet; let the search go on, or allow it more time")
        sharpest, sharpest_se = self._with_errors([(one.distance_um, one.uncertainty_um) for one in self.found])
        best = [(one.distance_um, one.uncertainty_um) for one in self.found]
        report: dict[str, Any] = {
            "task": "focus",
            "metric": self.recipe.metric,
            "partial": not (self.finished and self.complete),
            "stopped_by_time_limit": self._timed_out,
            "seconds": self.clock.seconds,
            "depth_of_field_um": self.optics.depth_of_field_um,
            "given_um": list(self.recipe.distances_um),
            "sharpest_um": sharpest,
            "sharpest_um_se": sharpest_se,
            "curves": [_curve(one) for one in self.found],
        }
        if self.joint is not None:
            offset, error = self.joint.distance_um, self.joint.uncertainty_um
            report |= {"offset_um": offset, "offset_um_se": error, "joint_curve": _curve(self.joint)}
            best = [(base + offset, error) for base in self._base()]
        distances, errors = self._with_errors(best)
        report |= {
            "distances_um": distances,
            "distances_um_se": errors,
            **provenance(self.device, self.recipe.seed),
            "input_sha256": self._checksum,
            "warnings": self.notes + self._doubts(),
        }
        return Result("focus", self._images(best), self.recipe, report, partial=report["partial"])

    def _doubts(self) -> list[str]:
        """Say which peaks are none."""
        at_end = [str(number) for number, one in enumerate(self.found, start=1) if one.at_end]
        doubts = []
        if at_end:
            doubts.append(
                f"frame {', '.join(at_end)}: the sharpest distance lies at the end of the range; search farther, or "
                "try another metric"
            )
        if self.joint is not None and self.joint.at_end:
            doubts.append("all frames together: the sharpest distance lies at the end of the range; search farther")
        return doubts

    def _images(self, best: list[tuple[float, float]]) -> tuple[NamedArray, ...]:
        """Return the amplitude of each frame brought to its distance, and the field of all together."""
        pixel = self.optics.pixel_size_um
        refocused = np.empty((len(best), *self._amplitudes.shape[1:]), np.float32)
        for number, (distance, _) in enumerate(best):
            refocused[number] = Refocus(self._amplitudes[number], self.optics).at(distance).abs().cpu().numpy()
        images = [NamedArray("refocused", refocused, "NYX", (1.0, pixel, pixel))]
        if self._field is not None:
            field = self._field * torch.exp(-1j * self._field.sum().angle())
            images += [
                NamedArray("amplitude", field.abs().cpu().numpy(), "YX", (pixel, pixel)),
                NamedArray("phase", field.angle().cpu().numpy(), "YX", (pixel, pixel), "rad"),
            ]
        return tuple(images)

    def _release(self) -> None:
        self._amplitudes = torch.empty(0)
        self._mask = self._field = None
        devices.free_memory(self.device)


def _curve(found: Focus) -> dict[str, list[float]]:
    """Return a curve for the report; its distances are those for parallel light."""
    return {"distances_um": found.distances_um.tolist(), "sharpness": found.sharpness.tolist()}
