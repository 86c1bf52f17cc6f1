"""Pictures that explain a DINER, computed in the thread of the run panel."""

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
"""Largest number of values for spectra; larger data are represented by their middle planes."""


@dataclass(frozen=True)
class InsightPictures:
    """Keys, network and spectra of a DINER."""

    positions: npt.NDArray[np.float32]
    """Keys in points of the learned INR, (n, d)."""
    colours: npt.NDArray[np.float32]
    """Red, green and blue of each, (n, 3)."""
    learned_inr: NamedArray
    """The network over the bounding box of the keys, (Z)YX(S)."""
    spectrum: npt.NDArray[np.float32]
    """Logarithmic amplitude spectrum of the fitted data."""
    inr_spectrum: npt.NDArray[np.float32]
    """That of the learned INR."""
    ratios: npt.NDArray[np.float64]
    """Shares of four frequency bands in the spectrum of the data."""
    inr_ratios: npt.NDArray[np.float64]
    """Shares in that of the learned INR."""


class InsightRun:
    """Computes the pictures in several stages and can be stopped in between.

    Parameters
    ----------
    result
        Result of a fit of a DINER.
    """

    notes: tuple[str, ...] = ()
    compares_settings = True
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
            If it was stopped too early.
        """
        if self._pictures is None:
            raise DinerError("Cancelled before the pictures were done")
        return self._pictures


def begin(result: Result) -> AbstractContextManager[InsightRun]:
    """Prepare the pictures of a fitted DINER; see `InsightRun`."""
    return nullcontext(InsightRun(result))


def middle(data: npt.NDArray[ScalarT], axes: str) -> tuple[npt.NDArray[ScalarT], str]:
    """Return data, or a central part with few enough values and at most three axes, and its axes."""
    while axes[0] not in "YXS" and (data.size > MOST_NUMBERS or len(set(axes) - set("CS")) > 3):
        data, axes = data[len(data) // 2], axes[1:]
    return data, axes
