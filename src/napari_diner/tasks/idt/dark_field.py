"""Dark-field frames of a recording: their units, the problem that includes them, and their part of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_diner.errors import InputError, RecipeError
from napari_diner.physics.idt.dark_field import DarkField, Recorded
from napari_diner.physics.idt.illumination import EDGE, Illumination
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.physics.idt.transfer import BornModel
from napari_diner.preprocess.soundness import numbered
from napari_diner.solvers.calibration.idt import moved
from napari_diner.solvers.idt.brightness import Brightness, BrightnessFit, brightness_of, recorded_data
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.weight_choice import noise_level
from napari_diner.tasks.idt.data import IdtData, backgrounds, cleaned, saturated_in, without
from napari_diner.tasks.idt.optics import ComputedModels
from napari_diner.tasks.idt.recipe import OF_FRAMES, IdtRecipe
from napari_diner.tasks.left_out import LeftOut
from napari_diner.tasks.preflight import Finding
from napari_diner.wording import digits

Vector = npt.NDArray[np.float64]
Images = npt.NDArray[np.float32]

# brightness relative to bright field above which the light of a frame hardly misses the objective
_BRIGHT = 0.5
# frames left out from which on their brightness is compared, and every how many pixels of them
_FEWEST_DARK, _EVERY = 3, 4
# factor by which a given exposure may differ from the estimate
_OFF = 1.5
# part of the light of a frame below which noise is not believed, and largest weight of a dark-field frame
_LEAST_NOISE, _MOST_WEIGHT = 1e-3, 2.0


def left_out_bright(recipe: IdtRecipe, frames: npt.NDArray[np.generic], given: LeftOut, bright: LeftOut) -> list[str]:
    """Return a warning if most frames that are left out as dark field are about as bright as the others.

    Parameters
    ----------
    recipe, frames
        The settings and the frames of the whole recording, (N, Y, X).
    given, bright
        Frames that the recipe leaves out, and those together with dark field.
    """
    dark = [number for number in given.kept if number in bright.numbers]
    if recipe.dark_field != "leave_out" or len(dark) < _FEWEST_DARK:
        return []
    means = frames[:, ::_EVERY, ::_EVERY].mean((1, 2), dtype=np.float64)
    if not np.median(means[dark]) > _BRIGHT * np.median(means[bright.kept]):
        return []
    return [
        f"{len(dark)} frames are left out, as their directions are outside the objective's NA, but most of them are "
        "about as bright as the others; if they were not exposed longer, check whether the NA is too small, and the "
        "directions"
    ]


def bright_only(recipe: IdtRecipe, left_out: LeftOut) -> LeftOut:
    """Leave out the dark-field frames, too, unless they are refused, or there are no others."""
    if recipe.dark_field == "refuse" or recipe.transfer_functions is not None or recipe.na is None:
        return left_out
    illumination = recipe.illumination(left_out.frames).without(left_out.numbers)
    dark = illumination.dark_field(recipe.na)
    return left_out if len(dark) == len(illumination) else left_out.and_of_the_rest(dark)


@dataclass(frozen=True)
class DarkFrames:
    """The dark-field frames of a recording."""

    numbers: tuple[int, ...]
    """Their numbers in the stack, counted from zero."""
    illumination: Illumination
    """The sources of each."""
    intensity: Images
    """Relative to the incident light, (D, Y, X), up to the brightness of each frame if that is not known."""
    full: npt.NDArray[np.bool_] | None
    """Where pixels are saturated, (D, Y, X); None if nowhere."""
    is_known: bool
    """Whether the brightness of the frames is given."""
    warnings: tuple[str, ...] = ()
    """Sentences about the frames."""
    places: tuple[int, ...] = ()
    """Their positions among the used frames."""

    @classmethod
    def of(cls, recipe: IdtRecipe, data: IdtData, left_out: LeftOut, bright: LeftOut) -> DarkFrames | None:
        """Return the dark-field frames of a recording that are to be used; None if there are none.

        Parameters
        ----------
        recipe, data
            The settings and the whole recording.
        left_out, bright
            Frames that are left out, and those together with dark field.

        Raises
        ------
        RecipeError
            If the pixels are too large for the detail in dark-field frames, or exposures are missing.
        InputError
            If the frames cannot be used.
        """
        numbers = tuple(number for number in left_out.kept if number in bright.numbers)
        if recipe.dark_field != "use" or not numbers:
            return None
        illumination = recipe.illumination(left_out.frames)
        geometry = recipe.geometry((recipe.slice_count, 1, 1))
        used = illumination.without(left_out.numbers)
        with left_out.counting():
            used.check(geometry.na, geometry.medium_index, with_dark_field=True)
        others = [number for number in range(len(illumination)) if number not in numbers]
        dark = illumination.without(others)
        highest = geometry.na + float(np.hypot(*dark.apertures.T).max())
        needed_um = geometry.wavelength_um / (2 * highest)
        if geometry.pixel_size_um > needed_um * (1 + 1e-9):
            raise RecipeError(
                f"Dark-field frames of an NA up to {digits(highest - geometry.na, 3)} contain detail that pixels of "
                f"{digits(geometry.pixel_size_um, 3)} µm cannot represent; enlarge the frames to pixels of at most "
                f"{digits(needed_um, 3)} µm by interpolation, or set {{field}} to leave_out",
                "dark_field",
            )
        exposures = _exposures(recipe, left_out.frames, numbers)
        only = LeftOut(left_out.frames, tuple(others))
        own = without(data, only)
        with only.counting():
            values, notes = cleaned(recipe, own)
            full, more = saturated_in(recipe, own)
        intensity = _relative(recipe, data, own, values, bright, exposures)
        intensity /= exposures[list(numbers), None, None]
        means = intensity.mean((1, 2), dtype=np.float64)
        warnings = only.counted([*notes, *more, *_too_bright(means)])
        return cls(numbers, dark, intensity, full, bool(recipe.dark_field_exposure), tuple(warnings))

    def among(self, used: LeftOut) -> DarkFrames:
        """Return these frames with their positions among the used ones."""
        return replace(self, places=tuple(used.kept.index(number) for number in self.numbers))

    def moved(self, nominal: Vector, calibrated: Vector, na: float) -> DarkFrames:
        """Return these frames with directions that move as a pattern of others does: shifted, rotated and scaled.

        Parameters
        ----------
        nominal, calibrated
            (NA_y, NA_x) of bright-field sources, before and after a calibration, (S, 2).
        na
            Numerical aperture of the objective, outside of which directions remain.
        """
        before, after, own = (
            points @ np.array([1j, 1]) for points in (nominal, calibrated, self.illumination.apertures)
        )
        centred = before - before.mean()
        energy = float((np.abs(centred) ** 2).sum())
        scale = complex((centred.conj() * after).sum() / energy) if energy else 1.0
        there = after.mean() + scale * (own - before.mean())
        there *= np.maximum(1, na * (1 + 2 * EDGE) / np.abs(there))
        return replace(self, illumination=moved(self.illumination, np.stack([there.imag, there.real], 1)))

    @property
    def finding(self) -> Finding:
        """A line about what the frames are used for."""
        widest = float(np.hypot(*self.illumination.apertures.T).max())
        text = (
            f"{len(self.numbers)} frames with light from outside the objective, of an NA up to {digits(widest, 3)}, "
            "are used "
            "by the multi-slice model, after bright field alone has given a start: closed form, calibration and the "
            "choice of weights cannot use them"
        )
        return Finding("dark field", "good", text)

    def models(self, models: ComputedModels, units: DarkField) -> SSNPModel:
        """Return the multi-slice model of these frames alone."""
        return SSNPModel(
            models.geometry,
            self.illumination,
            steps_per_slice=models.steps_per_slice,
            dark_field=units,
            device=models.device,
        )

    def units(self, problem: VolumeProblem) -> DarkField:
        """Return ε and w of these frames by their noise, and by that of the bright-field frames of a problem."""
        frames = torch.from_numpy(self.intensity)
        lit = problem.data + 1
        usual = max(noise_level(problem.linear, problem.data), _LEAST_NOISE * float(lit.mean()))
        light = frames.mean((1, 2)).clamp_min(0)
        noise = torch.tensor([noise_level(problem.linear, frame[None]) for frame in frames])
        noise = noise.maximum(_LEAST_NOISE * light).clamp_min(torch.finfo(torch.float32).eps)
        # where the intensity is I, the data of `DarkField` with w = 1 have the noise σ/√(I + ε)
        own = (noise[:, None, None].square() / (frames.clamp_min(0) + noise[:, None, None])).mean((1, 2)).sqrt()
        return DarkField(torch.ones(len(frames), dtype=torch.bool), noise, usual / own)

    def brightness_fit(self, problem: VolumeProblem, models: ComputedModels, volume: Tensor) -> BrightnessFit:
        """Return the solver that compares these frames with the prediction of a volume from bright field."""
        model = self.models(models, self.units(problem))
        intensity = torch.from_numpy(self.intensity).to(problem.device)
        return BrightnessFit(model, intensity, volume, problem.padding, is_known=self.is_known)

    def added_to(self, problem: VolumeProblem, models: ComputedModels, brightness: Brightness) -> VolumeProblem:
        """Return a problem of bright field with these frames, of an approximate brightness, and the model of all."""
        units, intensity = self.units(problem), torch.from_numpy(self.intensity)
        # amplitudes of unit light are √b; noise is overestimated where there is no light
        amplitude = torch.ones(len(intensity))
        if not self.is_known:
            amplitude = brightness_of(torch.tensor(brightness.factors)).sqrt()
        units = replace(units, weight=units.weight.minimum(_MOST_WEIGHT / amplitude))
        count = len(problem.data) + len(self.numbers)
        dark = list(self.places)
        bright = [place for place in range(count) if place not in self.places]
        data = problem.data.new_empty((count, *problem.data.shape[1:]))
        data[bright] = problem.data
        data[dark] = recorded_data(units, intensity).to(data)
        at_least = None
        if problem.at_least is not None or self.full is not None:
            at_least = torch.zeros(data.shape, dtype=torch.bool, device=data.device)
            if problem.at_least is not None:
                at_least[bright] = problem.at_least
            if self.full is not None:
                at_least[dark] = torch.from_numpy(self.full).to(data.device)
        every = DarkField.of(dark, count)
        every.floor[dark], every.weight[dark] = units.floor, units.weight
        if not self.is_known:
            exact = torch.ones_like(intensity) if self.full is None else torch.from_numpy(~self.full).to(intensity)
            every = replace(every, recorded=Recorded(*(problem.seen_adjoint(each) for each in (intensity, exact))))
        sources = dict(zip(bright, models.illumination.frames, strict=True))
        sources |= dict(zip(dark, self.illumination.frames, strict=True))
        illumination = Illumination(tuple(sources[place] for place in range(count)))
        model = SSNPModel(
            models.geometry,
            illumination,
            steps_per_slice=models.steps_per_slice,
            dark_field=every,
            device=models.device,
        )
        scaled = every.weight.clone()
        scaled[dark] *= amplitude
        slope = BornModel(models.geometry, illumination, dark_field=replace(every, weight=scaled), device=models.device)
        without_level = None
        if problem.without_level is not None:
            without_level = torch.zeros(count, dtype=torch.bool, device=data.device)
            without_level[bright] = problem.without_level
        return replace(problem, model=model, slope=slope, data=data, at_least=at_least, without_level=without_level)

    def doubts(self, brightness: Brightness) -> tuple[str, ...]:
        """Return a warning if given exposures do not fit a prediction."""
        factor = float(np.median(brightness.factors))
        if not self.is_known or 1 / _OFF < factor < _OFF:
            return ()
        return (
            f"the dark-field frames are {digits(factor)} times as bright as the volume from bright field predicts; "
            "check dark_field_exposure, or leave it empty to have the brightness estimated",
        )

    def report(self, brightness: Brightness, final: Sequence[float], unexplained: float) -> Mapping[str, object]:
        """Return the entry of a report, with the final brightness and the part of the data left unexplained."""
        return {
            "frames": [number + 1 for number in self.numbers],
            "largest_na": float(np.hypot(*self.illumination.apertures.T).max()),
            "brightness": list(final),
            "brightness_by_bright_field": list(brightness.factors),
            "brightness_is_estimated": not self.is_known,
            "unexplained_by_bright_field": brightness.unexplained,
            "unexplained": unexplained,
        }


def _exposures(recipe: IdtRecipe, count: int, dark: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return the exposure of each frame of a stack, (N,)."""
    given, exposures = recipe.dark_field_exposure, np.ones(count, np.float32)
    if len(given) == count:
        exposures[:] = given
    elif len(given) == 1:
        exposures[list(dark)] = given[0]
    elif given:
        raise RecipeError(
            f"{{field}} has {len(given)} numbers, but the stack {count} frames; give one number for all dark-field "
            "frames, or one for each frame of the stack",
            "dark_field_exposure",
        )
    return exposures


def _relative(
    recipe: IdtRecipe, data: IdtData, own: IdtData, values: Images, bright: LeftOut, exposures: npt.NDArray[np.float32]
) -> Images:
    """Return dark-field frames, (D, Y, X), relative to the incident light of a bright-field frame of exposure 1."""
    if recipe.background in ("none", "ratio"):
        return values
    lit, of_lit = without(data, bright), exposures[bright.kept]
    frames, _ = cleaned(recipe, lit)
    per_frame = recipe.background not in OF_FRAMES
    level: npt.NDArray[np.floating]
    if per_frame:
        levels = [
            np.asarray(image) / part for image, part in zip(backgrounds(recipe, lit, frames), of_lit, strict=True)
        ]
        level = np.mean(levels, axis=0)
        pages = None if own.background is None else np.asarray(own.background)
        if pages is not None and pages.ndim == 3 and len(pages) == len(values) and len(values) > 1:
            # the empty field of a dark-field frame is stray light
            values -= np.stack(list(backgrounds(recipe, own, values)))
    else:
        level = np.median(frames.mean((1, 2), dtype=np.float64) / of_lit)[None, None]
    if not (level > 0).all():
        raise InputError("The bright-field frames are not brighter than the camera offset; check {field}", "background")
    relative: Images = (values / level).astype(np.float32)
    return relative


def _too_bright(means: npt.NDArray[np.float64]) -> list[str]:
    bright = np.flatnonzero(means > _BRIGHT)
    if not bright.size:
        return []
    verb, them = ("is", "its direction is") if bright.size == 1 else ("are", "their directions are")
    return [
        f"{numbered(bright)} {verb} {digits(means[bright].max())} times as bright as bright-field frames, though "
        f"{them} outside the objective's NA; check na, the directions, and dark_field_exposure"
    ]
