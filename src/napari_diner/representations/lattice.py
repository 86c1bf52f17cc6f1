"""A lattice in the space of keys, on which a network is evaluated, and from which its values are interpolated."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_diner.representations import interpolation

# fewer keys are not worth distributing over threads
_WORTH_SHARING = 4096
# keys that are read by `grid_sample` at a time: enough to share between threads, few enough to stay near a core
_PART = 1 << 17
# keys that are put in one row to find the extent of all
_FOLD = 64


@dataclass(frozen=True)
class Lattice:
    """Evenly spaced points in a box of the space of the keys."""

    centre: Tensor
    """Centre of the box, (d,)."""
    half: Tensor
    """Half of the edges of the box, (d,)."""
    size: int
    """Points along each edge, G."""

    @classmethod
    def covering(cls, keys: Tensor, size: int, margin: float = 0.0) -> Lattice:
        """Return the lattice over the bounding box of keys, (n, d), wider by a fraction `margin` of it on each side."""
        with torch.no_grad():
            return cls.between(*_extent(keys), size, margin)

    @classmethod
    def between(cls, low: Tensor, high: Tensor, size: int, margin: float = 0.0) -> Lattice:
        """Return the lattice over the box between two corners, (d,), wider by a fraction of it on each side."""
        # a box of (nearly) no extent needs a lattice with differences above rounding errors
        half = ((high - low) / 2).clamp_min(1e-3) * (1 + 2 * margin)
        return cls((low + high) / 2, half, size)

    @property
    def width(self) -> int:
        """Numbers in each key, d."""
        return len(self.centre)

    @property
    def box(self) -> interpolation.Box:
        """The lattice, as compiled kernels take it."""
        return interpolation.Box(self.centre, self.half, self.size)

    def points(self) -> Tensor:
        """Return the points, (G^d, d), the last coordinate of a key first in order."""
        axis = torch.linspace(-1, 1, self.size, device=self.centre.device)
        # grid_sample names the last axis of the lattice first
        mesh = torch.stack(torch.meshgrid(*[axis] * self.width, indexing="ij")[::-1], -1).reshape(-1, self.width)
        return self.centre + self.half * mesh

    def evaluate(self, network: nn.Module) -> Tensor:
        """Return a network's values at the points, (G^d, outputs)."""
        values: Tensor = network(self.points())
        return values

    def read(self, values: Tensor, keys: Tensor) -> Tensor:
        """Return the values at keys, (n, d), by multilinear interpolation between those at the points: (outputs, n)."""
        kernels = interpolation.kernels_for(values, keys)
        if kernels is not None:
            return interpolation.read(kernels, self.box, values, keys)
        return self._sampled(values, keys)

    def misfit(
        self, values: Tensor, keys: Tensor, targets: Tensor, weights: Tensor | None, scale: float, to_keys: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compare the values at keys with targets: ``m = s Σ_i w_i |f_i − y_i|²``.

        Parameters
        ----------
        values
            Values at the points, (G^d, outputs).
        keys
            The keys, (n, d).
        targets
            The values that they should have, (outputs, n).
        weights
            How often each of them occurs, (n,); None if once.
        scale
            The factor s.
        to_keys
            Receives the derivative of m by the keys, (n, d).

        Returns
        -------
        tuple of Tensor
            m, and its derivative by the values at the points.
        """
        kernels = interpolation.kernels_for(values, keys)
        if kernels is not None:
            with torch.no_grad():
                samples = interpolation.Samples(targets, weights)
                return kernels.misfit(self.box, values, keys, samples, scale, to_keys)
        leaf = values.detach().requires_grad_()
        to_values, total = torch.zeros_like(leaf), keys.new_zeros(())
        # in parts, so that only the derivative needs as much memory as the keys do
        for start in range(0, len(keys), _PART):
            part = slice(start, start + _PART)
            own = keys[part].detach().requires_grad_()
            outputs = self._sampled(leaf, own)
            errors = outputs.detach() - targets[:, part]
            weighted = errors if weights is None else errors * weights[part]
            total += (errors * weighted).sum()
            part_to_values, to_keys[part] = torch.autograd.grad(outputs, (leaf, own), 2 * scale * weighted)
            to_values += part_to_values
        return scale * total, to_values

    def step(
        self,
        values: Tensor,
        keys: Tensor,
        samples: interpolation.Samples,
        scale: float,
        moments: interpolation.Moments,
    ) -> interpolation.Stepped:
        """Compare the values at keys with targets, and take a step of Adam with the keys, in place.

        Equal to `misfit` and a step with its derivative, but for rounding. `interpolation.can_step` must be true.

        Parameters
        ----------
        values
            Values at the points, (G^d, outputs).
        keys
            The keys, (n, d), without gradient.
        samples
            The values that they should have, with weights.
        scale
            The factor of the misfit.
        moments
            The state of Adam for the keys.
        """
        from napari_diner.representations import threaded

        with torch.no_grad():
            return threaded.step(self.box, values, keys, samples, scale, moments)

    def _sampled(self, values: Tensor, keys: Tensor) -> Tensor:
        """Return the values at keys by `grid_sample`, on any device."""
        place = (keys - self.centre) / self.half
        lattice = values.T.reshape(1, values.shape[1], *[self.size] * self.width)
        if self.width == 1:
            # one row of a lattice of two dimensions
            place, lattice = F.pad(place, (0, 1)), lattice[:, :, None]
        # on a processor grid_sample works on the items of a batch in parallel, so the keys are dealt out to a few
        shares = 2 * torch.get_num_threads() if keys.device.type == "cpu" and len(keys) >= _WORTH_SHARING else 1
        share = -(-len(keys) // shares)
        place = F.pad(place, (0, 0, 0, shares * share - len(keys)))
        where = place.reshape(shares, *[1] * (max(self.width, 2) - 1), share, max(self.width, 2))
        copies = lattice.expand(shares, *lattice.shape[1:])
        read = F.grid_sample(copies, where, mode="bilinear", padding_mode="border", align_corners=True)
        return read.reshape(shares, values.shape[1], share).transpose(0, 1).reshape(values.shape[1], -1)[:, : len(keys)]


def _extent(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least and the greatest of each coordinate of keys, (n, d)."""
    # long rows are reduced several times faster than rows of two or three numbers
    folded = len(keys) - len(keys) % _FOLD
    rows = keys[:folded].reshape(-1, _FOLD * keys.shape[1])
    rest = keys[folded:]
    if folded:
        low, high = (end.reshape(_FOLD, -1) for end in (rows.amin(0), rows.amax(0)))
        return torch.cat([low, rest]).amin(0), torch.cat([high, rest]).amax(0)
    return rest.amin(0), rest.amax(0)
