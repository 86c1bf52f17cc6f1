"""The command that measures labelled regions of a result."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from napari_diner.cli.output import OUTPUT, Quiet, ReplaceFile, check_file, file_written
from napari_diner.cli.terminal import warn
from napari_diner.tasks.measure import REFRACTION_INCREMENT


def measure(
    result: Annotated[Path, Parameter(help="The folder of a result of lensless or idt.")],
    /,
    *,
    labels: Annotated[Path, Parameter(help="TIFF or PNG file with a number for each region and 0 for the background.")],
    output: Annotated[Path | None, OUTPUT, Parameter(help="CSV file for the table.")] = None,
    refraction_increment: Annotated[
        float, Parameter(help="Refractive index per concentration of dry matter, in mL/g.")
    ] = REFRACTION_INCREMENT,
    overwrite: ReplaceFile = False,
    quiet: Quiet = False,
) -> int:
    """Measure labelled regions of a result: area or volume, phase or index, dry mass."""
    if output is not None:
        check_file(output, overwrite, "CSV", (".csv",), [result, labels])
    from napari_diner.io.images import read_image
    from napari_diner.tasks.measure import doubts, to_csv
    from napari_diner.tasks.measure import measure as measured
    from napari_diner.tasks.saving import load

    loaded = load(result)
    text = to_csv(measured(loaded, read_image(labels), refraction_increment))
    warn(doubts(loaded))
    with (
        nullcontext()
        if output is None
        else file_written(output, lambda path: path.write_text(text, encoding="utf-8"), overwrite)
    ):
        if not quiet:
            print(text, end="")
    return 0
