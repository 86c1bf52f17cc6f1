"""The command that shows everything on a simulated sample."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from napari_diner.cli.common import FLAG, INTERRUPTED, Quiet
from napari_diner.cli.info import qt_binding
from napari_diner.errors import DinerError
from napari_diner.io.folder import check_output, is_result, staged

SOLVERS = ["gauss-newton", "alternating", "diner"]
SECONDS = 15.0
"""Time for each solver; on two cores the three together stay well below two minutes."""


def demo(
    task: Annotated[Literal["lensless"], Parameter(help="What to demonstrate.")] = "lensless",
    /,
    *,
    output: Annotated[
        Path, Parameter(name=("--output", "-o"), help="Folder that receives sample and results; an earlier demo goes.")
    ] = Path("napari-diner-demo"),
    show: Annotated[bool, FLAG, Parameter(help="Open the result in napari.")] = False,
    seed: Annotated[int, Parameter(help="Number that fixes every random choice.")] = 0,
    quiet: Quiet = False,
    overwrite: Annotated[bool, FLAG, Parameter(help="Write into a folder that holds other files, too.")] = False,
) -> int:
    """Simulate a sample, reconstruct it with three solvers, and say which one won."""
    overwrite = overwrite or is_result(output)
    check_output(output, overwrite)
    if show and qt_binding() is None:
        raise DinerError("There is no Qt to show the result with; pip install 'napari-diner[all]', or leave out --show")
    if not quiet:
        print("simulating a sample and reconstructing it with " + ", ".join(SOLVERS), flush=True)
    from napari_diner.cli.lensless import compare, write_comparison
    from napari_diner.cli.simulate import recipe_of, write_sample
    from napari_diner.simulate.lensless import simulate
    from napari_diner.simulate.settings import LenslessSimulation
    from napari_diner.tasks.lensless.data import LenslessData
    from napari_diner.tasks.lensless.truth import Truth

    sample = simulate(LenslessSimulation(seed=seed))
    recipe = recipe_of(sample, output.absolute() / "sample" / "stack.tif").updated({"seed": seed})
    data = LenslessData(sample.frames, pixel_size_um=sample.pixel_size_um, source=recipe.stack)
    truth = Truth(sample.amplitude, sample.phase)
    comparison, complete = compare(recipe, data, truth, SOLVERS, SECONDS, quiet=quiet)
    with staged(output, overwrite) as stage:
        (stage / "sample").mkdir()
        write_sample(sample, stage / "sample")
        write_comparison(comparison, stage, partial=not complete)
    if not quiet:
        print(f"{comparison.table()}\n\npicture: {output / 'comparison.png'}\nfolder:  {output}")
    if not complete:
        return INTERRUPTED
    if show:
        from napari_diner.widgets.layers import show as show_layers

        show_layers(comparison.results[comparison.winner])
    return 0
