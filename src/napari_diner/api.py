"""The Python front door: what ``import napari_diner as nd`` offers. Free of torch and Qt until they are needed."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_diner.errors import RecipeError
from napari_diner.io.places import expanded
from napari_diner.registry import unknown
from napari_diner.tasks.python_data import Data, as_frames, without_images
from napari_diner.tasks.recipe import Recipe, absolute_paths, merge
from napari_diner.tasks.registry import AnyTask, samples, task_of
from napari_diner.tasks.registry import task as registered
from napari_diner.tasks.sample import SampleData
from napari_diner.tasks.task import Frames

if TYPE_CHECKING:
    from napari_diner.execution.batch import Batch
    from napari_diner.execution.item_run import Record
    from napari_diner.execution.plan import Plan
    from napari_diner.tasks.comparison import Comparison, ComparisonRun
    from napari_diner.tasks.result import Progress, Result
    from napari_diner.tasks.run import AnyRun


class TaskFunction:
    """A task as a function: call it for a result, or use `start` for a run that is iterated.

    Parameters
    ----------
    name
        Name of a registered task.
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name
        self._describe(registered(name))

    @property
    def task(self) -> AnyTask:
        """The registered task."""
        return registered(self.__name__)

    def __call__(
        self,
        data: Data = None,
        *,
        recipe: Recipe | str | Path | None = None,
        truth: object = None,
        progress: Callable[[Progress], object] | None = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        **settings: Any,
    ) -> Result:
        """Run the task to its end and return the result.

        Parameters
        ----------
        data
            A path or glob, an array, what `read` returned, or an ``xarray.DataArray``; None if the recipe names it.
        recipe
            Settings to begin with, or the path of a recipe file.
        truth
            The known object to score against: a folder, or what the task's ``load_truth`` returns.
        progress
            Called with every `Progress`.
        checkpoint
            File to which the state of the run is saved every ``checkpoint_seconds``, until it is done; None for no
            checkpoints.
        resume
            Whether to continue from that file, if it exists.
        **settings
            Fields of the recipe; sections as mappings, e.g. ``gauss_newton={"cg_steps": 30}``. Fields that name image
            files, e.g. ``mask``, accept arrays, too.

        Returns
        -------
        Result
            It is partial, and its ``problem`` says why, if a later recording of a series could not be used; this is a
            warning as well.

        Raises
        ------
        DinerError
            If settings or data cannot be used; its ``field`` is the setting that it is about.
        """
        with self.start(data, recipe=recipe, truth=truth, checkpoint=checkpoint, resume=resume, **settings) as run:
            for step in run:
                if progress is not None:
                    progress(step)
            result: Result = run.result()
        if result.problem is not None:
            warnings.warn(f"{result.problem}; the result so far is partial", stacklevel=2)
        return result

    def start(
        self,
        data: Data = None,
        *,
        recipe: Recipe | str | Path | None = None,
        truth: object = None,
        preview_interval_s: float | None = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        **settings: Any,
    ) -> AnyRun:
        """Return the run: iterate it for `Progress`, ask it for its ``result()`` at any time.

        Parameters
        ----------
        data, recipe, truth, checkpoint, resume, **settings
            See `__call__`.
        preview_interval_s
            Shortest time between two previews in `Progress`; none if None.

        Examples
        --------
        >>> with nd.lensless.start("stack.tif", wavelength_um=0.5, distances_um=[500, 600]) as run:
        ...     for progress in run:
        ...         print(progress.iteration, progress.losses["loss"])
        ...     result = run.result()
        """
        values, frames = self._prepared(data, recipe, settings)
        kept = None
        if checkpoint is not None:
            from napari_diner.tasks.checkpoint import Checkpoint

            kept = Checkpoint(checkpoint, resume=resume)
        elif resume:
            raise RecipeError("There is no checkpoint to {field} from; give its file as checkpoint", "resume")
        return self.task.start(
            values, frames, truth=self._truth(truth), preview_interval_s=preview_interval_s, checkpoint=kept
        )

    def compare(
        self,
        data: Data = None,
        *,
        contenders: Sequence[str] = (),
        seconds: float = 60.0,
        recipe: Recipe | str | Path | None = None,
        truth: object = None,
        **settings: Any,
    ) -> Comparison:
        """Run several solvers or representations on the same data, each for the same time.

        Parameters
        ----------
        data, recipe, truth, **settings
            See `__call__`.
        contenders
            Names, as in ``task.contenders``; all if empty.
        seconds
            Time for each.
        """
        values, frames = self._prepared(data, recipe, settings)
        comparing: ComparisonRun = self.task.compare(
            values, frames, names=contenders, seconds=seconds, truth=self._truth(truth)
        )
        with comparing:
            for _ in comparing:
                pass
            return comparing.result()

    def recipe(self, recipe: Recipe | str | Path | None = None, **settings: object) -> Recipe:
        """Return the recipe with these settings; see `__call__`."""
        return self._prepared(None, recipe, settings)[0]

    def _prepared(
        self, data: Data, recipe: Recipe | str | Path | None, settings: Mapping[str, object]
    ) -> tuple[Recipe, Frames | None]:
        """Return the recipe, and the arrays that take the place of files."""
        task = self.task
        values, attachments = without_images(settings, task.attachments)
        if isinstance(data, str | Path):
            values[task.source_field] = str(data)
            data = None
        values = absolute_paths(task.recipe_type, values, Path.cwd())
        if recipe is None:
            made = task.recipe_type.parse(values)
        else:
            base = recipe if isinstance(recipe, Recipe) else task.recipe_type.load(recipe)
            if task_of(base).name != task.name:
                raise RecipeError(f"The recipe is for the task {base.task!r}, not {task.name!r}", "task")
            made = task.recipe_type.parse(merge(base.model_dump(exclude_unset=True), values))
        frames = None if data is None else as_frames(data)
        if attachments:
            if frames is None:
                raise RecipeError("Arrays in place of files need the data as an array, too; read them with nd.read")
            frames = replace(frames, attachments={**frames.attachments, **attachments})
        return made, frames

    def _truth(self, truth: object) -> object:
        return self.task.load_truth(Path(truth)) if isinstance(truth, str | Path) else truth

    def _describe(self, task: AnyTask) -> None:
        """Give the object the signature and the help of a function with the recipe's fields as parameters."""
        fields = {name: field for name, field in task.recipe_type.model_fields.items() if name != "task"}
        keyword = inspect.Parameter.KEYWORD_ONLY
        own = list(inspect.signature(type(self).__call__).parameters.values())[1:-1]
        self.__signature__ = inspect.Signature(
            [*own, *(inspect.Parameter(name, keyword, default=field.default) for name, field in fields.items())]
        )
        lines = [f"{name}\n    {field.description}" for name, field in fields.items()]
        self.__doc__ = f"{task.summary}\n\nSee `TaskFunction.__call__`. Settings:\n\n" + "\n".join(lines)

    def __repr__(self) -> str:
        return f"<napari_diner task {self.__name__!r}>"


lensless = TaskFunction("lensless")
idt = TaskFunction("idt")
fit = TaskFunction("fit")
focus = TaskFunction("focus")


def task(name: str) -> TaskFunction:
    """Return a registered task as a function, such as one from another package.

    Raises
    ------
    RecipeError
        If there is no such task.
    """
    return TaskFunction(name)


def compare(name: str, data: Data = None, **settings: Any) -> Comparison:
    """Run the contenders of a task on the same data; see `TaskFunction.compare`."""
    return task(name).compare(data, **settings)


def batch(
    plan: Plan | Mapping[str, object] | str | Path,
    output: str | Path,
    *,
    overwrite: bool = False,
    workers: int | None = 1,
    threads: int | None = None,
    scheduler: str = "",
    progress: Callable[[Sequence[Record]], object] | None = None,
) -> Batch:
    """Run a recipe on many recordings; one that fails does not stop the others.

    Parameters
    ----------
    plan
        A plan, its values, or the path of its file.
    output
        Folder for the results. Items in it that are complete, from the same data with the same recipe, are not run
        again.
    overwrite
        See `napari_diner.execution.batch.Batch`.
    workers
        Processes on this machine, as many as fit its processors and memory if None; with one, items run in this
        process. A script that asks for more must be guarded by ``if __name__ == "__main__":``.
    threads
        Threads of each of them; 1 if None.
    scheduler
        Address of a Dask scheduler whose workers are used instead.
    progress
        Called with the records of the items that have changed.

    Returns
    -------
    Batch
        Its ``records`` give the outcome of each item; `load` reads the result in ``output/name``.

    Raises
    ------
    DinerError
        If the plan, the folder or the scheduler cannot be used.

    Examples
    --------
    >>> work = nd.batch({"recipe": "cells.yaml", "items": ["day1/*.tif", "day2/*.tif"]}, "results")
    >>> [record.name for record in work.records.values() if record.state == "failed"]
    """
    from napari_diner.execution.batch import Batch
    from napari_diner.execution.cluster import executor
    from napari_diner.execution.plan import Plan

    if isinstance(plan, str | Path):
        plan = Plan.load(plan)
    elif not isinstance(plan, Plan):
        plan = Plan(**plan)
    with Batch(plan, output, overwrite=overwrite, executor=executor(workers, threads, scheduler)) as work:
        for changed in work:
            if progress is not None:
                progress(changed)
    return work


def read(source: str | Path, axes: str = "", select: str = "") -> Frames:
    """Read an image, a stack, a volume or a video.

    Parameters
    ----------
    source
        TIFF or OME-TIFF, PNG, NumPy, MATLAB or HDF5 file, an OME-Zarr folder, or a folder or glob of images.
        ``file::name`` selects one of several arrays in a file.
    axes
        Letters of the axes as stored, if the file does not name them, e.g. ``"TZYX"``.
    select
        Where to take the data along some axes, counted from zero, e.g. ``"C=1, T=0"``.

    Returns
    -------
    Frames
        The array with its axes and spacing in micrometres; ``np.asarray`` gives the array.

    Raises
    ------
    InputError
        If the file cannot be read.
    OutOfMemoryError
        If it does not fit the memory.
    """
    from napari_diner.device import check_memory
    from napari_diner.io.signals import probe_signal, read_signal

    # absolute, so that a saved recipe finds its data from every folder
    name = str(expanded(source).absolute())
    info = probe_signal(name, axes, select)
    check_memory(info.nbytes, f"The data in {name}")
    read_as = {key: value for key, value in (("axes", axes), ("select", select)) if value}
    return Frames(read_signal(info), info.axes, info.scale_um if info.has_scale else (), name, read_as=read_as)


def load(folder: str | Path) -> Result:
    """Read a saved result: arrays, recipe and report.

    Raises
    ------
    InputError
        If the folder holds no result.
    """
    from napari_diner.tasks.saving import load as load_result

    return load_result(folder)


def show(result: Result) -> None:
    """Show a result in a napari viewer; return when the viewer is closed.

    Raises
    ------
    DinerError
        If no Qt binding is installed.
    """
    from napari_diner.widgets.layers.result_layers import show as show_layers

    show_layers(result)


def sample(name: str, **settings: object) -> SampleData:
    """Simulate sample data.

    Parameters
    ----------
    name
        Name of the sample: ``"lensless"``, ``"idt"``, ``"image"``, ``"video"``, ``"volume"``.
    **settings
        Fields of its settings.

    Returns
    -------
    SampleData
        Data, a recipe that describes them, and the truth.

    Raises
    ------
    RecipeError
        If there is no such sample, or a setting is unknown or out of bounds.
    """
    by_name = samples()
    if name not in by_name:
        raise unknown("sample", name, by_name)
    _, chosen = by_name[name]
    return chosen.make(chosen.settings(**settings))
