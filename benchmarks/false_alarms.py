"""Warnings before a run for samples with many settings and for sound recordings.

    python benchmarks/false_alarms.py [--data FOLDER] [--after SECONDS]

FOLDER holds recordings in folders of their own with a params.json, as described there; it defaults to the environment
variable NAPARI_DINER_DATA. Each warning that is printed has to be true of its recording. With --after, each lensless
and IDT recording is also reconstructed for that many seconds, and regions and patterns that are named then are printed.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

import napari_diner as nd
from napari_diner.api import as_frames
from napari_diner.errors import DinerError
from napari_diner.tasks.registry import task
from napari_diner.tasks.task import Frames
from truth import inverse, sets

LENSLESS: list[dict[str, Any]] = [
    {},
    {"photons": 100.0},
    {"photons": 20_000.0, "noise_sigma": 0.02, "bits": 8},
    {"phase_range_rad": 12.0},
    {"amplitude_min": 0.1},
    {"amplitude_min": 1.0, "phase_range_rad": 0.1},
    {"distances_um": (1000.0, 1100.0)},
    {"distances_um": tuple(np.linspace(400.0, 900.0, 16))},
    {"drift_px": 3.0},
    {"binning": 2},
    {"wavelength_um": 0.405, "pixel_size_um": 0.8, "medium_index": 1.33},
]
IDT: list[dict[str, Any]] = [
    {},
    {"model": "born"},
    {"frames": 8},
    {"frames": 64},
    {"absorption": 0.003},
    {"noise_sigma": 0.03},
    {"peak_phase_rad": 2.0},
]
# parts of the warnings about a result that are checked
NAMED = (
    "some regions",
    "a pattern that is the same",
    "blurred by",
    "have stripes",
    "than its start",
    "another frame",
    "let expect",
    "the mean of itself",
    "much worse than the others",
)
OTHERS = ("image", "video", "volume")


def samples(size: int) -> Iterator[tuple[str, str, Frames, dict[str, Any]]]:
    """Yield task, name, data and settings of samples."""
    side = {"height_px": size, "width_px": size + 16}
    for name, variants in (("lensless", LENSLESS), ("idt", IDT)):
        fields = nd.api.samples()[name][1].settings.model_fields
        for settings in variants:
            for seed in range(2):
                chosen = {key: value for key, value in {**side, **settings, "seed": seed}.items() if key in fields}
                data = nd.sample(name, **chosen)
                yield (
                    name,
                    f"sample {settings}, seed {seed}",
                    as_frames(data),
                    data.recipe.model_dump(exclude_unset=True),
                )
    for name in OTHERS:
        data = nd.sample(name)
        yield "fit", f"sample {name}", as_frames(data), data.recipe.model_dump(exclude_unset=True)


def recordings(folder: Path) -> Iterator[tuple[str, str, Frames, dict[str, Any]]]:
    """Yield task, name, data and settings of recordings in a folder."""
    for path in sorted(folder.glob("*/params.json")):
        params, place = json.loads(path.read_text()), path.parent
        lists = {name: values for name, values in params.items() if name.startswith("distances_um")}
        for name, distances in lists.items():
            optics = {key: params[key] for key in ("wavelength_um", "pixel_size_um", "medium_index") if key in params}
            frames = nd.read(place / "RawImg_*.png")
            for kind in ("lensless", "focus"):
                yield kind, f"{place.name}, {name}", frames, {**optics, "distances_um": distances}
        if "illumination_NA_nominal" in params:
            raw, background = (next(place.glob(f"*{part}*.tif")) for part in ("raw", "background"))
            yield (
                "idt",
                place.name,
                nd.read(raw),
                {
                    "wavelength_um": params["wavelength_um"],
                    "pixel_size_um": params["pixel_um"],
                    "na": params["objective_NA"],
                    "medium_index": params["n0"],
                    "illuminations": [(y, x) for x, y in params["illumination_NA_nominal"]],
                    "background": str(background),
                    "slice_spacing_um": 6.65,
                    "calibration": {"illuminations": "circles"},
                },
            )
    for path in [*sorted(folder.glob("images/*.png")), *sorted(folder.glob("kodak/*.png"))]:
        yield "fit", f"{path.parent.name}/{path.name}", nd.read(path), {}


def stacks_of_others(folder: Path) -> Iterator[tuple[str, str, Frames, dict[str, Any]]]:
    """Yield task, name, data and settings of intensities at several heights behind objects that others have published.

    Fields by FDTD and Mie theory, and a measured one, in files that `truth` describes.
    """
    for number in (0, 45):
        yield heights(f"FDTD, view {number}", sets.Fdtd(folder).view(number), (8.0, 11.0, 15.0, 21.0))
    yield heights("Mie", sets.mie(folder), (20.0, 28.0, 37.0, 52.0))
    cell = sets.hl60(folder)
    optics = {"wavelength_um": cell.wavelength_um, "pixel_size_um": cell.pixel_size_um}
    yield "lensless", "HL60", Frames(cell.frames), {**optics, "distances_um": cell.distances_um}


def heights(
    name: str, behind: sets.Scattering, distances_um: tuple[float, ...]
) -> tuple[str, str, Frames, dict[str, Any]]:
    """Return the intensities of a field at several heights, as a camera counts them."""
    field, wavelength_um = behind.field, behind.wavelength_um / behind.medium_index
    edge = np.concatenate([field[0], field[-1], field[:, 0], field[:, -1]]).mean()
    planes = [sets.propagated(field / edge, distance, wavelength_um, behind.voxel_um) for distance in distances_um]
    settings = {
        "wavelength_um": behind.wavelength_um, "medium_index": behind.medium_index, "pixel_size_um": behind.voxel_um,
        "distances_um": distances_um,
    }  # fmt: skip
    return "lensless", name, counted(np.abs(np.array(planes)) ** 2), settings


def directions_of_others(folder: Path) -> Iterator[tuple[str, str, Frames, dict[str, Any]]]:
    """Yield task, name, data and settings of intensities under oblique light on published phantoms, weak and strong."""
    cells = tifffile.imread(next(folder.glob("granulocyte/*.tif"))).astype(np.float64) - inverse.MEDIUM
    phantoms = {
        "phantom": sets.phantom(folder / "odt_truth"),
        "granulocytes": (cells[:40] / cells.max(), (0.3, 0.1625)),
    }
    for name, (density, voxel_um) in phantoms.items():
        for phase_rad in (0.3, 1.5):
            frames, truth = inverse.intensities(density, voxel_um, phase_rad)
            settings = {
                "wavelength_um": inverse.WAVELENGTH_UM, "pixel_size_um": voxel_um[1], "na": inverse.NA,
                "medium_index": inverse.MEDIUM, "slice_spacing_um": 2 * voxel_um[0], "slice_count": len(truth),
                "background": "mean", "ring": {"na": inverse.RING_NA},
            }  # fmt: skip
            yield "idt", f"{name}, {phase_rad:g} rad", counted(frames), settings


def counted(intensities: npt.NDArray[np.floating], photons: float = 5000.0) -> Frames:
    """Return frames of whole photons."""
    random = np.random.default_rng(sets.SEED)
    return Frames(random.poisson(photons * np.maximum(intensities, 0)).astype(np.uint16))


def doubts(kind: str, frames: Frames, settings: dict[str, Any]) -> list[str]:
    """Return the warnings before a run, or why it is refused."""
    this = task(kind)
    known = {key: value for key, value in settings.items() if key in this.recipe_type.model_fields and key != "task"}
    try:
        recipe = this.recipe_type.parse(known)
        return list(this.job(recipe, this.assemble(recipe, frames)).all_warnings)
    except DinerError as error:
        return [f"refused: {error}"]


def regions(kind: str, frames: Frames, settings: dict[str, Any], seconds: float) -> list[str]:
    """Return the warnings about regions of frames, and about patterns in all of them, after a short run."""
    this = task(kind)
    known = {key: value for key, value in settings.items() if key in this.recipe_type.model_fields and key != "task"}
    try:
        with this.start(this.recipe_type.parse({**known, "max_seconds": seconds}), frames) as run:
            for _ in run:
                pass
            return [text for text in run.result().report["warnings"] if any(part in text for part in NAMED)]
    except DinerError as error:
        return [f"refused: {error}"]


def main() -> None:
    """Print what fires, and how many were tried."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("NAPARI_DINER_DATA"))
    parser.add_argument("--size", type=int, default=64, help="size of the samples in pixels")
    parser.add_argument("--after", type=float, help="seconds of a reconstruction of each, for warnings after a run")
    options = parser.parse_args()
    sources = [samples(options.size)]
    if options.data is not None:
        folder = Path(options.data)
        sources += [recordings(folder), stacks_of_others(folder / "odt_truth"), directions_of_others(folder)]
    tried = fired = 0
    for source in sources:
        for kind, name, frames, settings in source:
            tried += 1
            texts = doubts(kind, frames, settings)
            if options.after and kind in ("lensless", "idt"):
                texts += regions(kind, frames, settings, options.after)
            fired += len(texts)
            for text in texts:
                print(f"{kind}, {name}: {text}", flush=True)
    print(f"{tried} recordings and samples, {fired} warnings")


if __name__ == "__main__":
    main()
