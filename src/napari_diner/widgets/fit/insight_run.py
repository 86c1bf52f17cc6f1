"""Pictures that explain why a DINER works, computed in the thread of the run panel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from napari_diner.errors import DinerError
from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.result import Progress, Result

ScalarT = TypeVar("ScalarT", bound=np.generic)

STAGES = ("mapped coordinates", "learned INR", "spectra")
MOST_NUMBERS = 2**24
"""Spectra are computed from no more values than this; of larger data, from their middle planes."""


@dataclass(frozen=True)
class InsightPictures:
    """Keys, network and spectra of a DINER.

    Parameters
    ----------
    positions
        Keys in points of the learned INR, (n, d).
    colours
        Red, green and blue of each, (n, 3).
    learned_inr
        The network over the bounding box of the keys, (Z)YX(S).
    spectrum, inr_spectrum
        Logarithmic amplitude spectra of what was fitted and of the learned INR.
    ratios, inr_ratios
        Shares of four frequency bands in each.
    """

    positions: npt.NDArray[np.float32]
    colours: npt.NDArray[np.float32]
    learned_inr: NamedArray
    spectrum: npt.NDArray[np.float32]
    inr_spectrum: npt.NDArray[np.float32]
    ratios: npt.NDArray[np.float64]
    inr_ratios: npt.NDArray[np.float64]


class InsightRun:
    """Computes the pictures in a few stages, between which it can be stopped.

    Parameters
    ----------
    result
        Result of a fit of a DINER.
    """

    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __init__(self, result: Result) -> None:
        self._result = result
        self._pictures: InsightPictures | None = None

    def __iter__(self) -> Iterator[Progress]:
        """Compute the pictures."""
        from napari_diner.tasks.fit import insight
        from napari_diner.tasks.fit.model import unpack

        began = time.perf_counter()

        def progress(stage: int) -> Progress:
            return Progress(STAGES[stage], stage, len(STAGES), {}, time.perf_counter() - began, None)

        yield progress(0)
        fitted = unpack(self._result)
        size = insight.MESH_SIZES[fitted.recipe.diner.table_width or 2]
        positions, colours = insight.mapped_coordinates(fitted, size=size)
        yield progress(1)
        inr = insight.learned_inr(fitted)
        yield progress(2)
        data, axes = middle(self._result["reconstruction"].data, self._result["reconstruction"].axes)
        self._pictures = InsightPictures(
            positions,
            np.broadcast_to(colours, (len(colours), 3)),
            inr,
            insight.spectrum(data, axes),
            insight.spectrum(inr.data, inr.axes),
            insight.band_ratios(data, axes=axes),
            insight.band_ratios(inr.data, axes=inr.axes),
        )

    def result(self) -> InsightPictures:
        """Return the pictures.

        Raises
        ------
        DinerError
            If it was stopped before they were done.
        """
        if self._pictures is None:
            raise DinerError("Cancelled before the pictures were done")
        return self._pictures


def begin(result: Result) -> AbstractContextManager[InsightRun]:
    """Prepare the pictures of a fitted DINER; see `InsightRun`."""
    return nullcontext(InsightRun(result))


def middle(data: npt.NDArray[ScalarT], axes: str) -> tuple[npt.NDArray[ScalarT], str]:
    """Return data, or a middle part with few enough values and at most three axes, and the axes of that."""
    while axes[0] not in "YXS" and (data.size > MOST_NUMBERS or len(set(axes) - set("CS")) > 3):
        data, axes = data[len(data) // 2], axes[1:]
    return data, axes
