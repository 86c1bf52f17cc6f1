"""Continuation beyond the edges: what it copies, and that its adjoints are adjoints."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from napari_diner.physics.padding import Mode, Padding

MODES: list[Mode] = ["none", "reflect", "replicate"]
SIZES = st.integers(1, 14)
few = settings(deadline=None, max_examples=60, derandomize=True)


def random(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def product(a: Tensor, b: Tensor) -> complex:
    return complex(torch.vdot(a.flatten(), b.flatten()))


paddings = st.builds(Padding, st.tuples(SIZES, SIZES), st.sampled_from(MODES), st.integers(0, 40), st.booleans())


@few
@given(paddings)
def test_crop_undoes_pad(padding: Padding) -> None:
    field = random((2, *padding.shape), 0)
    padded = padding.pad(field)
    assert padded.shape == (2, *padding.padded_shape)
    assert torch.equal(padding.crop(padded), field)


@few
@given(paddings)
def test_pad_and_its_adjoint(padding: Padding) -> None:
    x, y = random(padding.shape, 1), random(padding.padded_shape, 2)
    assert product(padding.pad(x), y) == pytest.approx(product(x, padding.pad_adjoint(y)), rel=1e-12, abs=1e-10)


@few
@given(paddings)
def test_crop_and_its_adjoint(padding: Padding) -> None:
    x, y = random(padding.padded_shape, 1), random(padding.shape, 2)
    assert product(padding.crop(x), y) == pytest.approx(product(x, padding.crop_adjoint(y)), rel=1e-12, abs=1e-10)
    assert torch.equal(padding.crop(padding.crop_adjoint(y)), y)


@pytest.mark.parametrize(("mode", "numpy_mode"), [("reflect", "symmetric"), ("replicate", "edge")])
@pytest.mark.parametrize("shape", [(5, 8), (3, 2), (1, 7)])
def test_continuation_is_that_of_numpy(mode: Mode, numpy_mode: str, shape: tuple[int, int]) -> None:
    padding = Padding(shape, mode, 9, apodise=False)
    field = random(shape, 0)
    padded = padding.padded_shape
    before = [(wide - size) // 2 for wide, size in zip(padded, shape, strict=True)]
    widths = [(first, wide - size - first) for wide, size, first in zip(padded, shape, before, strict=True)]
    assert all(min(pair) >= 9 for pair in widths)
    expected = np.pad(field.numpy(), widths, mode=numpy_mode)  # type: ignore[call-overload]
    assert np.array_equal(padding.pad(field).numpy(), expected)


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_apodised_continuation_falls_to_zero(mode: Mode) -> None:
    padding = Padding((10, 12), mode, 20)
    weights = padding.pad(torch.ones(10, 12, dtype=torch.float64))
    row = weights[weights.shape[0] // 2]
    first = (padding.padded_shape[1] - 12) // 2
    assert torch.equal(row[first : first + 12], torch.ones(12, dtype=torch.float64))
    assert bool((row[: first + 1].diff() > 0).all()) and bool((row[first + 11 :].diff() < 0).all())
    # what is joined where the grid wraps around: both nearly nothing
    assert 0 < float(row[0]) < 0.01 and 0 < float(row[-1]) < 0.01


def test_mode_none_adds_nothing() -> None:
    padding = Padding((7, 11), "none", 50)
    field = random((7, 11), 0)
    assert padding.is_identity and padding.padded_shape == (7, 11)
    assert torch.equal(padding.pad_adjoint(padding.pad(field)), field)


def test_padded_sizes_transform_fast() -> None:
    padding = Padding((31, 97), "reflect", 13)
    assert padding.padded_shape == (60, 125)
