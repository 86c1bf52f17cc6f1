"""The commands that make sample data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from napari_diner.cli.common import Assignments, Common, RecipeFile
from napari_diner.cli.options import with_options
from napari_diner.cli.recipes import collect
from napari_diner.errors import RecipeError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.folder import check_output, staged, write_contents
from napari_diner.simulate.fit.settings import ImageSimulation, VideoSimulation, VolumeSimulation
from napari_diner.simulate.idt.settings import IdtSimulation
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.idt.recipe import IdtRecipe, RingSettings
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.recipe import explain

if TYPE_CHECKING:
    from napari_diner.simulate.idt.recording import IdtSample
    from napari_diner.simulate.lensless.recording import LenslessSample

Model = TypeVar("Model", bound=BaseModel)


@with_options(LenslessSimulation)
def simulate_lensless(
    *, common: Common, recipe: RecipeFile = None, set_: Assignments = (), settings: dict[str, Any]
) -> int:
    """Simulate a stack recorded at several distances; keep the amplitude and phase behind it, and a recipe."""
    values = _parsed(LenslessSimulation, recipe, set_, settings)
    check_output(common.output, common.overwrite)
    from napari_diner.simulate.lensless.recording import simulate

    sample = simulate(values)
    with staged(common.output, common.overwrite) as stage:
        write_sample(sample, stage)
    if not common.quiet:
        frames = " × ".join(str(size) for size in sample.frames.shape)
        print(f"{frames} ({sample.frames.dtype}) in {common.output}; reconstruct it with\n")
        print(f"napari-diner run {common.output / 'recipe.yaml'} -o RESULT --truth {common.output}")
    return 0


@with_options(IdtSimulation)
def simulate_idt(*, common: Common, recipe: RecipeFile = None, set_: Assignments = (), settings: dict[str, Any]) -> int:
    """Simulate cells under oblique illumination; keep the refractive index behind the frames, and a recipe."""
    values = _parsed(IdtSimulation, recipe, set_, settings)
    check_output(common.output, common.overwrite)
    from napari_diner.simulate.idt.recording import simulate

    sample = simulate(values)
    with staged(common.output, common.overwrite) as stage:
        write_idt_sample(sample, stage)
    if not common.quiet:
        frames = " × ".join(str(size) for size in sample.frames.shape)
        print(f"{frames} ({sample.frames.dtype}) in {common.output}; reconstruct it with\n")
        print(f"napari-diner run {common.output / 'recipe.yaml'} -o RESULT --truth {common.output}")
    return 0


@with_options(ImageSimulation)
def simulate_image(
    *, common: Common, recipe: RecipeFile = None, set_: Assignments = (), settings: dict[str, Any]
) -> int:
    """Draw an image with coarse and fine structure, sharp edges and smooth gradients; add a recipe that fits it."""
    values = _parsed(ImageSimulation, recipe, set_, settings)
    check_output(common.output, common.overwrite)
    from napari_diner.simulate.fit.images import simulate_image

    data = simulate_image(values)
    return _write_signal(common, NamedArray("image", data, "YXS"[: data.ndim], (1.0,) * data.ndim))


@with_options(VideoSimulation)
def simulate_video(
    *, common: Common, recipe: RecipeFile = None, set_: Assignments = (), settings: dict[str, Any]
) -> int:
    """Draw a video that pans over a scene with balls in front of it; add a recipe that fits it."""
    values = _parsed(VideoSimulation, recipe, set_, settings)
    check_output(common.output, common.overwrite)
    from napari_diner.simulate.fit.images import simulate_video

    return _write_signal(common, NamedArray("video", simulate_video(values), "TYXS", (1.0,) * 4))


@with_options(VolumeSimulation)
def simulate_volume(
    *, common: Common, recipe: RecipeFile = None, set_: Assignments = (), settings: dict[str, Any]
) -> int:
    """Draw a volume of 16 bits as a fluorescence microscope records it; add a recipe that fits it."""
    values = _parsed(VolumeSimulation, recipe, set_, settings)
    check_output(common.output, common.overwrite)
    from napari_diner.simulate.fit.images import simulate_volume

    scale = (values.z_step_um, values.pixel_size_um, values.pixel_size_um)
    return _write_signal(common, NamedArray("volume", simulate_volume(values), "ZYX", scale))


def recipe_of(sample: LenslessSample, stack: Path | str) -> LenslessRecipe:
    """Return the recipe that tells how a sample was recorded."""
    return LenslessRecipe(
        task="lensless",
        stack=str(stack),
        wavelength_um=sample.wavelength_um,
        pixel_size_um=sample.pixel_size_um,
        distances_um=tuple(sample.distances_um),
        medium_index=sample.medium_index,
        propagation=sample.propagation,
        intensity_scale=sample.intensity_scale,
        super_resolution=sample.binning,
        shifts_um=sample.shifts_um if np.any(sample.shifts_um) else None,
    )


def write_sample(sample: LenslessSample, folder: Path) -> None:
    """Write a sample into a folder that is there: the stack, the truth, and a recipe that names the stack."""
    pixel = sample.pixel_size_um
    fine = pixel / sample.binning
    arrays = [
        NamedArray("stack", sample.frames, "NYX", (1.0, pixel, pixel)),
        NamedArray("amplitude", sample.amplitude, "YX", (fine, fine)),
        NamedArray("phase", sample.phase, "YX", (fine, fine), "rad"),
    ]
    # only what is known of the recording: the rest is for the user to choose
    recipe = recipe_of(sample, "stack.tif").to_yaml(complete=False)
    write_contents(folder, arrays, {"recipe.yaml": recipe})


def idt_recipe_of(settings: IdtSimulation, stack: Path | str) -> IdtRecipe:
    """Return the recipe that tells how a simulated recording of cells was made."""
    # light along the axis is no ring
    direction: dict[str, Any] = {"ring": RingSettings(na=settings.ring_na)}
    if settings.ring_na == 0:
        direction = {"illuminations": ((0.0, 0.0),) * settings.frames}
    return IdtRecipe(
        task="idt",
        stack=str(stack),
        wavelength_um=settings.wavelength_um,
        pixel_size_um=settings.pixel_size_um,
        na=settings.na,
        medium_index=settings.medium_index,
        slice_spacing_um=settings.slice_spacing_um,
        slice_count=settings.slices,
        **direction,
        background="ratio",
    )


def write_idt_sample(sample: IdtSample, folder: Path) -> None:
    """Write a recording of cells into a folder that is there: the stack, the truth, and a recipe for them."""
    settings = sample.settings
    pixel = settings.pixel_size_um
    voxel = (settings.slice_spacing_um, pixel, pixel)
    arrays = [
        NamedArray("stack", sample.frames, "NYX", (1.0, pixel, pixel)),
        NamedArray("n_re", sample.phantom.n_re, "ZYX", voxel),
        NamedArray("n_im", sample.phantom.n_im, "ZYX", voxel),
    ]
    directions = "\n".join(f"{y:.9g},{x:.9g}" for y, x in sample.illuminations)
    recipe = idt_recipe_of(settings, "stack.tif").to_yaml(complete=False)
    files = {"recipe.yaml": recipe, "illuminations.csv": f"NA_y,NA_x\n{directions}\n"}
    write_contents(folder, arrays, files)


def write_signal(signal: NamedArray, folder: Path) -> None:
    """Write data into a folder that is there, and a recipe that fits them."""
    recipe = FitRecipe(task="fit", image=f"{signal.name}.tif").to_yaml(complete=False)
    write_contents(folder, [signal], {"recipe.yaml": recipe})


def _write_signal(common: Common, signal: NamedArray) -> int:
    with staged(common.output, common.overwrite) as stage:
        write_signal(signal, stage)
    if not common.quiet:
        sizes = " × ".join(str(size) for size in signal.data.shape)
        print(f"{sizes} ({signal.axes}, {signal.data.dtype}) in {common.output}; fit it with\n")
        print(f"napari-diner run {common.output / 'recipe.yaml'} -o RESULT")
    return 0


def _parsed(
    model: type[Model], recipe: Path | None, assignments: tuple[str, ...], settings: Mapping[str, Any]
) -> Model:
    try:
        return model.model_validate(collect(model, recipe, assignments, settings))
    except ValidationError as error:
        raise RecipeError(explain(model, error)) from None
