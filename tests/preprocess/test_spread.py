"""The width of a distribution is that of scipy.stats, without the time to import it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import median_abs_deviation

from napari_diner.preprocess.spread import spread


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_it_is_that_of_scipy(axis: int | None) -> None:
    values = 3 + np.random.default_rng(2).standard_normal((40, 31))
    expected = median_abs_deviation(values, axis, scale="normal")
    np.testing.assert_allclose(np.squeeze(spread(values, axis)), expected, rtol=1e-12)
    from_zero = median_abs_deviation(values, axis, center=lambda _, axis: 0.0, scale="normal")
    np.testing.assert_allclose(np.squeeze(spread(values, axis, around_zero=True)), from_zero, rtol=1e-12)
