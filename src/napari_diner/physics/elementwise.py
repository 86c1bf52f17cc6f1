"""Operations on each pixel of a field, in one pass over the memory where numba is installed.

Torch takes a pass for each product, and a copy for each conjugate and for each real factor of a complex number, which
together take longer than the Fourier transforms between them.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_diner.loops import can_compile, compiled, shared

# smaller images are faster than the loading of what is compiled, and than a second thread
_FEWEST_PIXELS = 1 << 16
_FEWEST_PER_THREAD = 1 << 18
# modulus by which none is divided
_SMALLEST = np.float32(1e-20)


def load_early(shape: Sequence[int]) -> None:
    """Begin to load the compiled loops in a thread if images of a shape need them: it takes most of a second."""
    if math.prod(shape) >= _FEWEST_PIXELS and can_compile():
        _loading()


@functools.cache
def _loading() -> threading.Thread:
    """Return the thread that loads the compiled loops, by running them for a single pixel."""

    def load() -> None:
        U, factor = torch.ones(1, 1, dtype=torch.complex64), torch.ones(1, 1)
        _run(_intensity, U, torch.ones(1, 1))
        _run(_multiplied, U, factor, torch.ones_like(U))
        _run(_project, torch.ones_like(U), U)
        _run(_pull, torch.ones_like(U), factor)
        _run(_pull_by_weight, torch.ones_like(U), factor, factor)
        _run(_add_conjugate_product, torch.ones_like(U), U, U)

    thread = threading.Thread(target=load, name="loading of loops", daemon=True)
    thread.start()
    return thread


def intensity(U: Tensor) -> Tensor:
    """Return |U|², real, of a complex field of any shape.

    ``U.abs()`` guards against overflow and is several times slower.
    """
    if not _is_compiled(U):
        return U.real**2 + U.imag**2
    squares = torch.empty(U.shape, dtype=U.dtype.to_real())
    _run(_intensity, U, squares)
    return squares


def multiplied(U: Tensor, factor: Tensor) -> Tensor:
    """Return a field times a real image of the same shape."""
    if not _is_compiled(U, factor):
        return U * factor
    product = torch.empty(U.shape, dtype=U.dtype)
    _run(_multiplied, U, factor, product)
    return product


def multiply_(U: Tensor, factor: Tensor) -> Tensor:
    """Multiply a field by a real image, in place."""
    if not (_is_compiled(U, factor) and _has_rows(U)):
        return U.mul_(factor)
    _run(_multiplied, U, factor, U)
    return U


def project_(U: Tensor, direction: Tensor) -> Tensor:
    """Replace a field by ``Re[d* U] d`` for a direction d of each pixel: for unit phasors, its part along them."""
    if not (_is_compiled(U, direction) and _has_rows(U)):
        return U.copy_(direction * (direction.real * U.real + direction.imag * U.imag))
    _run(_project, U, direction)
    return U


def pull_(U: Tensor, modulus: Tensor, weights: Tensor | None = None) -> float | None:
    """Replace a field by the gradient of its misfit ``w (|U| − m)²`` to a modulus m, ``2 w (|U| − m) U/|U|``.

    Returns the sum of the misfit, in double precision; None, and the field as it is, without compiled loops.
    """
    images = (modulus,) if weights is None else (modulus, weights)
    if not (_is_compiled(U, *images) and _has_rows(U)):
        return None
    return sum(_run(_pull if weights is None else _pull_by_weight, U, *images))


def add_conjugate_product_(total: Tensor, factor: Tensor, U: Tensor) -> Tensor:
    """Add ``f* U`` to a total, for complex images of the same shape."""
    if not (_is_compiled(total, factor, U) and _has_rows(total)):
        return total.addcmul_(factor.conj(), U)
    _run(_add_conjugate_product, total, factor, U)
    return total


def _is_compiled(U: Tensor, *others: Tensor) -> bool:
    """Return whether the compiled loops can take these images."""
    return (
        U.device.type == "cpu"
        and U.dtype == torch.complex64
        and U.numel() >= _FEWEST_PIXELS
        and all(image.shape == U.shape and image.dtype in (torch.complex64, torch.float32) for image in others)
        and not any(image.is_conj() or image.requires_grad for image in (U, *others))
        and can_compile()
    )


def _has_rows(U: Tensor) -> bool:
    """Return whether the rows of an image of any shape can be listed without a copy, to change it in place."""
    return U.dim() == 2 or U.is_contiguous()


def _run(loop: Callable[..., Any], *images: Tensor) -> list[float]:
    """Run a loop over images; return what it returns for the rows of each thread."""
    rows = [image.reshape(-1, image.shape[-1]).numpy() for image in images]
    threads = max(1, min(torch.get_num_threads(), images[0].numel() // _FEWEST_PER_THREAD))
    return shared(loop, len(rows[0]), threads, lambda thread: tuple(rows))


@compiled
def _intensity(U, squares, start, stop):  # type: ignore[no-untyped-def]
    for row in range(start, stop):
        for at in range(U.shape[1]):
            squares[row, at] = U[row, at].real * U[row, at].real + U[row, at].imag * U[row, at].imag


@compiled
def _multiplied(U, factor, product, start, stop):  # type: ignore[no-untyped-def]
    for row in range(start, stop):
        for at in range(U.shape[1]):
            product[row, at] = U[row, at] * factor[row, at]


@compiled
def _project(U, direction, start, stop):  # type: ignore[no-untyped-def]
    for row in range(start, stop):
        for at in range(U.shape[1]):
            towards = direction[row, at]
            U[row, at] = towards * (towards.real * U[row, at].real + towards.imag * U[row, at].imag)


@compiled
def _pull(U, modulus, start, stop):  # type: ignore[no-untyped-def]
    total = 0.0
    for row in range(start, stop):
        for at in range(U.shape[1]):
            own = np.sqrt(U[row, at].real * U[row, at].real + U[row, at].imag * U[row, at].imag)
            difference = own - modulus[row, at]
            total += np.float64(difference) * np.float64(difference)
            U[row, at] *= 2 * difference / max(own, _SMALLEST)
    return total


@compiled
def _pull_by_weight(U, modulus, weights, start, stop):  # type: ignore[no-untyped-def]
    total = 0.0
    for row in range(start, stop):
        for at in range(U.shape[1]):
            own = np.sqrt(U[row, at].real * U[row, at].real + U[row, at].imag * U[row, at].imag)
            difference = own - modulus[row, at]
            weighted = weights[row, at] * difference
            total += np.float64(weighted) * np.float64(difference)
            U[row, at] *= 2 * weighted / max(own, _SMALLEST)
    return total


@compiled
def _add_conjugate_product(total, factor, U, start, stop):  # type: ignore[no-untyped-def]
    for row in range(start, stop):
        for at in range(U.shape[1]):
            total[row, at] += factor[row, at].conjugate() * U[row, at]
