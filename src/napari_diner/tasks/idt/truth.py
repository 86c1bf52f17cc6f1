"""The true refractive index, and scores of a volume against it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_diner.errors import InputError
from napari_diner.io.arrays import Array
from napari_diner.io.images import read_image
from napari_diner.io.places import expanded

# the object is what differs from the medium by this fraction of the largest difference
_SUPPORT = 0.01


@dataclass(frozen=True)
class TrueVolume:
    """The true object: real and imaginary part of its refractive index, (Z, Y, X); the latter may be None."""

    n_re: Array
    n_im: Array | None = None


def load_truth(folder: str | Path) -> TrueVolume:
    """Read ``n_re.tif``, and ``n_im.tif`` if present, from a folder.

    Raises
    ------
    InputError
        If there is no ``n_re.tif``, or it is not a volume.
    """
    folder = expanded(folder)
    path = folder / "n_re.tif"
    if not path.is_file():
        raise InputError(f"The folder {folder} has no n_re.tif; give one with n_re.tif (and n_im.tif)")
    n_im = folder / "n_im.tif"
    return TrueVolume(_volume(path), _volume(n_im) if n_im.is_file() else None)


def _volume(path: Path) -> Array:
    """Return a volume from a file, (Z, Y, X), where an image is a single slice."""
    image = read_image(path)
    if image.ndim not in (2, 3):
        raise InputError(f"{path} has {image.ndim} axes; a volume has three (Z, Y, X)")
    return image if image.ndim == 3 else image[None]


def check_truth(truth: TrueVolume, shape: tuple[int, int, int]) -> None:
    """Check that a truth belongs to a volume of the shape (Z, Y, X).

    Raises
    ------
    InputError
        If the shapes differ, or it is no truth of this task.
    """
    if not isinstance(truth, TrueVolume):
        raise InputError("The truth should be the folder of a sample, or what it was read as; name the folder")
    for name, volume in (("n_re", truth.n_re), ("n_im", truth.n_im)):
        if volume is not None and volume.shape != shape:
            sizes = ["×".join(map(str, size)) for size in (volume.shape, shape)]
            raise InputError(
                f"The true {name} has {sizes[0]} voxels but the volume {sizes[1]}; give the truth of this sample"
            )


def score(n_re: Array, n_im: Array, truth: TrueVolume, medium_index: float) -> dict[str, float]:
    """Compare a volume with the truth.

    The object is where the true index differs from that of the medium. Structural similarity is not used, since an
    empty volume scores about one half.

    Returns
    -------
    dict[str, float]
        ``n_re_rmse`` and ``n_re_rmse_zero`` (that of an empty volume) inside the object, their ratio in dB as
        ``n_re_psnr_db`` with the largest difference as peak, ``n_re_correlation`` over the whole volume, and
        ``n_im_rmse`` inside the object if the true absorption is known.
    """
    peak = max(float(np.abs(_contrast(plane, medium_index)).max()) for plane in truth.n_re)
    # one slice at a time in double precision
    count, errors, squares, absorption = 0, 0.0, 0.0, 0.0
    moments = np.zeros((3, 3))
    for place, plane in enumerate(truth.n_re):
        true, reconstructed = _contrast(plane, medium_index), _contrast(n_re[place], medium_index)
        inside = np.abs(true) > _SUPPORT * peak if peak > 0 else np.ones(true.shape, bool)
        count += int(inside.sum())
        errors += float(np.square((reconstructed - true)[inside]).sum())
        squares += float(np.square(true[inside]).sum())
        if truth.n_im is not None:
            absorption += float(np.square(n_im[place] - truth.n_im[place], dtype=np.float64)[inside].sum())
        values = np.stack([np.ones(true.size), true.ravel(), reconstructed.ravel()])
        moments += values @ values.T
    rmse = math.sqrt(errors / count)
    scores = {
        "n_re_rmse": rmse,
        "n_re_rmse_zero": math.sqrt(squares / count),
        "n_re_psnr_db": 20 * math.log10(peak / rmse) if rmse > 0 and peak > 0 else math.inf,
    }
    if np.ptp(n_re) > 0 and np.ptp(truth.n_re) > 0:
        means = moments[0, 1:] / moments[0, 0]
        covariance = moments[1:, 1:] / moments[0, 0] - np.outer(means, means)
        scores["n_re_correlation"] = float(covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1]))
    if truth.n_im is not None:
        scores["n_im_rmse"] = math.sqrt(absorption / count)
    return scores


def _contrast(index: Array, medium_index: float) -> npt.NDArray[np.float64]:
    return index.astype(np.float64) - medium_index
