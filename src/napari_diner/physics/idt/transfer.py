"""The linear model of diffraction tomography: the first Born approximation in slabs.

With the axial frequency ``η(u) = √((n0/λ)² − |u|²)``, the frequency u_i = NA_i/λ of the illumination, and
``Δη(u) = η(u + u_i) − η(u_i)``, a slice of thickness Δz at z_m scatters the amplitude, relative to the background,

    A_m(u) = i k0² Δz / (4π η(u + u_i)) · P(u + u_i) P*(u_i) · sinc(Δz Δη(u)) · exp(−i 2π z_m Δη(u)),

with the pupil P = exp(iW) inside the aperture and zero outside. The intensity follows with
``H_re = A_m(u) + A_m*(−u)``, ``H_im = j [A_m(u) − A_m*(−u)]`` (Ling et al., Biomed. Opt. Express 9, 2130 (2018); Li et
al., Adv. Photonics 1, 066004 (2019)). The sinc represents the slab of thickness Δz, over which the contrast is
constant; thin slices would be wrong by 2 % at 0.6 µm and 28 % at 2.4 µm.

The objective gives the scattered light the phase W(u + u_i) of its pupil, and the unscattered light W(u_i). The
intensity contains their product ``U_s U_0*``, so that only the difference ``W(u + u_i) − W(u_i)`` counts. A constant W
has no effect, ``W = 2π s·u`` displaces the volume by −s, and ``W = −2π d η(u)``, mostly defocus, by d along z.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias, Unpack

import torch
from torch import Tensor

from napari_diner.errors import RecipeError
from napari_diner.physics.idt.base import Precision, frequency_device
from napari_diner.physics.idt.dark_field import DarkField
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import EDGE, Illumination
from napari_diner.physics.idt.linear import LinearModel, by_size, default_block, without_nyquist
from napari_diner.physics.zernike import wavefront

Dispersion = Literal["exact", "legacy"]
Direction: TypeAlias = tuple[float | Tensor, float | Tensor]
"""Numerical apertures (NA_y, NA_x) of one source, or of several."""


def axial_frequency(squared: Tensor, geometry: VolumeGeometry, dispersion: Dispersion = "exact") -> Tensor:
    """Return the axial frequency η of plane waves in the medium, in cycles/µm; zero for evanescent waves.

    Parameters
    ----------
    squared
        |u|², the squared transverse frequency.
    geometry
        Wavelength and medium.
    dispersion
        ``"exact"``: √((n0/λ)² − |u|²). ``"legacy"``: n0 √(1/λ² − |u|²), as in some public code and its transfer
        functions, which mistakes the sine in air for the sine in the medium and thus rescales depth by n0².
    """
    if dispersion == "legacy":
        return geometry.medium_index * (geometry.wavelength_um**-2 - squared).clamp_min(0).sqrt()
    return (geometry.medium_frequency**2 - squared).clamp_min(0).sqrt()


def born_amplitude(
    fy: Tensor, fx: Tensor, source: Direction, geometry: VolumeGeometry, dispersion: Dispersion = "exact"
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the light that one slice scatters into each frequency: its amplitude, axial frequency and phase.

    Parameters
    ----------
    fy, fx
        Frequencies u relative to the illumination, in cycles/µm, of shapes that broadcast.
    source
        Numerical aperture (NA_y, NA_x) of the illumination; arrays, whose shapes broadcast with them, for several.
    geometry, dispersion
        See `BornModel`.

    Returns
    -------
    a, Δη, ΔW
        Real: A_m(u) = i a exp(−i 2π z_m Δη + iΔW), with ΔW from `pupil_phase`.
    """
    uy, ux = (along / geometry.wavelength_um for along in _tensors(source))
    unscattered = axial_frequency(uy**2 + ux**2, geometry, dispersion).to(fy.device)
    squared = (fy + uy.to(fy.device)) ** 2 + (fx + ux.to(fx.device)) ** 2
    inside = squared <= (geometry.cutoff * (1 + EDGE)) ** 2
    eta = axial_frequency(squared, geometry, dispersion)
    delta = eta - unscattered
    factor = geometry.wavenumber**2 * geometry.slice_spacing_um / (4 * math.pi)
    amplitude = factor * torch.sinc(geometry.slice_spacing_um * delta) / eta
    # η is far from zero within the pupil
    phase = pupil_phase(fy, fx, source, geometry)
    return torch.where(inside, amplitude, 0.0), torch.where(inside, delta, 0.0), phase


def pupil_phase(fy: Tensor, fx: Tensor, source: Direction, geometry: VolumeGeometry) -> Tensor:
    """Return the phase that the pupil adds to scattered light, relative to that of the unscattered light.

    Parameters
    ----------
    fy, fx, source, geometry
        As in `born_amplitude`; the geometry holds the coefficients of W.

    Returns
    -------
    Tensor
        ``ΔW = W(u + u_i) − W(u_i)`` in rad, only meaningful within the aperture; zero, (), without aberrations.
    """
    if not geometry.is_aberrated:
        return torch.zeros((), dtype=fy.dtype, device=fy.device)
    y, x = (along.to(fy) / geometry.na for along in _tensors(source))
    scattered = wavefront(geometry.zernike_rad, fy / geometry.cutoff + y, fx / geometry.cutoff + x)
    return scattered - wavefront(geometry.zernike_rad, y, x)


def _tensors(source: Direction) -> tuple[Tensor, Tensor]:
    """Return the components of a direction in double precision."""
    na_y, na_x = (torch.as_tensor(along, dtype=torch.float64) for along in source)
    return na_y, na_x


def source_blur(
    fy: Tensor, fx: Tensor, source: Direction, geometry: VolumeGeometry, source_na: float, z_um: Tensor
) -> Tensor:
    """Return the contrast that the size of a source leaves to light scattered at some heights, (…, Z).

    The mean of ``exp(−i 2π z Δη)`` over a disc of directions of the radius ρ, relative to the value in its middle, for
    Δη as a linear function of the direction: ``2 J1(x)/x``, ``x = 2π |z| (ρ/λ) |∇Δη|``. `extended` gives the exact sum.

    Parameters
    ----------
    fy, fx, source, geometry
        As in `born_amplitude`; of the shapes (…).
    source_na
        Radius ρ of the source as a numerical aperture.
    z_um
        Heights, (Z,).
    """
    uy, ux = (along.to(fy.device) / geometry.wavelength_um for along in _tensors(source))
    here = axial_frequency((fy + uy) ** 2 + (fx + ux) ** 2, geometry).clamp_min(1e-9)
    there = (geometry.medium_frequency**2 - uy**2 - ux**2).sqrt()
    slope = torch.hypot((fy + uy) / here - uy / there, (fx + ux) / here - ux / there)
    x = 2 * math.pi * source_na / geometry.wavelength_um * slope[..., None] * z_um.abs().to(slope)
    return torch.where(x < 1e-6, 1.0, 2 * torch.special.bessel_j1(x) / x.clamp_min(1e-6))


class BornModel(LinearModel):
    """The linear model, for a periodic volume of weak contrast.

    Slices are equidistant, so the phase factor of slice m is that of the first slice times the m-th power of a constant
    factor. For each source only these two are stored, for u and −u, at the frequencies that pass. Sums over slices are
    evaluated by Horner's rule, and transfer functions are never stored for all slices.

    Parameters
    ----------
    geometry
        The volume and the objective.
    illumination
        The sources of each frame. The transfer function of a frame with several is their mean, weighted by intensity.
    dispersion
        See `axial_frequency`.
    dark_field
        The frames whose light comes from outside the objective's aperture. They have no linear model: A is then that of
        the scattered light alone, so that ``M* M`` is the mean curvature of their data by `DarkField`, over the phases
        of the scattered light, as a preconditioner needs it. None if there are none.
    block_elements
        Approximate maximum number of complex numbers in a temporary; depends on the device if None.
    precision
        `dtype`, complex64 by default, and `device` of the spectra. Phases are always computed in double precision.

    Raises
    ------
    RecipeError
        If an illumination is outside the objective's numerical aperture and its frame not of `dark_field`, or the
        legacy dispersion has no such waves.
    """

    def __init__(
        self,
        geometry: VolumeGeometry,
        illumination: Illumination,
        *,
        dispersion: Dispersion = "exact",
        dark_field: DarkField | None = None,
        block_elements: int | None = None,
        **precision: Unpack[Precision],
    ) -> None:
        super().__init__(geometry, len(illumination), **precision)
        self.geometry = geometry
        illumination.check(geometry.na, geometry.medium_index, with_dark_field=dark_field is not None)
        self.dark_field = dark_field
        if dispersion == "legacy" and geometry.na >= 1:
            raise RecipeError(
                f"There are no waves at an NA of {geometry.na:g} with {{field}} legacy; set it to exact", "dispersion"
            )
        self.illumination = illumination
        self.dispersion = dispersion
        self.block_elements = block_elements if block_elements is not None else default_block(self.device)
        self.frame_of_source = torch.from_numpy(illumination.frame_of_source)
        self._tabulate()

    def _tabulate(self) -> None:
        geometry, where = self.geometry, frequency_device(self.device)
        rows, columns = self.shape[1:]
        fy = torch.fft.fftfreq(rows, geometry.pixel_size_um, dtype=torch.float64, device=where)[:, None]
        fx = torch.fft.rfftfreq(columns, geometry.pixel_size_um, dtype=torch.float64, device=where)[None, :]
        apertures, weights = self.illumination.apertures, self.illumination.weights
        if self.dark_field is not None:
            scale = torch.where(self.dark_field.is_dark, self.dark_field.weight, 1.0).double().numpy()
            weights = weights * scale[self.illumination.frame_of_source]
        widest = geometry.cutoff + max(math.hypot(*aperture) for aperture in apertures) / geometry.wavelength_um
        reached = (fy**2 + fx**2 <= widest**2) & without_nyquist((rows, columns)).to(where)
        active = by_size(reached.flatten().nonzero().flatten(), (rows, columns))
        fy, fx = fy.expand(*self.half).flatten()[active], fx.expand(*self.half).flatten()[active]
        self.active = active.to(self.device)
        self.first = torch.empty(2, len(apertures), len(active), dtype=self.dtype, device=self.device)
        """A of the first slice at u, and its A* at −u, for each source; complex, (2, S, K)."""
        self.step = torch.empty_like(self.first)
        """Factor from one slice to the next; complex, (2, S, K)."""
        first_um = float(geometry.slice_positions_um[0])
        for source, (aperture, weight) in enumerate(zip(apertures.tolist(), weights.tolist(), strict=True)):
            for side, sign in enumerate((1, -1)):
                a, delta, pupil = born_amplitude(sign * fy, sign * fx, aperture, geometry, self.dispersion)
                phase = -2 * math.pi * sign * delta
                first = 1j * sign * weight * torch.polar(a.abs(), phase * first_um + sign * pupil) * a.sign()
                self.first[side, source] = first.to(self.dtype)
                self.step[side, source] = torch.polar(torch.ones_like(a), phase * geometry.slice_spacing_um).to(
                    self.dtype
                )

    def forward_spectrum(self, spectrum: Tensor, frames: Sequence[int] | None = None) -> Tensor:
        """Return the half-spectra of the data from those of the contrast; see `LinearModel.forward_spectrum`."""
        sources, frame_of_source, count = self._sources(frames)
        flat = spectrum.flatten(2)
        data = torch.zeros(count, flat.shape[-1], dtype=self.dtype, device=self.device)
        for block in self.blocks(2 * self.first.shape[1]):
            places = self.active[block]
            first, step = self._tables(sources, block)
            both = self._combine(flat[..., places])
            total = torch.zeros_like(first)
            for plane in range(self.shape[0] - 1, -1, -1):
                total = torch.addcmul(both[:, plane, None], total, step, out=total)
            scattered = (total * first).sum(0)
            data[:, places] = self._by_frame(scattered, frame_of_source, count)
        halves: Tensor = data.unflatten(-1, self.half)
        return halves

    def adjoint_spectrum(self, spectrum: Tensor, frames: Sequence[int] | None = None) -> Tensor:
        """Apply the conjugate transpose of `forward_spectrum`; see `LinearModel.adjoint_spectrum`."""
        sources, frame_of_source, _ = self._sources(frames)
        flat = spectrum.flatten(1)
        contrast = torch.zeros(2, self.shape[0], flat.shape[-1], dtype=self.dtype, device=self.device)
        for block in self.blocks(2 * self.first.shape[1]):
            places = self.active[block]
            first, step = self._tables(sources, block)
            data = flat[:, places]
            term = first.conj() * (data if frame_of_source is None else data[frame_of_source])
            step = step.conj().resolve_conj()
            both = torch.empty(2, self.shape[0], len(places), dtype=self.dtype, device=self.device)
            for plane in range(self.shape[0]):
                torch.sum(term, 1, out=both[:, plane])
                term *= step
            contrast[0, :, places] = both[0] + both[1]
            contrast[1, :, places] = -1j * (both[0] - both[1])
        halves: Tensor = contrast.unflatten(-1, self.half)
        return halves

    def transfer(self, frame: int, slices: Sequence[int] | slice | None = None) -> tuple[Tensor, Tensor]:
        """Return the transfer functions H_re and H_im of one frame; see `LinearModel.transfer`."""
        every = range(self.shape[0])
        if slices is None:
            slices = slice(None)
        chosen = every[slices] if isinstance(slices, slice) else [every[plane] for plane in slices]
        sources, _, _ = self._sources([frame])
        first, step = self._tables(sources, slice(None))
        H_re = torch.zeros(len(chosen), math.prod(self.half), dtype=self.dtype, device=self.device)
        H_im = torch.zeros_like(H_re)
        for row, plane in enumerate(chosen):
            ahead, mirrored = (first * step**plane).sum(1)
            H_re[row, self.active] = ahead + mirrored
            H_im[row, self.active] = 1j * (ahead - mirrored)
        return H_re.unflatten(-1, self.half), H_im.unflatten(-1, self.half)

    def matrices(self, block: slice) -> Tensor:
        """Return the matrix of each frequency of a block; see `LinearModel.matrices`."""
        sources, frame_of_source, count = self._sources(None)
        term, step = self._tables(sources, block)
        planes = self.shape[0]
        columns = torch.empty(2 * planes, count, term.shape[-1], dtype=self.dtype, device=self.device)
        for plane in range(planes):
            ahead = self._by_frame(term[0], frame_of_source, count)
            mirrored = self._by_frame(term[1], frame_of_source, count)
            columns[plane] = ahead + mirrored
            columns[planes + plane] = 1j * (ahead - mirrored)
            term = term * step
        return columns.permute(2, 1, 0)

    def _sources(self, frames: Sequence[int] | None) -> tuple[Tensor | None, Tensor | None, int]:
        """Return the sources of some frames, the index of the frame of each, and the number of frames."""
        sources, places, multiplexed = chosen_sources(self.frame_of_source, self.frames, frames)
        count = self.frames if frames is None else len(frames)
        taken = None if frames is None else sources.to(self.device)
        return taken, places.to(self.device) if multiplexed else None, count

    def _tables(self, sources: Tensor | None, block: slice) -> tuple[Tensor, Tensor]:
        first, step = self.first[..., block], self.step[..., block]
        if sources is None:
            return first, step
        return first[:, sources], step[:, sources]

    def _combine(self, contrast: Tensor) -> Tensor:
        """Return F[Δε] = F[Δε_re] + jF[Δε_im], and F[Δε*], (2, Z, K)."""
        imaginary = 1j * contrast[1]
        return torch.stack([contrast[0] + imaginary, contrast[0] - imaginary])

    def _by_frame(self, scattered: Tensor, frame_of_source: Tensor | None, count: int) -> Tensor:
        """Add up the sources of each frame."""
        if frame_of_source is None:
            return scattered
        total = torch.zeros(count, scattered.shape[-1], dtype=scattered.dtype, device=scattered.device)
        return total.index_add_(0, frame_of_source, scattered)


def chosen_sources(frame_of_source: Tensor, count: int, frames: Sequence[int] | None) -> tuple[Tensor, Tensor, bool]:
    """Return the sources of some frames.

    Parameters
    ----------
    frame_of_source
        Frame of each of the S sources, int64, in ascending order.
    count
        Number of all frames.
    frames
        The chosen frames, in any order, negative ones from the end; all if None.

    Raises
    ------
    IndexError
        If one of them does not exist.

    Returns
    -------
    sources, places, multiplexed
        Indices of the sources; index of the frame of each among the chosen ones; whether any frame has several sources.
    """
    chosen = torch.arange(count) if frames is None else torch.arange(count)[list(frames)]
    lit = chosen[:, None] == frame_of_source
    places, sources = lit.nonzero(as_tuple=True)
    return sources, places, len(sources) != len(chosen)
