"""The commands that fit a representation to an image, a stack, a volume or a video."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from napari_diner.cli.common import Assignments, Common, RecipeFile, reconstruct_into
from napari_diner.cli.comparison import Seconds, compare_into, names_in
from napari_diner.cli.options import with_options
from napari_diner.cli.recipes import collect
from napari_diner.errors import RecipeError
from napari_diner.tasks.fit.recipe import FitRecipe

if TYPE_CHECKING:
    from napari_diner.tasks.comparison import ComparisonRun
    from napari_diner.tasks.run import Reconstruction

Image = Annotated[
    str | None,
    Parameter(help="TIFF or PNG file, or a folder or glob of frames. Needed unless the recipe names it."),
]
OPTIONS = with_options(FitRecipe, skip=("task", "image"))


@OPTIONS
def fit(
    image: Image = None,
    /,
    *,
    common: Common,
    recipe: RecipeFile = None,
    set_: Assignments = (),
    settings: dict[str, Any],
) -> int:
    """Fit a small neural model to an image, a stack, a volume or a video, and say how close it comes."""
    values = FitRecipe.parse(collect(FitRecipe, recipe, set_, _with_image(image, settings)))
    return reconstruct_into(common, lambda: start(values, None))


@OPTIONS
def compare_fit(
    image: Image = None,
    /,
    *,
    common: Common,
    recipe: RecipeFile = None,
    set_: Assignments = (),
    representations: Annotated[
        str | None,
        Parameter(
            help="Which to compare, with commas between them: diner-siren, diner-mlp, diner-finer, pe-mlp, siren, "
            "hash-grid, pixels; all if left out."
        ),
    ] = None,
    seconds: Seconds = 60.0,
    settings: dict[str, Any],
) -> int:
    """All representations of the same data for the same time; a table and a figure name the winner."""
    values = FitRecipe.parse(collect(FitRecipe, recipe, set_, _with_image(image, settings)))

    def prepared() -> ComparisonRun[Any]:
        from napari_diner.tasks.fit.compare import CONTENDERS, compare
        from napari_diner.tasks.fit.data import load

        names = names_in(representations) or list(CONTENDERS)
        for name in names:
            if name not in CONTENDERS:
                near = difflib.get_close_matches(name, CONTENDERS, n=1, cutoff=0.0)
                raise RecipeError(f"There is no representation {name!r}; did you mean {near[0]!r}?")
        return compare(values, load(values), representations=names, seconds=seconds)

    return compare_into(common, prepared)


def start(recipe: FitRecipe, truth: Path | None) -> Reconstruction:
    """Read the data that a recipe names and prepare their fit."""
    if truth is not None:
        raise RecipeError("A fit has no truth but its own data; leave out --truth")
    from napari_diner.tasks.fit.data import load
    from napari_diner.tasks.fit.reconstruct import reconstruct

    return reconstruct(recipe, load(recipe))


def _with_image(image: str | None, settings: dict[str, Any]) -> dict[str, Any]:
    return settings if image is None else {**settings, "image": image}
