"""Detection of wrong distances, scales and responses of lensless frames, and false alarms.

Random specimens, optics and numbers of frames, with read noise of 0 to 2 %, get wrong settings each. It counts those
that a run warns of before it begins, and of those in a wrong order the ones for which it names the right one; warnings
of right settings would be false alarms.

    python benchmarks/distances.py [--samples 40] [--verbose]
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

import napari_diner as nd
from napari_diner.tasks.frame_list import listed
from output import table

Vector = npt.NDArray[np.float64]
RIGHT = "right"
ORDERS = ("two frames exchanged", "neighbours exchanged", "one off", "in reverse")


def settings(chance: np.random.Generator) -> dict[str, Any]:
    """Return the settings of a random recording."""
    count = int(chance.integers(4, 11))
    uneven = chance.uniform(-0.25, 0.25, count) * chance.integers(0, 2)
    distances = chance.uniform(200, 900) + chance.uniform(20, 90) * (np.arange(count) + uneven)
    return {
        "height_px": int(chance.integers(96, 200)), "width_px": int(chance.integers(96, 200)),
        "distances_um": tuple(distances.tolist()), "wavelength_um": float(chance.uniform(0.45, 0.65)),
        "pixel_size_um": float(chance.choice([1.12, 1.67, 1.85])), "seed": int(chance.integers(1000)),
        "phase_range_rad": float(chance.choice([0.2, 0.8, 1.7, 3, 6])),
        "amplitude_min": float(chance.choice([0.1, 0.3, 0.6, 1])),
        "noise_sigma": float(chance.choice([0, 0, 0.005, 0.01, 0.02])),
    }  # fmt: skip


def faults(
    frames: npt.NDArray[Any], optics: dict[str, Any], chance: np.random.Generator
) -> Iterator[tuple[str, npt.NDArray[Any], dict[str, Any]]]:
    """Yield names, frames and settings, the right ones first."""
    for name, settings_of_it in wrong_settings(optics, chance):
        yield name, frames, settings_of_it
    light = frames / frames.max()
    for name, values in (
        ("gamma of 2.2", light ** (1 / 2.2)),
        ("amplitudes", np.sqrt(light)),
        ("negative", 1 - light),
        ("logarithm", np.log1p(99 * light)),
        ("camera offset of the mean", light + light.mean()),
    ):
        yield name, values, optics


def wrong_settings(optics: dict[str, Any], chance: np.random.Generator) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield names and settings, the right ones first."""
    z: Vector = np.array(optics["distances_um"])
    yield RIGHT, optics
    pair = chance.choice(len(z), 2, replace=False)
    near = int(chance.integers(len(z) - 1))
    for name, order in zip(
        ORDERS, (exchanged(z, *pair), exchanged(z, near, near + 1), np.roll(z, 1), z[::-1]), strict=True
    ):
        yield name, {**optics, "distances_um": tuple(order.tolist())}
    for factor in (0.1, 0.5, 0.9, 1.1, 2, 10):
        yield f"distances × {factor}", {**optics, "distances_um": tuple((factor * z).tolist())}
    yield "wavelength × 1.1", {**optics, "wavelength_um": 1.1 * optics["wavelength_um"]}
    for factor in (0.5, 0.95, 1.05, 2):
        yield f"pixel size × {factor}", {**optics, "pixel_size_um": factor * optics["pixel_size_um"]}


def exchanged(values: Vector, one: int, other: int) -> Vector:
    """Return values with two of them exchanged."""
    result = values.copy()
    result[[one, other]] = values[[other, one]]
    return result


def main() -> None:
    """Print what is noticed of each fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--verbose", action="store_true", help="print every warning")
    options = parser.parse_args()
    chance = np.random.default_rng(0)
    warned, righted, seconds = Counter[str](), Counter[str](), Counter[str]()
    for number in range(options.samples):
        chosen = settings(chance)
        sample = nd.sample("lensless", **chosen)
        optics = {name: chosen[name] for name in ("distances_um", "wavelength_um", "pixel_size_um")}
        for name, frames, values in faults(np.asarray(sample.data.data), optics, chance):
            began = time.perf_counter()
            try:
                texts = nd.lensless.start(frames, **values).warnings
            except nd.DinerError as error:
                texts = (f"refused, which fit better: {error}",)
            seconds[name] += time.perf_counter() - began
            doubts = [text for text in texts if "fit better" in text or "in reverse order" in text]
            warned[name] += bool(doubts)
            righted[name] += any(names(text, chosen["distances_um"], values["distances_um"]) for text in doubts)
            if options.verbose and doubts:
                print(f"{number}, {name}: {doubts[0]}", flush=True)
    rows = [
        [
            name,
            f"{warned[name]} of {options.samples}",
            righted[name] if name in ORDERS else "",
            seconds[name] / options.samples,
        ]
        for name in seconds
    ]
    print(table(("settings", "warnings", "correct order named", "seconds of all checks"), rows))


def names(text: str, right: tuple[float, ...], given: tuple[float, ...]) -> bool:
    """Tell whether a warning names the right order."""
    moved = [number for number, (a, b) in enumerate(zip(right, given, strict=True), 1) if a != b]
    pair = len(moved) == 2 and f"frames {moved[0]} and {moved[1]} fit better with their distances exchanged" in text
    return pair or listed(right) in text


if __name__ == "__main__":
    main()
