"""Real recordings: agreement of stated distances, autofocus and self-calibration.

    python benchmarks/lensless_real.py --data FOLDER [--data FOLDER] -o results

A folder holds frames, RawImg_*.png, and params.json with the optics and one or more lists of distances (names that
start with distances_um). From each list, each frame is focused by itself, and the geometry is calibrated. Amplitudes
with the given and the calibrated distances are reconstructed by alternating projections. The field is padded by
mirror images, because real fields are not periodic.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from napari_diner.tasks.focus.job import FocusJob
from napari_diner.tasks.focus.recipe import FocusRecipe
from napari_diner.tasks.lensless.data import LenslessData, assemble
from napari_diner.tasks.lensless.job import LenslessJob
from output import finished, table, write

Vector = npt.NDArray[np.float64]
PADDING_UM = 60.0
SOLVER = {"solver": "alternating", "alternating": {"iterations": 100}, "equalise_gains": True}


def optics(folder: Path, crop: int) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """Return the recipe settings of a recording, and its lists of distances by name."""
    params = json.loads((folder / "params.json").read_text())
    lists = {
        name.removeprefix("distances_um").strip("_").replace("_", " ") or "stated": values
        for name, values in params.items()
        if name.startswith("distances_um")
    }
    base: dict[str, Any] = {
        "stack": str(folder / "RawImg_*.png"), "wavelength_um": params["wavelength_um"],
        "pixel_size_um": params["pixel_size_um"], "padding": {"mode": "reflect", "width_um": PADDING_UM},
    }  # fmt: skip
    size = np.array(assemble(FocusRecipe.parse(base)).frames.shape[1:])
    if crop < size.min():
        top, left = (size - crop) // 2
        base["preprocess"] = {"crop_px": [int(top), int(left), crop, crop]}
    return base, lists


def focused(recipe: FocusRecipe, data: LenslessData) -> dict[str, Any]:
    """Return the report of autofocus."""
    return dict(finished(FocusJob(recipe, data)).report)


def reconstructed(
    recipe: FocusRecipe, data: LenslessData, words: tuple[str, ...]
) -> tuple[dict[str, Any], npt.NDArray[np.float32]]:
    """Return report and amplitude for the distances of a recipe, after calibrating the named quantities."""
    changes = {**SOLVER, "calibration": dict.fromkeys(words, True)}
    result = finished(LenslessJob(recipe.lensless(recipe.distances_um).updated(changes), data))
    return dict(result.report), result.amplitude


def apart(found: Vector, given: Vector) -> list[float]:
    """Return the mean of the differences, their RMS, and their RMS about the mean."""
    away = found - given
    return [float(away.mean()), float(np.sqrt(np.mean(away**2))), float(away.std())]


def recording(folder: Path, crop: int, words: tuple[str, ...]) -> dict[str, Any]:
    """Return autofocus and calibration of a recording from each of its lists of distances."""
    base, lists = optics(folder, crop)
    data = assemble(FocusRecipe.parse(base))
    found: dict[str, Any] = {"folder": folder.name, "lists": lists, "runs": {}}
    for name, distances in lists.items():
        recipe = FocusRecipe.parse({**base, "distances_um": distances})
        before, amplitude = reconstructed(recipe, data, ())
        after, calibrated = reconstructed(recipe, data, words)
        found["runs"][name] = {
            "focus": focused(recipe, data), "calibration": after["calibration"], "warnings": after["warnings"],
            "measured_db": [before["measurement_psnr_db"], after["measurement_psnr_db"]],
            "seconds": after["stages"][0]["seconds"], "images": [amplitude, calibrated],
        }  # fmt: skip
        print(folder.name, name, after["calibration"]["summary"], flush=True)
    return found


def tables(found: dict[str, Any]) -> str:
    """Format the tables: distances of each frame, and differences between lists."""
    lists, runs = found["lists"], found["runs"]
    columns: dict[str, list[Any]] = {name: list(values) for name, values in lists.items()}
    for name, run in runs.items():
        columns[f"focus ({name})"] = [f"{z:.1f}" for z in run["focus"]["sharpest_um"]]
    for name, run in runs.items():
        own = run["calibration"]
        pairs = zip(own["distances_um"], own["distances_um_se"], strict=True)
        columns[f"calibrated ({name})"] = [f"{z:.2f} ± {error:.2f}" for z, error in pairs]
    rows = [[number + 1, *row] for number, row in enumerate(zip(*columns.values(), strict=True))]
    text = f"{found['folder']}: distances (µm)\n" + table(["frame", *columns], rows)
    rows = []
    for name, run in runs.items():
        calibrated = np.array(run["calibration"]["distances_um"])
        for other, values in lists.items():
            rows.append([f"focus ({name}) − {other}", *apart(np.array(run["focus"]["sharpest_um"]), np.array(values))])
            rows.append([f"calibrated ({name}) − {other}", *apart(calibrated, np.array(values))])
        rows.append([f"calibrated − focus ({name})", *apart(calibrated, np.array(run["focus"]["sharpest_um"]))])
        for other in list(runs)[: list(runs).index(name)]:
            values = np.array(runs[other]["calibration"]["distances_um"])
            rows.append([f"calibrated ({name}) − calibrated ({other})", *apart(calibrated, values)])
    text += "\n\ndifferences (µm)\n" + table(["difference", "mean", "RMS", "RMS about the mean"], rows)
    rows = [
        [
            name, *(f"{value:.2f}" for value in run["measured_db"]),
            f"{run['focus']['offset_um']:+.1f} ± {run['focus']['offset_um_se']:.1f}",
            f"{run['calibration']['common_distance_um']:+.1f} ± {run['calibration']['common_distance_um_se']:.1f}",
            run["calibration"]["rounds"], f"{run['seconds']:.0f}",
        ]
        for name, run in runs.items()
    ]  # fmt: skip
    head = ["from", "given (dB)", "calibrated (dB)", "all focused (µm)", "plane (µm)", "rounds", "seconds"]
    return text + "\n\nmeasurement PSNR, common distance\n" + table(head, rows)


def drawn(all_found: list[dict[str, Any]]) -> Figure:
    """Draw differences of distances, and amplitudes for the first list before and after calibration."""
    figure = Figure(figsize=(22, 5 * len(all_found)), layout="constrained")
    for axes, found in zip(figure.subplots(len(all_found), 5, squeeze=False), all_found, strict=True):
        reference = np.array(next(iter(found["lists"].values())))
        for name, values in found["lists"].items():
            axes[0].plot(
                reference, values - reference, "k--" if name != next(iter(found["lists"])) else "k", label=name
            )
        for place, (name, run) in enumerate(found["runs"].items()):
            own = run["calibration"]
            axes[0].plot(reference, run["focus"]["sharpest_um"] - reference, f"C{place}:", label=f"focus ({name})")
            axes[0].errorbar(
                reference, own["distances_um"] - reference, own["distances_um_se"], color=f"C{place}", marker="o",
                label=f"calibrated ({name})",
            )  # fmt: skip
        axes[0].set(title=found["folder"], xlabel="distance (µm)", ylabel="minus the first list (µm)")
        axes[0].legend(fontsize="small")
        images = next(iter(found["runs"].values()))["images"]
        for place, (image, title) in enumerate(zip(images, ("as given", "calibrated"), strict=True)):
            limits = np.quantile(image, (0.005, 0.995))
            quarter = [slice(3 * size // 8, 3 * size // 8 + size // 4) for size in image.shape]
            for shown, axis, part in ((image, 1 + place, ""), (image[*quarter], 3 + place, ", enlarged")):
                axes[axis].imshow(shown, cmap="gray", vmin=limits[0], vmax=limits[1])
                axes[axis].set(title=title + part, xticks=[], yticks=[])
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder; can be repeated")
    parser.add_argument("--crop", type=int, default=512, help="largest size of a recording, cropped about its centre")
    parser.add_argument("--calibrate", default="z,shift", help="what to calibrate: z, shift, gain, separated by commas")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for lensless_real.txt, .png and .json")
    arguments = parser.parse_args()
    found = [recording(folder, arguments.crop, tuple(arguments.calibrate.split(","))) for folder in arguments.data]
    figure = drawn(found)
    for one in found:
        for run in one["runs"].values():
            del run["images"]
    text = "\n\n".join(tables(one) for one in found)
    write(arguments.output, "lensless_real", text, {"recordings": found}, figure)


if __name__ == "__main__":
    main()
