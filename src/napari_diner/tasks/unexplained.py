"""How much of the data a result leaves unexplained: the first figure of every report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_diner.tasks.wording import percent


@dataclass(frozen=True)
class Unexplained:
    """What a result leaves of data y, relative to what the trivial answer leaves, such as an empty field.

    Parameters
    ----------
    share
        ``Σ (ŷ − y)² / Σ (ŷ₀ − y)²`` over the values that count, with the prediction ŷ of the result and ŷ₀ of the
        trivial answer: 0 for a perfect explanation, 1 for a worthless one. NaN for data without any variation.
    beyond_noise
        The part of it that neighbouring pixels share, which noise of single pixels cannot account for:
        ``½ Σ (r(y, x) r(y+1, x) + r(y, x) r(y, x+1)) / Σ (ŷ₀ − y)²`` for r = ŷ − y.
    """

    share: float
    beyond_noise: float

    @classmethod
    def of(cls, residual: npt.NDArray[np.floating], trivial: npt.NDArray[np.floating]) -> Unexplained:
        """Compare residuals, (..., Y, X), of a result and of the trivial answer; zero where values do not count."""
        shape = residual.shape[-2:]
        total = square = shared = 0.0
        for page, reference in zip(residual.reshape(-1, *shape), trivial.reshape(-1, *shape), strict=True):
            # one page at a time in double precision
            r = page.astype(np.float64)
            total += float(np.square(reference, dtype=np.float64).sum())
            square += float((r * r).sum())
            shared += float((r[1:] * r[:-1]).sum() + (r[:, 1:] * r[:, :-1]).sum()) / 2
        if total == 0:
            return cls(float("nan"), float("nan"))
        return cls(square / total, min(max(shared, 0.0), square) / total)

    def figures(self) -> dict[str, float]:
        """Return the entries of a report."""
        return {"unexplained": self.share, "unexplained_beyond_noise": self.beyond_noise}

    def warnings(self, doubtful: float, beyond_noise: float, trivial: str, causes: str) -> list[str]:
        """Return the sentence that is due if a result explains too little.

        Parameters
        ----------
        doubtful, beyond_noise
            Share, and part of it beyond noise, above both of which the explanation is doubtful.
        trivial
            What the trivial answer is, e.g. ``"an empty field"``.
        causes
            What to check.
        """
        if self.share >= 1:
            return [f"the result explains the data no better than {trivial}; {causes}"]
        if self.share > doubtful and self.beyond_noise > beyond_noise:
            return [
                f"{percent(self.share)} of the variation of the data is left unexplained, more than noise accounts "
                f"for; {causes}"
            ]
        return []
