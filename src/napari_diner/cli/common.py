"""Options that the commands share, and the way that all reconstructions go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from napari_diner.cli.terminal import Interruption, follow, summary
from napari_diner.io.folder import check_output, staged
from napari_diner.tasks.run import Reconstruction, Result

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 + SIGINT."""


FLAG = Parameter(negative=(), show_default=False)
Quiet = Annotated[bool, FLAG, Parameter(name=("--quiet", "-q"), help="Show nothing but errors.")]


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """Where results go and what is shown."""

    output: Annotated[Path, Parameter(name=("--output", "-o"), help="Folder that receives the results.")]
    quiet: Quiet = False
    overwrite: Annotated[
        bool, FLAG, Parameter(help="Replace results in a folder that exists; other files in it are kept.")
    ] = False


RecipeFile = Annotated[
    Path | None, Parameter(name="--recipe", help="YAML file with settings; --set and the options below go over it.")
]
Assignments = Annotated[
    tuple[str, ...],
    FLAG,
    Parameter(name="--set", help="A setting by its key in the recipe: a.b=value. Can be repeated."),
]
TruthFolder = Annotated[
    Path | None,
    Parameter(name="--truth", help="Folder with the truth, such as a simulated sample's, to be scored against."),
]


Extras = Callable[[Result, Path], Sequence[str]]
"""Writes more files about a result into a folder that is there; returns their names."""


def reconstruct_into(folder: Common, start: Callable[[], Reconstruction], extras: Extras | None = None) -> int:
    """Run a reconstruction, save its result, print a table; return the exit code.

    Parameters
    ----------
    folder
        Where the result goes.
    start
        Reads the data and gives the reconstruction; asked only once the folder is known to be good.
    extras
        Writes what the folder is to hold besides, such as pictures; None for nothing.

    Raises
    ------
    DinerError
        If the data, the recipe or the folder cannot be used.
    KeyboardInterrupt
        If the run was interrupted before there was a result, or twice.
    """
    check_output(folder.output, folder.overwrite)
    from napari_diner.tasks.saving import write_result

    with start() as run, Interruption() as stop:
        if not follow(run, stop, quiet=folder.quiet):
            raise KeyboardInterrupt
        result = run.result()
        with staged(folder.output, folder.overwrite) as stage:
            write_result(result, stage, extras(result, stage) if extras is not None else ())
    if not folder.quiet:
        print(summary({**result.report, "partial": result.partial}, folder.output))
    return INTERRUPTED if result.partial else 0
