"""Registration of the frames of a lensless recording before the reconstruction."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from napari_diner.errors import RecipeError
from napari_diner.physics.lensless.contrast_transfer import contrast_transfer_inverse
from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.padding import Padding
from napari_diner.preprocess.displacement import Displacement, displacements
from napari_diner.preprocess.focus import Refocus
from napari_diner.preprocess.similarity import (
    Similarity,
    fit_similarity,
    overlap_window,
    rough_shift,
    thinnings,
    unturned,
    unturned_mask,
)
from napari_diner.solvers.lensless.alternating import AlternatingProjections
from napari_diner.solvers.settings import AlternatingSettings
from napari_diner.solvers.solver import Resumable
from napari_diner.solvers.step import Step
from napari_diner.tasks.lensless.data import Array
from napari_diner.tasks.lensless.model import problem_of
from napari_diner.tasks.lensless.prepared import PreparedFrames
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.setup import Setup, magnifications
from napari_diner.wording import digits

_FEWEST_FRAMES = 2
# smallest number of frames that no object explains for arbitrary displacements
_FEWEST_TOGETHER = 3
# wider fields are registered by their middle
_FIELD_PX = 1024
_PADDING_PX = 64
# rounds of recovering the object and moving the frames; projections in each; over-relaxation of the moves, as the
# object has partly followed the frames; and the move, in pixels, below which a frame counts as settled
_ROUNDS, _PROJECTIONS, _FARTHER, _REST_PX = 10, 10, 1.3, 0.03
# smallest peak of the correlation relative to chance, and largest rotation and scale, that are trusted
_FAINTEST, _MOST_DEG, _MOST_SCALED = 1.5, 5.0, 0.1
# correlation with the common object below which a frame is reported
_LEAST_CORRELATION = 0.7
# displacement at the edges below which rotation and scale are ignored, as resampling is not free of errors
_UNTURNED_PX = 0.1


def check_registration(recipe: LenslessRecipe, frames: int) -> None:
    """Check that there are enough frames to register.

    Raises
    ------
    RecipeError
        If there are fewer than two.
    """
    if recipe.registration != "off" and frames < _FEWEST_FRAMES:
        raise RecipeError(
            f"Registration compares frames, but the stack has {frames}; record at least {_FEWEST_FRAMES}, or set "
            "{field} to off",
            "registration",
        )


def unregistered(recipe: LenslessRecipe, prepared: PreparedFrames) -> list[Displacement]:
    """Return the displacements of frames, if the recipe does not provide for any."""
    calibration = recipe.calibration
    if (
        recipe.registration != "off"
        or recipe.shifts_um is not None
        or recipe.positions_um is not None
        or calibration.shift
        or calibration.tilt
    ):
        return []
    setup = Setup.of(recipe)
    return displacements(prepared.amplitudes, setup.frame_optics, setup.heights.distances_um)


@dataclass(frozen=True)
class RegisteredRecording:
    """The registered frames."""

    setup: Setup
    """The geometry, with shifts."""
    prepared: PreparedFrames
    """The frames, with rotation and scale removed."""
    report: Mapping[str, Any]
    """The part ``registration`` of the report."""


@dataclass(frozen=True)
class _Page:
    """One frame, (Y, X) each."""

    intensity: Array
    mask: Array
    at_least: Array

    @classmethod
    def of(cls, prepared: PreparedFrames, number: int) -> _Page:
        """Return a frame of a recording."""
        amplitude, mask, at_least = prepared.amplitudes[number], prepared.mask, prepared.at_least
        return cls(
            amplitude**2,
            np.ones(amplitude.shape, bool) if mask is None else mask[number],
            np.zeros(amplitude.shape, bool) if at_least is None else at_least[number],
        )


class FrameRegistration(Resumable):
    """The registration of frames to one another; a `Solver`.

    Every frame is first propagated back to the sample separately, and compared with the middle one there. As the phase
    of a single frame is unknown, a twin image overlaps the sample, which limits the accuracy to some tenths of a pixel.
    With three or more frames, alternating projections then recover the object from all of them, and each frame is
    compared with the prediction of this object at its height; a few rounds reach some hundredths of a pixel.

    Parameters
    ----------
    recipe
        The user's recipe, complete; its ``registration`` selects the transformation.
    setup, prepared
        The prepared frames.
    device
        Device.
    """

    answer = ("_places", "_correlations", "_trusted", "_rounds_done", "may_end")

    def __init__(self, recipe: LenslessRecipe, setup: Setup, prepared: PreparedFrames, device: torch.device) -> None:
        self.recipe = recipe
        self._setup, self._all, self._device = setup, prepared, device
        self._turn = recipe.registration == "similarity"
        self._optics = setup.frame_optics
        pixel = self._optics.pixel_size_um
        self._frames = len(prepared.amplitudes)
        self._middle = self._frames // 2
        self._given_shifts_um = np.array(setup.heights.shifts_um or ((0.0, 0.0),) * self._frames)
        shifts = self._given_shifts_um / pixel
        self._start = [Similarity(*(shift - shifts[self._middle]).tolist()) for shift in shifts]
        self._places = list(self._start)
        self._correlations = [1.0] * self._frames
        self._trusted = [True] * self._frames
        self._loss = float("nan")
        self._rounds_done = 0
        self.may_end = False
        """Whether all frames have been compared with the middle one, so that the solver may end."""
        self._pages = [_Page.of(_middle_part(prepared), number) for number in range(self._frames)]

    def steps(self) -> Iterator[Step]:
        """Yield a step after each update."""
        total = self._frames + _ROUNDS
        self._loss = self._recovered(projections=0)[1]
        reference = self._at_the_sample(self._middle)
        for number in range(self._frames):
            if number != self._middle:
                self._look(reference, number)
            self.may_end = number == self._frames - 1
            yield Step(number + 1, total, self._loss)
        if sum(self._trusted) < _FEWEST_TOGETHER:
            return
        for round_ in range(1, _ROUNDS + 1):
            moved = self._round()
            self._rounds_done = round_
            yield Step(self._frames + round_, total, self._loss)
            if moved < _REST_PX:
                return

    def _at_the_sample(self, number: int) -> Array:
        """Return a frame propagated back separately, without the light that passes by the sample: complex, (Y, X)."""
        amplitude = torch.from_numpy(np.sqrt(self._pages[number].intensity)).to(self._device)
        field = Refocus(amplitude, self._optics).at(self._setup.heights.distances_um[number]).cpu().numpy()
        scattered: Array = field / field.mean() - 1
        return scattered

    def _look(self, reference: Array, number: int) -> None:
        """Estimate the placement of a frame relative to the middle one roughly."""
        image, shape = self._at_the_sample(number), _shape(reference)
        coarsest, *_ = grids = thinnings(shape)
        place = self._start[number]
        for _ in range(2):  # again with the common part of both
            place, stands_out = rough_shift(reference, image, place, coarsest)
        for thin in grids:
            place, correlation = fit_similarity(reference, image, place, turn=self._turn, thin=thin)
        away = np.abs(place.relative_to(self._start[number]).shift_px)
        self._correlations[number] = correlation
        self._trusted[number] = (
            stands_out >= _FAINTEST
            and abs(place.rotation_deg) <= _MOST_DEG
            and abs(place.scale - 1) <= _MOST_SCALED
            and bool((away < np.array(shape) / 2).all())
        )
        if self._trusted[number]:
            self._places[number] = place

    def _round(self) -> float:
        """Recover the object, and move each frame to its position in the prediction; return the moves in pixels."""
        shown, self._loss = self._recovered(_PROJECTIONS)
        places = list(self._places)
        for number, predicted in shown.items():
            page = self._unturned(number, self._pages[number])
            image = np.sqrt(page.intensity)
            weights = (page.mask & ~page.at_least) * overlap_window(image.shape, -self._places[number].shift_px)
            more, self._correlations[number] = fit_similarity(predicted, image, Similarity(), weights, turn=self._turn)
            places[number] = self._places[number].then(more, _FARTHER)
        common = places[self._middle]
        places = [place.relative_to(common) if number in shown else place for number, place in enumerate(places)]
        shape = _shape(self._pages[0].intensity)
        moves = [new.relative_to(old) for new, old in zip(places, self._places, strict=True)]
        self._places = places
        return max(float(np.abs(move.shift_px).max()) + move.turned_by_px(shape) for move in moves)

    def _recovered(self, projections: int) -> tuple[dict[int, Array], float]:
        """Return the predicted amplitudes, (Y, X), of the object at the positions of the frames, and the misfit."""
        used = [number for number in range(self._frames) if self._trusted[number]]
        pages = [self._unturned(number, self._pages[number]) for number in used]
        # parts of a displaced frame beyond the field of the object do not count
        covered = [
            overlap_window(_shape(page.intensity), -self._places[number].shift_px) > 0
            for number, page in zip(used, pages, strict=True)
        ]
        amplitudes = np.sqrt(np.stack([page.intensity for page in pages]))
        # independent of the brightness of each
        amplitudes /= np.sqrt(np.mean(amplitudes**2, axis=(1, 2), keepdims=True))
        shape, optics = _shape(amplitudes[0]), self._optics
        heights = Heights(
            optics,
            [self._distance_um(number) for number in used],
            band_limit=self._setup.heights.band_limit,
            shifts_um=[_pair(optics.pixel_size_um * self._places[number].shift_px) for number in used],
            light=self._setup.heights.light,
        )
        padding = Padding(shape, "reflect", min(_PADDING_PX, min(shape) // 4))
        model = MultiHeight(shape, heights, padding=padding, device=self._device)
        mask = np.stack([page.mask for page in pages]) & np.stack(covered)
        at_least = None if self._all.at_least is None else np.stack([page.at_least for page in pages])
        problem = problem_of(model, amplitudes, mask, at_least)
        start = contrast_transfer_inverse(model, problem.filled_amplitudes())
        if not projections:
            return {}, problem.value(start)
        solver = AlternatingProjections(problem, start, AlternatingSettings(iterations=projections))
        loss = [step.loss for step in solver.steps()][-1]
        shown = model.moduli(solver.result()).cpu().numpy()
        return dict(zip(used, shown, strict=True)), loss

    def _distance_um(self, number: int) -> float:
        """Return the distance of a frame for parallel light: z/M for a point source."""
        distance = self._setup.heights.distances_um[number]
        return distance / self._places[number].scale if self.recipe.magnifies else distance

    def _unturned(self, number: int, page: _Page) -> _Page:
        """Return a frame without its rotation and scale."""
        place = self._places[number]
        if place.matrix.tolist() == np.eye(2).tolist():
            return page
        image = np.maximum(unturned(page.intensity, place), 0)  # splines overshoot
        if self.recipe.magnifies and self.recipe.source_distance_to == "sample":
            image *= np.float32(place.scale**2)
        # pixels interpolated from a saturated one count as saturated
        return _Page(image, unturned_mask(page.mask, place), ~unturned_mask(~page.at_least, place))

    def result(self) -> RegisteredRecording:
        """Return the frames registered so far; hardly rotated or scaled ones are not resampled."""
        shape, ended = _shape(self._all.amplitudes[0]), copy.copy(self)
        ended._places = [
            Similarity(place.dy_px, place.dx_px) if place.turned_by_px(shape) < _UNTURNED_PX else place
            for place in self._places
        ]
        shifts = ended._shifts_um + self._given_shifts_um
        setup = self._setup.with_heights(
            distances_um=tuple(ended._distance_um(number) for number in range(self._frames)),
            shifts_um=tuple(map(_pair, shifts)),
        )
        return RegisteredRecording(setup, ended._registered(), ended._report(shifts))

    current = result

    def unfinished(self) -> dict[str, Any]:
        """Return the part ``registration`` of the report of a run that ends meanwhile, with the frames as recorded."""
        return {**self._report(self._shifts_um + self._given_shifts_um), **UNFINISHED}

    @property
    def _shifts_um(self) -> Array:
        """Displacement of frames relative to the recipe, without their mean, at the sample, (N, 2)."""
        away = [place.relative_to(start).shift_px for place, start in zip(self._places, self._start, strict=True)]
        shifts: Array = (np.array(away) - np.mean(away, axis=0)) * self._optics.pixel_size_um
        return shifts

    def _registered(self) -> PreparedFrames:
        whole = self._all
        amplitudes, masks, saturated = [], [], []
        for number, amplitude in enumerate(whole.amplitudes):
            page = _Page.of(whole, number)
            turned = self._unturned(number, page)
            amplitudes.append(amplitude if turned is page else np.sqrt(turned.intensity))
            masks.append(turned.mask)
            saturated.append(turned.at_least)
        kept = np.stack(masks)
        return dataclasses.replace(
            whole,
            amplitudes=np.stack(amplitudes),
            mask=None if whole.mask is None and kept.all() else kept,
            at_least=None if whole.at_least is None else np.stack(saturated),
        )

    def _report(self, total: Array) -> dict[str, Any]:
        """Return the part ``registration`` of the report; shifts are those on the sensor."""
        magnified = np.array(magnifications(self.recipe))[:, None]
        found: dict[str, Any] = {
            "mode": self.recipe.registration,
            "rotation_deg": [place.rotation_deg for place in self._places],
            "scale": [place.scale for place in self._places],
            "shifts_um": (magnified * self._shifts_um).tolist(),
            "total_shifts_um": (magnified * total).tolist(),
            "correlation": list(self._correlations),
            "rounds": self._rounds_done,
            "warnings": self._warnings(),
        }
        found["summary"] = summary(found)
        return found

    def _warnings(self) -> list[str]:
        warnings = []
        lost = [str(number) for number, trusted in enumerate(self._trusted, start=1) if not trusted]
        if lost:
            warnings.append(
                f"registration: frame {', '.join(lost)} has too little in common with frame {self._middle + 1} to be "
                "registered, and keeps its place in the recipe; check its distance, or give shifts_um"
            )
        poor = [
            f"{number} ({correlation:.2f})"
            for number, correlation in enumerate(self._correlations, start=1)
            if self._rounds_done and self._trusted[number - 1] and correlation < _LEAST_CORRELATION
        ]
        if poor:
            warnings.append(
                f"registration: frame {', '.join(poor)} correlates weakly with the object recovered from all frames; "
                "check its distance, and look at the residual"
            )
        if self._turn and self._frames < _FEWEST_TOGETHER:
            warnings.append(
                "registration: two frames determine scales to one per cent at best; record three, or use shift"
            )
        if max(self._all.amplitudes.shape[1:]) > _FIELD_PX:
            warnings.append(f"registration used the middle {_FIELD_PX} pixels of the field")
        return warnings


UNFINISHED: Mapping[str, Any] = {
    "warnings": ["registration: the run ended before it was finished, so this result has the frames as recorded"],
    "summary": "not finished, frames as recorded",
}
"""What a report says about a registration that a run did not wait for."""


def summary(report: Mapping[str, Any]) -> str:
    """Summarise a registration in one line."""
    text = f"shifts up to {digits(np.abs(report['shifts_um']).max(), 3)} µm"
    if report["mode"] == "similarity":
        turned, scaled = np.abs(report["rotation_deg"]).max(), 100 * np.abs(np.array(report["scale"]) - 1).max()
        text += f"; turned by up to {turned:.2f}°, scaled by up to {scaled:.2f} %"
    return text


def _middle_part(prepared: PreparedFrames) -> PreparedFrames:
    """Return the middle of the field."""
    rows, columns = (
        slice((size - min(size, _FIELD_PX)) // 2, (size + min(size, _FIELD_PX)) // 2)
        for size in prepared.amplitudes.shape[1:]
    )
    return prepared.part(rows, columns)


def _shape(image: Array) -> tuple[int, int]:
    return image.shape[0], image.shape[1]


def _pair(values: Array) -> tuple[float, float]:
    return float(values[0]), float(values[1])
