"""Data as samples and back."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diner.tasks.fit.layout import Layout


def layout(axes: str, shape: tuple[int, ...], dtype: str = "uint16", separate: bool = False) -> Layout:
    return Layout(axes, shape, dtype, (1.0,) * len(axes), 10.0, 2010.0, separate)


@pytest.mark.parametrize(
    ("axes", "shape", "separate", "sample_axes", "sample_shape", "outputs"),
    [
        ("YX", (4, 5), False, "YX", (4, 5), 1),
        ("YXS", (4, 5, 3), False, "YX", (4, 5), 3),
        ("YXS", (4, 5, 3), True, "YXS", (4, 5, 3), 1),
        ("CYX", (2, 4, 5), False, "YX", (4, 5), 2),
        ("TCZYX", (6, 2, 3, 4, 5), False, "TZYX", (6, 3, 4, 5), 2),
        ("ZYX", (3, 4, 5), False, "ZYX", (3, 4, 5), 1),
    ],
)
def test_samples_and_outputs(
    axes: str, shape: tuple[int, ...], separate: bool, sample_axes: str, sample_shape: tuple[int, ...], outputs: int
) -> None:
    form = layout(axes, shape, separate=separate)
    assert (form.sample_axes, form.sample_shape, form.outputs) == (sample_axes, sample_shape, outputs)
    data = np.random.default_rng(0).integers(10, 2010, shape).astype(np.uint16)
    samples = form.to_samples(data)
    assert samples.shape == (*sample_shape, outputs)
    assert np.array_equal(form.from_samples(samples), data)
    assert np.array_equal(form.to_values(form.to_outputs(samples)), samples)
    assert form.pixels == np.prod([size for axis, size in zip(axes, shape, strict=True) if axis not in "CS"])


def test_integers_are_rounded_and_clipped() -> None:
    form = Layout("YX", (1, 4), "uint8", (1.0, 1.0), 0.0, 255.0)
    outputs = np.array([-0.1, 0.5 / 255 + 1e-4, 0.5, 1.2], np.float32)
    assert form.to_values(outputs).tolist() == [0, 1, 128, 255]
    assert Layout("YX", (1, 4), "float32", (1.0, 1.0), 0.0, 255.0).to_values(outputs)[0] == pytest.approx(-25.5)


def test_constant_data_divide_by_nothing() -> None:
    form = Layout("YX", (2, 2), "uint8", (1.0, 1.0), 7.0, 7.0)
    data = np.full((2, 2), 7, np.uint8)
    assert np.array_equal(form.to_values(form.to_outputs(data)), data)


def test_a_header_holds_it_all() -> None:
    form = Layout("ZYX", (3, 4, 5), "uint16", (0.5, 0.1625, 0.1625), 3.0, 4095.0, separate=True)
    assert Layout.from_header(form.to_header()) == form
    damaged = form.to_header() | {"shape": "[3, 4]"}
    with pytest.raises(ValueError, match="axes do not match"):
        Layout.from_header(damaged)


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("uint32", 3_999_999_800, 4_000_000_000), ("int32", -(2**31), -(2**31) + 77), ("float64", 2e7, 2e7 + 3e-4)],
)
def test_small_ranges_on_large_offsets_keep_their_digits(dtype: str, low: float, high: float) -> None:
    values = np.linspace(low, high, 12).reshape(1, 12)
    values = (np.rint(values) if dtype != "float64" else values).astype(dtype)
    form = Layout("YX", (1, 12), dtype, (1.0, 1.0), float(values.min()), float(values.max()))
    outputs = form.to_outputs(values)
    np.testing.assert_allclose(
        outputs[0], np.linspace(0, 1, 12), atol=0.5 / (high - low) if dtype != "float64" else 2e-5
    )
    np.testing.assert_allclose(form.to_values(outputs), values, rtol=0, atol=1e-6 * (high - low))


def test_the_whole_range_of_a_type_is_not_left() -> None:
    values = np.array([[-3.3e38, 0, 3.4e38]], np.float32)
    form = Layout("YX", (1, 3), "float32", (1.0, 1.0), float(values.min()), float(values.max()))
    np.testing.assert_allclose(form.to_values(form.to_outputs(values)), values, rtol=1e-6, atol=1e32)
    assert np.isfinite(form.to_values(np.array([[-0.2, 1.2]], np.float32))).all()
