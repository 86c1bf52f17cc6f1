"""The unexplained share of the data: the first figure of every report."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_diner.preprocess.soundness import numbered
from napari_diner.wording import percent

# smallest number of frames to identify an outlying one
_FEWEST_FRAMES = 4
# shares beyond noise differ by up to a factor of 3 between frames of good recordings, and noise contributes up to 0.15
# of its own share
_WORSE, _NOT_NOISE, _OF_NOISE = 6.0, 0.3, 0.15
_MOSTLY_NOISE = 0.5
# increase of the share beyond noise from which a solver is worse than its start
_BEHIND = 3.0


@dataclass(frozen=True)
class Unexplained:
    """The residual of a result for data y, relative to that of a trivial answer, such as an empty field."""

    share: float
    """``Σ (ŷ − y)² / Σ (ŷ₀ − y)²`` over the valid values, with the prediction ŷ of the result and ŷ₀ of the trivial
    answer: 0 for a perfect explanation, 1 for a worthless one. NaN for data without any variation.
    """
    beyond_noise: float
    of_frames: tuple[tuple[float, float], ...] = ()
    """Both shares for each frame, relative to the mean variation of a frame."""

    @classmethod
    def of(cls, residual: npt.NDArray[np.floating], trivial: npt.NDArray[np.floating]) -> Unexplained:
        """Compare residuals, (..., Y, X), of a result and of the trivial answer; zero at invalid values."""
        shape = residual.shape[-2:]
        total, squares, shared = 0.0, [], []
        for page, reference in zip(residual.reshape(-1, *shape), trivial.reshape(-1, *shape), strict=True):
            # one page at a time in double precision
            r = page.astype(np.float64)
            total += float(np.square(reference, dtype=np.float64).sum())
            squares.append(float((r * r).sum()))
            shared.append(float((r[1:] * r[:-1]).sum() + (r[:, 1:] * r[:, :-1]).sum()) / 2)
        if total == 0:
            return cls(float("nan"), float("nan"))
        scale, square = len(squares) / total, sum(squares)
        of_frames = tuple(
            (all_of_it * scale, max(part, 0.0) * scale) for all_of_it, part in zip(squares, shared, strict=True)
        )
        return cls(square / total, min(max(sum(shared), 0.0), square) / total, of_frames)

    def figures(self) -> dict[str, float]:
        """Return the entries of a report."""
        return {"unexplained": self.share, "unexplained_beyond_noise": self.beyond_noise}

    def is_doubtful(self, doubtful: float, beyond_noise: float) -> bool:
        """Return whether the share, and its part beyond noise, exceed these."""
        return self.share > doubtful and self.beyond_noise > max(beyond_noise, _OF_NOISE * self.share)

    def frame_warnings(self, least: float, check: str, named: Collection[int] = ()) -> list[str]:
        """Return a warning if a few frames are explained much worse than the others.

        Parameters
        ----------
        least
            Share of the variation of a frame, beyond noise, from which it matters.
        check
            What to check of such a frame, e.g. ``"distance and alignment"``.
        named
            Frames that are left out of the warning, as another one names them.
        """
        if len(self.of_frames) < _FEWEST_FRAMES:
            return []
        shares, beyond = np.array(self.of_frames).T
        usual = float(np.median(beyond))
        # a result that fits noise also leaves some correlation of neighbours
        noise = np.maximum(_NOT_NOISE * shares, _OF_NOISE * self.share)
        # the nearest frame may be fitted better than the others, noise and all
        worse = (beyond > np.maximum(noise, max(least, _WORSE * usual))) & (shares > np.median(shares))
        odd = np.flatnonzero(worse)
        odd = odd[~np.isin(odd, list(named))]
        if not odd.size:
            return []
        worst, them, its = percent(float(beyond[odd].max())), *(("it", "its") if odd.size == 1 else ("them", "their"))
        return [
            f"{numbered(odd)} {'is' if odd.size == 1 else 'are'} explained much worse than the others: up to {worst} "
            f"of the variation of a frame is left beyond noise, {percent(usual)} in most; check {its} {check}, or "
            f"leave {them} out (leave_out)"
        ]

    def behind(
        self,
        start: Unexplained,
        solver: str,
        source: str,
        cure: str,
        role: str = "its start",
        least: float = 0.0,
    ) -> list[str]:
        """Return a warning if a solver explains less of the signal than its start, or another one, did.

        Parameters
        ----------
        start
            What the start leaves unexplained.
        solver, source
            Names of the solver, and of the one that its start is from.
        cure
            What to do instead of more iterations.
        role
            What the other one is to the solver.
        least
            Share beyond noise from which it matters.
        """
        if self.beyond_noise <= max(_BEHIND * start.beyond_noise, _OF_NOISE * self.share, least):
            return []
        return [
            f"{solver} explains the data less well than {role}: it leaves {percent(self.share)} of their variation "
            f"unexplained, {source} {percent(start.share)}; give it more iterations, or {cure}"
        ]

    def warnings(self, doubtful: float, beyond_noise: float, trivial: str, causes: str, first: str = "") -> list[str]:
        """Return a warning if a result explains too little.

        Parameters
        ----------
        doubtful, beyond_noise
            Share, and part of it beyond noise; the result is doubtful if both are exceeded.
        trivial
            Name of the trivial answer, e.g. ``"an empty field"``.
        causes
            Possible causes to check.
        first
            What to do before; see `napari_diner.tasks.job.RunRecord.first_cure`.
        """
        causes = f"{first}; if that does not help, {causes}" if first else causes
        if self.share >= 1:
            return [f"the result explains the data no better than {trivial}; {causes}"]
        if self.is_doubtful(doubtful, beyond_noise):
            return [
                f"{percent(self.share)} of the variation of the data is left unexplained, more than noise accounts "
                f"for; {causes}"
            ]
        if self.share > _MOSTLY_NOISE:
            return [f"{percent(self.share)} of the variation of the data is left unexplained, and looks like noise"]
        return []
