"""Sets with a truth that others have computed or measured, and the recordings made from them.

FDTD
    180 complex fields of a cell phantom that turns about y in steps of 2°, under a plane wave, computed with meep, from
    the examples of ODTbrain (MIT). λ is 1 in vacuum, 6.5 pixels to it. Light goes along the first axis of the phantom.
Mie
    The complex field of a sphere (radius 14 λ, index 1.006 in 1.000) 20 λ behind its centre (CC BY), from there, too.
HL60
    A measured complex field of a cell, from the examples of nrefocus (MIT), faded to one at its edges. Intensities at
    several heights are computed here by the angular spectrum in double precision, with shot noise. Its pixel is not
    published with it; it is taken to be one wavelength.
phantom
    The index of the phantom of SSNP-IDT, reduced and scaled to a peak phase. Intensities are computed by multiple
    scattering on slices half as thick as those of the truth, with Gaussian noise.

All random numbers are those of ``numpy.random.default_rng(SEED)``.
"""

from __future__ import annotations

import io
import math
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Field = npt.NDArray[np.complex128]
SEED = 0
_EDGE = 8
FILES = {
    "fdtd": "fdtd_3d_sino_A180_R6.500.tar.lzma",
    "mie": "mie_3d_sphere_field.zip",
    "hl60": "HL60_field.zip",
    "phantom": "ssnp_phantom_308x256x256_u16_lzw.tif",
}


@dataclass(frozen=True)
class Scattering:
    """A field behind a known index: what a forward model has to predict."""

    contrast: Array
    """n − n0, (Z, Y, X), light along +z; cubic voxels."""
    field: Field
    """In units of the incident wave, (Y, X)."""
    voxel_um: float
    wavelength_um: float
    medium_index: float
    plane_um: float
    """Distance of the plane of the field behind the middle of the volume."""

    @property
    def ripple(self) -> float:
        """Root mean square of what is not the incident wave along the edges, as if it were everywhere.

        In units of ``‖u − 1‖`` of the whole field: what a perfect model may be off by.
        """
        edges = np.ones(self.field.shape, bool)
        edges[_EDGE:-_EDGE, _EDGE:-_EDGE] = False
        relative = self.field / self.field[edges].mean() - 1
        return float(np.sqrt(np.mean(np.abs(relative[edges]) ** 2) / np.mean(np.abs(relative) ** 2)))


class Fdtd:
    """The views of the FDTD set, each with the phantom turned to it."""

    step_deg = 2.0

    def __init__(self, folder: Path) -> None:
        with tarfile.open(folder / FILES["fdtd"], "r:xz") as archive:
            texts = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}
        self._texts = texts
        slices = sorted(name for name in texts if name.startswith("phantom_"))
        self.contrast = np.stack([_table(texts[name]) for name in slices]) - 1.333

    def view(self, number: int) -> Scattering:
        """Return one of the 180 views."""
        from scipy.ndimage import rotate

        turned = rotate(self.contrast, self.step_deg * number, axes=(0, 2), reshape=False, order=1)
        parts = [_table(self._texts[f"field_{number:03d}_{part}.txt"]) for part in ("real", "imag")]
        return Scattering(turned, parts[0] + 1j * parts[1], 1 / 6.5, 1.0, 1.333, 0.0)


def mie(folder: Path) -> Scattering:
    """Return the sphere."""
    parts = _zipped(folder / FILES["mie"], ("mie_sphere_real.txt", "mie_sphere_imag.txt"))
    rows, columns = parts[0].shape
    voxel = 40 / (columns - 1)
    # even, so that the middle is between two slices, as the middle of the field is between two pixels
    planes = 2 * math.ceil(7.0 / voxel) + 2
    z, y, x = (np.arange(size) * voxel - (size - 1) * voxel / 2 for size in (planes, rows, columns))
    radius = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
    # voxels at the surface are partly filled
    filled = np.clip(0.5 - (radius - 7.0) / voxel, 0, 1)
    return Scattering(0.006 * filled, parts[0] + 1j * parts[1], voxel, 0.5, 1.0, 10.0)


@dataclass(frozen=True)
class Stack:
    """Intensities at several heights, and the field they came from."""

    frames: npt.NDArray[np.float32]
    field: Field
    distances_um: tuple[float, ...]
    wavelength_um: float
    pixel_size_um: float


def hl60(folder: Path, photons: float = 5000.0) -> Stack:
    """Return a lensless stack of the cell, 4 heights, 16 pixels wider than its field on each side."""
    parts = _zipped(folder / FILES["hl60"], ("HL60_real.txt", "HL60_imag.txt"))
    measured = parts[0] + 1j * parts[1]
    edge = np.concatenate([measured[0], measured[-1], measured[:, 0], measured[:, -1]])
    measured = measured / edge.mean()
    window = np.clip(np.minimum(*np.meshgrid(*[_distance(size) for size in measured.shape], indexing="ij")) / 12, 0, 1)
    faded = np.ones([size + 32 for size in measured.shape], complex)
    faded[16:-16, 16:-16] += (measured - 1) * window**2 * (3 - 2 * window)
    pixel = wavelength = 0.647
    distances = (60.0, 85.0, 120.0, 170.0)
    random = np.random.default_rng(SEED)
    frames = [
        random.poisson(photons * np.abs(propagated(faded, distance, wavelength, pixel)) ** 2) / photons
        for distance in distances
    ]
    return Stack(np.array(frames, np.float32), faded, distances, wavelength, pixel)


def propagated(field: Field, distance_um: float, wavelength_um: float, pixel_um: float) -> Field:
    """Return a field at another height by the angular spectrum, with a surround of ones."""
    rows, columns = field.shape
    padded = np.pad(field - 1, ((rows, rows), (columns, columns)))
    fy, fx = (np.fft.fftfreq(size, pixel_um) for size in padded.shape)
    root = np.sqrt(np.maximum(wavelength_um**-2 - fy[:, None] ** 2 - fx**2, 0))
    phase = 2j * np.pi * distance_um * (root - 1 / wavelength_um)
    moved = np.fft.ifft2(np.fft.fft2(padded) * np.exp(phase))
    inside: Field = 1 + moved[rows:-rows, columns:-columns]
    return inside


def phantom(folder: Path) -> tuple[Array, tuple[float, float]]:
    """Return the density of the phantom, at most 1, (76, 64, 64), and its voxels along z and y in µm.

    It is reduced four times, to an even number of planes.
    """
    import tifffile

    volume = tifffile.imread(folder / FILES["phantom"]).astype(np.float64) / 65535
    planes, rows, columns = volume.shape[0] // 8 * 2, volume.shape[1] // 4, volume.shape[2] // 4
    binned = volume[: 4 * planes].reshape(planes, 4, rows, 4, columns, 4).mean((1, 3, 5))
    return binned / binned.max(), (0.2, 0.195)


def _distance(size: int) -> Array:
    place = np.arange(size, dtype=np.float64)
    return np.minimum(place, size - 1 - place)


def _table(text: bytes) -> Array:
    return np.loadtxt(io.BytesIO(text))


def _zipped(path: Path, names: tuple[str, ...]) -> list[Array]:
    with zipfile.ZipFile(path) as archive:
        return [_table(archive.read(name)) for name in names]
