"""Strange values for the options of commands that are no tasks, and for the plan of a batch."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tifffile
import yaml

import napari_diner as nd
from napari_diner.tasks.registry import samples
from tests.hostile.doors import BASE
from tests.hostile.files import STACK
from tests.hostile.values import VALUES

SMALL = {"height_px": "16", "width_px": "16", "slices": "3", "frames": "4", "distances_um": "20,30"}
"""Settings with which a sample takes a moment."""
OPTICS = {"wavelength_um": 0.5, "pixel_size_um": 0.5, "distances_um": [4, 6, 8]}
QUICK = {"gauss_newton": {"iterations": 1, "cg_steps": 2, "warm_up": 1}, "padding": {"mode": "none"}}
PLAN = {
    "recipe": {"task": "fit", "epochs": 1, "device": "cpu"},
    "settings": {"seed": 1},
    "items": [{"source": "arrivals", "each": "file", "over": "", "name": "", "settings": {}}],
    "overrides": {"*": {"seed": 2}},
}


def other_commands(folder: Path, count: int, seed: int = 0) -> Iterator[list[str]]:
    """Write what the commands need into a folder, and yield commands with one strange value each."""
    (folder / "arrivals").mkdir(parents=True)
    image, stack, labels = folder / "arrivals" / "image.tif", folder / "stack.tif", folder / "labels.tif"
    tifffile.imwrite(image, STACK[0])
    tifffile.imwrite(stack, STACK, photometric="minisblack")
    tifffile.imwrite(labels, np.eye(16, dtype=np.uint8))
    nd.fit(STACK[0], epochs=1).save(folder / "fit")
    nd.lensless(STACK, **OPTICS, **QUICK).save(folder / "lensless")
    recipe, plan = folder / "recipe.yaml", folder / "plan.yaml"
    recipe.write_text(yaml.safe_dump(PLAN["recipe"]))
    plan.write_text(yaml.safe_dump(PLAN))
    bases = {
        "measure": (["measure", str(folder / "lensless")], {"labels": str(labels)}, ["refraction-increment"]),
        "render": (["render", str(folder / "fit")], {}, ["region", "zoom", "order"]),
        "lensless": (["compare", "lensless", str(stack), *BASE["lensless"]], {}, ["contenders", "seconds", "truth"]),
        "fit": (["compare", "fit", str(image), "--device", "cpu"], {}, ["contenders", "seconds", "truth"]),
        "directions": (["directions", str(stack), *BASE["idt"]], {}, ["pick"]),
        "slices": (["slices", str(stack), *BASE["idt"]], {}, ["pick"]),
        "run": (["run", str(recipe)], {}, ["set", "image"]),
        "watch": (["watch", str(image.parent)], {"recipe": str(recipe), "idle": "0.1"}, ["set"]),
        "batch": (["batch", str(plan)], {"workers": "1"}, ["threads"]),
    }
    ways: list[Callable[[str, int], list[str]]] = []

    def add(start: list[str], options: dict[str, str], name: str) -> None:
        kept = [word for key, value in options.items() if key != name for word in (f"--{key}", value)]
        ways.append(lambda value, _: [*start, *kept, f"--{name}={value}"])

    for start, options, names in bases.values():
        for name in [*options, *names]:
            add(start, options, name)
    for name, (_, sample) in samples().items():
        fields = [key.replace("_", "-") for key in sample.settings.model_fields]
        small = {key.replace("_", "-"): value for key, value in SMALL.items() if key in sample.settings.model_fields}
        for key in fields:
            add(["simulate", name], small, key)
        ways.append(lambda value, _, name=name: ["simulate", name, "--set", value])
    for keys in _paths(PLAN):
        ways.append(lambda value, number, keys=keys: ["batch", _changed(folder, keys, value, number), "--workers", "1"])
    generator = random.Random(seed)
    for number in range(count):
        yield [*ways[number % len(ways)](generator.choice(VALUES), number), "--overwrite", "--quiet"]


def _paths(values: object) -> Iterator[tuple[str | int, ...]]:
    """Yield the keys that lead to each value of a document."""
    pairs = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in pairs:
        yield (key,)
        yield from ((key, *rest) for rest in _paths(value))


def _changed(folder: Path, keys: tuple[str | int, ...], value: str, number: int) -> str:
    """Write the plan with another value, read as YAML where that is possible; return its path."""
    plan = yaml.safe_load(yaml.safe_dump(PLAN))
    place = plan
    for key in keys[:-1]:
        place = place[key]
    try:
        place[keys[-1]] = yaml.safe_load(value)
    except (ValueError, yaml.YAMLError):
        place[keys[-1]] = value
    path = folder / f"plan-{number}.yaml"
    path.write_text(yaml.safe_dump(plan, allow_unicode=True), encoding="utf-8")
    return str(path)
