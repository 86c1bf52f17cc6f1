"""Commands generated from the registry of tasks: one for each task, comparison and sample."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from napari_diner.cli.options import Options, collect
from napari_diner.cli.output import (
    FLAG,
    OUTPUT,
    Common,
    ReplaceFile,
    Running,
    check_file,
    check_only,
    compare_into,
    file_written,
    results_in,
    run_into,
)
from napari_diner.cli.terminal import print_table
from napari_diner.errors import RecipeError, quoted
from napari_diner.io.contents import write_contents
from napari_diner.io.folder import RECIPE, checkpoint_path, with_manifest
from napari_diner.settings import Settings, Values
from napari_diner.tasks.check import Check
from napari_diner.tasks.recipe import Recipe, input_files, merge, read_yaml
from napari_diner.tasks.registry import task as registered
from napari_diner.tasks.sample import Sample, SampleData
from napari_diner.tasks.sharing import shared
from napari_diner.tasks.task import AnyTask, Task

if TYPE_CHECKING:
    from napari_diner.tasks.run import AnyRun

Work = Callable[[], int]
"""The body of a command, called with parsed arguments; returns the exit code."""
Command = Callable[..., Work]

RecipeFile = Annotated[
    Path | None, Parameter(name="--recipe", help="YAML file with settings; --set and the options below override it.")
]
Assignments = Annotated[
    tuple[str, ...],
    FLAG,
    Parameter(name="--set", help="A setting by its key in the recipe: a.b=value. Can be repeated."),
]
TruthFolder = Annotated[
    Path | None, Parameter(name="--truth", help="Folder with the ground truth, to score results against.")
]


def task_command(task: AnyTask) -> Command:
    """Return the command that runs a task."""
    options = _options_of(task)

    def command(
        source: str | None = None,
        /,
        *,
        common: Running = Running(),  # noqa: B008 (frozen)
        recipe: RecipeFile = None,
        set_: Assignments = (),
        truth: TruthFolder = None,
        **settings: object,
    ) -> Work:
        return _run(common, task, _recipe(task, source, recipe, set_, options.values(settings)), truth)

    command.__doc__ = task.summary
    return options.added_to(_described(task, command))


def compare_command(task: AnyTask) -> Command:
    """Return the command that compares the contenders of a task."""
    options = _options_of(task)

    def command(
        source: str | None = None,
        /,
        *,
        common: Common,
        recipe: RecipeFile = None,
        set_: Assignments = (),
        truth: TruthFolder = None,
        contenders: str | None = None,
        seconds: Annotated[float, Parameter(help="Time for each contender.")] = 60.0,
        **settings: object,
    ) -> Work:
        values = _recipe(task, source, recipe, set_, options.values(settings))
        names = [] if contenders is None else [name.strip() for name in contenders.split(",")]
        return functools.partial(
            compare_into,
            common,
            lambda: task.compare(values, names=names, seconds=seconds, truth=_truth(task, truth)),
            _inputs(values, truth),
        )

    command.__annotations__["contenders"] = Annotated[
        str | None,
        Parameter(
            name=("--contenders", "--solvers", "--representations"),
            help=f"Which to compare, separated by commas: {', '.join(task.contenders)}; default: all.",
        ),
    ]
    command.__doc__ = f"Compare contenders for `{task.name}` on the same data, each for the same time."
    return options.added_to(_described(task, command))


def check_command(task: AnyTask, check: Check) -> Command:
    """Return the command that ranks alternatives and can write the recipe of one."""
    options = _options_of(task)

    def command(
        source: str | None = None,
        /,
        *,
        recipe: RecipeFile = None,
        set_: Assignments = (),
        pick: Annotated[int, Parameter(help="Number of the alternative in the table to write a recipe for.")] = 1,
        output: Annotated[Path | None, OUTPUT, Parameter(help="Recipe (YAML) to write.")] = None,
        overwrite: ReplaceFile = False,
        **settings: object,
    ) -> Work:
        values = _recipe(task, source, recipe, set_, options.values(settings))
        if output is not None:
            check_file(output, overwrite, "YAML", (".yaml", ".yml"), _inputs(values, recipe))
        return functools.partial(check_into, task, check, values, pick, output, overwrite)

    command.__doc__ = check.summary
    return options.added_to(_described(task, command))


def check_into(task: AnyTask, check: Check, recipe: Recipe, pick: int, output: Path | None, overwrite: bool) -> int:
    """Print the ranking of a check, and write the recipe of the picked alternative if a file is named.

    Raises
    ------
    RecipeError
        If there is no alternative of this number.
    OutputError
        If the recipe cannot be written.
    """
    ranking = task.rank(check, recipe)

    def show() -> None:
        numbered = enumerate(ranking.alternatives, 1)
        print_table(["", "way", *ranking.columns], [[str(number), way.name, *way.figures] for number, way in numbered])
        print(f"\n{ranking.note}")

    if not 1 <= pick <= len(ranking.alternatives):
        show()
        raise RecipeError(
            f"{{field}} = {pick} is not in the table, which has the numbers 1 to {len(ranking.alternatives)}", "pick"
        )
    if output is None:
        show()
        return 0
    text = shared(recipe.updated(ranking.alternatives[pick - 1].changes), output.parent).to_yaml(complete=False)
    # before the table, which cannot be printed where standard output is full or closed
    with file_written(output, lambda path: path.write_text(text, encoding="utf-8"), overwrite):
        show()
        print(f"the recipe of alternative {pick} is in {output}")
    return 0


def simulate_command(sample: Sample) -> Command:
    """Return the command that simulates and saves a sample."""
    options = Options(sample.settings)

    def command(*, common: Common, recipe: RecipeFile = None, set_: Assignments = (), **settings: object) -> Work:
        values = collect(sample.settings, recipe, set_, options.values(settings))
        return functools.partial(simulate_into, common, sample, sample.settings(**values))

    command.__doc__ = sample.summary
    return options.added_to(command)


def simulate_into(folder: Common, sample: Sample, settings: Settings) -> int:
    """Simulate a sample and save it; return the exit code."""
    with results_in(folder.output, folder.overwrite) as save:
        data = sample.make(settings)
        save(lambda place: write_sample(data, place))
        if not folder.quiet:
            array = data.data
            sizes = " × ".join(map(str, array.data.shape))
            truth = f" --truth {folder.output}" if data.truth else ""
            print(f"{sizes} ({array.axes}, {array.data.dtype}) in {folder.output}; reconstruct it with\n")
            print(f"napari-diner run {folder.output / RECIPE} -o RESULT{truth}")
    return 0


def write_sample(sample: SampleData, folder: Path) -> None:
    """Write a sample into a staged folder: data, truth, and a recipe that names the data."""
    arrays = [sample.data, *sample.truth]
    recipe = with_manifest(sample.recipe.to_yaml(complete=False), [*(f"{a.name}.tif" for a in arrays), *sample.files])
    write_contents(folder, arrays, {RECIPE: recipe, **sample.files})


def run_command() -> Command:
    """Return the command that runs a recipe of any task."""
    options = Options(Recipe, skip=("task",))

    def run(
        recipe: Annotated[Path, Parameter(help="Recipe, such as the recipe.yaml in a folder of results.")],
        /,
        *,
        common: Running = Running(),  # noqa: B008 (frozen)
        set_: Assignments = (),
        truth: TruthFolder = None,
        **settings: object,
    ) -> Work:
        """Run a recipe, including its inputs."""
        name = read_yaml(recipe).get("task")
        if not isinstance(name, str):
            raise RecipeError(f"The recipe {recipe} names no task; add a line such as 'task: lensless'", "task")
        try:
            task = registered(name)
        except RecipeError as error:
            raise RecipeError(f"The recipe {recipe} is for the task {quoted(name)}. {error}", "task") from None
        return _run(common, task, _recipe(task, None, recipe, set_, options.values(settings)), truth)

    return options.added_to(run)


def _run(common: Running, task: AnyTask, recipe: Recipe, truth: Path | None) -> Work:
    if common.check:
        return functools.partial(check_only, task, recipe, quiet=common.quiet)
    folder = common.folder

    def start() -> AnyRun:
        from napari_diner.tasks.checkpoint import Checkpoint

        checkpoint = Checkpoint(checkpoint_path(folder.output), resume=folder.resume)
        return task.start(recipe, truth=_truth(task, truth), checkpoint=checkpoint)

    return functools.partial(run_into, folder, task, start, _inputs(recipe, truth))


def _options_of(task: AnyTask) -> Options:
    """Return the options of a task's recipe and its shortcuts."""
    return Options(task.recipe_type, skip=("task", task.source_field), shortcuts=task.shortcuts)


def _described(task: AnyTask, command: Command) -> Command:
    """Return a command with the help for its source and its truth."""
    source = Annotated[str | None, Parameter(help=f"{task.source_help} Needed unless the recipe names it.")]
    command.__annotations__["source"] = source
    if type(task).load_truth is Task.load_truth:  # its message is clearer than the one for an unknown option
        command.__annotations__["truth"] = Annotated[TruthFolder, Parameter(show=False)]
    return command


def _recipe(
    task: AnyTask, source: str | None, file: Path | None, assignments: tuple[str, ...], settings: Values
) -> Recipe:
    # data named besides a recipe replace those of the recipe
    overrides = settings if source is None else merge(settings, {task.source_field: source, "input_sha256": ""})
    values: Recipe = task.recipe_type.parse(collect(task.recipe_type, file, assignments, overrides))
    return values


def _inputs(recipe: Recipe, other: Path | None) -> list[Path]:
    return input_files(recipe) + ([] if other is None else [other])


def _truth(task: AnyTask, folder: Path | None) -> object:
    return None if folder is None else task.load_truth(folder)
