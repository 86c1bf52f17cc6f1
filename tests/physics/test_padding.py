"""Continuation beyond the edges: copied values, and adjoints."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import windows

from napari_diner.physics.padding import Mode, Padding, fading
from tests.kit.adjoint import AdjointMixin, Operator, assert_adjoint
from tests.kit.fields import complex_noise

MODES: list[Mode] = ["none", "reflect", "replicate", "unknown"]
SIZES = st.integers(1, 14)
few = settings(deadline=None, max_examples=60, derandomize=True)


paddings = st.builds(Padding, st.tuples(SIZES, SIZES), st.sampled_from(MODES), st.integers(0, 40), st.booleans())


@few
@given(paddings)
def test_crop_undoes_pad(padding: Padding) -> None:
    field = complex_noise((2, *padding.object_shape), 0)
    padded = padding.pad(field)
    assert padded.shape == (2, *padding.padded_shape)
    assert torch.equal(padding.crop(padded), padding.view(field))


@few
@given(paddings)
def test_pad_and_its_adjoint(padding: Padding) -> None:
    x, y = complex_noise(padding.object_shape, 1), complex_noise(padding.padded_shape, 2)
    assert_adjoint(padding.pad, padding.pad_adjoint, x, y)


@few
@given(paddings)
def test_crop_and_its_adjoint(padding: Padding) -> None:
    x, y = complex_noise(padding.padded_shape, 1), complex_noise(padding.shape, 2)
    assert_adjoint(padding.crop, padding.crop_adjoint, x, y)
    assert torch.equal(padding.crop(padding.crop_adjoint(y)), y)


@few
@given(paddings)
def test_the_object_and_its_view(padding: Padding) -> None:
    x, y, z = (
        complex_noise(shape, seed)
        for seed, shape in enumerate((padding.padded_shape, padding.object_shape, padding.shape))
    )
    assert_adjoint(padding.object_part, padding.object_part_adjoint, x, y)
    assert_adjoint(padding.view, padding.view_adjoint, y, z)


def test_an_unknown_surround_belongs_to_the_object() -> None:
    padding = Padding((10, 12), "unknown", 6)
    field = complex_noise(padding.object_shape, 0)
    assert padding.object_shape == padding.padded_shape == (24, 24)
    assert torch.equal(padding.pad(field), field)
    # what is known within the field of view only is mirrored, or repeated as light is
    view = complex_noise((10, 12), 1)
    assert torch.equal(padding.continued(view), Padding((10, 12), "reflect", 6).pad(view))
    assert torch.equal(padding.replicated(view), Padding((10, 12), "replicate", 6, apodise=False).pad(view))


@pytest.mark.parametrize(("mode", "numpy_mode"), [("reflect", "symmetric"), ("replicate", "edge")])
@pytest.mark.parametrize("shape", [(5, 8), (3, 2), (1, 7)])
def test_continuation_is_that_of_numpy(mode: Mode, numpy_mode: str, shape: tuple[int, int]) -> None:
    padding = Padding(shape, mode, 9, apodise=False)
    field = complex_noise(shape, 0)
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
    field = complex_noise((7, 11), 0)
    assert padding.is_identity and padding.padded_shape == (7, 11)
    assert torch.equal(padding.pad_adjoint(padding.pad(field)), field)


def test_padded_sizes_transform_fast() -> None:
    padding = Padding((31, 97), "reflect", 13)
    assert padding.padded_shape == (60, 125)


class TestPadding(AdjointMixin):
    @pytest.fixture(params=MODES)
    def operator(self, request: pytest.FixtureRequest) -> Operator:
        padding = Padding((7, 10), request.param, 6)
        return Operator(padding.pad, padding.pad_adjoint, padding.object_shape, padding.padded_shape)


@pytest.mark.parametrize("part", [0.1, 0.3, 1.0])
def test_images_fade_out_by_tukey_windows(part: float) -> None:
    expected = np.outer(windows.tukey(31, part), windows.tukey(8, part))
    np.testing.assert_allclose(fading(31, 8, part).numpy(), expected, atol=1e-14)
