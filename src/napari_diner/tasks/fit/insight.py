"""Insight into a DINER: positions of its keys, the function of its network, and spectra.

The pictures are those of Figs. 2, 4, 6 and 11 and of Table 1 of the paper.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_diner.device import check_memory
from napari_diner.errors import InputError
from napari_diner.io.arrays import NamedArray
from napari_diner.representations.diner import Diner, chunk_size
from napari_diner.tasks.fit.layout import Array
from napari_diner.tasks.fit.model import Fitted
from napari_diner.tasks.fit.recipe import CHANNEL_AXES

Image = npt.NDArray[np.float32]

MESH_SIZES = {1: 1024, 2: 256, 3: 64}
"""Points of the learned INR along each axis for keys of 1, 2 or 3 numbers, by default."""


def mapped_coordinates(
    fitted: Fitted, limit: int = 50_000, seed: int = 0, size: int | None = None
) -> tuple[Image, Image]:
    """Return the positions of a DINER's keys, and the values of the network there (Fig. 2d).

    Parameters
    ----------
    fitted
        A fitted DINER.
    limit
        Largest number of keys, drawn at random; samples that share a key are one point.
    seed
        Seed of the draw.
    size
        Count positions in points of the learned INR of this size, so that they lie on it as a layer; None for the keys
        as they are.

    Returns
    -------
    positions
        (n, d) for keys of d numbers, the first of them first.
    colours
        (n, 3) for data of three channels or colours, else (n, 1), their mean; 0 to 1.

    Raises
    ------
    InputError
        If it is not a DINER.
    """
    diner = _diner(fitted)
    keys = diner.hash_table.detach()
    if len(keys) > limit:
        chosen = np.sort(np.random.default_rng(seed).choice(len(keys), limit, replace=False))
        keys = keys[torch.from_numpy(chosen).to(keys.device)]
    colours = _colours(_evaluated(diner, keys))
    if size is not None:
        low, step = _mesh(diner, size)
        keys = (keys - low) / step
    return keys.cpu().numpy(), colours


def learned_inr(fitted: Fitted, size: int | None = None) -> NamedArray:
    """Return the learned INR: the network on a regular mesh over the bounding box of the keys (Sec. 4.1, Figs. 2f, 4).

    The mesh runs evenly from the minimum to the maximum of each number of the keys. A few keys that are far off widen
    it for all others.

    Parameters
    ----------
    fitted
        A fitted DINER.
    size
        Points along each axis; None for `MESH_SIZES`.

    Returns
    -------
    NamedArray
        ``"learned INR"`` of 0 to 1 where the data run from their lowest to their highest value: axes ``"YX"`` for keys
        of two numbers, Y for the first, and ``"ZYX"`` for three; a single row for keys of one number. Data of three
        channels or colours have a last axis ``"S"``; other channels are averaged. Its scale is in points.

    Raises
    ------
    InputError
        If it is not a DINER.
    OutOfMemoryError
        If a mesh of this size does not fit the memory.
    """
    diner = _diner(fitted)
    width = diner.settings.table_width
    size = size or MESH_SIZES[width]
    check_memory(4 * size**width * (2 * width + 2 * diner.outputs + 3), f"A learned INR of {size}^{width} points")
    low, step = _mesh(diner, size)
    axes = [start + interval * torch.arange(size, device=low.device) for start, interval in zip(low, step, strict=True)]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, width)
    colours = _colours(_evaluated(diner, points))
    image = colours.reshape(*([1] if width == 1 else []), *[size] * width, colours.shape[1])
    letters = "ZYX"[-max(width, 2) :]
    if image.shape[-1] == 1:
        image = image[..., 0]
    else:
        letters += "S"
    return NamedArray("learned INR", image, letters, (1.0,) * image.ndim)


def spectrum(image: Array, axes: str = "") -> Image:
    """Return the amplitude spectrum, ``log(1 + |F|)`` with frequency zero at the centre (Fig. 2b and g).

    Parameters
    ----------
    image
        Real values.
    axes
        Letters of its axes; empty for YX, or YXS if there are three. Channels (C, S) are averaged first.
    """
    values, space = _spatial(image, axes)
    values = values.mean(tuple(set(range(values.ndim)) - set(space)))
    return np.log1p(np.abs(np.fft.fftshift(np.fft.fftn(values)))).astype(np.float32)


def band_ratios(image: Array, bands: int = 4, axes: str = "") -> npt.NDArray[np.float64]:
    """Return the shares of the amplitude spectrum in bands of equal width from zero to the Nyquist frequency (Table 1).

    The share of a band is the sum of |F(f)| over the frequencies with ``b/B ≤ |f|/f_Nyquist < (b+1)/B``, for B bands,
    divided by the sum over all bands. The mean of the image is removed, channels and colours are added up, and the
    corners of the spectrum, beyond the Nyquist frequency of the axes, belong to no band.

    The paper does not define its four ratios. Of the plausible ways (amplitude or energy; rings or square
    shells; corners left out, in the last band or spanned by the bands; with or without the mean), this one comes
    nearest to the paper's ratios for original images. Energy does not agree: its first band alone has more than 0.98.

    Parameters
    ----------
    image
        Real values.
    bands
        Number of bands, B.
    axes
        Letters of its axes; empty for YX, or YXS if there are three.
    """
    values, space = _spatial(image, axes)
    amplitudes = np.abs(np.fft.fftn(values - values.mean(space, keepdims=True), axes=space))
    amplitudes = amplitudes.sum(tuple(set(range(values.ndim)) - set(space)))
    frequencies = np.meshgrid(*[2 * np.fft.fftfreq(size) for size in amplitudes.shape], indexing="ij", sparse=True)
    ring = np.floor(bands * np.sqrt(sum(frequency**2 for frequency in frequencies))).astype(np.int64)
    sums = np.bincount(ring.ravel(), amplitudes.ravel(), minlength=bands)[:bands]
    return sums / (sums.sum() or 1.0)


def arrangements(image: Array, seed: int = 0) -> dict[str, Array]:
    """Return the same pixels in three orders: original, sorted by brightness, and shuffled (Fig. 2a).

    Parameters
    ----------
    image
        Pixels, (Y, X) or (Y, X, colours).
    seed
        Fixes the shuffled order.
    """
    pixels = image.reshape(image.shape[0] * image.shape[1], -1)
    # equally bright pixels are ordered by their colours, so that the order does not depend on their positions
    keys = [pixels[:, colour] for colour in range(pixels.shape[1])][::-1]
    orders = {
        "original": np.arange(len(pixels)),
        "sorted": np.lexsort([*keys, pixels.sum(1, dtype=np.float64)]),
        "shuffled": np.random.default_rng(seed).permutation(len(pixels)),
    }
    return {name: pixels[order].reshape(image.shape) for name, order in orders.items()}


def _diner(fitted: Fitted) -> Diner:
    if not isinstance(fitted.representation, Diner):
        raise InputError(f"{fitted.recipe.name} has no hash table to look into; fit a DINER")
    return fitted.representation


def _mesh(diner: Diner, size: int) -> tuple[Tensor, Tensor]:
    """Return the lowest key and the spacing of the mesh over all keys, (d,) each."""
    keys = diner.hash_table.detach()
    low, high = keys.amin(0), keys.amax(0)
    # equal keys need a box, too
    return low, (high - low).clamp_min(1e-6) / max(size - 1, 1)


@torch.no_grad()
def _evaluated(diner: Diner, keys: Tensor) -> Tensor:
    return torch.cat([diner.backbone(part) for part in keys.split(chunk_size(keys))])


def _colours(outputs: Tensor) -> Image:
    """Return outputs, (n, channels), as colours or grey of 0 to 1."""
    values = outputs if outputs.shape[1] in (1, 3) else outputs.mean(1, keepdim=True)
    return values.clamp(0, 1).cpu().numpy()


def _spatial(image: Array, axes: str) -> tuple[npt.NDArray[Any], tuple[int, ...]]:
    """Return an image as real numbers, and the positions of its axes that have frequencies."""
    axes = axes or {2: "YX", 3: "YXS"}.get(image.ndim, "")
    if len(axes) != image.ndim:
        raise InputError(f"The axes {axes!r} do not match an array of {image.ndim} dimensions; name each of them")
    return image.astype(np.float64), tuple(place for place, axis in enumerate(axes) if axis not in CHANNEL_AXES)
