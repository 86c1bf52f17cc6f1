"""The recipe of multi-height lensless phase retrieval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from napari_diner.errors import InputError, RecipeError
from napari_diner.io.given_table import read_given_table
from napari_diner.physics.lensless.light import Light
from napari_diner.physics.lensless.point_source import From, magnification
from napari_diner.physics.optics import Optics
from napari_diner.physics.plausibility import SENSOR_PIXEL, WAVELENGTH, unusual
from napari_diner.physics.settings import PaddingSettings, TileSettings
from napari_diner.preprocess.settings import PreprocessSettings
from napari_diner.representations.registry import representations
from napari_diner.representations.settings import RepresentationSettings
from napari_diner.settings import OneOf
from napari_diner.solvers.lensless.illumination_settings import IlluminationSettings
from napari_diner.solvers.lensless.noise_settings import NoiseSettings
from napari_diner.solvers.lensless.prior_settings import PriorSettings
from napari_diner.solvers.lensless.uncertainty_settings import UncertaintySettings
from napari_diner.solvers.registry import solver_names, supports
from napari_diner.solvers.settings import AdamSettings, AlternatingSettings, GaussNewtonSettings
from napari_diner.tasks.lensless.calibration_settings import CalibrationSettings
from napari_diner.tasks.lensless.phase_output import PhaseOutputSettings
from napari_diner.tasks.recipe import StackRecipe
from napari_diner.wording import count

Registration = Literal["off", "shift", "similarity", "deformation"]
LISTS = ("distances_um", "gains", "shifts_um", "positions_um")
"""Settings that have an entry for each frame."""


def _solvers() -> tuple[str, ...]:
    return solver_names("lensless")


def _starts() -> tuple[str, ...]:
    return ("auto", "flat", "contrast-transfer", *_solvers())


class GradientSettings(AdamSettings):
    """Adam on the parameters of a representation."""

    learning_rate: float | None = Field(default=None, gt=0, le=10, title="Learning rate")  # type: ignore[assignment]
    """Step size of Adam at the start; empty for one that suits the representation."""
    warm_factor: float = Field(default=0.01, gt=0, le=1, title="Warm factor")
    """Fraction of the learning rate to use after a warm start, to refine the start without undoing it."""
    loss: Literal["amplitude", "intensity"] = Field(default="amplitude", title="Loss")
    """Compare square roots of intensities (suits shot noise and converges faster) or intensities (as published)."""


class RecordingRecipe(StackRecipe):
    """Description of a lensless recording and its preparation."""

    stack: str | None = Field(default=None, title="Intensity stack")
    """Multi-page TIFF, NumPy, MATLAB, HDF5 or OME-Zarr file, folder, or glob of images: one frame a height."""
    wavelength_um: float | None = Field(default=None, gt=0, le=1e6, title="Wavelength (µm)")
    """Wavelength of the light in vacuum."""
    pixel_size_um: float | None = Field(default=None, gt=0, le=1e6, title="Pixel size (µm)")
    """Distance between neighbouring pixels of the sensor; taken from the file's metadata if left empty."""
    distances_um: tuple[float, ...] = Field(default=(), title="Distances (µm)")
    """Distance from the sample to the sensor for each frame, in the order of the stack; or a table of them, a file or
    text."""
    source_distance_um: float | None = Field(default=None, gt=0, title="Source distance (µm)")
    """Distance of the light source; empty for parallel light. The reconstruction is in the size of the sample."""
    source_distance_to: From = Field(default="sample", title="Source distance to")
    """To the sample if the sensor moved, the sensor if the sample did, or the lens that makes the light parallel."""
    medium_index: float = Field(default=1.0, ge=1, le=5, title="Medium index")
    """Refractive index between sample and sensor: 1 for air."""
    propagation: Literal["angular_spectrum", "fresnel"] = Field(default="angular_spectrum", title="Propagation")
    """Exact angular spectrum, or its paraxial (Fresnel) approximation."""
    band_limit: bool = Field(default=True, title="Band limit")
    """Leave out frequencies that the grid cannot carry over long distances (Matsushima and Shimobaba, 2009)."""
    integer_scaling: Literal["type_maximum", "none"] = Field(default="type_maximum", title="Integer scaling")
    """Divide integers by the largest value of their type, or use the numbers unchanged."""
    mask: str | None = Field(default=None, title="Mask")
    """Image file, one page or one a frame, that is zero where pixels must be ignored."""
    preprocess: PreprocessSettings = Field(default_factory=PreprocessSettings, title="Preprocess")
    """Corrections of the frames before the reconstruction."""
    padding: PaddingSettings = Field(default_factory=PaddingSettings, title="Padding")
    """Continuation of the field beyond the edges of the field of view."""

    @field_validator("distances_um", mode="before")
    @classmethod
    def _from_table(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return read_given_table(value, "the text").in_order(1).column("distances_um", unit="um")
        except InputError as error:
            raise ValueError(str(error)) from None

    @field_validator("distances_um", "gains", check_fields=False)
    @classmethod
    def _positive(cls, values: tuple[float, ...] | None) -> tuple[float, ...] | None:
        for value in values or ():
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"every value must be a positive number, not {value:g}")
        return values

    @model_validator(mode="after")
    def _source_before_the_sample(self) -> Self:
        if self.source_distance_um is not None:
            for distance in self.distances_um:
                magnification(self.source_distance_um, distance, self.source_distance_to)
        return self

    @property
    def optics(self) -> Optics:
        """Pixels, wavelength, medium and method of propagation.

        Raises
        ------
        RecipeError
            If the wavelength or the pixel size is missing.
        """
        if self.wavelength_um is None:
            raise RecipeError("The wavelength is missing; give {field}", "wavelength_um")
        if self.pixel_size_um is None:
            raise RecipeError(
                "The pixel size is missing, and the data do not contain it; give {field}", "pixel_size_um"
            )
        return Optics(self.pixel_size_um, self.wavelength_um, self.medium_index, self.propagation)

    @property
    def magnifies(self) -> bool:
        """Whether the light diverges, so that the pattern of a sample grows with its distance to the sensor."""
        return self.source_distance_um is not None and self.source_distance_to != "lens"

    @property
    def needs_distances(self) -> bool:
        """Whether to take distances from the names of files, if they contain any."""
        return not self.distances_um

    @property
    def lists(self) -> dict[str, Sequence[object]]:
        """Lists with an entry for each frame that are set."""
        lists = {name: getattr(self, name, None) for name in LISTS}
        return {name: values for name, values in lists.items() if values}

    def check_lists(self, frames: int) -> None:
        """Check that lists have an entry for each of the frames of the stack.

        Raises
        ------
        RecipeError
            If one has more or fewer.
        """
        for name, values in self.lists.items():
            if len(values) != frames:
                entries = "one entry" if len(values) == 1 else f"{len(values)} entries"
                raise RecipeError(
                    f"{{field}} has {entries} but the stack has {count(frames, 'frame')}; give one for each frame", name
                )

    def check_complete(self, frames: int) -> None:
        """Check that the recipe is complete for a stack of `frames` frames.

        Raises
        ------
        RecipeError
            If the wavelength, the pixel size or the distances are missing, or counts differ.
        """
        optics = self.optics
        if not self.distances_um:
            raise RecipeError("The distances are missing; give {field}, one for each frame", "distances_um")
        self.check_lists(frames)
        if 2 * optics.pixel_size_um * optics.medium_frequency < 1e-3:
            odd = unusual(
                {
                    "wavelength_um": (WAVELENGTH, optics.wavelength_um),
                    "pixel_size_um": (SENSOR_PIXEL, optics.pixel_size_um),
                }
            )
            culprit = next(iter(odd), "pixel_size_um")
            raise RecipeError(
                f"The pixel size of {optics.pixel_size_um:g} µm is far below the wavelength of "
                f"{optics.wavelength_um:g} µm; check {{field}}" + (f": {odd[culprit]}" if odd else ""),
                culprit,
            )


class LenslessRecipe(RepresentationSettings, RecordingRecipe):
    """Settings of a lensless reconstruction.

    The model is Eq. 5 of the paper, ``I_z = g_z |PSF_z ∗ (P·O)|² / intensity_scale``, with the object O, the
    illumination P, and for each height z a gain g_z and a shift. It is summed over the wavelengths of the light, and
    blurred by a source that is not a point.
    """

    task: Literal["lensless"] = "lensless"
    """Name of the task."""
    source_size_um: float | None = Field(default=None, ge=0, title="Source size (µm)")
    """Diameter of the source, such as an LED or its pinhole, which blurs distant frames most; empty for a point."""
    bandwidth_nm: float | None = Field(default=None, ge=0, title="Bandwidth (nm)")
    """Width of the source's spectrum at half its height (FWHM); empty for a single wavelength, as of a laser."""
    intensity_scale: float = Field(default=1.0, gt=0, title="Intensity scale")
    """Model intensity that corresponds to a data value of one: data = model / scale."""
    gains: tuple[float, ...] | None = Field(default=None, title="Gains")
    """Relative brightness of each frame; empty if all are equally bright."""
    equalise_gains: bool = Field(default=False, title="Equalise brightness")
    """Estimate the gain of each frame as its mean over the mean of the stack."""
    shifts_um: tuple[tuple[float, float], ...] | None = Field(default=None, title="Shifts (µm)")
    """Displacement of each frame on the sensor, [dy, dx], down and to the right."""
    registration: Registration = Field(default="off", title="Register frames")
    """Estimate the displacement of each frame; similarity adds rotation and magnification, deformation, for samples
    that move between the heights, a smooth displacement of their parts."""
    illumination: str | None = Field(default=None, title="Illumination")
    """Image file of the illumination's amplitude P at the sample; empty for an even one."""
    illumination_phase: str | None = Field(default=None, title="Illumination phase")
    """Image file of the phase of the illumination at the sample, in radians; empty for a flat one."""
    positions_um: tuple[tuple[float, float], ...] | None = Field(default=None, title="Positions (µm)")
    """Displacement of the object in the illumination for each frame, [dy, dx], down and to the right."""
    unknown_illumination: IlluminationSettings = Field(
        default_factory=IlluminationSettings, title="Unknown illumination"
    )
    """Estimate of the illumination together with the object."""

    super_resolution: int = Field(default=1, ge=1, le=8, title="Super-resolution")
    """Pixels of the object for each of the sensor along each axis; needs frames displaced by fractions of a pixel."""

    calibration: CalibrationSettings = Field(default_factory=CalibrationSettings, title="Calibrate")
    """Self-calibration of distances, shifts and gains before the reconstruction."""

    solver: Annotated[str, OneOf(_solvers)] = Field(default="gauss-newton", title="Solver")
    """Second-order steps on pixels (gauss-newton), averaged projections (alternating), or a representation (Adam)."""
    start: Annotated[str, OneOf(_starts)] = Field(default="auto", title="Start from")
    """Start of the solver; auto takes contrast-transfer for the classical ones and gauss-newton for diner."""
    amplitude_nonnegative: bool = Field(default=True, title="Amplitude ≥ 0")
    """Keep the amplitude of a representation from turning negative (equivalent to a phase of π)."""
    phase_scale_rad: float = Field(default=1.0, gt=0, le=1000, title="Phase scale (rad)")
    """Radians for one unit of a representation's output; about half of the expected phase range."""

    prior: PriorSettings = Field(default_factory=PriorSettings, title="Prior knowledge")
    """Prior knowledge of the object."""
    noise: NoiseSettings = Field(default_factory=NoiseSettings, title="Noise")
    """Weighting of pixels by their noise."""
    gauss_newton: GaussNewtonSettings = Field(default_factory=GaussNewtonSettings, title="Gauss-Newton")
    """Settings of the gauss-newton solver."""
    alternating: AlternatingSettings = Field(default_factory=AlternatingSettings, title="Alternating projections")
    """Settings of the alternating solver."""
    gradient: GradientSettings = Field(default_factory=GradientSettings, title="Gradient descent")
    """Settings of all representations."""
    tiles: TileSettings = Field(default_factory=TileSettings, title="Tiles")
    """Computation of wide fields in tiles."""
    phase_output: PhaseOutputSettings = Field(default_factory=PhaseOutputSettings, title="Phase output")
    """Further images derived from the phase."""
    uncertainty: UncertaintySettings = Field(default_factory=UncertaintySettings, title="Uncertainty")
    """Uncertainty maps of amplitude and phase."""

    @field_validator("shifts_um", "positions_um")
    @classmethod
    def _finite(cls, values: tuple[tuple[float, float], ...] | None) -> tuple[tuple[float, float], ...] | None:
        if values is not None and not all(math.isfinite(value) for pair in values for value in pair):
            raise ValueError("every displacement must be a finite number")
        return values

    @model_validator(mode="after")
    def _one_source_of_gains(self) -> LenslessRecipe:
        if self.gains is not None and self.equalise_gains:
            raise ValueError("gains and equalise_gains exclude each other; give the gains or have them estimated")
        return self

    @property
    def has_start(self) -> bool:
        """Whether the solver starts from the result of another one."""
        return self.start not in ("flat", "contrast-transfer")

    @property
    def moves(self) -> bool:
        """Whether the object moves in its illumination."""
        return len(set(self.positions_um or ())) > 1

    @model_validator(mode="after")
    def _illumination_is_determined(self) -> LenslessRecipe:
        solve, lit = self.unknown_illumination.solve, self.illumination or self.illumination_phase
        if solve and not self.moves and self.unknown_illumination.finest_um == 0:
            raise ValueError(
                "object and illumination cannot be told apart if the object does not move; give positions_um, or "
                "unknown_illumination.finest_um, so that all that is smoother belongs to the illumination"
            )
        if self.positions_um is not None and (self.calibration.wanted or self.registration != "off"):
            raise ValueError("frames at several positions_um cannot be registered or calibrated; switch these off")
        if (solve or (lit and self.moves)) and (self.super_resolution > 1 or self.tiles.use == "always"):
            raise ValueError(
                "an unknown illumination, or one in which the object moves, needs super_resolution 1 and no tiles"
            )
        return self

    @property
    def light(self) -> Light:
        """Size and spectrum of the source."""
        return Light(
            self.source_size_um or 0.0,
            math.inf if self.source_distance_um is None else self.source_distance_um,
            self.source_distance_to,
            (self.bandwidth_nm or 0.0) * 1e-3,
        )

    def check_complete(self, frames: int) -> None:
        """Check that the recipe is complete; see `RecordingRecipe.check_complete`."""
        super().check_complete(frames)
        if self.source_size_um and self.source_distance_um is None:
            raise RecipeError(
                f"A source of {self.source_size_um:g} µm blurs the frames by an amount that depends on its distance; "
                "give {field}",
                "source_distance_um",
            )

    @model_validator(mode="after")
    def _supported_by_the_solver(self) -> LenslessRecipe:
        if self.prior.wanted and not supports("lensless", self.solver, "priors"):
            raise ValueError(f"the solver {self.solver} does not support priors; choose another, or switch priors off")
        if self.noise.looks and not supports("lensless", self.solver, "weights"):
            raise ValueError(f"the solver {self.solver} does not support weights; choose another, or weigh evenly")
        if self.solver in representations() and self.gradient.loss == "intensity":
            if self.prior.wanted:
                raise ValueError("priors are balanced against errors of amplitudes; set gradient.loss to amplitude")
            if self.noise.looks:
                raise ValueError("noise is estimated from errors of amplitudes; set gradient.loss to amplitude")
        return self

    @model_validator(mode="after")
    def _wide_enough_keys(self) -> LenslessRecipe:
        if self.diner.tables == "shared" and self.diner.table_width == 1:
            raise ValueError("a shared table needs keys for amplitude and phase; set diner.table_width to 2 or more")
        return self
