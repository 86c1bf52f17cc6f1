"""The recipe of intensity diffraction tomography."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from napari_diner.errors import InputError, RecipeError
from napari_diner.physics.idt.geometry import Slices, VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination, ring
from napari_diner.physics.settings import PupilSettings, SurroundSettings
from napari_diner.preprocess.settings import SaturationLevel
from napari_diner.representations.settings import RepresentationSettings
from napari_diner.settings import OneOf, Settings
from napari_diner.solvers.idt.settings import MultisliceSettings, VolumeUncertaintySettings
from napari_diner.solvers.registry import solver_names
from napari_diner.solvers.settings import AdamSettings
from napari_diner.tasks.idt.calibration_settings import CalibrationSettings
from napari_diner.tasks.idt.directions_file import read_illuminations
from napari_diner.tasks.idt.tiles import VolumeTileSettings
from napari_diner.tasks.recipe import StackRecipe

Direction = tuple[float, ...]
SampleSign = Literal["auto", "positive", "negative"]
_TABLE_WIDTH = 3
_LATTICE_SIZES = {1: 64, 2: 64, 3: 20}
BACKGROUNDS = ("none", "ratio", "mean", "blur")
"""Values of `IdtRecipe.background` other than an image file."""
OF_FRAMES = ("mean", "blur")
"""Those that are made from the frames, whose brightness without a sample then is unknown."""


def _solvers() -> tuple[str, ...]:
    return solver_names("idt")


class RingSettings(Settings):
    """An annular illumination: the directions of the frames are evenly spaced on a circle."""

    na: float | None = Field(default=None, gt=0, lt=5, title="NA of the ring")
    """Numerical aperture of the circle of directions; empty if the illuminations are listed."""
    first_angle_deg: float = Field(default=0.0, ge=-360, le=360, title="First angle (°)")
    """Direction of the first frame, from +x (right) towards +y (down); the others follow in this sense."""


class RegularizationSettings(Settings):
    """Prior knowledge of the volume."""

    tikhonov: float | None = Field(default=None, gt=0, title="Tikhonov")
    """Weight of the squared contrast; empty to choose it by cross-validation over illuminations."""
    tv: float | None = Field(default=None, ge=0, title="Total variation")
    """Weight of the total variation, which takes the slice spacing into account; empty to choose it in the same way."""
    positivity: bool = Field(default=True, title="n on one side of n0")
    """The index of the sample is nowhere below that of the medium, or nowhere above."""
    sign: SampleSign = Field(default="auto", title="Side of n0")
    """positive if the sample is denser than the medium, negative if it is thinner, as bubbles; auto: from the data."""
    positive_absorption: bool = Field(default=True, title="Absorption ≥ 0")
    """The sample absorbs and does not amplify."""


class DescentSettings(AdamSettings):
    """Adam on the parameters of a representation, with the priors acting on the volume."""

    iterations: int = Field(default=100, ge=1, le=1_000_000, title="Iterations")
    """Maximum number of steps; the learning rate is annealed over them, or over the time limit if that is shorter."""
    learning_rate: float | None = Field(default=None, gt=0, le=10, title="Learning rate")  # type: ignore[assignment]
    """Step size of Adam at the start; empty for one that suits the representation."""
    patience: int = Field(default=50, ge=1, le=1_000_000, title="Patience")
    """Stop early when the loss has not improved for this many steps."""

    def complete(self, learning_rate: float, iterations: int | None = None) -> AdamSettings:
        """Return the settings of the solver, with this learning rate if none is set, and these iterations if given."""
        return AdamSettings(
            iterations=iterations or self.iterations,
            learning_rate=self.learning_rate or learning_rate,
            schedule=self.schedule,
            patience=self.patience,
        )


class IdtRecipe(RepresentationSettings, StackRecipe):
    """Settings of a reconstruction of the refractive index (Eq. 6 of the paper, or multiple scattering)."""

    task: Literal["idt"] = "idt"
    """Name of the task."""
    stack: str | None = Field(default=None, title="Intensity stack")
    """Multi-page TIFF, NumPy, MATLAB, HDF5 or OME-Zarr file, folder, or glob of images: one frame per illumination."""
    wavelength_um: float | None = Field(default=None, gt=0, le=1e6, title="Wavelength (µm)")
    """Wavelength of the light in vacuum."""
    pixel_size_um: float | None = Field(default=None, gt=0, le=1e6, title="Pixel size (µm)")
    """Distance between neighbouring pixels in the sample: that of the camera divided by the magnification."""
    na: float | None = Field(default=None, gt=0, lt=5, title="Objective NA")
    """Numerical aperture of the objective."""
    medium_index: float = Field(default=1.33, ge=1, le=5, title="Medium index")
    """Refractive index of the medium around the sample: 1.33 for water."""
    illuminations: tuple[Direction | tuple[Direction, ...], ...] = Field(
        default=(), title="Illuminations (NA)", json_schema_extra={"words": []}
    )
    """For each frame the direction [NA_y, NA_x] of the light, or several; or a CSV or JSON file with them."""
    ring: RingSettings = Field(default_factory=RingSettings, title="Ring")
    """An annular illumination, instead of listed ones."""
    source_na: float = Field(default=0.0, ge=0, le=1, title="Source size (NA)")
    """Radius of an LED over its distance, as a numerical aperture: it blurs what is out of focus; 0 for points."""
    dark_field: Literal["refuse", "leave_out", "use"] = Field(default="refuse", title="Dark field")
    """Frames with light from outside the objective's NA: an error (refuse), left out, or used by the multi-slice
    model."""
    dark_field_exposure: tuple[float, ...] = Field(default=(), title="Dark-field exposure")
    """Exposure time times brightness of dark-field frames relative to the others, one number or one for each frame of
    the stack; empty to estimate it for each."""
    calibration: CalibrationSettings = Field(default_factory=CalibrationSettings, title="Calibration")
    """Self-calibration of the illuminations."""
    pupil: PupilSettings = Field(default_factory=PupilSettings, title="Pupil")
    """Aberrations of the objective."""
    transfer_functions: str | None = Field(
        default=None, title="Transfer functions", json_schema_extra={"words": ["file"]}
    )
    """MATLAB v7.3 file with transfer functions to use instead of computed ones; file if the stack contains them."""
    dispersion: Literal["exact", "legacy"] = Field(default="exact", title="Dispersion")
    """Axial frequency of the waves; legacy reproduces an error of older code, which rescales depth, for comparison."""

    slice_spacing_um: float = Field(default=0.5, gt=0, le=1000, title="Slice spacing (µm)")
    """Distance between the slices of the volume."""
    slice_count: int = Field(default=24, ge=1, le=4096, title="Slices")
    """Slices of the volume."""
    first_slice_um: float | None = Field(default=None, ge=-1e5, le=1e5, title="First slice (µm)")
    """Position of the first slice above the plane in focus; empty to centre the volume on that plane."""

    saturation: SaturationLevel = None
    saturated: Literal["at_least", "believe"] = Field(default="at_least", title="Saturated pixels")
    """Meaning of a saturated pixel: a lower bound of the light, or its value."""
    background: str = Field(default="mean", title="Background", json_schema_extra={"words": [*BACKGROUNDS]})
    """mean or blur of each frame; ratio if frames are I / background, none if they are that minus one; or an image
    file."""
    background_blur_um: float = Field(default=20.0, gt=0, le=1e5, title="Blur (µm)")
    """Standard deviation of the Gaussian that blurs frames to their background, with background: blur."""
    background_offset: float = Field(default=0.0, title="Camera offset")
    """Grey level of the camera without light, subtracted from frames and background."""
    padding: SurroundSettings = Field(default_factory=SurroundSettings, title="Padding")
    """Continuation of the sample beyond the edges of the frames."""
    tiles: VolumeTileSettings = Field(default_factory=VolumeTileSettings, title="Tiles")
    """Reconstruction of wide fields in tiles."""

    model: Literal["auto", "born", "multislice"] = Field(default="auto", title="Model")
    """Single scattering (born), which is linear; multiple scattering (multislice); auto decides by the phase delay."""
    solver: Annotated[str, OneOf(_solvers)] = Field(default="voxels", title="Solver")
    """Voxels with total variation and positivity (voxels), least squares (tikhonov), or a representation (Adam)."""
    regularization: RegularizationSettings = Field(default_factory=RegularizationSettings, title="Regularization")
    """Prior knowledge of the volume."""
    iterations: int = Field(default=40, ge=1, le=100_000, title="Iterations")
    """Maximum number of steps of the voxels solver under the linear model."""
    multislice: MultisliceSettings = Field(default_factory=MultisliceSettings, title="Multi-slice")
    """Settings of the multi-slice model."""
    start: Literal["voxels", "empty"] = Field(default="voxels", title="Start from")
    """Start of a representation: a short reconstruction by voxels, or a nearly empty volume."""
    gradient: DescentSettings = Field(default_factory=DescentSettings, title="Gradient descent")
    """Settings of all representations."""
    uncertainty: VolumeUncertaintySettings = Field(default_factory=VolumeUncertaintySettings, title="Uncertainty")
    """Uncertainty of the index."""

    @field_validator("illuminations", mode="before")
    @classmethod
    def _from_file(cls, value: object) -> object:
        try:
            return read_illuminations(Path(value)) if isinstance(value, str) else value
        except InputError as error:
            raise ValueError(str(error)) from None

    @field_validator("dark_field_exposure")
    @classmethod
    def _possible_exposures(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 < value < math.inf for value in values):
            raise ValueError("exposures are numbers above zero")
        return values

    @model_validator(mode="after")
    def _one_source_of_directions(self) -> IdtRecipe:
        if self.illuminations and self.ring.na is not None:
            raise ValueError("illuminations and ring.na exclude each other; list the directions or describe the ring")
        return self

    @model_validator(mode="after")
    def _given_transfer_functions_are_final(self) -> IdtRecipe:
        if self.transfer_functions is not None and self.calibration.wanted:
            raise ValueError(
                "transfer_functions and calibration exclude each other, as transfer functions are for fixed "
                "illuminations; leave one of them out"
            )
        if self.transfer_functions is not None and any(self.pupil.zernike_rad):
            raise ValueError(
                "transfer_functions contain the aberrations of the objective; leave out pupil.zernike_rad, or "
                "transfer_functions"
            )
        return self

    @model_validator(mode="after")
    def _sources_within_the_aperture(self) -> IdtRecipe:
        if self.na is not None and self.source_na > self.na:
            raise ValueError(
                f"source_na is {self.source_na:g}, more than the objective's {self.na:g}; give the radius of the light "
                "source divided by its distance"
            )
        if self.transfer_functions is not None and self.source_na:
            raise ValueError("transfer_functions are for sources of their own size; leave out source_na, or them")
        if self.dark_field == "use" and self.source_na:
            raise ValueError(
                "dark field is used with point sources only; leave out source_na, or set dark_field to leave_out"
            )
        return self

    @model_validator(mode="after")
    def _given_transfer_functions_are_of_the_field(self) -> IdtRecipe:
        if self.transfer_functions is not None and self.padding.mode == "unknown":
            raise ValueError(
                "transfer_functions describe a periodic field, and padding.mode unknown one that is not; "
                "leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _tiles_have_what_they_need(self) -> IdtRecipe:
        if self.tiles.use != "always":
            return self
        if self.transfer_functions is not None:
            raise ValueError("transfer_functions are for the whole field; leave them out, or set tiles.use to never")
        if self.uncertainty.map:
            raise ValueError("the uncertainty is not estimated in tiles; set tiles.use to never, or crop the frames")
        return self

    @model_validator(mode="after")
    def _dark_field_has_what_it_needs(self) -> IdtRecipe:
        if self.dark_field != "use":
            return self
        if self.solver == "tikhonov" or self.model == "born":
            raise ValueError(
                "the intensity of dark-field frames contains no term that is linear in the index, so that only the "
                "multi-slice model describes them; set model to auto or multislice and solver to voxels or a "
                "representation, or dark_field to leave_out"
            )
        if self.uncertainty.map or self.tiles.use == "always":
            what = "the uncertainty is not estimated" if self.uncertainty.map else "tiles are not computed"
            raise ValueError(f"{what} with dark-field frames; switch one of them off, or set dark_field to leave_out")
        return self

    @model_validator(mode="after")
    def _models_for_the_solver(self) -> IdtRecipe:
        if self.model != "multislice":
            return self
        if self.solver == "tikhonov":
            raise ValueError(
                "the closed form is for the linear model; set solver to voxels or a representation, or model to born"
            )
        if self.transfer_functions is not None or self.dispersion != "exact":
            raise ValueError(
                "the multi-slice model computes its own waves; leave out transfer_functions and dispersion, or set "
                "model to born"
            )
        return self

    @model_validator(mode="after")
    def _wide_enough_keys(self) -> IdtRecipe:
        if self.solver == "diner" and self.diner.table_width == 1:
            raise ValueError("a volume needs keys for Δε_re and Δε_im; set diner.table_width to 2 or 3")
        return self

    def with_sizes(self) -> IdtRecipe:
        """Return the recipe with unset sizes of a DINER resolved for a volume."""
        width = self.diner.table_width or _TABLE_WIDTH
        return self.model_copy(update={"diner": self.diner.complete(width, _LATTICE_SIZES[width])})

    def slices(self, shape: tuple[int, int, int]) -> Slices:
        """Return the slices of a volume (Z, Y, X), and the light.

        Raises
        ------
        RecipeError
            If the wavelength is missing.
        """
        if self.wavelength_um is None:
            raise RecipeError("The wavelength is missing; give {field}", "wavelength_um")
        return Slices(shape, self.slice_spacing_um, self.wavelength_um, self.medium_index)

    @property
    def voxel_um(self) -> tuple[float, float, float]:
        """Spacing of the voxels along z, y and x.

        Raises
        ------
        RecipeError
            If the pixel size is missing.
        """
        if self.pixel_size_um is None:
            raise RecipeError(
                "The pixel size is missing, and the data do not contain it; give {field}", "pixel_size_um"
            )
        return self.slice_spacing_um, self.pixel_size_um, self.pixel_size_um

    def geometry(self, shape: tuple[int, int, int]) -> VolumeGeometry:
        """Return the geometry of a volume (Z, Y, X) and the objective.

        Raises
        ------
        RecipeError
            If the wavelength, the pixel size or the NA is missing, or they are inconsistent.
        """
        wavelength_um, (_, _, pixel_um) = self.slices(shape).wavelength_um, self.voxel_um
        if self.na is None:
            raise RecipeError("The numerical aperture of the objective is missing; give {field}", "na")
        return VolumeGeometry(
            shape,
            self.slice_spacing_um,
            wavelength_um,
            self.medium_index,
            pixel_um,
            self.na,
            self.first_slice_um,
            self.pupil.zernike_rad,
        )

    def illumination(self, frames: int) -> Illumination:
        """Return the illumination of a number of frames.

        Raises
        ------
        RecipeError
            If it is missing, or of another number of frames.
        """
        if self.ring.na is not None:
            return ring(self.ring.na, frames, offset_deg=self.ring.first_angle_deg)
        if not self.illuminations:
            raise RecipeError(
                "The illuminations are missing; list them or name a file in {field}, or give {field:ring.na}",
                "illuminations",
            )
        if len(self.illuminations) != frames:
            raise RecipeError(
                f"There are {len(self.illuminations)} illuminations but the stack has {frames} frames; "
                "give one for each frame",
                "illuminations",
            )
        return Illumination.of(self.illuminations)

    def check_complete(self, frames: int) -> None:
        """Check that the recipe is complete for a stack of `frames` frames.

        Raises
        ------
        RecipeError
            If the wavelength, the pixel size, the NA or the illuminations are missing, or counts differ.
        """
        _ = self.voxel_um
        self.slices((self.slice_count, 1, 1))
        if self.transfer_functions is None:
            self.geometry((self.slice_count, 1, 1))
            self.illumination(frames)
