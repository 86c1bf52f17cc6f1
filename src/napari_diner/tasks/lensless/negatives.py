"""Single frames that are negatives of what they should be: a warning before each run.

The linear theory of weak objects (`preprocess.distances`) quickly shows which ones fit better with the opposite sign,
also the nearest one, which determines most of a reconstruction. A short reconstruction confirms it.
"""

from __future__ import annotations

from napari_diner.preprocess.distances import DistanceFit
from napari_diner.preprocess.soundness import numbered
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.tasks.lensless.short_look import ShortLook, Suspicion, instead

# Least decrease of the misfit of the linear theory: it increases by 0.05 to 3.5 with the opposite sign of a sound
# frame, and decreases by 0.05 to 1.0 with that of a negative of a weak sample.
_BETTER = 0.03


def negatives(setup: Setup, fit: DistanceFit | None, look: ShortLook) -> list[Suspicion]:
    """Return a suspicion if less than half of the frames fit better as negatives.

    Parameters
    ----------
    setup
        Geometry of the frames.
    fit
        The linear theory of the frames; nothing is suspected without it.
    look
        Reconstructs them for a moment.
    """
    if fit is None:
        return []
    numbers = fit.opposite(setup.heights.distances_um, _BETTER)
    if not numbers:
        return []
    frames = look.intensities
    for number in numbers:
        positive = frames[number].max() + frames[number].min() - frames[number]
        frames[number] = positive * (frames[number].mean() / positive.mean())  # gains are those of the negative
    before, after = look.given, look.of(frames)
    if not look.is_much_better(after, before):
        return []
    seem, should, them = ("seems to be a negative", "it should be", "it")
    if len(numbers) > 1:
        seem, should, them = ("seem to be negatives", "they should be", "them")
    text = (
        f"{numbered(numbers)} {seem}, bright where {should} dark: otherwise {instead(before, after)}; save all frames "
        f"alike, or leave {them} out (leave_out)"
    )
    return [Suspicion.confirmed(text, before, after)]
