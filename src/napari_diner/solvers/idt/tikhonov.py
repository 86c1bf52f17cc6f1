"""Least squares with a quadratic penalty in closed form, for all frames and slices at once.

The linear model is diagonal in the transverse frequency u, so that least squares separate into one small problem per
frequency: N data, 2Z unknowns. ``min |M x − g|² + α |x − v|²_B`` with |x|²_B = x*Bx has the solution

    x = v + B⁻¹ M* (M B⁻¹ M* + α)⁻¹ (g − M v),

and the eigenvalues s and eigenvectors V of the N × N matrix M B⁻¹ M* give it for any α, any data and any v. A separate
formula for each slice, as in older code, ignores that the slices share the data, and has a wrong scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from napari_diner.device import check_memory
from napari_diner.physics.idt.linear import LinearModel
from napari_diner.solvers.idt.regularisers import cosines

# factorised between two reports, in N R²; takes about a tenth of a second
_WORK = 2e7
# part of the frequencies above which M* of all of them takes less time than the matrices of these
_MOST_BY_MATRICES = 1 / 8
# a factorisation takes as long as so many solutions, for each of the R eigenvalues
_SOLUTIONS_PER_RANK = 0.6


class ClosedForm:
    """Regularised least squares under a linear model, factorised once.

    Parameters
    ----------
    model
        The linear model M.
    penalty
        B > 0, diagonal in cosines along z and waves along y and x, (Z, Y, X//2+1), the same for Δε_re and Δε_im; the
        identity if None.
    frames
        Frames to use; all if None. Data are those of these frames, in this order.
    at_once
        Whether to factorise now; otherwise this is done by iterating `factorise`.

    Raises
    ------
    OutOfMemoryError
        If the eigenvectors would not fit the memory.
    """

    def __init__(
        self,
        model: LinearModel,
        penalty: Tensor | None = None,
        frames: Sequence[int] | None = None,
        *,
        at_once: bool = True,
    ) -> None:
        self.model = model
        self.frames = list(range(model.frames)) if frames is None else list(frames)
        planes, count = model.shape[0], len(self.frames)
        self.cosines = None if penalty is None else cosines(planes, model.real_dtype).to(model.device)
        """The cosine transform along z, (Z, Z)."""
        self.inverse_penalty = None if penalty is None else (1 / penalty).to(model.device, model.real_dtype)
        """B⁻¹, (Z, Y, X//2+1)."""
        self.rank = min(count, 2 * planes)
        frequencies = len(model.active)
        item = torch.finfo(model.dtype).bits // 4
        check_memory(
            frequencies * count * self.rank * item,
            f"The closed form for {count} frames at {frequencies} frequencies",
            model.device,
        )
        self.eigenvalues = torch.zeros(frequencies, self.rank, dtype=model.real_dtype, device=model.device)
        """s, the squared singular values of M B^(-1/2); (K, R) with R = min(N, 2Z). Zero while not known."""
        self.vectors = torch.empty(frequencies, count, self.rank, dtype=model.dtype, device=model.device)
        """V, (K, N, R)."""
        self.known = 0
        """Number of active frequencies, in their order, that are factorised."""
        for _ in () if not at_once else self.factorise():
            pass

    @torch.no_grad()
    def factorise(self) -> Iterator[float]:
        """Factorise what is not yet; yield the completed fraction from time to time."""
        count, reported = len(self.frames), self.known
        often = max(1, round(_WORK / (count * self.rank**2)))
        for block in self.model.blocks(count * 2 * self.model.shape[0]):
            if block.stop <= self.known:
                continue
            matrices = self._matrices(block)
            self.eigenvalues[block], self.vectors[block] = _decomposed(self._whitened(matrices, block))
            self.known = block.stop
            if self.known - reported >= often and not self.is_whole:
                reported = self.known
                yield self.known / len(self.model.active)

    @property
    def is_whole(self) -> bool:
        """Whether all frequencies are factorised."""
        return self.known == len(self.model.active)

    def preparation(self, solutions: int) -> float:
        """Return the approximate part of the factorisation in the time for it and a number of solutions."""
        ratio = _SOLUTIONS_PER_RANK * self.rank / max(solutions, 1)
        return ratio / (1 + ratio)

    def _matrices(self, block: slice) -> Tensor:
        """Return the matrices M of a block for the frames in use, (K, N, 2Z)."""
        matrices, chosen = self.model.matrices(block), self._frames()
        return matrices if chosen is None else matrices[:, torch.tensor(chosen, device=self.model.device)]

    def coarse(self, data_spectrum: Tensor, alpha: float) -> Tensor:
        """Return the solution without a penalty B at the frequencies that are factorised, for those of g; 0 elsewhere.

        It has the shape of `nearest`, and takes a part of the time. The frequencies come in the order of their size.
        """
        within = self.coefficients(data_spectrum) / (self.eigenvalues[: self.known] + alpha)
        if self.known > _MOST_BY_MATRICES * len(self.model.active):
            dual = torch.zeros_like(data_spectrum.flatten(1))
            dual[:, self.model.active[: self.known]] = (self.vectors[: self.known] @ within[..., None])[..., 0].T
            return self.model.adjoint_spectrum(dual.view_as(data_spectrum), self._frames())
        volume = torch.zeros(2 * self.model.shape[0], data_spectrum[0].numel(), dtype=self.model.dtype)
        volume = volume.to(self.model.device)
        for block in self.model.blocks(len(self.frames) * 2 * self.model.shape[0]):
            if block.stop > self.known:
                break
            ends = self.vectors[block] @ within[block, :, None]
            volume[:, self.model.active[block]] = (self._matrices(block).mH @ ends)[..., 0].T
        return volume.view(2, -1, *data_spectrum.shape[1:])

    def _whitened(self, matrices: Tensor, block: slice) -> Tensor:
        """Return M B^(-1/2), with the unknowns in the basis of cosines, (K, N, 2Z)."""
        if self.inverse_penalty is None or self.cosines is None:
            return matrices
        weights = self.inverse_penalty.flatten(1)[:, self.model.active[block]].T.sqrt()
        by_channel: Tensor = matrices.unflatten(-1, (2, -1))
        turned = by_channel @ self.cosines.T.to(matrices.dtype)
        return (turned * weights[:, None, None]).flatten(-2)

    def solve(self, data: Tensor, alpha: float) -> Tensor:
        """Return ``argmin |M x − g|² + α |x|²_B``.

        Parameters
        ----------
        data
            g, real, (N, Y, X).
        alpha
            α > 0.

        Returns
        -------
        Tensor
            Real, (2, Z, Y, X).
        """
        return self.model.from_spectrum(self.correction(self.model.spectrum(data), alpha))

    def nearest(self, data_spectrum: Tensor, centre_spectrum: Tensor, alpha: float) -> Tensor:
        """Return ``argmin |M x − g|² + α |x − v|²_B``, all as half-spectra.

        Parameters
        ----------
        data_spectrum
            Of g, (N, Y, X//2+1).
        centre_spectrum
            Of v, (2, Z, Y, X//2+1).
        alpha
            α > 0.

        Returns
        -------
        Tensor
            (2, Z, Y, X//2+1).
        """
        left = data_spectrum - self.model.forward_spectrum(centre_spectrum, self._frames())
        return centre_spectrum + self.correction(left, alpha)

    def correction(self, data_spectrum: Tensor, alpha: float) -> Tensor:
        """Return ``B⁻¹ M* (M B⁻¹ M* + α)⁻¹ g`` as half-spectra, (2, Z, Y, X//2+1), of that of g, (N, Y, X//2+1)."""
        flat = data_spectrum.flatten(1)
        dual = torch.zeros_like(flat)
        # M* maps the complement of the span of V to zero
        within = self.coefficients(data_spectrum) / (self.eigenvalues + alpha)
        dual[:, self.model.active] = (self.vectors @ within[..., None])[..., 0].T
        return self.over_penalty(self.model.adjoint_spectrum(dual.view_as(data_spectrum), self._frames()))

    def coefficients(self, data_spectrum: Tensor) -> Tensor:
        """Return V* g at the factorised frequencies, (K, R), of the half-spectrum of g, (N, Y, X//2+1)."""
        active = data_spectrum.flatten(1)[:, self.model.active[: self.known]].T
        return (self.vectors[: self.known].mH @ active[..., None])[..., 0]

    def over_penalty(self, spectrum: Tensor) -> Tensor:
        """Return B⁻¹ x for a half-spectrum (2, Z, Y, X//2+1)."""
        if self.inverse_penalty is None or self.cosines is None:
            return spectrum
        return along_z(self.cosines.T, along_z(self.cosines, spectrum) * self.inverse_penalty)

    def _frames(self) -> list[int] | None:
        return None if self.frames == list(range(self.model.frames)) else self.frames


def along_z(matrix: Tensor, volume: Tensor) -> Tensor:
    """Return a real matrix (Z', Z) applied along z of a complex volume (..., Z, Y, X)."""
    parts = torch.view_as_real(volume.resolve_conj()).flatten(-3)
    return torch.view_as_complex((matrix @ parts).unflatten(-1, (*volume.shape[-2:], 2)))


def _decomposed(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Return the squares of the singular values of matrices (K, N, U), and the left singular vectors, (K, N, R)."""
    # not implemented on the device of Apple
    where = torch.device("cpu") if matrices.device.type == "mps" else matrices.device
    matrices = matrices.to(where)
    basis = None
    if matrices.shape[1] > matrices.shape[2]:
        # in single precision, LAPACK returns NaN for matrices with zeros in all but a few rows: waves that only a few
        # frames pass on
        basis, matrices = (part.to(matrices.dtype) for part in torch.linalg.qr(matrices.to(torch.complex128)))
    products = matrices @ matrices.mH
    # Responses can be so small that their products underflow, which LAPACK turns into NaN. Adding a part of the
    # largest, below the rounding errors of `products`, prevents that.
    diagonal = products.diagonal(dim1=1, dim2=2)
    lift = torch.finfo(products.dtype).eps * diagonal.real.sum(1).clamp_min(torch.finfo(products.dtype).tiny)
    diagonal += lift[:, None]
    values, vectors = torch.linalg.eigh(products)
    values = (values - lift[:, None]).clamp_min(0)
    return values, vectors if basis is None else basis @ vectors
