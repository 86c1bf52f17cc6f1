"""The exact field of a plane wave that meets a homogeneous sphere, for scalar waves, and its image by an objective.

Inside and outside the field obeys ∇²U + k²U = 0, and U and ∂U/∂r are continuous at the radius a. By partial waves

    U = Σ (2l+1) i^l [j_l(kr) + c_l h_l(kr)] P_l(cos θ)   outside,      Σ (2l+1) i^l d_l j_l(k₁r) P_l(cos θ)   inside,

where c_l follows from continuity. As h_l(kr) → (−i)^(l+1) exp(ikr)/(kr), the scattered field far away is
f(θ) exp(ikr)/r with ``f(θ) = (−i/k) Σ (2l+1) c_l P_l(cos θ)``. A point source is, by Weyl's integral,
``exp(ikr)/r = ∫ (i/η(u)) exp(2πi (u·ρ + η|z|)) d²u``, so the plane wave of frequency u behind the sphere has the
amplitude i f(θ)/η(u).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import eval_legendre, j1, spherical_jn, spherical_yn

Array = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]


def scattering_amplitude(
    cosine: Array, radius_um: float, index: complex, n0: float, wavelength_um: float
) -> ComplexArray:
    """f(θ) in µm at the given cos θ."""
    k, k1 = 2 * np.pi * n0 / wavelength_um, 2 * np.pi * index / wavelength_um
    x, x1 = k * radius_um, k1 * radius_um
    order = np.arange(int(x + 4 * x ** (1 / 3) + 12))
    j, dj = spherical_jn(order, x), spherical_jn(order, x, derivative=True)
    h = j + 1j * spherical_yn(order, x)
    dh = dj + 1j * spherical_yn(order, x, derivative=True)
    j1, dj1 = spherical_jn(order, x1), spherical_jn(order, x1, derivative=True)
    c = -(k * dj * j1 - k1 * j * dj1) / (k * dh * j1 - k1 * h * dj1)
    waves = ((2 * order + 1) * c)[:, None] * eval_legendre(order[:, None], np.clip(cosine.ravel(), -1, 1))
    return (-1j / k * waves.sum(0)).reshape(cosine.shape)


def born_amplitude(cosine: Array, radius_um: float, index: complex, n0: float, wavelength_um: float) -> ComplexArray:
    """The limit of f for a weak sphere, k0² Δε/(4π) times the Fourier transform of the ball."""
    k0 = 2 * np.pi / wavelength_um
    qa = radius_um * k0 * n0 * np.sqrt(np.maximum(2 - 2 * cosine, 1e-12))
    ball = 4 * np.pi * radius_um**3 * (np.sin(qa) - qa * np.cos(qa)) / qa**3
    return np.asarray(k0**2 * (index**2 - n0**2) / (4 * np.pi) * ball, dtype=np.complex128)


def image(
    size: int,
    pixel_size_um: float,
    aperture: tuple[float, float],
    centre_um: tuple[float, float, float],
    radius_um: float,
    index: complex,
    *,
    na: float,
    n0: float,
    wavelength_um: float,
) -> Array:
    """I / I_background − 1 in the plane z = 0, for an illumination of this NA, (size, size).

    The centre is (z, y, x), with y and x from the first pixel. The image repeats itself at its edges, as do those of
    models on a grid.
    """
    f = np.fft.fftfreq(size, pixel_size_um)
    fy, fx = f[:, None], f[None, :]
    uy, ux = aperture[0] / wavelength_um, aperture[1] / wavelength_um
    wy, wx = fy + uy, fx + ux
    medium = n0 / wavelength_um
    inside = wy**2 + wx**2 <= (na / wavelength_um) ** 2 * (1 + 1e-9)
    eta = np.sqrt(np.where(inside, medium**2 - wy**2 - wx**2, 1.0))
    eta_i = np.sqrt(medium**2 - uy**2 - ux**2)
    cosine = (wy * uy + wx * ux + eta * eta_i) / medium**2
    scattered = 1j * scattering_amplitude(cosine, radius_um, index, n0, wavelength_um) / eta
    # the wave reaches the centre with a phase, and leaves from there
    z, y, x = centre_um
    phase = -2 * np.pi * ((eta - eta_i) * z + fy * y + fx * x)
    relative = np.fft.ifft2(np.where(inside, scattered * np.exp(1j * phase), 0)) / pixel_size_um**2
    return np.asarray(np.abs(1 + relative) ** 2 - 1, dtype=np.float64)


def volume(
    shape: tuple[int, int, int],
    spacing_um: tuple[float, float, float],
    first_slice_um: float,
    centre_um: tuple[float, float, float],
    radius_um: float,
    fine: int = 6,
) -> Array:
    """Part of each voxel inside the sphere, about 0 to 1, (Z, Y, X), limited to the grid's frequencies.

    In y and x the discs that the ball consists of are summed by their exact spectra; a slice is the mean of `fine`
    discs over its thickness.
    """
    depths, rows, columns = shape
    dz, dy, dx = spacing_um
    fy, fx = np.fft.fftfreq(rows, dy)[:, None], np.fft.rfftfreq(columns, dx)[None, :]
    f = np.hypot(fy, fx)
    filled = np.zeros(shape)
    for plane in range(depths):
        for part in range(fine):
            z = first_slice_um + dz * (plane + (part + 0.5) / fine - 0.5) - centre_um[0]
            if abs(z) < radius_um:
                r = np.sqrt(radius_um**2 - z**2)
                argument = 2 * np.pi * f * r
                disc = np.where(f > 0, r * j1(argument) / np.maximum(f, 1e-12), np.pi * r**2)
                disc = disc * np.exp(-2j * np.pi * (fy * centre_um[1] + fx * centre_um[2])) / (dy * dx)
                filled[plane] += np.fft.irfft2(disc, s=(rows, columns)) / fine
    return filled
