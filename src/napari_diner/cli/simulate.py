"""The commands that make sample data whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from napari_diner.cli.common import Assignments, Common, RecipeFile
from napari_diner.cli.options import with_options
from napari_diner.cli.recipes import collect
from napari_diner.errors import RecipeError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.folder import check_output, staged, write_contents
from napari_diner.simulate.settings import LenslessSimulation
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.recipe import explain

if TYPE_CHECKING:
    from napari_diner.simulate.lensless import LenslessSample


@with_options(LenslessSimulation)
def simulate_lensless(
    *, common: Common, recipe: RecipeFile = None, set_: Assignments = (), settings: dict[str, Any]
) -> int:
    """Simulate a stack recorded at several distances; keep the amplitude and phase behind it, and a recipe."""
    try:
        values = LenslessSimulation.model_validate(collect(LenslessSimulation, recipe, set_, settings))
    except ValidationError as error:
        raise RecipeError(explain(LenslessSimulation, error)) from None
    check_output(common.output, common.overwrite)
    from napari_diner.simulate.lensless import simulate

    sample = simulate(values)
    with staged(common.output, common.overwrite) as stage:
        write_sample(sample, stage)
    if not common.quiet:
        frames = " × ".join(str(size) for size in sample.frames.shape)
        print(f"{frames} ({sample.frames.dtype}) in {common.output}; reconstruct it with\n")
        print(f"napari-diner run {common.output / 'recipe.yaml'} -o RESULT --truth {common.output}")
    return 0


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
    )


def write_sample(sample: LenslessSample, folder: Path) -> None:
    """Write a sample into a folder that is there: the stack, the truth, and a recipe that names the stack."""
    pixel = sample.pixel_size_um
    arrays = [
        NamedArray("stack", sample.frames, "NYX", (1.0, pixel, pixel)),
        NamedArray("amplitude", sample.amplitude, "YX", (pixel, pixel)),
        NamedArray("phase", sample.phase, "YX", (pixel, pixel), "rad"),
    ]
    # only what is known of the recording: the rest is for the user to choose
    recipe = recipe_of(sample, "stack.tif").to_yaml(complete=False)
    write_contents(folder, arrays, {"recipe.yaml": recipe})
