"""Detection and correction of wrong directions of light, and false alarms.

Recordings of simulated weak cells with noise get a wrong list of directions each: turned by 180° or by a right angle,
with exchanged or reversed axes, in reverse order, beginning at another frame, or on a ring that is turned by 15°. It
counts the lists that a run warns of, and those for which the first row of the ranking is the right list. Then the right
lists, on cells of several kinds, and on recorded algae if NAPARI_DINER_DATA names a folder that holds them: warnings of
directions would be false alarms. Wrong lists of the algae, whose nominal directions are said to be
moved, follow. Of samples that are thinner than the medium, the warning of that is expected.

    python benchmarks/which_way_round.py [--lists 50]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile

from napari_diner.simulate.idt.recording import simulate
from napari_diner.simulate.idt.settings import IdtSimulation
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.registry import task
from napari_diner.tasks.task import Frames

Vector = npt.NDArray[np.float64]

FAULTS = {
    "turned by 180°": lambda na, chance: -na,
    "turned by 90°": lambda na, chance: na[:, ::-1] * [1, -1],
    "axes exchanged": lambda na, chance: na[:, ::-1],
    "y reversed": lambda na, chance: na * [-1, 1],
    "x reversed": lambda na, chance: na * [1, -1],
    "order reversed": lambda na, chance: na[::-1],
    "another first frame": lambda na, chance: np.roll(na, int(chance.integers(1, len(na))), 0),
    "ring turned by 15°": lambda na, chance: rotated(na, 15.0),
}
CELLS: dict[str, dict[str, object]] = {
    "multiple scattering": {},
    "single scattering": {"model": "born"},
    "no absorption": {"model": "born", "absorption": 1e-4},
    "absorption": {"absorption": 1.0},
    "strong": {"peak_phase_rad": 2.0},
    "noise": {"noise_sigma": 0.02},
    "inner ring": {"ring_na": 0.4},
    "8 frames": {"frames": 8},
    "24 slices, 128 pixels": {"slices": 24, "height_px": 128, "width_px": 128},
}


def rotated(apertures: Vector, angle_deg: float) -> Vector:
    """Return directions (N, 2) turned from +x towards +y."""
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    return apertures @ np.array([[c, -s], [s, c]])


def recorded(**changes: object) -> tuple[IdtRecipe, npt.NDArray[np.float32], Vector]:
    """Return recipe without directions, frames and directions of simulated cells."""
    s = IdtSimulation(**{"height_px": 64, "width_px": 64, "slices": 16, "peak_phase_rad": 0.2, **changes})  # type: ignore[arg-type]
    sample = simulate(s)
    recipe = IdtRecipe(
        wavelength_um=s.wavelength_um,
        pixel_size_um=s.pixel_size_um,
        na=s.na,
        medium_index=s.medium_index,
        slice_count=s.slices,
        slice_spacing_um=s.slice_spacing_um,
        background="ratio",
    )
    return recipe, sample.frames, sample.illuminations


def warnings_about_light(recipe: IdtRecipe, frames: npt.NDArray[np.floating]) -> list[str]:
    """Return the warnings before a run that are about directions or the side of the index."""
    said = task("idt").start(recipe, Frames(frames)).job.all_warnings
    return [text for text in said if ("directions" in text and "fit" in text) or "index of the sample" in text]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lists", type=int, default=50)
    lists = parser.parse_args().lists
    idt = task("idt")
    check = idt.checks[0]
    chance = np.random.default_rng(0)
    noticed = righted = 0
    for number in range(lists):
        name = list(FAULTS)[number % len(FAULTS)]
        recipe, frames, na = recorded(seed=number, noise_sigma=float(chance.choice([0.005, 0.01, 0.02])))
        wrong = recipe.updated({"illuminations": FAULTS[name](na, chance).tolist()})
        warned = bool(warnings_about_light(wrong, frames))
        ranking = idt.rank(check, wrong, Frames(frames))
        chosen = wrong.updated(ranking.alternatives[0].changes).illumination(len(frames)).apertures
        right = float(np.abs(chosen - na).max()) < 1e-3
        noticed, righted = noticed + warned, righted + right
        if not (warned and right):
            print(f"list {number}, {name}: warned {warned}, put right {right} ({ranking.alternatives[0].name})")
    print(f"wrong lists: {lists}; warned of {noticed / lists:.0%}, put right {righted / lists:.0%}\n")

    alarms = 0
    for name, changes in CELLS.items():
        for seed in range(3):
            recipe, frames, na = recorded(**{"seed": seed, **changes})
            right_list = recipe.updated({"illuminations": na.tolist()})
            alarms += report(f"{name}, {seed}", warnings_about_light(right_list, frames))
            if name == "no absorption":
                said = warnings_about_light(right_list, 2 - frames)
                expected = any("below the medium's" in text for text in said)
                print(f"{name}, {seed}, thinner than the medium: {'said' if expected else 'NOT said'}")
    folder = Path(os.environ.get("NAPARI_DINER_DATA", ".")) / "idt_algae"
    if folder.is_dir():
        alarms += report("recorded algae", warnings_about_light(*algae(folder, "calibrated")))
    print(f"false alarms: {alarms}")
    if folder.is_dir():
        wrong_algae(folder)
    recipe, frames, na = recorded(slices=24, height_px=128, width_px=128)
    print(f"seconds of the check before a run: {seconds(recipe.updated({'illuminations': na.tolist()}), frames):.2f}")


def report(name: str, said: list[str]) -> int:
    """Print false alarms; return how many there are."""
    for text in said:
        print(f"false alarm, {name}: {text}")
    return len(said)


def algae(folder: Path, listed: str) -> tuple[IdtRecipe, npt.NDArray[np.float32]]:
    """Return recipe and frames of the recorded algae, with the nominal or the calibrated directions."""
    facts = json.loads((folder / "params.json").read_text())
    directions = np.array(facts[f"illumination_NA_{listed}"])[:, ::-1]
    bright = np.hypot(*directions.T) <= facts["objective_NA"]
    frames = tifffile.imread(folder / "algae_raw_89x400x400_u16.tif")[bright].astype(np.float32)
    background = tifffile.imread(folder / "algae_background_89x50x50_f32.tif")[bright]
    volume = {"slice_count": 25, "first_slice_um": -26.6} if listed == "calibrated" else {}
    recipe = IdtRecipe.parse(
        {
            "wavelength_um": facts["wavelength_um"],
            "pixel_size_um": facts["pixel_um"],
            "na": facts["objective_NA"],
            "medium_index": facts["n0"],
            "slice_spacing_um": 6.65,
            "background": "ratio",
            "illuminations": directions[bright].tolist(),
            **volume,
        }
    )
    return recipe, frames / np.kron(background, np.ones((1, 8, 8), np.float32))


def wrong_algae(folder: Path) -> None:
    """Print what is said of wrong lists of the recorded algae, and whether the first row puts them right."""
    recipe, frames = algae(folder, "nominal")
    for text in warnings_about_light(recipe, frames):
        print(f"said of the nominal directions of recorded algae: {text}")
    right, chance = recipe.illumination(len(frames)).apertures, np.random.default_rng(0)
    idt = task("idt")
    for name, fault in FAULTS.items():
        wrong = recipe.updated({"illuminations": fault(right, chance).tolist()})
        said = [text for text in warnings_about_light(wrong, frames) if "moved together" not in text]
        (first, *_) = idt.rank(idt.checks[0], wrong, Frames(frames)).alternatives
        found = wrong.updated(first.changes).illumination(len(frames)).apertures
        is_right = float(np.abs(found - right).max()) < 1e-3
        print(f"recorded algae, {name}: warned {bool(said)}, put right {is_right} ({first.name})")


def seconds(recipe: IdtRecipe, frames: npt.NDArray[np.floating]) -> float:
    """Return how long the check before a run takes, of a recording whose directions are right."""
    import torch

    from napari_diner.tasks.idt.optics import computed_models
    from napari_diner.tasks.idt.ways import GivenDirections

    shape = (recipe.slice_count, frames.shape[1], frames.shape[2])
    models, _ = computed_models(recipe, recipe.illumination(len(frames)), shape, torch.device("cpu"))
    began = time.perf_counter()
    GivenDirections(recipe, models, torch.from_numpy(frames - 1)).warnings()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
