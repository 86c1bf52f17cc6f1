"""The command that shows everything on a simulated sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from napari_diner.cli.common import FLAG, INTERRUPTED, Quiet
from napari_diner.cli.comparison import finish, write_comparison
from napari_diner.cli.info import qt_binding
from napari_diner.errors import DinerError
from napari_diner.io.folder import check_output, is_result, staged

if TYPE_CHECKING:
    from napari_diner.tasks.comparison import Comparison, ComparisonRun
    from napari_diner.tasks.run import Result

SOLVERS = ["gauss-newton", "alternating", "diner"]
SECONDS = 15.0
"""Time for each solver; on two cores the three together stay well below two minutes."""
REPRESENTATIONS = ["diner-siren", "siren", "pe-mlp", "hash-grid"]
FIT_SECONDS = 8.0
"""Time for each representation; the four together stay well below a minute."""
FIT_SHAPE = (192, 256)
IDT_SOLVERS = ["tikhonov", "voxels", "diner"]
IDT_SECONDS = 25.0
"""Time for each solver of diffraction tomography; the three together stay below a minute."""

Sample = Callable[[Path], None]
"""Writes the sample into a folder that is there."""


def demo(
    task: Annotated[Literal["lensless", "fit", "idt"], Parameter(help="What to demonstrate.")] = "lensless",
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
    """Simulate a sample, reconstruct it or fit an image in several ways, and say which one won."""
    overwrite = overwrite or is_result(output)
    check_output(output, overwrite)
    if show and qt_binding() is None:
        raise DinerError("There is no Qt to show the result with; pip install 'napari-diner[all]', or leave out --show")
    if not quiet:
        print(STARTS[task], flush=True)
    write_sample, comparing = PREPARED[task](output.absolute() / "sample", seed)
    comparison, complete = finish(comparing, quiet=quiet)
    with staged(output, overwrite) as stage:
        (stage / "sample").mkdir()
        write_sample(stage / "sample")
        pictures = _insight(comparison, stage) if task == "fit" else []
        write_comparison(comparison, stage, partial=not complete)
    if not quiet:
        print(f"{comparison.table()}\n\npicture: {output / 'comparison.png'}")
        for name in pictures:
            print(f"picture: {output / name}")
        print(f"folder:  {output}")
    if not complete:
        return INTERRUPTED
    if show:
        from napari_diner.widgets.layers.result_layers import show as show_layers

        show_layers(comparison.results[comparison.winner])
    return 0


def _lensless(folder: Path, seed: int) -> tuple[Sample, ComparisonRun[Any]]:
    """Simulate a recording that will lie in `folder`, and prepare its reconstructions."""
    from napari_diner.cli.simulate import recipe_of, write_sample
    from napari_diner.simulate.lensless.recording import simulate
    from napari_diner.simulate.lensless.settings import LenslessSimulation
    from napari_diner.tasks.lensless.compare import compare
    from napari_diner.tasks.lensless.data import LenslessData
    from napari_diner.tasks.lensless.truth import Truth

    sample = simulate(LenslessSimulation(seed=seed))
    recipe = recipe_of(sample, folder / "stack.tif").updated({"seed": seed})
    data = LenslessData(sample.frames, pixel_size_um=sample.pixel_size_um, source=recipe.stack)
    truth = Truth(sample.amplitude, sample.phase)
    comparing = compare(recipe, data, truth=truth, solvers=SOLVERS, seconds=SECONDS)
    return lambda stage: write_sample(sample, stage), comparing


def _fit(folder: Path, seed: int) -> tuple[Sample, ComparisonRun[Any]]:
    """Draw an image that will lie in `folder`, and prepare its fits."""
    from napari_diner.cli.simulate import write_signal
    from napari_diner.io.arrays import NamedArray
    from napari_diner.simulate.fit.images import simulate_image
    from napari_diner.simulate.fit.settings import ImageSimulation
    from napari_diner.tasks.fit.compare import compare
    from napari_diner.tasks.fit.data import FitData
    from napari_diner.tasks.fit.recipe import FitRecipe

    image = simulate_image(ImageSimulation(height_px=FIT_SHAPE[0], width_px=FIT_SHAPE[1], seed=seed))
    signal = NamedArray("image", image, "YXS", (1.0, 1.0, 1.0))
    recipe = FitRecipe(task="fit", image=str(folder / "image.tif"), seed=seed)
    # the file is not compressed: next to its pixels its header counts for nothing
    data = FitData(image, signal.axes, signal.scale_um, recipe.image, image.nbytes)
    comparing = compare(recipe, data, representations=REPRESENTATIONS, seconds=FIT_SECONDS)
    return lambda stage: write_signal(signal, stage), comparing


def _idt(folder: Path, seed: int) -> tuple[Sample, ComparisonRun[Any]]:
    """Simulate cells under oblique light, recorded into `folder`, and prepare reconstructions of their index."""
    from napari_diner.cli.simulate import idt_recipe_of, write_idt_sample
    from napari_diner.simulate.idt.recording import simulate
    from napari_diner.simulate.idt.settings import IdtSimulation
    from napari_diner.tasks.idt.compare import compare
    from napari_diner.tasks.idt.data import IdtData
    from napari_diner.tasks.idt.truth import Truth

    sample = simulate(IdtSimulation(seed=seed))
    recipe = idt_recipe_of(sample.settings, folder / "stack.tif").updated({"seed": seed})
    data = IdtData(sample.frames, source=recipe.stack)
    truth = Truth(sample.phantom.n_re, sample.phantom.n_im)
    comparing = compare(recipe, data, truth=truth, solvers=IDT_SOLVERS, seconds=IDT_SECONDS)
    return lambda stage: write_idt_sample(sample, stage), comparing


STARTS: Mapping[str, str] = {
    "lensless": "simulating a sample and reconstructing it with " + ", ".join(SOLVERS),
    "fit": "drawing an image and fitting to it " + ", ".join(REPRESENTATIONS),
    "idt": "simulating cells and finding their refractive index with " + ", ".join(IDT_SOLVERS),
}
PREPARED: Mapping[str, Callable[[Path, int], tuple[Sample, ComparisonRun[Any]]]] = {
    "lensless": _lensless,
    "fit": _fit,
    "idt": _idt,
}


def _insight(comparison: Comparison, folder: Path) -> list[str]:
    """Draw what the first DINER of a comparison learned; return the names of the pictures."""
    diners = [result for name, result in comparison.results.items() if name.startswith("diner")]
    if not diners:
        return []
    _draw_learned(diners[0], folder / "learned-inr.png")
    _draw_mapped(diners[0], folder / "mapped-coordinates.png")
    return ["learned-inr.png", "mapped-coordinates.png"]


def _draw_learned(result: Result, path: Path) -> None:
    """Draw the function that the network behind the table is: smooth, whatever the image (Fig. 2f of the paper)."""
    from napari_diner.tasks.fit.insight import learned_inr
    from napari_diner.tasks.fit.model import unpack

    learned = learned_inr(unpack(result))
    _picture(path, "learned INR", lambda axes: axes.imshow(learned.data, cmap="gray", origin="lower"))


def _draw_mapped(result: Result, path: Path) -> None:
    """Draw where each pixel's key went in the plane of that function, in the pixel's colour (Fig. 2d of the paper)."""
    from napari_diner.tasks.fit.insight import mapped_coordinates
    from napari_diner.tasks.fit.model import unpack

    keys, colours = mapped_coordinates(unpack(result))
    # the first number of a key counts along Y, as in the picture of the learned INR
    _picture(path, "mapped coordinates", lambda axes: axes.scatter(keys[:, 1], keys[:, 0], 2, colours, linewidths=0))


def _picture(path: Path, title: str, draw: Callable[[Any], Any]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot()
    draw(axes)
    axes.set(title=title, xlabel="second number of the key", ylabel="first number of the key")
    if title == "learned INR":
        axes.set(xticks=[], yticks=[])
    figure.savefig(path, dpi=110)
