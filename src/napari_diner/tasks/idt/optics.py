"""The forward models of a recording, and warnings about its optics."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from napari_diner.physics.idt.base import IDTModel
from napari_diner.physics.idt.extended_source import extended
from napari_diner.physics.idt.geometry import Slices, VolumeGeometry
from napari_diner.physics.idt.given import GivenTransfer
from napari_diner.physics.idt.illumination import EDGE, Illumination
from napari_diner.physics.idt.preflight import Sampling, axial_sampling, lateral_sampling, low_frequencies
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.physics.idt.transfer import BornModel, Dispersion
from napari_diner.solvers.calibration.idt import brought_inside, moved
from napari_diner.tasks.idt.given_transfer import Pair, build_given
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.preflight import Finding
from napari_diner.wording import digits

# response to slow changes of the index, relative to the strongest, below which they are hardly visible
_WEAK_LOW_FREQUENCIES = 0.2
# largest plausible ratio of the required pixel size to the actual one
_NEEDLESSLY_FINE = 6
# and of the slice spacing, for volumes in which nothing varies along z
_NEEDLESSLY_CLOSE = 4
# operations of Fourier transforms per second: on a core, and on a graphics card
_SPEED = 9e9
_SPEED_OF_A_CARD = 1e12
_PRODUCTS = 6e7  # per second and thread, with the Fourier transforms of the data


@dataclass(frozen=True)
class ComputedModels:
    """Models computed from the optics."""

    geometry: VolumeGeometry
    """The volume and the objective."""
    illumination: Illumination
    """The middles of the sources of each frame."""
    dispersion: Dispersion
    """As in `BornModel`."""
    steps_per_slice: int | None
    """As in `SSNPModel`."""
    device: torch.device
    """Device of the models."""
    source_na: float = 0.0
    """Radius of the sources as a numerical aperture; see `extended`."""

    @property
    def sources(self) -> Illumination:
        """The illumination by sources of their size."""
        return extended(self.illumination, self.source_na, self.geometry)

    @property
    def is_cut(self) -> bool:
        """Whether the objective's aperture cuts a source."""
        return (
            bool(self.source_na) and max(np.hypot(*self.illumination.apertures.T)) + self.source_na > self.geometry.na
        )

    def of_size(self, rows: int, columns: int) -> ComputedModels:
        """Return models of a volume with other rows and columns."""
        return replace(self, geometry=replace(self.geometry, shape=(self.geometry.shape[0], rows, columns)))

    def linear(self) -> BornModel:
        """Return the linear model.

        Raises
        ------
        RecipeError
            If an illumination is outside the objective's aperture.
        """
        return BornModel(self.geometry, self.sources, dispersion=self.dispersion, device=self.device)

    def multislice(self) -> SSNPModel:
        """Return the multi-slice model; it has the exact dispersion.

        Raises
        ------
        RecipeError
            If the steps per slice are too few.
        """
        return SSNPModel(self.geometry, self.sources, steps_per_slice=self.steps_per_slice, device=self.device)

    def at(self, apertures: npt.NDArray[np.float64]) -> ComputedModels:
        """Return models with other directions, (S, 2), of the same sources."""
        return replace(self, illumination=moved(self.illumination, apertures))

    def aberrated(self, zernike_rad: tuple[float, ...]) -> ComputedModels:
        """Return models with another pupil; see `VolumeGeometry`."""
        return replace(self, geometry=replace(self.geometry, zernike_rad=zernike_rad))


@dataclass(frozen=True)
class GivenModels:
    """The linear model of given transfer functions, the only one in this case."""

    transfer: Pair
    """Transfer functions of Δε_re and Δε_im."""
    slices: Slices
    """The volume, the medium and the light."""
    frames: int
    """Number of frames."""
    device: torch.device
    """Device of the model."""

    def linear(self) -> GivenTransfer:
        """Return the linear model; see `build_given`."""
        return build_given(self.transfer, self.slices, self.frames, self.device)


Models = ComputedModels | GivenModels


def prediction_seconds(model: IDTModel) -> float:
    """Estimate how long a model takes for all frames.

    The multi-slice model needs two Fourier transforms per step and source, the linear one a product per slice, source
    and frequency.
    """
    planes, rows, columns = model.shape
    if not isinstance(model, SSNPModel):
        products = planes * model.frames * rows * columns / 2
        return products / (_PRODUCTS * torch.get_num_threads() if model.device.type == "cpu" else _SPEED_OF_A_CARD)
    transforms = 2 * planes * model.steps_per_slice * len(model.frame_of_source)
    operations = 5 * rows * columns * math.log2(rows * columns)
    speed = _SPEED * torch.get_num_threads() if model.device.type == "cpu" else _SPEED_OF_A_CARD
    return transforms * operations / speed


def within_aperture(recipe: IdtRecipe, illumination: Illumination) -> tuple[Illumination, list[str]]:
    """Return an illumination with which a calibration can start, and warnings.

    Directions that are outside the objective's aperture by less than the search range are moved to its edge. The model
    refuses directions farther outside, and all of them if none is calibrated.
    """
    apertures = illumination.apertures
    if recipe.calibration.illuminations == "given" or recipe.na is None:
        return illumination, []
    radius = np.hypot(*apertures.T)
    beyond = (radius > recipe.na * (1 + EDGE)) & (radius <= recipe.na + recipe.calibration.search_na)
    if not beyond.any():
        return illumination, []
    apertures[beyond] = brought_inside(apertures[beyond], recipe.na)
    return moved(illumination, apertures), [
        f"{beyond.sum()} of the nominal directions are outside the objective's NA; the calibration starts at its edge"
    ]


def computed_models(
    recipe: IdtRecipe, illumination: Illumination, shape: tuple[int, int, int], device: torch.device
) -> tuple[ComputedModels, list[str]]:
    """Return the models of a volume (Z, Y, X) under an illumination, and warnings about its directions.

    Raises
    ------
    RecipeError
        If settings are missing, or an illumination is outside the objective's aperture.
    """
    start, warnings = within_aperture(recipe, illumination)
    geometry, steps = recipe.geometry(shape), recipe.multislice.steps_per_slice
    start.check(geometry.na, geometry.medium_index)
    return ComputedModels(geometry, start, recipe.dispersion, steps, device, recipe.source_na), warnings


def findings(
    geometry: VolumeGeometry, illumination: Illumination, dark_field: Illumination | None = None
) -> list[Finding]:
    """Return the lines about sampling and about detail that the illumination and used dark field transfer."""
    lateral, axial = lateral_sampling(geometry), axial_sampling(geometry, illumination)
    sentences = [*_lateral_doubts(lateral), *_axial_doubts(axial, geometry.shape[0])]
    lines = [Finding("sampling", "doubtful", sentence) for sentence in sentences] or [
        Finding(
            "sampling",
            "good",
            f"pixels of {digits(lateral.value_um, 3)} µm and slices of {digits(axial.value_um, 3)} µm are fine "
            f"enough: the optics need {digits(lateral.limit_um, 3)} and {digits(axial.limit_um, 3)} µm",
        )
    ]
    low = low_frequencies(geometry, illumination)
    if low.ratio < _WEAK_LOW_FREQUENCIES:
        weak = (
            f"slow changes of the index are hardly visible (response {low.ratio:.2f} of the strongest); light from the "
            "edge of the objective's aperture would show them"
        )
        return [*lines, Finding("band", "doubtful", weak)]
    widest = float(np.hypot(*(dark_field or illumination).apertures.T).max())
    period_um = geometry.wavelength_um / (geometry.na + widest)
    text = f"detail down to a period of {digits(period_um, 3)} µm is transferred"
    return [*lines, Finding("band", "good", f"{text}, and slow changes of the index are visible")]


def preflight(geometry: VolumeGeometry, illumination: Illumination) -> list[str]:
    """Return warnings about sampling and about detail that the illumination does not transfer."""
    return [line.sentence for line in findings(geometry, illumination) if line.level != "good"]


def _lateral_doubts(lateral: Sampling) -> list[str]:
    if not lateral.fine:
        return [
            f"the pixel of {digits(lateral.value_um, 3)} µm is coarser than λ/(4 NA) = {digits(lateral.limit_um, 3)} "
            "µm; fine detail is aliased"
        ]
    if lateral.value_um * _NEEDLESSLY_FINE < lateral.limit_um:
        return [
            f"the pixel of {digits(lateral.value_um, 3)} µm is {lateral.limit_um / lateral.value_um:.0f} times finer "
            "than the "
            f"optics need, λ/(4 NA) = {digits(lateral.limit_um, 3)} µm; check pixel size, magnification and wavelength"
        ]
    return []


def _axial_doubts(axial: Sampling, count: int) -> list[str]:
    if not axial.fine:
        return [
            f"the slice spacing of {digits(axial.value_um, 3)} µm is above the axial Nyquist limit of "
            f"{digits(axial.limit_um, 3)} µm"
        ]
    thickness_um, period_um = count * axial.value_um, 2 * axial.limit_um
    if count > 1 and thickness_um < period_um and axial.value_um * _NEEDLESSLY_CLOSE < axial.limit_um:
        return [
            f"the {count} slices are {digits(thickness_um, 3)} µm thick together, less than the finest detail along z "
            "that "
            f"these optics transfer, {digits(period_um, 3)} µm; the index becomes too large if the sample is thicker: "
            f"choose a slice spacing of up to {digits(axial.limit_um, 3)} µm"
        ]
    return []
