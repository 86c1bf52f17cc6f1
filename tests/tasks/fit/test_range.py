"""Values at the limits of their range: refused or reported."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from napari_diner.errors import InputError
from napari_diner.tasks.fit.range import range_of

RNG = np.random.default_rng(3)


def smooth(most: float = 800.0) -> npt.NDArray[np.float64]:
    y, x = np.mgrid[:40, :30]
    return most * (0.5 + 0.5 * np.sin(x / 4) * np.cos(y / 6))


@pytest.mark.parametrize(
    "data",
    [
        smooth().astype(np.float32),
        np.rint(smooth()).astype(np.uint16),
        (smooth() > 400).astype(np.uint16),
        RNG.poisson(2, (64, 64)).astype(np.uint16),
        RNG.normal(size=(64, 64)),
        RNG.lognormal(sigma=1, size=(64, 64)),
        np.full((5, 6), 7.5),
        np.zeros((3, 4), np.uint16),
        np.ones((1, 1)),
    ],
    ids=["smooth", "integers", "mask", "counts", "noise", "skew", "constant", "zeros", "one"],
)
def test_ordinary_data_cause_no_warning(data: npt.NDArray[np.generic]) -> None:
    low, high, warnings = range_of(data)
    assert (low, high) == (data.min(), data.max())
    assert warnings == []


def test_a_bright_spot_of_many_pixels_is_no_outlier() -> None:
    y, x = np.mgrid[:128, :128]
    data = RNG.poisson(20 + 9000 * np.exp(-((y - 70) ** 2 + (x - 30) ** 2) / 8)).astype(np.uint16)
    assert range_of(data)[2] == []


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted_and_placed(bad: float) -> None:
    data = smooth()
    data[7, 11:14] = bad
    with pytest.raises(InputError, match=r"3 of 1,200, the first at \(7, 11\)"):
        range_of(data)


@pytest.mark.parametrize("count", [1, 6, 300])
@pytest.mark.parametrize("value", [-32000.0, 65535.0])
def test_values_far_from_all_others_are_named(value: float, count: int) -> None:
    data = smooth()
    data.reshape(-1)[55 : 55 + count] = value
    (warning,) = range_of(data)[2]
    lie = "1 value lies" if count == 1 else f"{count} values lie"
    assert warning.startswith(f"{lie} (up to {value:.6g}, first at (1, 25)) far from all others")


def test_a_few_outliers_need_not_be_equal() -> None:
    data = smooth()
    data[4, 5], data[9, 9], data[30, 2] = 9e3, 2e4, 1e4
    (warning,) = range_of(data)[2]
    assert warning.startswith("3 values lie (up to 20000, first at (4, 5))")


@pytest.mark.parametrize("value", [-3.4e38, 3e38, 1e12])
def test_outliers_that_leave_no_range_to_the_rest_are_refused(value: float) -> None:
    data = smooth().astype(np.float32)
    data[20, 3:9] = value
    with pytest.raises(InputError, match=r"6 values lie .* first at \(20, 3\)"):
        range_of(data)


@pytest.mark.parametrize("data", [smooth() * 1e-50, smooth() * 1e90, np.full((4, 4), 1e-35)])
def test_ranges_beyond_single_precision_are_refused(data: npt.NDArray[np.float64]) -> None:
    with pytest.raises(InputError, match="single precision; multiply them by a constant"):
        range_of(data)
