"""Polynomials fitted to images."""

from __future__ import annotations

import numpy as np
import pytest

from napari_diner.preprocess.surfaces import fit_surface

Y, X = np.mgrid[:150, :211] / 100


def test_a_polynomial_is_found_again_between_the_pixels_of_any_shape() -> None:
    image = 3 - 2 * Y + X + 0.4 * Y * X - 0.7 * X**2
    np.testing.assert_allclose(fit_surface(image, 2).values(), image, atol=2e-4)


def test_a_sample_on_the_background_is_left_out() -> None:
    image = 1 + 0.3 * Y - 0.2 * X
    noise = np.random.default_rng(0).normal(0, 0.01, image.shape)
    blob = 5 * (np.hypot(Y - 0.7, X - 0.6) < 0.3)
    fitted = fit_surface(image + noise + blob, 1).values()
    np.testing.assert_allclose(fitted, image, atol=5e-3)


def test_masked_pixels_do_not_count_whatever_they_hold() -> None:
    image = 1 + 0.3 * Y
    mask = np.ones(image.shape, bool)
    mask[:, 40:90] = False
    image[~mask] = np.nan
    np.testing.assert_allclose(fit_surface(image, 1, mask).values()[mask], image[mask], atol=1e-6)


def test_a_mask_that_leaves_too_little() -> None:
    mask = np.zeros(Y.shape, bool)
    mask[0, 0] = True
    with pytest.raises(ValueError, match="too few"):
        fit_surface(Y, 2, mask)
