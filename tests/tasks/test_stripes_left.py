"""Stripes that all frames have."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import napari_diner as nd
from napari_diner.tasks.stripes_left import stripes_left
from tests.kit.runs import finished

Array = npt.NDArray[Any]
STRIPES = "most frames have stripes along their "


@pytest.fixture(scope="module")
def sample() -> Any:
    return nd.sample(
        "lensless", height_px=60, width_px=64, seed=12, photons=20_000.0, distances_um=(300, 360, 430, 520)
    )


def told(sample: Any, frames: Array) -> list[str]:
    values = sample.recipe.model_dump(exclude_unset=True, exclude={"stack", "truth"})
    run = nd.lensless.start(frames, **{**values, "gauss_newton": {"iterations": 4}})
    return [text for text in finished(run, compares_settings=False).report["warnings"] if text.startswith(STRIPES)]


def test_lamps_that_flicker_and_noise_of_lines_are_named(sample: Any) -> None:
    frames = np.asarray(sample.data.data, np.float64)
    assert told(sample, frames) == []
    lines = 0.03 * np.random.default_rng(4).standard_normal((4, 1, 64))
    waves = 0.06 * np.sin(np.arange(60)[:, None] / 2.5 + np.arange(4)[:, None, None] * 2.1)
    for stripes, name in ((lines, "columns"), (waves, "rows")):
        (text,) = told(sample, frames * (1 + stripes))
        assert text.startswith(f"{STRIPES}{name} that no sample explains, ") and "rolling shutter" in text


def test_other_errors_have_no_stripes() -> None:
    random = np.random.default_rng(5)
    reference = random.standard_normal((4, 48, 50))
    striped = 0.2 * random.standard_normal((4, 48, 1)) + 0.1 * random.standard_normal((4, 48, 50))
    assert stripes_left(striped, reference)[0].startswith(f"{STRIPES}rows")
    assert stripes_left(striped.swapaxes(1, 2), reference.swapaxes(1, 2))[0].startswith(f"{STRIPES}columns")
    same = np.broadcast_to(0.2 * random.standard_normal((1, 1, 50)), striped.shape) + 0.01 * striped
    (text,) = stripes_left(same, reference)
    assert text.startswith(f"{STRIPES}columns") and "the same in all frames, as from columns of the camera" in text
    # as strong as the sample
    assert stripes_left(striped, 0.3 * reference + striped)
    # of a sample that consists of lines
    grating = 0.5 * reference + np.random.default_rng(6).standard_normal((4, 48, 1))
    assert stripes_left(striped, grating) == []
    # in one frame only, as a slope, and in few lines, as of a fibre
    single = np.where(np.arange(4)[:, None, None] == 1, striped, 0.1 * reference)
    slope = 0.1 * reference + np.linspace(-1, 1, 48)[:, None]
    fibre = 0.1 * reference + 0.8 * (np.abs(np.arange(48) - 20) < 2)[:, None]
    for residual in (single, slope, fibre, striped[:, :20]):
        assert stripes_left(residual, reference[:, : residual.shape[1]]) == []
