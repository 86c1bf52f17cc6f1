"""Zernike polynomials: known forms, normalisation, and an independent implementation."""

from __future__ import annotations

import math

import pytest
import torch

from napari_diner.physics.zernike import degrees, wavefront, zernike

Y, X = torch.meshgrid(*2 * [torch.linspace(-1, 1, 301, dtype=torch.float64)], indexing="ij")
INSIDE = X**2 + Y**2 <= 1


def test_the_modes_that_microscopists_name() -> None:
    r2 = X**2 + Y**2
    known = {
        1: torch.ones_like(X),
        2: 2 * X,
        3: 2 * Y,
        4: math.sqrt(3) * (2 * r2 - 1),
        5: math.sqrt(6) * 2 * X * Y,
        6: math.sqrt(6) * (X**2 - Y**2),
        7: math.sqrt(8) * (3 * r2 - 2) * Y,
        8: math.sqrt(8) * (3 * r2 - 2) * X,
        9: math.sqrt(8) * (3 * X**2 * Y - Y**3),
        10: math.sqrt(8) * (X**3 - 3 * X * Y**2),
        11: math.sqrt(5) * (6 * r2**2 - 6 * r2 + 1),
    }
    for mode, expected in known.items():
        torch.testing.assert_close(zernike(mode, Y, X), expected, rtol=1e-12, atol=1e-12)


def test_modes_are_orthonormal_over_the_disc() -> None:
    values = torch.stack([zernike(mode, Y, X)[INSIDE] for mode in range(1, 29)])
    torch.testing.assert_close(values @ values.T / INSIDE.sum(), torch.eye(28, dtype=torch.float64), atol=0.03, rtol=0)


def test_they_agree_with_prysm() -> None:
    polynomials = pytest.importorskip("prysm.polynomials", reason="prysm is not installed")
    r, t = torch.hypot(X, Y).numpy(), torch.atan2(Y, X).numpy()
    for mode in range(1, 46):
        n, m = polynomials.noll_to_nm(mode)
        assert degrees(mode) == (n, abs(m))
        theirs = torch.from_numpy(polynomials.zernike_nm(n, m, r, t, norm=True))
        torch.testing.assert_close(zernike(mode, Y, X)[INSIDE], theirs[INSIDE], rtol=1e-9, atol=1e-9)


def test_a_wavefront_is_the_sum_of_modes_from_defocus_on() -> None:
    expected = 0.3 * zernike(4, Y, X) - 0.2 * zernike(7, Y, X)
    torch.testing.assert_close(wavefront([0.3, 0, 0, -0.2], Y, X), expected)
    # the first is the RMS phase that it causes
    assert float(wavefront([0, 0.25], Y, X)[INSIDE].square().mean().sqrt()) == pytest.approx(0.25, rel=0.01)
