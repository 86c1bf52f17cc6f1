"""Scales and directions that do not fit the discs in the spectra of fields that continue beyond their edges."""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest
import torch

from napari_diner.simulate.idt.recording import simulate
from napari_diner.simulate.idt.settings import IdtSimulation
from napari_diner.tasks.idt.disc_doubts import Discs
from napari_diner.tasks.idt.optics import computed_models
from napari_diner.tasks.idt.other_optics import Recorded
from napari_diner.tasks.idt.recipe import IdtRecipe
from tests.tasks.idt.small_recordings import started


@functools.cache
def part_of_a_field() -> tuple[IdtRecipe, np.ndarray]:
    settings = IdtSimulation(height_px=150, width_px=144, slices=6, frames=12, noise_sigma=0.001, ring_na=0.55, seed=4)
    recipe = IdtRecipe.parse(
        {
            **{name: getattr(settings, name) for name in ("wavelength_um", "pixel_size_um", "na", "medium_index")},
            "slice_spacing_um": settings.slice_spacing_um,
            "slice_count": settings.slices,
            "ring": {"na": settings.ring_na},
        }
    )
    return recipe, simulate(settings).frames[:, 14:134, 12:132]


def discs(recipe: IdtRecipe, frames: np.ndarray) -> Discs:
    data = torch.from_numpy(frames / frames.mean((1, 2), keepdims=True) - 1).float()
    shape = (recipe.slice_count, *frames.shape[1:])
    models, _ = computed_models(recipe, recipe.illumination(len(frames)), shape, torch.device("cpu"))
    return Discs(models, Recorded(data))


def test_right_optics_are_not_doubted() -> None:
    found = discs(*part_of_a_field())
    assert found.scale(None) is None
    assert found.moved() is None
    assert found.elsewhere() is None
    # the halos of what is beyond the edges are skewed the other way
    assert not [text for text in started(*part_of_a_field()).warnings if "index of the sample" in text]


def test_directions_moved_together_are_not_said_to_differ_each() -> None:
    recipe, frames = part_of_a_field()
    shifted = recipe.illumination(len(frames)).apertures + np.array([0.03, -0.01])
    listed = recipe.updated({"ring": {"na": None}, "illuminations": shifted.tolist()})
    (text,) = [text for text in started(listed, frames).warnings if "directions" in text]
    assert "all directions moved together by about 2°, by the two discs" in text, text
    assert "with calibration.move: together" in text


def test_a_grid_in_place_of_a_ring_is_named_before_a_run() -> None:
    recipe, frames = part_of_a_field()
    grid = [[y, x] for y in (-0.4, 0.0, 0.4) for x in (-0.45, -0.15, 0.15, 0.45)]
    listed = recipe.updated({"ring": {"na": None}, "illuminations": grid})
    (text,) = [text for text in started(listed, frames[:, :72, :72]).warnings if "directions" in text]
    assert text.startswith("the frames fit better with other directions of light than those given, by the two discs")


def test_frames_in_any_order_are_named() -> None:
    recipe, frames = part_of_a_field()
    shuffled = frames[np.random.default_rng(5).permutation(len(frames))]
    assert "other directions of light than those given" in str(discs(recipe, shuffled).elsewhere())


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ({"pixel_size_um": 1.35}, "pixels about 2[3-9] % smaller"),
        ({"na": 1.3}, r"an NA of the objective of about 0\.6[3-7]"),
        ({"ring.na": 0.5}, "the sines of all directions about (2|2.1|1.9) times as large"),
    ],
)
def test_another_scale_is_named(factors: dict[str, float], words: str) -> None:
    recipe, frames = part_of_a_field()
    changed = {
        name: factor * (recipe.ring.na if name == "ring.na" else getattr(recipe, name))
        for name, factor in factors.items()
    }
    changed = {"ring": {"na": changed.pop("ring.na")}} if "ring.na" in changed else changed
    found = discs(recipe.updated(changed), frames)
    text = str(found.scale(None))
    assert re.search(words, text), text
    assert not found.scale_is_right


def test_scattered_directions_are_named_before_a_run() -> None:
    recipe, frames = part_of_a_field()
    right = recipe.illumination(len(frames)).apertures
    moves = np.random.default_rng(2).normal(size=right.shape) * np.radians(2) / np.sqrt(2)
    wrong = right + moves
    wrong *= np.minimum(1, 0.649 / np.hypot(*wrong.T))[:, None]
    listed = recipe.updated({"ring": {"na": None}, "illuminations": wrong.tolist()})
    (text,) = [text for text in started(listed, frames).warnings if "directions" in text]
    assert re.search("directions that differ from the given ones by about [12]° each, by the two discs", text), text
    assert "circles finds them" in text


def test_few_frames_and_several_sources_say_nothing() -> None:
    recipe, frames = part_of_a_field()
    few = recipe.updated({"ring": {"na": 0.6}})
    assert discs(few, frames[:6]).scale(None) is None
    assert discs(few, frames[:6]).elsewhere() is None
    pairs = [[[y, x, 1.0], [-y, -x, 1.0]] for y, x in recipe.illumination(len(frames)).apertures.tolist()]
    multiplexed = recipe.updated({"ring": {"na": None}, "illuminations": pairs})
    assert discs(multiplexed, frames).scale(None) is None
    assert discs(multiplexed, frames).elsewhere() is None
