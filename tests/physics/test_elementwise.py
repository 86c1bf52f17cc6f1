"""Operations on each pixel: compiled loops and torch agree for images of any layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_diner.loops import can_compile
from napari_diner.physics import elementwise
from napari_diner.physics.elementwise import (
    add_conjugate_product_,
    intensity,
    load_early,
    multiplied,
    multiply_,
    project_,
    pull_,
)

LARGE = (264, 260)


def field(shape: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.complex64) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


FIELDS = {
    "whole": lambda seed: field(LARGE, seed),
    "cropped": lambda seed: field((300, 300), seed)[20:284, 15:275],
    "several waves": lambda seed: field((3, *LARGE), seed),
    "several waves, cropped": lambda seed: field((3, 300, 300), seed)[:, 20:284, 15:275],
    "small": lambda seed: field((5, 7), seed),
    "conjugate": lambda seed: field(LARGE, seed).conj(),
    "double precision": lambda seed: field(LARGE, seed, torch.complex128),
}


@pytest.mark.parametrize("layout", FIELDS)
@pytest.mark.parametrize("threads", [1, 2])
def test_values_are_those_of_numpy(layout: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_diner.physics.elementwise._FEWEST_PER_THREAD", 1 << 14)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    U, direction = FIELDS[layout](0), FIELDS[layout](1)
    u, d = U.resolve_conj().numpy(), direction.resolve_conj().numpy()
    np.testing.assert_allclose(intensity(U).numpy(), np.abs(u) ** 2, rtol=2e-6)
    np.testing.assert_allclose(multiplied(U, direction.real).numpy(), u * d.real, rtol=2e-6)
    expected = u * d.real
    assert multiply_(U, direction.real) is U
    np.testing.assert_allclose(U.resolve_conj().numpy(), expected, rtol=2e-6)
    U, u = FIELDS[layout](3), FIELDS[layout](3).resolve_conj().numpy()
    total = field(tuple(U.shape), 2, U.dtype)
    expected = total.numpy() + d.conj() * u
    assert add_conjugate_product_(total, direction, U) is total
    np.testing.assert_allclose(total.numpy(), expected, rtol=1e-4, atol=1e-5)
    along = (d.conj() * u).real * d
    assert project_(U, direction) is U
    np.testing.assert_allclose(U.resolve_conj().numpy(), along, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(not can_compile(), reason="numba is not installed")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_misfit_and_its_gradient_in_one_pass(is_weighted: bool, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_diner.physics.elementwise._FEWEST_PER_THREAD", 1 << 14)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    U, modulus, weights = field((300, 300))[20:284, 15:275], field(LARGE, 1).abs(), field(LARGE, 2).abs()
    U[3, 4] = 0
    u, m = U.numpy().astype(np.complex128), modulus.double().numpy()
    w = weights.double().numpy() if is_weighted else np.ones(LARGE)
    difference = np.abs(u) - m
    gradient = 2 * w * difference * u / np.maximum(np.abs(u), 1e-20)
    total = pull_(U, modulus, weights if is_weighted else None)
    assert total == pytest.approx(float((w * difference**2).sum()), rel=1e-6)
    np.testing.assert_allclose(U.numpy(), gradient, rtol=1e-4, atol=1e-5)


def test_misfit_of_what_loops_do_not_take_is_left_to_others() -> None:
    for U in (field((5, 7)), field(LARGE, dtype=torch.complex128)):
        before = U.clone()
        assert pull_(U, U.abs()) is None
        assert torch.equal(U, before)


def test_one_pass_is_used_where_numba_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []

    def counted(loop: object, count: int, threads: int, arguments: object) -> list[float]:
        passes.append(count)
        return []

    monkeypatch.setattr("napari_diner.physics.elementwise.shared", counted)
    intensity(field(LARGE))
    assert passes == ([LARGE[0]] if can_compile() else [])


@pytest.mark.skipif(not can_compile(), reason="numba is not installed")
def test_loops_are_loaded_before_large_images_need_them() -> None:
    elementwise._loading.cache_clear()
    load_early((10, 10))
    assert elementwise._loading.cache_info().currsize == 0
    load_early(LARGE)
    elementwise._loading().join()
    before = [len(loop.signatures) for loop in _loops()]
    U = field(LARGE)
    add_conjugate_product_(project_(multiplied(U, intensity(U)), U), U, U)
    pull_(U, torch.ones(LARGE))
    assert [len(loop.signatures) for loop in _loops()] == before
    assert min(before) > 0


def _loops() -> list[Any]:
    names = ("_intensity", "_multiplied", "_project", "_pull", "_add_conjugate_product")
    return [getattr(elementwise, name) for name in names]


def test_what_needs_a_gradient_is_left_to_torch() -> None:
    U = field(LARGE).requires_grad_()
    (slope,) = torch.autograd.grad(intensity(U).sum(), U)
    torch.testing.assert_close(slope, 2 * U.detach())
