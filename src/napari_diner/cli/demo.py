"""The command that demonstrates the package on a simulated sample."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from napari_diner.cli.commands import write_sample
from napari_diner.cli.info import qt_binding
from napari_diner.cli.output import (
    FLAG,
    INTERRUPTED,
    OUTPUT,
    Quiet,
    finish,
    print_comparison,
    results_in,
    write_comparison,
)
from napari_diner.errors import DinerError
from napari_diner.io.folder import check_space, is_demo
from napari_diner.tasks.registry import samples, tasks
from napari_diner.tasks.registry import task as registered
from napari_diner.tasks.task import Frames

NAMES = ", ".join(name for name, task in tasks().items() if task.demo is not None)


def demo(
    task: Annotated[str, Parameter(help=f"What to demonstrate: {NAMES}.")] = "lensless",
    /,
    *,
    output: Annotated[
        Path, OUTPUT, Parameter(help="Folder for sample and results; replaces an earlier demo in it.")
    ] = Path("napari-diner-demo"),
    show: Annotated[bool, FLAG, Parameter(help="Open the result in napari.")] = False,
    seed: Annotated[int, Parameter(help="Number that fixes every random choice.")] = 0,
    quiet: Quiet = False,
    overwrite: Annotated[bool, FLAG, Parameter(help="Also write into a folder that contains other files.")] = False,
) -> int:
    """Simulate a sample, reconstruct or fit it with several methods, and name the best."""
    overwrite = overwrite or is_demo(output)
    chosen = registered(task)
    demonstration = chosen.demo
    if demonstration is None:
        raise DinerError(f"There is no demonstration of {task}; choose from {NAMES}")
    if show and qt_binding() is None:
        raise DinerError("There is no Qt to show the result with; pip install 'napari-diner[all]', or leave out --show")
    with results_in(output, overwrite) as save:
        if not quiet:
            print(f"simulating a sample and comparing {', '.join(demonstration.contenders)}", file=sys.stderr)
        _, sample = samples()[demonstration.sample]
        data = sample.make(sample.settings(**{**demonstration.settings, "seed": seed}))
        place = output.absolute() / "sample" / f"{data.data.name}.tif"
        recipe = data.recipe.updated({chosen.source_field: str(place), "seed": seed})
        comparing = chosen.compare(
            recipe,
            Frames(data.data.data, data.data.axes, data.data.scale_um, str(place), is_certain=True),
            names=demonstration.contenders,
            seconds=demonstration.seconds,
            truth=chosen.truth_of(data),
        )
        check_space(output, comparing.result_bytes)
        comparison, complete = finish(comparing, quiet=quiet)
        pictures: list[str] = []

        def write(folder: Path) -> None:
            (folder / "sample").mkdir()
            write_sample(data, folder / "sample")
            pictures[:] = chosen.write_comparison_extras(comparison, folder)
            write_comparison(comparison, folder, partial=not complete)

        save(write)
        if not quiet:
            print_comparison(comparison)
            for name in ("comparison.png", *pictures):
                print(f"picture: {output / name}")
            print(f"folder:  {output}")
    if not complete:
        return INTERRUPTED
    if show:
        from napari_diner.widgets.layers.result_layers import show as show_layers

        show_layers(comparison.results[comparison.winner])
    return 0
