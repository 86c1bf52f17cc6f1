"""Inverse transforms are scaled rightly, also where the library is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import torch
from torch import Tensor

from napari_diner.physics import fourier
from napari_diner.physics.fourier import ifft2

SOURCES = Path(fourier.__file__).parents[1]


@pytest.fixture
def _threads_restored() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_threads_restored")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_field_of_a_common_camera(threads: int) -> None:
    torch.set_num_threads(threads)
    spectrum = np.random.default_rng(0).normal(size=(2048, 4096)).astype(np.float32).view(np.complex64)
    expected = scipy.fft.ifft2(spectrum)
    assert np.abs(ifft2(torch.from_numpy(spectrum)).numpy() - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("shape", [(24, 30), (1, 24, 30), (3, 24, 30)])
def test_a_library_that_divides_twice(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    spectrum = torch.randn(*shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    expected = torch.fft.ifft2(spectrum)
    right = torch.fft.ifft2

    def wrong(values: Tensor, norm: str = "backward") -> Tensor:
        answer = right(values, norm=norm)
        return answer if norm == "forward" else answer / answer.shape[-1]

    monkeypatch.setattr(torch.fft, "ifft2", wrong)
    fourier._scales_rightly.cache_clear()
    try:
        torch.testing.assert_close(ifft2(spectrum), expected)
    finally:
        fourier._scales_rightly.cache_clear()


def test_no_other_module_relies_on_the_scale_of_the_library() -> None:
    sources = [path for path in SOURCES.rglob("*.py") if "torch.fft.ifft2(" in path.read_text(encoding="utf-8")]
    assert [path.relative_to(SOURCES).as_posix() for path in sources] == ["physics/fourier.py"]
