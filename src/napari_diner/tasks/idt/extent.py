"""Number, spacing and position of the slices, recommended from a recording."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.preflight import axial_sampling
from napari_diner.physics.padding import fading
from napari_diner.solvers.idt.tikhonov import ClosedForm
from napari_diner.solvers.idt.weight_choice import choose_tikhonov
from napari_diner.tasks.check import Alternative, Ranking
from napari_diner.tasks.idt.crop import busiest
from napari_diner.tasks.idt.dark_field import bright_only
from napari_diner.tasks.idt.data import IdtData, contrast_of, with_file_facts, without
from napari_diner.tasks.idt.optics import ComputedModels, computed_models
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.recorded_figure import recorded_picture
from napari_diner.tasks.left_out import LeftOut
from napari_diner.wording import digits

# sufficient pixels across; slices at most, and on each side of the focus at least
_SIDE, _MOST, _FEWEST = 96, 61, 10
# lateral frequencies, in units of NA/λ, above which the response is sharp along z
_FINE = 0.4
# the sample ends where its contrast is this much above the least contrast on that side
_ENDS = 1.5
# detail of the first or last slice relative to the most, from which a sample reaches it: at most 0.15 in volumes that
# hold all of a sample, 0.6 or more if they cut it; and the fewest slices
_REACHED, _LEAST_SLICES = 0.4, 3
_COLUMNS = {
    "slices": "Number of slices",
    "spacing (µm)": "Distance between slices, at most the one that samples all axial frequencies in the data",
    "from (µm)": "Position of the first slice above the plane in focus",
    "to (µm)": "Position of the last slice above the plane in focus",
}


def rank(recipe: IdtRecipe, recording: IdtData) -> Ranking:
    """Recommend the slices of a volume: as far apart as the optics allow, and as far as there is a sample.

    The limit of the spacing is that of `napari_diner.physics.idt.preflight.axial_sampling`. For the extent, the closed
    form is solved in a tall volume, and the fine lateral detail of its slices, which is sharp along z, followed from
    the slice with most of it up and down, until it no longer decreases.

    Parameters
    ----------
    recipe
        Description of the recording.
    recording
        The recording.

    Raises
    ------
    RecipeError
        If settings are missing or inconsistent.
    """
    recipe = with_file_facts(recipe, recording)
    left_out = bright_only(recipe, LeftOut.of(recipe, len(recording.frames)))
    recording = without(recording, left_out)
    contrast, _ = contrast_of(recipe, recording)
    data = torch.from_numpy(contrast)
    illumination = recipe.illumination(left_out.frames).without(left_out.numbers)
    rows, columns = data.shape[1:]
    models, _ = computed_models(recipe, illumination, (recipe.slice_count, rows, columns), torch.device("cpu"))
    limit = axial_sampling(models.geometry, models.illumination).limit_um
    positions, detail = _profile(models, data, limit)
    low, high = _extent(detail)
    ends = [end for end, place in (("below", low), ("above", high)) if place in (0, len(detail) - 1)]
    first, last = float(positions[low]), float(positions[high])
    given = models.geometry.slice_positions_um
    choices = [
        _alternative("all that the data resolve", limit, first, last),
        _alternative("half as far apart, for smoother pictures and priors", limit / 2, first, last),
        Alternative("as given", _figures(len(given), recipe.slice_spacing_um, float(given[0])), {}),
    ]
    note = (
        f"Slices farther apart than {digits(limit, 3)} µm lose axial frequencies that are in the data; closer ones "
        f"add none. The sample extends from about {digits(first, 3)} to {digits(last, 3)} µm above the plane in focus"
    )
    if ends:
        note += f", or farther {' and '.join(ends)}, where no end was found"
    return Ranking(_COLUMNS, tuple(choices), 2, note, recorded_picture(models.geometry, models.illumination))


def _profile(models: ComputedModels, data: Tensor, limit_um: float) -> tuple[npt.NDArray[np.float64], list[float]]:
    """Return slices of a tall volume, (Z,) in µm, and the mean square of their fine lateral detail."""
    given = models.geometry
    size = min(data.shape[1], _SIDE), min(data.shape[2], _SIDE)
    if size != tuple(data.shape[1:]):
        data = data[busiest(data, size)] * fading(*size).to(data)
    reach = 2 * float(np.abs(given.slice_positions_um).max()) + limit_um
    side = min(max(math.ceil(reach / limit_um), _FEWEST), _MOST // 2)
    tall = replace(given, shape=(2 * side + 1, *size), slice_spacing_um=limit_um, first_slice_um=None)
    model = replace(models, geometry=tall).linear()
    closed = ClosedForm(model)
    spectrum = model.spectrum(data)
    volume = closed.correction(spectrum, choose_tikhonov(closed, data).value)[0]
    return tall.slice_positions_um, (volume.abs().square() * _fine(tall)).sum((1, 2)).tolist()


def _fine(geometry: VolumeGeometry) -> Tensor:
    """Return whether lateral frequencies of a half-spectrum are high enough for a sharp response along z, (Y, X')."""
    _, rows, columns = geometry.shape
    fy = torch.fft.fftfreq(rows, geometry.pixel_size_um)[:, None]
    return torch.hypot(fy, torch.fft.rfftfreq(columns, geometry.pixel_size_um)) > _FINE * geometry.cutoff


def warnings_of_ends(
    models: ComputedModels, volume: Tensor, data: Tensor, noise: float, tikhonov: float | None = None
) -> list[str]:
    """Return a warning if a sample reaches the first or the last slice of its volume.

    What is beyond is missing, and the slices at the ends explain its light as well as they can. Noise has detail in
    all slices, and often more towards the ends; that of noise in the closed form is subtracted.

    Parameters
    ----------
    models
        Models of the volume.
    volume
        The real part of the contrast, (Z, Y, X).
    data
        g = I / I_background − 1, real, (N, Y, X).
    noise
        Standard deviation of the noise of the data.
    tikhonov
        Weight that led to the volume; chosen from the data if None.
    """
    if len(volume) < _LEAST_SLICES:
        return []
    geometry = models.geometry
    fade = fading(*volume.shape[1:]).to(volume)
    detail = _detail((torch.fft.rfft2(plane * fade) for plane in volume), geometry, fade)
    of_noise = detail.new_zeros(())
    if float(detail[[0, -1]].max()) > _REACHED * float(detail.max()):
        of_noise = _detail_of_noise(models, data, noise, tikhonov).to(detail)
    sample = detail - of_noise
    reached = (sample > _REACHED * sample.max()) & (sample > of_noise)
    ends = [
        f"the {name} slice, at {digits(geometry.slice_positions_um[place], 3)} µm"
        for name, place in (("first", 0), ("last", -1))
        if reached[place]
    ]
    if not ends:
        return []
    return [
        f"the sample reaches {' and '.join(ends)}, and probably continues beyond, where the volume ends; the command "
        "slices, or “Which slices?” in the dock, recommends slices that hold it"
    ]


def _detail(spectra: Iterable[Tensor], geometry: VolumeGeometry, fade: Tensor) -> Tensor:
    """Return the mean square of fine detail in each slice, (Z,), for the half-spectra, (Y, X') each, of faded slices.

    They are looked at one at a time, as those of a wide field are large.
    """
    fine = _fine(geometry).to(fade.device)
    power = torch.stack([(spectrum.abs().square() * fine).sum() for spectrum in spectra])
    return power / (fade.numel() * fade.square().sum())


def _detail_of_noise(models: ComputedModels, data: Tensor, noise: float, tikhonov: float | None) -> Tensor:
    """Return the mean square of fine detail, (Z,), that white noise causes in the slices of the closed form."""
    size = min(data.shape[1], _SIDE), min(data.shape[2], _SIDE)
    geometry = replace(models.geometry, shape=(models.geometry.shape[0], *size))
    model = replace(models, geometry=geometry).linear()
    closed = ClosedForm(model)
    if tikhonov is None:
        part = data[busiest(data, size)] * fading(*size).to(data)
        tikhonov = choose_tikhonov(closed, part).value
    random = torch.randn((len(data), *size), generator=torch.Generator().manual_seed(0))
    spectrum = model.spectrum((noise * random).to(data))
    return _detail(closed.correction(spectrum, tikhonov)[0], geometry, torch.ones(size).to(data))


def _extent(detail: list[float]) -> tuple[int, int]:
    """Return the first and the last slice of a sample, with a slice beyond each end."""
    peak = int(np.argmax(detail))

    def end(outwards: list[float]) -> int:
        least = min(outwards)
        return next(place for place, value in enumerate(outwards) if value <= _ENDS * least)

    return peak - end(detail[peak::-1]), peak + end(detail[peak:])


def _alternative(name: str, spacing_um: float, first_um: float, last_um: float) -> Alternative:
    """Return slices that cover an extent, at most a given distance apart."""
    # rounded down, as spacings beyond the limit lose frequencies
    spacing = math.floor(100 * spacing_um) / 100 or spacing_um
    count = math.ceil((last_um - first_um) / spacing - 1e-9) + 1
    first = round((first_um + last_um - (count - 1) * spacing) / 2, 3)
    changes = {"slice_count": count, "slice_spacing_um": spacing, "first_slice_um": first}
    return Alternative(name, _figures(count, spacing, first), changes)


def _figures(count: int, spacing_um: float, first_um: float) -> tuple[str, ...]:
    last = first_um + (count - 1) * spacing_um
    return str(count), digits(spacing_um, 3), digits(first_um, 3), digits(last, 3)
