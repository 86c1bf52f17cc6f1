"""Placement of the keys of a DINER for a fixed network: globally by search, locally by second-order steps.

Given the network f_θ, the keys of Eq. 4b are independent: each solves ``min_k |f_θ(k) − y_i|²`` in the few dimensions
of a key. Adam moves every key downhill from its position to the first minimum of the learned INR that it meets; the
search below finds the best one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree
from torch import Tensor

from napari_diner.representations import interpolation
from napari_diner.representations.diner import Diner, chunk_size
from napari_diner.representations.lattice import Lattice
from napari_diner.solvers.solver import Budget, Resumable
from napari_diner.solvers.step import Step

# number of points of the searched lattice, for any dimension
_SEARCHED_POINTS = 1 << 16
_SEARCHED_AT_ONCE, _SEARCHED_AT_ONCE_ON_CARD = 1 << 18, 1 << 22
# targets of which the distances to all values are stored at a time
_COMPARED_AT_ONCE = 1 << 11
_MOST_COMPARED = 3
# boxes along each axis of the grid for targets that are far from all values, and how far in diagonals of a box
_BOXES, _NEAR = 64, 1.5
# fewer targets are all searched for precisely, which takes a second at most and gains a decibel
_FEWEST_BY_BOX = 1 << 15
_MARGIN = 0.025
# a key is only moved for a gain larger than what the interpolation between lattice points may hide
_GAIN = 0.9
# tolerance of the nearest value: initially all values are nearly at one point, far from most targets, and an
# exact search would have to visit all of them
_NEARLY = 0.1
_FIRST_DAMPING = 1e-2
# part of a run with searches: not before the network has learned something, and not so late that
# moved keys cannot settle
_SEARCH_SPAN = (0.08, 0.85)
# part of a limited time for searches: all of them would take most of a short one, and leave few epochs to learn from
_SEARCH_SHARE = 0.15


@torch.no_grad()
def search_keys(diner: Diner, targets: Tensor, moved: Tensor) -> Iterator[int]:
    """Move each key to the point of a fine lattice whose value is nearest to its target, if that is better.

    Parameters
    ----------
    diner
        The representation; its table is changed in place.
    targets
        Target outputs, (outputs, n).
    moved
        Boolean, (n,): receives whether each key was moved.

    Yields
    ------
    int
        Number of processed keys.
    """
    keys = diner.hash_table
    size = round(_SEARCHED_POINTS ** (1 / keys.shape[1]))
    points = Lattice.covering(keys, size, _MARGIN).points()
    nearest = _Nearest(torch.cat([diner.backbone(part) for part in points.split(chunk_size(keys))]), targets)
    at_once = _SEARCHED_AT_ONCE if keys.device.type == "cpu" else _SEARCHED_AT_ONCE_ON_CARD
    for start in range(0, len(keys), at_once):
        part = slice(start, start + at_once)
        present = torch.cat([diner.backbone(some) for some in keys[part].split(chunk_size(keys))])
        index, square = nearest.to(targets[:, part])
        better = square < _GAIN * (present - targets[:, part].T).square().sum(1)
        keys[part] = torch.where(better[:, None], points[index], keys[part])
        moved[part] = better
        yield min(start + at_once, len(keys))


@torch.no_grad()
def matching_keys(keys: Tensor, targets: Tensor, others: Tensor) -> Tensor:
    """Return for each of other targets the key of the nearest target: equal values have equal keys.

    Parameters
    ----------
    keys
        Keys, (n, d).
    targets
        Values that they return, (outputs, n).
    others
        Other values, (outputs, m).

    Returns
    -------
    Tensor
        Keys, (m, d).
    """
    index, _ = _Nearest(targets.T, others).to(others)
    return keys[index]


class _Nearest:
    """Search for the nearest of a set of values, (m, outputs): by a tree on a processor, among all on a card.

    More than three outputs are compared along the three principal components of the values: trees are of no use in
    more dimensions, and the values lie on a surface or in a volume.

    Parameters
    ----------
    values
        The values, (m, outputs).
    targets
        Everything that is searched for, (outputs, n).
    """

    def __init__(self, values: Tensor, targets: Tensor) -> None:
        self.values = values
        self._axes = _principal(values) if values.shape[1] > _MOST_COMPARED else None
        self._places = self._placed(values)
        if values.device.type == "cpu":
            self._tree = cKDTree(self._places.numpy())
            by_box = self._places.shape[1] == _MOST_COMPARED and targets.shape[1] >= _FEWEST_BY_BOX
            self._boxes = _Boxes(self._places, self._placed(targets.T)) if by_box else None

    def to(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the index of the nearest value for each target, of (outputs, n), and its squared distance, (n,)."""
        index = self._index(self._placed(targets.T))
        return index, (self.values[index] - targets.T).square().sum(1)

    def _placed(self, values: Tensor) -> Tensor:
        return values if self._axes is None else values @ self._axes

    def _index(self, places: Tensor) -> Tensor:
        if places.device.type == "cpu":
            return self._index_by_tree(places)
        if places.device.type == "cuda" and interpolation.is_compiled_for("cuda"):
            from napari_diner.representations import card

            return card.nearest(self._places, places.T)
        parts = places.split(_COMPARED_AT_ONCE)
        return torch.cat([torch.cdist(part, self._places).argmin(1) for part in parts])

    def _index_by_tree(self, places: Tensor) -> Tensor:
        if self._boxes is None:
            return self._queried(places)
        index = self._boxes.nearest(places)
        near = (self._places[index] - places).norm(dim=1) < self._boxes.precise_from
        index[near] = self._queried(places[near])
        return index

    def _queried(self, places: Tensor) -> Tensor:
        return torch.from_numpy(self._tree.query(places.numpy(), eps=_NEARLY, workers=torch.get_num_threads())[1])


class _Boxes:
    """The nearest of some places to each box of a grid, all three-dimensional.

    A tree takes long for a place that is far from all others, at a distance from many of them that is nearly the same,
    as most targets are from the values of a network that has learned little. For these the nearest to their box will
    do. The time does not depend on the places.
    """

    def __init__(self, places: Tensor, targets: Tensor) -> None:
        self._least = targets.amin(0)
        self._edges = ((targets.amax(0) - self._least) / _BOXES).clamp_min(1e-20)
        self.precise_from = _NEAR * float(self._edges.norm())
        """Distance from which a box is precise enough, in relation to its size."""
        inhabitant = np.full((_BOXES,) * 3, -1)
        inhabitant[self._of(places)] = np.arange(len(places))
        nearest = distance_transform_edt(
            inhabitant < 0, sampling=self._edges.tolist(), return_distances=False, return_indices=True
        )
        self._nearest = inhabitant[tuple(nearest)]

    def nearest(self, places: Tensor) -> Tensor:
        """Return the index of the nearest place to the box of each of some places, (n,)."""
        return torch.from_numpy(self._nearest[self._of(places)])

    def _of(self, places: Tensor) -> tuple[npt.NDArray[np.int64], ...]:
        """Return the boxes of places; those outside the grid count as at its edge."""
        box = ((places - self._least) / self._edges).nan_to_num(0).clamp(0, _BOXES - 1)
        return tuple(box.long().T.numpy())


def _principal(values: Tensor) -> Tensor:
    """Return three orthogonal directions along which values, (m, outputs), vary most: (outputs, 3)."""
    vectors: Tensor = torch.linalg.eigh(torch.cov(values.T).cpu().double()).eigenvectors
    return vectors[:, -_MOST_COMPARED:].to(values)


@torch.no_grad()
def place_keys(diner: Diner, targets: Tensor, steps: int) -> Iterator[int]:
    """Bring each key to the nearest minimum of ``|f_θ(k) − y|²`` by Levenberg-Marquardt steps on the exact network.

    With the Jacobian J of f_θ at k, one step is ``(JᵀJ + μ tr(JᵀJ)) δ = Jᵀ(y − f_θ(k))``; it is accepted if it lowers
    the error; μ is then divided by 4, otherwise multiplied by 8, separately for each key. No key gets worse.

    Parameters
    ----------
    diner, targets
        See `search_keys`.
    steps
        Steps for each key.

    Yields
    ------
    int
        Number of processed keys.
    """
    identity = torch.eye(diner.settings.table_width, dtype=targets.dtype, device=targets.device)
    size = chunk_size(diner.hash_table)
    for start in range(0, len(diner.hash_table), size):
        part = slice(start, start + size)
        keys, part_targets = diner.hash_table[part].clone(), targets[:, part].T
        damping = keys.new_full((len(keys), 1, 1), _FIRST_DAMPING)
        values, jacobian = _linearised(diner, keys)
        for _ in range(steps):
            normal = jacobian.mT @ jacobian
            trace = normal.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
            system = normal + (damping * trace + 1e-12) * identity
            right = jacobian.mT @ (part_targets - values)[..., None]
            trial = keys + torch.linalg.solve(system, right)[..., 0]
            trial_values, trial_jacobian = _linearised(diner, trial)
            better = (trial_values - part_targets).square().sum(1) < (values - part_targets).square().sum(1)
            keys = trial.where(better[:, None], keys)
            values = trial_values.where(better[:, None], values)
            jacobian = trial_jacobian.where(better[:, None, None], jacobian)
            damping = torch.where(better[:, None, None], damping / 4, damping * 8)
        diner.hash_table[part] = keys
        yield min(start + size, len(diner.hash_table))


def _linearised(diner: Diner, keys: Tensor) -> tuple[Tensor, Tensor]:
    """Return the network's values at keys, (n, outputs), and its Jacobian, (n, outputs, d)."""
    with torch.enable_grad():
        leaf = keys.detach().requires_grad_()
        values = diner.backbone(leaf)
        # each value depends on its own key only, so the gradient of a sum contains a row of every Jacobian
        rows = [torch.autograd.grad(column.sum(), leaf, retain_graph=True)[0] for column in values.unbind(1)]
    return values.detach(), torch.stack(rows, 1)


class KeySearch(Resumable):
    """Searches for better keys, spread over a run of Adam; a `Refinement`.

    Parameters
    ----------
    diner
        The representation.
    targets
        Values to be returned, (outputs, n).
    searches
        How often to search, at most if the time is limited.
    budget
        Time for the run; without a limit, searches do not depend on times, so that runs can be repeated.
    """

    kept = ("_done",)

    def __init__(self, diner: Diner, targets: Tensor, searches: int, budget: Budget | None = None) -> None:
        self.diner, self.targets, self.searches = diner, targets, searches
        self.budget = Budget() if budget is None else budget
        self._began, self._spent_s, self._timed = self.budget.elapsed(), 0.0, 0
        self._done = 0

    def is_due(self, done: float) -> bool:
        """Return whether the next search is due when a fraction of the run is done."""
        first, last = _SEARCH_SPAN
        if self._done == self.searches or done < first + (last - first) * self._done / self.searches:
            return False
        if self.budget.ends_at is None or not self._timed:
            return True
        next_s = self._spent_s * (1 + 1 / self._timed)
        return next_s <= _SEARCH_SHARE * (self.budget.elapsed() - self._began)

    def apply(self, optimizer: torch.optim.Optimizer) -> Iterator[float]:
        """Search for all keys, and reset the momentum of those that move."""
        self._done += 1
        began = self.budget.elapsed()
        table = self.diner.hash_table
        moved = torch.zeros(len(table), dtype=torch.bool, device=self.targets.device)
        for count in search_keys(self.diner, self.targets, moved):
            if count < len(moved):
                yield count / len(moved)
        state = optimizer.state.get(table)
        if state:
            # the old momentum would carry a key away from its new position
            state["exp_avg"][moved] = 0
        self._spent_s, self._timed = self._spent_s + self.budget.elapsed() - began, self._timed + 1


class KeyPlacement:
    """The final second-order steps of all keys, with a fixed network; a `Solver`.

    Parameters
    ----------
    diner
        The representation; its table is changed in place.
    targets
        Values to be returned, (outputs, n).
    steps
        Steps for each key.
    objective
        Returns the current misfit.
    """

    def __init__(self, diner: Diner, targets: Tensor, steps: int, objective: Callable[[], float]) -> None:
        self.diner, self.targets, self.key_steps, self.objective = diner, targets, steps, objective

    def steps(self) -> Iterator[Step]:
        """Place the keys, part by part; the last step has the final misfit."""
        loss, keys = self.objective(), len(self.diner.hash_table)
        for done in place_keys(self.diner, self.targets, self.key_steps):
            yield Step(1, 1, self.objective() if done == keys else loss, within=done / keys)

    def result(self) -> Diner:
        """Return the representation."""
        return self.diner

    current = result
