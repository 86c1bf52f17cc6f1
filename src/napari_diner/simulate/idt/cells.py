"""Phantom of cells: refractive index in three dimensions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_diner.physics.idt.geometry import VolumeGeometry

Volume = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]

_ROOM_UM = 18.0  # side of the square that a cell occupies
_FEWEST_PX = 64  # pixels of this square if pixels are large
_RADIUS_UM = (5.0, 7.0)  # lateral half-axis of its body
_FILLED = 0.8  # largest part of the half extents of the volume that a body fills
# relative densities (n − n0, n_im) of the parts of a cell
_CYTOPLASM = (0.5, 0.1)
_NUCLEUS = (0.75, 0.15)
_NUCLEOLUS = (1.0, 0.3)
_MITOCHONDRION = (0.85, 0.2)
_GRANULE = (1.2, 0.0)
_PIGMENT = (0.8, 1.0)
_VACUOLE = (0.15, 0.0)


@dataclass(frozen=True)
class CellPhantom:
    """A specimen."""

    n_re: Volume
    """Refractive index, at least that of the medium, float32, (Z, Y, X)."""
    n_im: Volume
    """Imaginary part of the index, at least zero, float32, (Z, Y, X)."""
    inside: npt.NDArray[np.bool_]
    """Voxels at least half filled by a cell, (Z, Y, X)."""


def cells(
    geometry: VolumeGeometry,
    *,
    peak_phase_rad: float,
    absorption: float = 0.1,
    seed: int = 0,
) -> CellPhantom:
    """Draw cells: bodies with nucleus and nucleoli, mitochondria, granules, pigment and vacuoles, all ellipsoids.

    Sizes are realistic, or smaller if the volume is too small for a cell. Voxels at a surface are partly filled. Fields
    of 18 µm or less contain one cell.

    Parameters
    ----------
    geometry
        The volume, its voxels, the medium and the wavelength.
    peak_phase_rad
        ``max 2π/λ Σ_z (n_re − n0) Δz``, to which the densities are scaled.
    absorption
        max n_im / max (n_re − n0).
    seed
        Seed of the random drawing.
    """
    voxel_um = np.array([geometry.slice_spacing_um, geometry.pixel_size_um, geometry.pixel_size_um])
    drawing = _Drawing(geometry.shape, voxel_um, np.random.default_rng(seed))
    drawing.add_cells()
    delay, stain = drawing.density
    phase = delay.sum(0).max() * geometry.slice_spacing_um * geometry.wavenumber
    delay *= peak_phase_rad / phase
    stain *= absorption * delay.max() / stain.max()
    return CellPhantom(
        (geometry.medium_index + delay).astype(np.float32), stain.astype(np.float32), drawing.filled >= 0.5
    )


class _Drawing:
    """Densities (n − n0, n_im) in arbitrary units, painted ellipsoid by ellipsoid."""

    def __init__(self, shape: tuple[int, int, int], voxel_um: Vector, random: np.random.Generator) -> None:
        self.shape = shape
        self.voxel_um = voxel_um
        self.random = random
        self.half_um = np.array(shape) * voxel_um / 2
        self.density = np.zeros((2, *shape))
        self.filled = np.zeros(shape)

    def add_cells(self) -> None:
        """Add as many separate cells as there is room for, and pixels to show them."""
        across = self.half_um[1:]
        count = max(1, min(int(np.prod(2 * across) / _ROOM_UM**2), math.prod(self.shape[1:]) // _FEWEST_PX))
        largest = _FILLED * float(across.min())
        placed: list[tuple[Vector, float]] = []
        for _ in range(count):
            size = min(self.random.uniform(*_RADIUS_UM), largest)
            spots = [self.random.uniform(-1, 1, 2) * np.clip(across - 1.1 * size, 0, None) for _ in range(80)]
            # the freest of many places, and a cell that fits there
            others, radii = np.array([place for place, _ in placed]).reshape(-1, 2), [radius for _, radius in placed]
            apart = np.hypot(*np.moveaxis(np.array(spots)[:, None] - others, -1, 0)) - radii
            gaps = apart.min(1, initial=math.inf)
            best = int(np.argmax(gaps))
            radius = min(size, 0.95 * gaps[best])
            if radius > 0.5 * size:
                placed.append((spots[best], radius))
                self._add_cell(spots[best], radius)

    def _add_cell(self, place: Vector, radius: float) -> None:
        random = self.random
        height = min(radius * random.uniform(0.6, 0.75), _FILLED * self.half_um[0])
        body = np.array([height, radius, radius * random.uniform(0.8, 1.0)])
        turn = _rotation(random, upright=True)
        centre = np.array([random.uniform(-0.5, 0.5) * (self.half_um[0] - height) * _FILLED, *place])
        self._paint(centre, body, turn, _CYTOPLASM, fills=True)

        nucleus = body * random.uniform(0.38, 0.48)
        core = centre + turn @ (body * 0.25 * _in_ball(random))
        self._paint(core, nucleus, turn, _NUCLEUS)
        for _ in range(random.integers(1, 4)):
            self._paint(
                core + turn @ (nucleus * 0.5 * _in_ball(random)),
                nucleus * random.uniform(0.18, 0.3),
                turn,
                _NUCLEOLUS,
            )

        def add(number: int, kind: tuple[float, float], low: Vector, high: Vector) -> None:
            for _ in range(number):
                place = centre + turn @ (body * 0.8 * _in_ball(random))
                for _ in range(20):
                    if np.linalg.norm(turn.T @ (place - core) / nucleus) > 1.2:
                        break
                    place = centre + turn @ (body * 0.8 * _in_ball(random))
                size = random.uniform(low, high) * min(1.0, radius / _RADIUS_UM[0])
                self._paint(place, size, _rotation(random), kind)

        add(int(random.integers(2, 4)), _VACUOLE, np.full(3, 0.6), np.full(3, 1.1))
        add(int(random.integers(6, 11)), _MITOCHONDRION, np.array([0.35, 0.35, 0.9]), np.array([0.5, 0.5, 1.6]))
        add(int(random.integers(8, 15)), _GRANULE, np.full(3, 0.3), np.full(3, 0.6))
        add(int(random.integers(4, 8)), _PIGMENT, np.full(3, 0.3), np.full(3, 0.5))

    def _paint(
        self, centre_um: Vector, axes_um: Vector, turn: Vector, density: tuple[float, float], fills: bool = False
    ) -> None:
        """Paint an ellipsoid; lengths in µm, (z, y, x), from the centre of the volume."""
        reach = np.sqrt(((turn * axes_um) ** 2).sum(1)) + self.voxel_um
        low = np.floor((centre_um - reach + self.half_um) / self.voxel_um).astype(int).clip(0)
        high = np.ceil((centre_um + reach + self.half_um) / self.voxel_um).astype(int).clip(0, self.shape)
        if np.any(high <= low):
            return
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        axes = [
            (np.arange(a, b) + 0.5) * size - half - middle
            for a, b, size, half, middle in zip(low, high, self.voxel_um, self.half_um, centre_um, strict=True)
        ]
        offsets = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
        part = _coverage(offsets, axes_um, turn, self.voxel_um)
        if not fills:
            # organelles do not protrude from the cell
            part *= self.filled[box]
        for channel, value in zip(self.density, density, strict=True):
            channel[box] += part * (value - channel[box])
        if fills:
            self.filled[box] = np.maximum(self.filled[box], part)


def _coverage(offsets_um: Vector, axes_um: Vector, turn: Vector, voxel_um: Vector) -> Vector:
    """Return the part of each voxel in an ellipsoid, (...), approximated from the distance to its surface."""
    place = offsets_um @ turn / axes_um
    radius = np.linalg.norm(place, axis=-1)
    slope = place / axes_um
    steepness = np.maximum(np.linalg.norm(slope, axis=-1), 1e-12)
    distance = (radius - 1) * radius / steepness
    # width of a voxel along the normal
    width = np.abs(slope @ turn.T / steepness[..., None]) @ voxel_um
    covered: Vector = np.clip(0.5 - distance / np.maximum(width, voxel_um.min()), 0, 1)
    covered[radius < 1e-6] = 1
    return covered


def _in_ball(random: np.random.Generator) -> Vector:
    """Return a uniformly distributed point of the unit ball."""
    direction = random.standard_normal(3)
    return np.asarray(direction / np.linalg.norm(direction) * random.uniform() ** (1 / 3))


def _rotation(random: np.random.Generator, upright: bool = False) -> Vector:
    """Return a random rotation of (z, y, x); about the z axis if `upright`."""
    if upright:
        angle = random.uniform(0, 2 * math.pi)
        c, s = math.cos(angle), math.sin(angle)
        return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    q, r = np.linalg.qr(random.standard_normal((3, 3)))
    return np.asarray(q * np.sign(np.diag(r)))
