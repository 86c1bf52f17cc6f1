"""Frames that hold a second image of themselves: by a reflection in a window, or by two exposures added up."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import fft

from napari_diner.io.arrays import Array
from napari_diner.preprocess.pixels import fill
from napari_diner.wording import digits

Sums = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# side of the central part and frames that are looked at, at most; the least side that tells
_MOST_PX, _MOST_FRAMES, _FEWEST_PX = 512, 8, 64
# smallest displacement, in pixels, that is no blur, and the largest one as a part of the side
_NEAREST, _FARTHEST = 6.5, 1 / 3
# Part of the light from which it matters, and relative to the root mean square of the cepstrum at other displacements.
# Sound recordings are below 0.026, and at 3.5 to 5.6 times the root mean square.
_LEAST, _CERTAIN = 0.05, 8.0
# height at twice the displacement, and anywhere else, from which the sample or the grid of pixels is periodic: a second
# image leaves a negative one at twice its displacement
_PERIODIC, _OTHER, _BESIDE = 0.2, 0.5, 2.0
_DARKEST = 1e-12
# part of the field without which nothing can be told; part of the pixels that are left out that repeat at a
# displacement, more than around it
_MOST_LEFT_OUT, _REPEATED = 0.5, 0.2
_AROUND = [(down, across) for down in (-2, 0, 2) for across in (-2, 0, 2) if down or across]


def doubled(frames: Array, valid: Mask | None = None) -> list[str]:
    """Return a warning if all frames hold a second image of themselves, displaced by the same distance.

    The spectrum is multiplied by ``1 + a exp(−2πi f s)`` then, for a displacement s with a part a of the light, and
    the inverse transform of the logarithm of its power has a peak of the height a at s, whatever the sample (the
    cepstrum; Bogert, Healy and Tukey, Proc. Symp. Time Series Analysis, 1963, Ch. 15). Periodic samples have peaks of
    the same sign at multiples of s, too, and edges negative ones.

    Parameters
    ----------
    frames
        Intensities, (N, Y, X), finite.
    valid
        True at pixels that count, (N, Y, X); None if all do.
    """
    side = min(*frames.shape[1:], _MOST_PX)
    if side < _FEWEST_PX:
        return []
    cepstrum = _cepstrum(frames, valid, side)
    y = fft.fftfreq(side, 1 / side)
    radius = np.hypot(y[:, None], y[None])
    looked_at = (radius >= _NEAREST) & (radius < _FARTHEST * side)
    highest = np.unravel_index(np.argmax(np.where(looked_at, cepstrum, -np.inf)), cepstrum.shape)
    part = float(cepstrum[highest])
    # at displacements of about the same length, where the sample contributes as much
    near = looked_at & (np.abs(radius - radius[highest]) < 2)
    near[highest] = near[tuple(-place for place in highest)] = False
    usual = float(np.sqrt(np.mean(cepstrum[near] ** 2)))
    down, across = (int(y[place]) for place in highest)
    twice = float(cepstrum[2 * down % side, 2 * across % side])
    if part < max(_LEAST, _CERTAIN * usual) or twice > _PERIODIC * part:
        return []
    offsets = (np.hypot(y[:, None] - sign * down, y[None] - sign * across) for sign in (1, -1))
    elsewhere = looked_at & (np.minimum(*offsets) > _BESIDE)
    if float(cepstrum[elsewhere].max()) > _OTHER * part or _is_of_pixels_left_out(valid, side, (down, across)):
        return []
    return [
        f"all frames seem to hold a second image of themselves, displaced by {abs(down)} pixels down and "
        f"{abs(across)} {'right' if down * across >= 0 else 'left'}, or the reverse, with {digits(100 * part)} % of "
        "the "
        "light, as by a reflection in a window, a sensor that moved, or two exposures added up; the result shows it as "
        "a part of the sample (a sample of equal parts looks the same)"
    ]


def _is_of_pixels_left_out(valid: Mask | None, side: int, by: tuple[int, int]) -> bool:
    """Return whether most of a field is left out, or pixels that are left out repeat at a displacement.

    These repeat what is beside them, as they are filled. Areas, unlike such pixels, do so at other displacements, too.
    """
    if valid is None:
        return False
    rows, columns = ((size - side) // 2 for size in valid.shape[1:])
    left_out = ~valid[:, rows : rows + side, columns : columns + side].all(axis=0)
    part = float(left_out.mean())
    if part in (0.0, 1.0) or part > _MOST_LEFT_OUT:
        return part > 0.0
    spectrum = np.square(np.abs(fft.fft2(left_out.astype(np.float64))))
    alike = fft.ifft2(spectrum).real / left_out.sum()
    around = np.mean([alike[by[0] + down, by[1] + across] for down, across in _AROUND])
    return bool(alike[by] - around > _REPEATED)


def _cepstrum(frames: Array, valid: Mask | None, side: int) -> Sums:
    """Return the mean cepstrum of the middles of some frames, (side, side)."""
    rows, columns = ((size - side) // 2 for size in frames.shape[1:])
    window = np.outer(np.hanning(side), np.hanning(side))
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), _MOST_FRAMES)).astype(int))
    total: Sums = np.zeros((side, side))
    for number in chosen:
        place = number, slice(rows, rows + side), slice(columns, columns + side)
        frame = frames[place].astype(np.float64)
        if valid is not None and valid[place].any():
            frame = fill(frame, valid[place])
        power = np.abs(fft.fft2(window * (frame / (frame.mean() or 1.0) - 1))) ** 2
        total += np.log(power + _DARKEST * float(power.max()) + np.finfo(float).tiny)
    return np.asarray(fft.ifft2(total / len(chosen)).real)
