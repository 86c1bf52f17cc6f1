"""Inverse Fourier transforms whose scale is verified."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor


def ifft2(spectrum: Tensor) -> Tensor:
    """Return the inverse discrete Fourier transform over the last two axes, scaled by one over their pixels.

    The Math Kernel Library, with which PyTorch transforms on Intel processors, divides a single field of 2048×2048
    pixels in single precision by the number of pixels twice if it uses several threads
    (https://github.com/pytorch/pytorch/issues/169670). Its transforms without a scale are right. The scale is therefore
    verified at the first transform of each size, and applied here where it is wrong.

    Parameters
    ----------
    spectrum
        Complex, (..., Y, X), frequency zero first.

    Returns
    -------
    Tensor
        Complex, (..., Y, X).
    """
    height, width = spectrum.shape[-2:]
    fields = spectrum.shape[:-2].numel()
    if spectrum.device.type == "cpu" and not _scales_rightly(
        min(fields, 2), height, width, spectrum.dtype, torch.get_num_threads()
    ):
        unscaled: Tensor = torch.fft.ifft2(spectrum, norm="forward")
        return unscaled.mul_(1 / (height * width))
    scaled: Tensor = torch.fft.ifft2(spectrum)
    return scaled


@cache
def _scales_rightly(fields: int, height: int, width: int, dtype: torch.dtype, threads: int) -> bool:
    """Return whether a spectrum of frequency zero alone becomes an even field of one over the number of pixels.

    One and several fields are transformed differently, and so are fields by other numbers of threads.
    """
    spectrum = torch.zeros(fields, height, width, dtype=dtype)
    spectrum[:, :1, :1] = height * width
    if not spectrum.numel():
        return True
    # a row shows the scale, and needs no further memory
    return bool((torch.fft.ifft2(spectrum)[:, 0] - 1).abs().amax() < 1e-3)
