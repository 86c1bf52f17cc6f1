"""What the frames of a recording say against its geometry: positions, displacements, heights and distances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_diner.preprocess.displacement import moves, warnings_of_displacements, worst_displacement
from napari_diner.preprocess.same_exposure import of_one_height
from napari_diner.preprocess.soundness import numbered
from napari_diner.tasks.left_out import LeftOut
from napari_diner.tasks.lensless.brightness import in_equal_light, uneven
from napari_diner.tasks.lensless.mixtures import mixtures
from napari_diner.tasks.lensless.model import ModelBuilder
from napari_diner.tasks.lensless.negatives import negatives
from napari_diner.tasks.lensless.order import distance_fit, misplaced, mistaken, rescaled, stretched
from napari_diner.tasks.lensless.positions import turned_positions
from napari_diner.tasks.lensless.prepared import PreparedFrames
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.register import unregistered
from napari_diner.tasks.lensless.response import nonlinear
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.tasks.lensless.short_look import SIDES_PX, ShortLook, Suspicion

# what another scale may leave unexplained if no other error is to be looked for
_CLEAR = 0.1
# what it may leave if frames seem displaced as a consequence of it
_EXPLAINED = 0.05
_FEWEST_FRAMES = 2
# displacement in pixels from which it needs no confirmation
_FAR_PX = 2.0


class GeometryDoubts:
    """Doubts about the geometry, from the frames that are not faulty in themselves.

    Parameters
    ----------
    recipe
        The resolved recipe.
    prepared
        The prepared frames.
    builder
        Builds forward models.
    is_implausible
        Whether the optics are doubtful already, so that further doubts would be consequences.
    """

    def __init__(
        self, recipe: LenslessRecipe, prepared: PreparedFrames, builder: ModelBuilder, *, is_implausible: bool
    ) -> None:
        self._sound = sound = LeftOut(len(prepared.amplitudes), prepared.odd)
        if sound.numbers and len(sound.kept) >= _FEWEST_FRAMES:
            recipe = recipe.updated({name: sound.rest(values) for name, values in recipe.lists.items()})
            prepared = prepared.of(sound.kept)
        self._recipe, self._prepared, self._builder = recipe, prepared, builder
        self._setup = setup = Setup.of(recipe, prepared.gains)
        wrong, self._pairs = turned_positions(setup, prepared), unregistered(recipe, prepared)
        same = []
        if not is_implausible:
            same = of_one_height(prepared.amplitudes, setup.frame_optics, setup.heights.distances_um)
        # an illumination that is not known yet would explain most of what seems wrong
        unlit = recipe.unknown_illumination.solve
        self._displaced = displaced = warnings_of_displacements(self._pairs)
        self._to_confirm = not (unlit or wrong or is_implausible or same)
        self.first: Sequence[str] = sound.counted([*wrong, *displaced] if unlit else wrong)
        """Warnings about positions, and about displacements that cannot be confirmed."""
        self.last: Sequence[str] = sound.counted(same)
        """Warnings about frames of one height."""

    def confirmed(self) -> Sequence[str]:
        """Return the error that would explain most, at most one, confirmed by short reconstructions."""
        if not self._to_confirm:
            return ()
        odd = self._sound.numbers
        without = f" (judged without {numbered(odd)})" if odd else ""
        return [text + without for text in self._sound.counted(self._confirmed())]

    @property
    def _moves(self) -> npt.NDArray[np.float64]:
        """Displacement of each frame in pixels, (N, 2)."""
        return moves(self._pairs, len(self._prepared.amplitudes))

    @property
    def _is_far(self) -> bool:
        """Whether displacements are too large for anything else to be their cause."""
        worst = worst_displacement(self._pairs)
        return worst is not None and worst.length > _FAR_PX

    def _confirmed(self) -> list[str]:
        recipe, prepared, displaced = self._recipe, self._prepared, self._displaced
        setup = in_equal_light(recipe, self._setup, prepared)
        look, small = (ShortLook(setup, prepared, self._builder, side) for side in SIDES_PX)
        if not (look.is_usable and small.is_usable):
            return displaced
        fit = distance_fit(recipe, setup, prepared)
        faulty = [suspicion.text for suspicion in negatives(setup, fit, look)] or mixtures(setup, fit)
        if faulty:
            return faulty
        suspicions = rescaled(recipe, setup, prepared, look, small)
        suspicions = suspicions or stretched(recipe, setup, prepared, look, small)
        is_scale = bool(suspicions) and suspicions[0].left < _CLEAR
        if displaced and self._is_far:
            if not (suspicions and suspicions[0].left < _EXPLAINED):
                return displaced
        elif not is_scale:
            # other errors look like small displacements, as do the edges of a small field
            if displaced and look.is_much_better(moved := look.moved(self._moves), look.given):
                suspicions += [Suspicion.confirmed(text, look.given, moved) for text in displaced]
            suspicions += [*uneven(recipe, prepared, look), *misplaced(recipe, setup, prepared, look)]
            suspicions += [*mistaken(recipe, setup, prepared, look, small), *nonlinear(look, small)]
        return [suspicion.text for suspicion in sorted(suspicions, key=lambda one: one.left)[:1]]
