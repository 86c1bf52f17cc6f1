"""Operations on each pixel of a field, in one pass over the memory where numba is installed.

Torch takes a pass for each product, and a copy for each conjugate and for each real factor of a complex number, which
together take longer than the Fourier transforms between them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from napari_diner.loops import can_compile, compiled, shared

# smaller images are faster than the loading of what is compiled, and than a second thread
_FEWEST_PIXELS = 1 << 16
_FEWEST_PER_THREAD = 1 << 18


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


def projected(U: Tensor, direction: Tensor) -> Tensor:
    """Return ``Re[d* U] d`` for a direction d of each pixel: for unit phasors, the part of U along them."""
    if not _is_compiled(U, direction):
        return direction * (direction.real * U.real + direction.imag * U.imag)
    along = torch.empty(U.shape, dtype=U.dtype)
    _run(_projected, U, direction, along)
    return along


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


def _run(loop: Callable[..., Any], *images: Tensor) -> None:
    rows = [image.reshape(-1, image.shape[-1]).numpy() for image in images]
    threads = max(1, min(torch.get_num_threads(), images[0].numel() // _FEWEST_PER_THREAD))
    shared(loop, len(rows[0]), threads, lambda thread: tuple(rows))


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
def _projected(U, direction, along, start, stop):  # type: ignore[no-untyped-def]
    for row in range(start, stop):
        for at in range(U.shape[1]):
            towards = direction[row, at]
            along[row, at] = towards * (towards.real * U[row, at].real + towards.imag * U[row, at].imag)
