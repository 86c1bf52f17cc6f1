"""The unexplained share for correct and wrong input, with the PSNR, and the warnings.

    python benchmarks/unexplained.py
    python benchmarks/unexplained.py --data FOLDER [--data FOLDER]     # and recorded lensless stacks
    python benchmarks/unexplained.py --idt FOLDER                      # and a recorded IDT stack

A folder of a lensless recording holds frames, RawImg_*.png, and params.json with the optics and a list of distances
(see lensless_real.py); one of an IDT recording holds *_raw_*.tif, *_background_*.tif and params.json with the
apertures of the illuminations. Wrong inputs are those of common mistakes: a wavelength, distances or a pixel size that
are off, frames in another order, exposures that differ, directions in another order or turned, contrasts taken for
intensities.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from lensless_real import optics
from napari_diner.errors import DinerError
from napari_diner.tasks.focus.recipe import FocusRecipe
from napari_diner.tasks.lensless.data import assemble
from napari_diner.tasks.registry import task
from napari_diner.tasks.task import Frames
from output import table

Array = npt.NDArray[Any]
Case = tuple[str, Array, dict[str, Any]]
CROP = 192


def figures(name: str, label: str, frames: Array, values: dict[str, Any], attached: dict[str, Array]) -> list[Any]:
    """Return a row of the table."""
    try:
        recipe = task(name).recipe_type.parse({"task": name, **values})
        with task(name).start(recipe, Frames(frames, attachments=attached)) as run:
            for _ in run:
                pass
            report = run.result().report
    except DinerError as error:
        return [label, "refused", "", "", str(error)[:40]]
    doubts = [text for text in report["warnings"] if "left unexplained" in text or "no better than" in text]
    return [
        label, report["unexplained"], report["unexplained_beyond_noise"], report["measurement_psnr_db"],
        "warned" if doubts and report["warnings"][0] == doubts[0] else "",
    ]  # fmt: skip


def lensless_cases(frames: Array, values: dict[str, Any]) -> Iterator[Case]:
    """Yield names of right and wrong inputs, with frames and settings."""
    distances, swapped = np.array(values["distances_um"]), np.arange(len(frames))
    swapped[:2] = 1, 0
    exposures = np.resize([1, 0.8, 0.6, 0.9], len(frames)).reshape(-1, 1, 1)
    yield "right", frames, values
    yield "wavelength × 1.1", frames, {**values, "wavelength_um": 1.1 * values["wavelength_um"]}
    yield "distances × 1.1", frames, {**values, "distances_um": (1.1 * distances).tolist()}
    yield "distances × 1.3", frames, {**values, "distances_um": (1.3 * distances).tolist()}
    yield "pixel size × 1.1", frames, {**values, "pixel_size_um": 1.1 * values["pixel_size_um"]}
    yield "two frames exchanged", frames[swapped], values
    yield "frames in reverse", frames[::-1], values
    yield "exposures differ", (exposures * frames).astype(frames.dtype), {**values, "equalise_gains": False}


def idt_cases(frames: Array, values: dict[str, Any], na: Array) -> Iterator[Case]:
    """Yield names of right and wrong inputs, with frames and settings."""
    order = np.random.default_rng(0).permutation(len(na))
    yield "right", frames, values
    yield "wavelength × 1.1", frames, {**values, "wavelength_um": 1.1 * values["wavelength_um"]}
    wrong = {
        "apertures × 0.9": 0.9 * na, "directions shuffled": na[order], "directions one off": np.roll(na, 1, 0),
        "directions mirrored": na * [1, -1], "directions turned by 180°": -na,
    }  # fmt: skip
    for label, directions in wrong.items():
        yield label, frames, {**values, "illuminations": directions.tolist()}
    if values["background"] == "ratio":
        yield "contrasts as intensities", frames - frames.min() + 0.01, {**values, "background": "mean"}


def rows_of(name: str, title: str, cases: Iterator[Case], attached: dict[str, Array]) -> list[list[Any]]:
    """Return the rows of all cases."""
    return [figures(name, f"{title}: {label}", frames, values, attached) for label, frames, values in cases]


def simulated(name: str, title: str, **settings: Any) -> list[list[Any]]:
    """Return the rows of a simulated recording."""
    (offered,) = task(name).samples
    sample = offered.make(offered.settings(height_px=96, width_px=96, **settings))
    values = sample.recipe.model_dump(exclude_unset=True) | {"stack": None, "max_seconds": 20.0}
    if name == "lensless":
        return rows_of(name, title, lensless_cases(sample.data.data, values), {})
    na = np.loadtxt(sample.files["illuminations.csv"].splitlines()[1:], delimiter=",")
    values |= {"solver": "tikhonov", "ring": {"na": None}, "illuminations": na.tolist()}
    return rows_of(name, title, idt_cases(sample.data.data, values, na), {})


def recorded_lensless(folder: Path) -> list[list[Any]]:
    """Return the rows of a lensless recording."""
    base, lists = optics(folder, CROP)
    values = base | {
        "distances_um": next(iter(lists.values())), "stack": None, "equalise_gains": True, "max_seconds": 20.0,
    }  # fmt: skip
    return rows_of("lensless", folder.name, lensless_cases(assemble(FocusRecipe.parse(base)).frames, values), {})


def recorded_idt(folder: Path) -> list[list[Any]]:
    """Return the rows of an IDT recording: a third of the frames within the aperture, of its middle."""
    params = json.loads((folder / "params.json").read_text())
    na = np.array(params["illumination_NA_calibrated"])[:, ::-1]
    used = np.flatnonzero(np.hypot(*na.T) < 0.9 * params["objective_NA"])[::3]
    frames = tifffile.imread(next(folder.glob("*_raw_*.tif")))[used]
    background = tifffile.imread(next(folder.glob("*_background_*.tif")))[used]
    coarse = frames.shape[1] // background.shape[1]
    size = CROP // 2 // coarse
    first = (background.shape[1] - size) // 2
    inner, fine = slice(first, first + size), slice(coarse * first, coarse * (first + size))
    values = {
        "wavelength_um": params["wavelength_um"], "pixel_size_um": params["pixel_um"], "na": params["objective_NA"],
        "medium_index": params["n0"], "slice_spacing_um": 6.65, "slice_count": 20, "background": "background.tif",
        "solver": "tikhonov", "illuminations": na[used].tolist(),
    }  # fmt: skip
    cases = idt_cases(frames[:, fine, fine], values, na[used])
    return rows_of("idt", folder.name, cases, {"background": background[:, inner, inner]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", default=[], help="folder of a lensless recording")
    parser.add_argument("--idt", type=Path, help="folder of an IDT recording")
    arguments = parser.parse_args()
    rows = simulated("lensless", "lensless") + simulated("lensless", "lensless, noise", noise_sigma=0.02)
    rows += simulated("idt", "IDT", slices=16) + simulated("idt", "IDT, noise", slices=16, noise_sigma=0.02)
    for folder in arguments.data:
        rows += recorded_lensless(folder)
    if arguments.idt is not None:
        rows += recorded_idt(arguments.idt)
    print(table(("input", "unexplained", "beyond noise", "PSNR (dB)", ""), rows))


if __name__ == "__main__":
    main()
