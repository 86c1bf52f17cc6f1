"""Margins that registration and round fields leave are recognised, and dark light is not mistaken for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

import napari_diner as nd
from napari_diner.errors import DinerError
from napari_diner.preprocess.borders import margins

SAMPLE = nd.sample("lensless", height_px=72, width_px=80, distances_um=(300.0, 380.0, 460.0), amplitude_min=0.3)
FRAMES = np.asarray(SAMPLE.data.data)
ROWS, COLUMNS = np.mgrid[:72, :80]
ROUND = np.hypot(ROWS - 35, COLUMNS - 42) < 33
Frames = npt.NDArray[Any]


def moved(frames: Frames, order: int) -> Frames:
    """Registered frames, with zeros where nothing was recorded."""
    shifts = [(0, 0), (3.4, -5.6), (-2.7, 1.2)]
    pages = [ndimage.shift(page.astype(np.float32), s, order=order) for page, s in zip(frames, shifts, strict=True)]
    return np.stack(pages).astype(frames.dtype)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_what_registration_leaves_is_found(order: int) -> None:
    found = margins(moved(FRAMES, order))
    assert not found[0].any()
    assert found[1, :3].all() and found[1, :, -5:].all() and not found[1, 6:, :-8].any()
    assert found[2, -2:].all() and found[2, :, :1].all() and not found[2, :-5, 4:].any()


@pytest.mark.parametrize("value", [0, 1200, 65535])
def test_what_is_around_a_round_field_is_found(value: int) -> None:
    found = margins(np.where(ROUND, FRAMES, np.uint16(value)))
    # next to the field, one pixel more is left out
    assert found[:, ~ROUND].all() and not found[:, ndimage.binary_erosion(ROUND, iterations=2)].any()


@pytest.mark.parametrize("side", [np.s_[:5], np.s_[:, -4:], np.s_[[*range(6), *range(66, 72)]]])
def test_bars_as_bright_as_the_light_are_found(side: Any) -> None:
    frames = FRAMES.copy()
    for frame in frames:
        frame[side] = np.median(frame)
    there = np.zeros(frames.shape[1:], bool)
    there[side] = True
    found = margins(frames)
    assert found[:, there].all() and not found[:, ~ndimage.binary_dilation(there)].any()


@pytest.mark.parametrize(
    "light",
    [
        lambda frames, noise: frames,
        lambda frames, noise: np.clip(frames.astype(float) - np.percentile(frames, 30), 0, None),
        lambda frames, noise: (frames >> 13).astype(np.uint8),
        lambda frames, noise: noise.poisson(0.3, frames.shape).astype(np.uint16),
        lambda frames, noise: np.clip(frames.astype(float) * (COLUMNS - 30) / 80, 0, None).astype(np.uint16),
        lambda frames, noise: np.minimum(frames, int(np.percentile(frames, 60))),
        lambda frames, noise: (200 + noise.integers(0, 2, frames.shape)).astype(np.uint8),
    ],
    ids=["sample", "cut off", "3 bits", "few photons", "fading", "saturated", "flat"],
)
def test_light_is_no_margin(light: Callable[[Frames, np.random.Generator], Frames]) -> None:
    assert not margins(light(FRAMES, np.random.default_rng(2))).any()


def test_margins_do_not_disturb_the_result() -> None:
    """They were taken for black parts of the sample."""
    values = SAMPLE.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth", "intensity_scale"})
    results = [
        nd.lensless(frames, **values, gauss_newton={"iterations": 6})
        for frames in (FRAMES, np.where(ROUND, FRAMES, np.uint16(0)))
    ]
    assert not [text for text in results[1].report["warnings"] if "cut off" in text or "fit better" in text]
    assert any("at the edges without data" in text for text in results[1].report["warnings"])
    whole, part = (np.exp(1j * result["phase"].data) for result in results)
    inside = ndimage.binary_erosion(ROUND, iterations=12)
    difference = np.angle((whole * part.conj())[inside] * np.exp(-1j * np.angle((whole * part.conj())[inside].sum())))
    assert float(np.sqrt(np.mean(difference**2))) < 0.15


def test_idt_refuses_them() -> None:
    sample = nd.sample("idt", height_px=48, width_px=48, slices=4, frames=8)
    frames = np.array(sample.data.data)
    frames[3, :4] = 0
    with pytest.raises(DinerError, match="at the edges of the frames are without data"):
        nd.idt(frames, **sample.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth"}), solver="tikhonov")
