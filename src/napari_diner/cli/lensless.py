"""The commands of multi-height lensless phase retrieval."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from napari_diner.cli.common import (
    FLAG,
    Assignments,
    Common,
    RecipeFile,
    TruthFolder,
    reconstruct_into,
)
from napari_diner.cli.comparison import Seconds, compare_into, names_in
from napari_diner.cli.options import with_options
from napari_diner.cli.recipes import collect
from napari_diner.errors import RecipeError
from napari_diner.tasks.lensless.calibration_settings import PARAMETERS
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.recipe import merge

if TYPE_CHECKING:
    from napari_diner.tasks.comparison import ComparisonRun
    from napari_diner.tasks.lensless.data import LenslessData
    from napari_diner.tasks.lensless.truth import Truth
    from napari_diner.tasks.run import Reconstruction

Stack = Annotated[
    str | None,
    Parameter(help="Multi-page TIFF, folder, or glob of TIFF or PNG files. Needed unless the recipe names it."),
]
Calibrate = Annotated[
    str | None,
    Parameter(help="What to find from the recording first, with commas between: z, shift, gain, tilt."),
]
WithUncertainty = Annotated[
    bool, FLAG, Parameter(name="--uncertainty", help="Also write uncertainty.tif: the phase's standard deviation.")
]
OPTIONS = with_options(LenslessRecipe, skip=("task", "stack"))


@OPTIONS
def lensless(
    stack: Stack = None,
    /,
    *,
    common: Common,
    recipe: RecipeFile = None,
    set_: Assignments = (),
    truth: TruthFolder = None,
    calibrate: Calibrate = None,
    uncertainty: WithUncertainty = False,
    settings: dict[str, Any],
) -> int:
    """Amplitude and phase from intensities recorded at several distances."""
    settings = merge(settings, parse_calibrate(calibrate))
    if uncertainty:
        settings = merge(settings, {"uncertainty": {"map": True}})
    values = LenslessRecipe.parse(collect(LenslessRecipe, recipe, set_, _with_stack(stack, settings)))
    return reconstruct_into(common, lambda: start(values, truth))


@OPTIONS
def compare_lensless(
    stack: Stack = None,
    /,
    *,
    common: Common,
    recipe: RecipeFile = None,
    set_: Assignments = (),
    truth: TruthFolder = None,
    solvers: Annotated[
        str | None, Parameter(help="Which to compare, with commas between them; all if left out.")
    ] = None,
    seconds: Seconds = 60.0,
    settings: dict[str, Any],
) -> int:
    """All solvers on the same data for the same time; a table and a figure name the winner."""
    values = LenslessRecipe.parse(collect(LenslessRecipe, recipe, set_, _with_stack(stack, settings)))

    def start() -> ComparisonRun[Any]:
        from napari_diner.tasks.lensless.compare import CONTENDERS, compare

        data, known = read(values, truth)
        return compare(values, data, truth=known, solvers=names_in(solvers) or list(CONTENDERS), seconds=seconds)

    return compare_into(common, start)


def parse_calibrate(text: str | None) -> dict[str, Any]:
    """Return the settings of a recipe that ``z,shift,gain,tilt``, or some of these, stands for.

    Raises
    ------
    RecipeError
        If a word is none of these.
    """
    if text is None:
        return {}
    words = [word for word in re.split(r"[,;\s]+", text.strip()) if word]
    unknown = [word for word in words if word not in PARAMETERS]
    if unknown or not words:
        raise RecipeError(
            f"--calibrate {text}: {unknown[0] if unknown else 'nothing'} cannot be calibrated; choose from "
            f"{', '.join(PARAMETERS)}"
        )
    return {"calibration": {name: name in words for name in PARAMETERS}}


def start(recipe: LenslessRecipe, truth: Path | None) -> Reconstruction:
    """Read the data that a recipe names and prepare their reconstruction."""
    from napari_diner.tasks.lensless.reconstruct import reconstruct

    data, known = read(recipe, truth)
    return reconstruct(recipe, data, truth=known)


def read(recipe: LenslessRecipe, truth: Path | None) -> tuple[LenslessData, Truth | None]:
    """Read the data that a recipe names, and the truth if there is one."""
    from napari_diner.tasks.lensless.data import load
    from napari_diner.tasks.lensless.geometry import object_shape
    from napari_diner.tasks.lensless.truth import check_truth, load_truth

    known = None if truth is None else load_truth(truth)
    data = load(recipe)
    # told now rather than after other solvers have run
    if known is not None:
        check_truth(known, object_shape(recipe, data.frames.shape[1:]))
    return data, known


def _with_stack(stack: str | None, settings: dict[str, Any]) -> dict[str, Any]:
    return settings if stack is None else {**settings, "stack": stack}
