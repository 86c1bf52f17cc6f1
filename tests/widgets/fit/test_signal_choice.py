"""Files become layers, and the file behind a layer is found again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_diner.errors import InputError
from napari_diner.widgets.fit.dock import FitDock
from napari_diner.widgets.layers.layer_axes import file_behind


@pytest.mark.parametrize("transparent", [0, 1, 2])
def test_frames_opened_together_all_keep_their_opacity_or_none(
    transparent: int, fit_dock: FitDock, tmp_path: Path
) -> None:
    frames = np.random.default_rng(0).integers(0, 250, (2, 6, 8, 4)).astype(np.uint8)
    frames[..., 3] = 255
    frames[:transparent, 2, 3, 3] = 128
    paths = [tmp_path / f"t{place}.png" for place in range(2)]
    for path, frame in zip(paths, frames, strict=True):
        Image.fromarray(frame, "RGBA").save(path)
    layer = fit_dock.choice.load_many(paths)
    assert layer.rgb
    np.testing.assert_array_equal(layer.data, frames if transparent else frames[..., :3])


def test_an_opaque_image_is_still_that_of_its_file(fit_dock: FitDock, tmp_path: Path) -> None:
    pixels = np.full((6, 8, 4), 255, np.uint8)
    pixels[2, 3, :3] = 7
    path = tmp_path / "a.png"
    Image.fromarray(pixels, "RGBA").save(path)
    layer = fit_dock.choice.load(str(path))
    assert layer.data.shape == (6, 8, 3)
    found = file_behind(layer)
    assert found is not None
    assert found.file_bytes == path.stat().st_size


@pytest.mark.parametrize("factor", [1e-60, 1e-44, 1e50])
def test_values_that_napari_cannot_show_are_refused(fit_dock: FitDock, tmp_path: Path, factor: float) -> None:
    path = tmp_path / "values.npy"
    np.save(path, factor * np.random.default_rng(0).random((12, 10)))
    with pytest.raises(InputError, match="single precision"):
        fit_dock.choice.load(str(path))
