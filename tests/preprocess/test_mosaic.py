"""The filters of a colour camera are found in its raw frames, and only there."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import napari_diner as nd
from napari_diner.errors import InputError
from napari_diner.preprocess.mosaic import mosaic, tiled
from napari_diner.preprocess.settings import PreprocessSettings
from napari_diner.preprocess.steps import References, prepare_frames

SAMPLE = nd.sample("lensless", height_px=65, width_px=72, distances_um=(300.0, 380.0, 460.0))
FRAMES = np.asarray(SAMPLE.data.data, np.float64)
FILTERS = np.array([[0.5, 1.0], [0.9, 0.5]])


def filtered(frames: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return frames * tiled(FILTERS, frames.shape)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_filters_are_found(noise: float) -> None:
    frames = filtered(FRAMES) * (1 + noise * np.random.default_rng(0).standard_normal(FRAMES.shape))
    found = mosaic(frames)
    assert found is not None
    np.testing.assert_allclose(found, FILTERS / FILTERS.mean(), rtol=0.02)


def test_other_frames_have_none() -> None:
    noise = np.random.default_rng(1)
    assert mosaic(FRAMES) is None
    assert mosaic(noise.poisson(2.0, FRAMES.shape).astype(np.uint16)) is None
    # one frame of several
    assert mosaic(np.stack([filtered(FRAMES)[0], *FRAMES[1:]])) is None
    assert mosaic(np.full_like(FRAMES, np.nan)) is None


def test_frames_are_divided_by_them() -> None:
    offset = 3000 + 0 * FRAMES[0]
    settings = PreprocessSettings()
    raw = filtered(FRAMES) + offset
    prepared = prepare_frames(settings, raw, None, References(dark=offset))
    np.testing.assert_allclose(prepared.intensities / prepared.intensities.mean(), FRAMES / FRAMES.mean(), rtol=0.03)
    assert any("0.5 : 1 : 0.9 : 0.5, as behind the filters of a colour camera" in text for text in prepared.notes)
    # a flat field contains them
    flat = filtered(np.ones_like(FRAMES[0])) + offset
    prepared = prepare_frames(settings, raw, None, References(dark=offset, flat=flat))
    np.testing.assert_allclose(prepared.intensities / prepared.intensities.mean(), FRAMES / FRAMES.mean(), rtol=1e-4)
    assert not any("colour camera" in text for text in prepared.notes)


def test_light_that_few_pixels_see_is_refused() -> None:
    frames = FRAMES * tiled(np.array([[1.0, 0.05], [0.05, 0.02]]), FRAMES.shape)
    with pytest.raises(InputError, match="keep those of one colour"):
        mosaic(frames)


def test_idt_does_so_as_well() -> None:
    sample = nd.sample("idt", height_px=48, width_px=48, slices=4, frames=8, noise_sigma=0.0)
    settings = sample.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth", "background"})
    frames = np.asarray(sample.data.data, np.float64) + (0 if sample.recipe.background != "none" else 1)
    whole, raw = (
        nd.idt(1000 * light, **settings, background="mean", solver="tikhonov") for light in (frames, filtered(frames))
    )
    assert any("filters of a colour camera" in text for text in raw.report["warnings"])
    assert np.corrcoef(whole["n_re"].data.ravel(), raw["n_re"].data.ravel())[0, 1] > 0.99
