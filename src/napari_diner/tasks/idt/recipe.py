"""The recipe of intensity diffraction tomography."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from napari_diner.errors import InputError, RecipeError
from napari_diner.io.header import decoding
from napari_diner.io.tables import read_table
from napari_diner.physics.idt.geometry import Slices, VolumeGeometry
from napari_diner.settings import Settings
from napari_diner.tasks.idt.calibration_settings import CalibrationSettings
from napari_diner.tasks.idt.solver_settings import (
    DescentSettings,
    MultisliceSettings,
    RadialSettings,
    VolumeDinerSettings,
)
from napari_diner.tasks.recipe import Recipe

Direction = tuple[float, ...]
Frame = Direction | tuple[Direction, ...]
BACKGROUNDS = ("none", "ratio", "mean", "blur")
"""Ways to the background other than an image of it."""


class RingSettings(Settings):
    """An annular illumination: frames lit one after the other from directions evenly spaced on a circle."""

    na: float | None = Field(default=None, gt=0, lt=5, title="NA of the ring")
    """Numerical aperture of the circle of directions; empty if the illuminations are listed."""
    first_angle_deg: float = Field(default=0.0, ge=-360, le=360, title="First angle (°)")
    """Direction of the first frame, from +x (right) towards +y (down); the others follow that way round."""


class RegularizationSettings(Settings):
    """What is asked of the volume besides explaining the data."""

    tikhonov: float | None = Field(default=None, gt=0, title="Tikhonov")
    """Weight of the squared contrast; empty to have it chosen from illuminations that are held out."""
    tv: float | None = Field(default=None, ge=0, title="Total variation")
    """Weight of the total variation, in which a slice spacing counts for what it is; empty to have it chosen."""
    positivity: bool = Field(default=True, title="n ≥ n0")
    """The sample is nowhere optically thinner than the medium."""
    positive_absorption: bool = Field(default=True, title="Absorption ≥ 0")
    """The sample absorbs and does not amplify."""


class IdtRecipe(Recipe):
    """Everything that decides a reconstruction of the refractive index by single scattering, Eq. 6 of the paper."""

    task: Literal["idt"] = "idt"
    """Which task the recipe is for."""
    stack: str | None = Field(default=None, title="Intensity stack")
    """Multi-page TIFF, folder, glob of TIFF or PNG files, or a MATLAB v7.3 file: one frame an illumination."""
    wavelength_um: float | None = Field(default=None, gt=0, le=1000, title="Wavelength (µm)")
    """Wavelength of the light in vacuum."""
    pixel_size_um: float | None = Field(default=None, gt=0, le=1000, title="Pixel size (µm)")
    """Distance between neighbouring pixels in the sample: that of the camera over the magnification."""
    na: float | None = Field(default=None, gt=0, lt=5, title="Objective NA")
    """Numerical aperture of the objective."""
    medium_index: float = Field(default=1.33, ge=1, le=5, title="Medium index")
    """Refractive index of the medium around the sample: 1.33 for water."""
    illuminations: tuple[Frame, ...] = Field(default=(), title="Illuminations (NA)", json_schema_extra={"words": []})
    """For each frame the direction [NA_y, NA_x] of the light, or several; or a CSV or JSON file with them."""
    ring: RingSettings = Field(default_factory=RingSettings, title="Ring")
    """An annular illumination, instead of listed ones."""
    calibration: CalibrationSettings = Field(default_factory=CalibrationSettings, title="Calibration")
    """What is found out about the illuminations from the recording itself."""
    transfer_functions: str | None = Field(
        default=None, title="Transfer functions", json_schema_extra={"words": ["file"]}
    )
    """MATLAB v7.3 file with transfer functions to use instead of our own; or file, for those beside the frames."""
    dispersion: Literal["exact", "legacy"] = Field(default="exact", title="Dispersion")
    """Axial frequency of the waves; legacy is an error of older code, which rescales depth, for comparison with it."""

    slice_spacing_um: float = Field(default=0.5, gt=0, le=1000, title="Slice spacing (µm)")
    """Distance between the slices of the volume."""
    slice_count: int = Field(default=24, ge=1, le=4096, title="Slices")
    """Slices of the volume."""
    first_slice_um: float | None = Field(default=None, ge=-1e5, le=1e5, title="First slice (µm)")
    """Where the first slice is, above the plane in focus; empty to have the volume centred on that plane."""

    background: str = Field(default="mean", title="Background", json_schema_extra={"words": [*BACKGROUNDS]})
    """mean or blur of each frame; ratio if frames are over background, none if that minus one; or an image file."""
    background_blur_um: float = Field(default=20.0, gt=0, le=1e5, title="Blur (µm)")
    """Standard deviation of the Gaussian that makes the background, with background: blur."""
    background_offset: float = Field(default=0.0, title="Camera offset")
    """Grey level of the camera without light, taken off frames and background."""

    model: Literal["auto", "born", "multislice"] = Field(default="auto", title="Model")
    """Single scattering (born), which is linear; multiple scattering (multislice); or by the phase found (auto)."""
    solver: Literal["voxels", "diner", "tikhonov", "decaf"] = Field(default="voxels", title="Solver")
    """Voxels or a DINER with total variation and positivity, least squares (tikhonov), or DeCAF for comparison."""
    regularization: RegularizationSettings = Field(default_factory=RegularizationSettings, title="Regularization")
    """What is asked of the volume besides explaining the data."""
    iterations: int = Field(default=40, ge=1, le=100_000, title="Iterations")
    """At most this many steps of the voxels solver under the linear model."""
    multislice: MultisliceSettings = Field(default_factory=MultisliceSettings, title="Multi-slice")
    """Settings of the multi-slice model."""
    diner: VolumeDinerSettings = Field(default_factory=VolumeDinerSettings, title="DINER")
    """Settings of the diner solver."""
    decaf: RadialSettings = Field(default_factory=RadialSettings, title="DeCAF")
    """Settings of the decaf solver."""
    gradient: DescentSettings = Field(default_factory=DescentSettings, title="Gradient descent")
    """How the parameters of diner and decaf are found."""

    @field_validator("illuminations", mode="before")
    @classmethod
    def _from_file(cls, value: Any) -> Any:
        try:
            return read_illuminations(Path(value)) if isinstance(value, str) else value
        except InputError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _one_source_of_directions(self) -> IdtRecipe:
        if self.illuminations and self.ring.na is not None:
            raise ValueError("illuminations and ring.na exclude each other; list the directions or describe the ring")
        return self

    @model_validator(mode="after")
    def _given_transfer_functions_are_final(self) -> IdtRecipe:
        if self.transfer_functions is not None and self.calibration.wanted:
            raise ValueError(
                "transfer_functions and calibration exclude each other, as the functions are for fixed illuminations; "
                "leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _models_for_the_solver(self) -> IdtRecipe:
        if self.model != "multislice":
            return self
        if self.solver == "tikhonov":
            raise ValueError("the closed form is one of the linear model; set solver to voxels, or model to born")
        if self.transfer_functions is not None or self.dispersion != "exact":
            raise ValueError(
                "the multi-slice model has waves of its own; leave out transfer_functions and dispersion, or set model "
                "to born"
            )
        return self

    def slices(self, shape: tuple[int, int, int]) -> Slices:
        """Return the slices of a volume (Z, Y, X), and the light.

        Raises
        ------
        RecipeError
            If the wavelength is missing.
        """
        if self.wavelength_um is None:
            raise RecipeError("The wavelength is missing; give --wavelength-um (wavelength_um in a recipe)")
        return Slices(shape, self.slice_spacing_um, self.wavelength_um, self.medium_index)

    def geometry(self, shape: tuple[int, int, int]) -> VolumeGeometry:
        """Return the geometry of a volume (Z, Y, X) and the objective.

        Raises
        ------
        RecipeError
            If the wavelength, the pixel size or the NA is missing, or they are inconsistent.
        """
        light = self.slices(shape)
        if self.pixel_size_um is None:
            raise RecipeError("The pixel size is missing and the file does not tell it; give --pixel-size-um")
        if self.na is None:
            raise RecipeError("The numerical aperture of the objective is missing; give --na")
        return VolumeGeometry(
            shape,
            self.slice_spacing_um,
            light.wavelength_um,
            self.medium_index,
            self.pixel_size_um,
            self.na,
            self.first_slice_um,
        )

    def check_complete(self, frames: int) -> None:
        """Check that the recipe says all that a stack of `frames` frames needs.

        Raises
        ------
        RecipeError
            If the wavelength, the pixel size, the NA or the illuminations are missing, or counts differ.
        """
        if self.pixel_size_um is None:
            raise RecipeError("The pixel size is missing and the file does not tell it; give --pixel-size-um")
        self.slices((self.slice_count, 1, 1))
        if self.transfer_functions is not None:
            return
        self.geometry((self.slice_count, 1, 1))
        if not self.illuminations and self.ring.na is None:
            raise RecipeError(
                "The illuminations are missing; list them or name a file (illuminations), or give ring.na"
            )
        if self.illuminations and len(self.illuminations) != frames:
            raise RecipeError(
                f"There are {len(self.illuminations)} illuminations but the stack has {frames} frames; "
                "give one for each frame"
            )


def read_illuminations(path: Path) -> list[Any]:
    """Read directions from a JSON list, or from a CSV table with columns NA_y and NA_x.

    A CSV table may have a column ``frame`` (sources of one frame share its number) and a column ``weight``.

    Raises
    ------
    InputError
        If the file cannot be read or holds no directions.
    """
    if path.suffix.lower() == ".json":
        with decoding(path):
            values = json.loads(path.expanduser().read_text(encoding="utf-8-sig"))
        if not isinstance(values, list):
            raise InputError(f"{path} does not hold a list; write [[NA_y, NA_x], ...]")
        return values
    table = read_table(path)
    if not (table.has("NA_y") and table.has("NA_x")):
        raise InputError(f"{path} has no columns NA_y and NA_x; give the columns these titles")
    weights = table.column("weight", missing=1.0) if table.has("weight") else [1.0] * len(table.rows)
    frames = table.texts("frame") if table.has("frame") else [""] * len(table.rows)
    sources: dict[str, list[list[float]]] = {}
    for row, source in enumerate(zip(table.column("NA_y"), table.column("NA_x"), weights, strict=True)):
        sources.setdefault(frames[row] or f"row {row}", []).append(list(source))
    return [group[0][:2] if len(group) == 1 else group for group in sources.values()]
