"""Propagation compared with closed forms, symmetries, and four independent implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_diner.physics.optics import Method, Optics
from napari_diner.physics.propagation import (
    frequencies,
    passband,
    propagate,
    propagate_adjoint,
    propagation_phase,
    transfer_function,
)
from tests.kit.adjoint import AdjointMixin, Operator
from tests.kit.fields import complex_noise, relative_error

WAVELENGTH_UM, PIXEL_UM = 0.532, 1.12
SHAPE = (48, 60)
METHODS: list[Method] = ["angular_spectrum", "fresnel"]


def carried(
    field: Tensor, distance_um: float, method: Method, *, pixel_um: float = PIXEL_UM, index: float = 1.0
) -> Tensor:
    transfer = transfer_function(
        (field.shape[0], field.shape[1]),
        Optics(pixel_um, WAVELENGTH_UM, index, method),
        distance_um,
        band_limit=False,
        dtype=torch.complex128,
    )
    return propagate(field, transfer)


def axial_phase(distance_um: float, index: float = 1.0) -> complex:
    """The factor exp(ikz) of the axial wave, which ours leaves out."""
    return np.exp(2j * np.pi * index / WAVELENGTH_UM * distance_um)


@pytest.mark.parametrize(("distance_um", "pixel_um"), [(300.0, PIXEL_UM), (-120.0, PIXEL_UM), (700.0, 0.45)])
def test_exact_agrees_with_torchoptics(distance_um: float, pixel_um: float) -> None:
    torchoptics = pytest.importorskip("torchoptics", reason="torchoptics is not installed")
    field = complex_noise(SHAPE)
    other = torchoptics.Field(
        field,
        torch.tensor(WAVELENGTH_UM, dtype=torch.float64),
        torch.tensor(0.0, dtype=torch.float64),
        torch.tensor([pixel_um, pixel_um], dtype=torch.float64),
    )
    z = torch.tensor(distance_um, dtype=torch.float64)
    expected = other.propagate_to_z(z, propagation_method="ASM", asm_pad=0).data * np.conj(axial_phase(distance_um))
    assert relative_error(carried(field, distance_um, "angular_spectrum", pixel_um=pixel_um), expected) < 1e-10


@pytest.mark.parametrize("index", [1.0, 1.33])
@pytest.mark.parametrize("distance_um", [300.0, -700.0])
@pytest.mark.parametrize(("method", "kernel"), [("angular_spectrum", "helmholtz"), ("fresnel", "fresnel")])
def test_both_agree_with_nrefocus(method: Method, kernel: str, distance_um: float, index: float) -> None:
    nrefocus = pytest.importorskip("nrefocus", reason="nrefocus is not installed")
    field = complex_noise(SHAPE)
    expected = nrefocus.refocus(
        field.numpy(), distance_um / PIXEL_UM, index, WAVELENGTH_UM / PIXEL_UM, method=kernel, padding=False
    )
    assert relative_error(carried(field, distance_um, method, index=index), torch.from_numpy(expected)) < 1e-10


@pytest.mark.parametrize("distance_um", [300.0, -700.0])
def test_paraxial_agrees_with_prysm(distance_um: float) -> None:
    propagation = pytest.importorskip("prysm.propagation", reason="prysm is not installed")
    field = complex_noise((48, 48))  # its grids are square
    expected = propagation.angular_spectrum(field.numpy(), WAVELENGTH_UM, PIXEL_UM / 1e3, distance_um / 1e3, Q=1)
    assert relative_error(carried(field, distance_um, "fresnel"), torch.from_numpy(expected)) < 1e-10


@pytest.mark.parametrize("distance_um", [150.0, -150.0])
def test_paraxial_agrees_with_lightpipes(distance_um: float) -> None:
    lightpipes = pytest.importorskip("LightPipes", reason="LightPipes is not installed")
    size = 48
    # It computes with π ≈ 3.141592654. A longer way makes up for that, as long as no phase exceeds 2π, where it
    # wraps; hence a field without the frequencies above.
    fy, fx = frequencies((size, size), PIXEL_UM)
    phase = propagation_phase(fy, fx, distance_um, Optics(PIXEL_UM, WAVELENGTH_UM, method="fresnel"))
    field = torch.fft.ifft2(torch.fft.fft2(complex_noise((size, size))) * (phase.abs() < 2 * math.pi))
    assert int((phase.abs() < 2 * math.pi).sum()) > 200
    other = lightpipes.Begin(size * PIXEL_UM, WAVELENGTH_UM, size)
    other.field = field.numpy().copy()
    there = lightpipes.Forvard(other, distance_um * math.pi / 3.141592654).field
    # its phase of the axial wave is that of the way's length, whichever the direction
    expected = torch.from_numpy(there) * np.conj(axial_phase(abs(distance_um)))
    assert relative_error(carried(field, distance_um, "fresnel"), expected) < 1e-10


@pytest.mark.parametrize("index", [1.0, 1.33])
@pytest.mark.parametrize("distance_um", [-250.0, 0.0, 120.0, 700.0])
def test_gaussian_beam(distance_um: float, index: float) -> None:
    # Saleh and Teich, Fundamentals of Photonics, Eq. 3.1-7, without exp(ikz)
    waist, shape = 9.0, (160, 180)
    y, x = (PIXEL_UM * (torch.arange(size, dtype=torch.float64) - size // 2) for size in shape)
    r2 = y[:, None] ** 2 + x[None, :] ** 2
    k = 2 * math.pi * index / WAVELENGTH_UM
    rayleigh = k * waist**2 / 2
    width = waist * math.sqrt(1 + (distance_um / rayleigh) ** 2)
    curvature = distance_um / (distance_um**2 + rayleigh**2)  # 1/R
    phase = k * r2 * curvature / 2 - math.atan(distance_um / rayleigh)
    expected = torch.polar(waist / width * torch.exp(-r2 / width**2), phase)
    start = torch.exp(-r2 / waist**2).to(torch.complex128)
    assert float((carried(start, distance_um, "fresnel", index=index) - expected).abs().max()) < 1e-10


@pytest.mark.parametrize("index", [1.0, 1.33])
def test_a_tilted_wave_advances_along_its_direction(index: float) -> None:
    shape, waves, z = (40, 50), (7, -11), 123.0
    fy, fx = (number / (size * PIXEL_UM) for number, size in zip(waves, shape, strict=True))
    y, x = (PIXEL_UM * torch.arange(size, dtype=torch.float64) for size in shape)
    tilted = torch.exp(2j * math.pi * (fy * y[:, None] + fx * x[None, :]))
    sine = WAVELENGTH_UM / index * math.hypot(fy, fx)
    extra = 2 * math.pi * index / WAVELENGTH_UM * z * (math.cos(math.asin(sine)) - 1)
    assert relative_error(carried(tilted, z, "angular_spectrum", index=index), tilted * np.exp(1j * extra)) < 1e-11


@pytest.mark.parametrize("method", METHODS)
def test_the_axial_wave_stays_as_it_is(method: Method) -> None:
    flat = torch.full((12, 9), 0.7 - 0.2j, dtype=torch.complex128)
    assert relative_error(carried(flat, 350.0, method), flat) < 1e-14


@pytest.mark.parametrize("method", METHODS)
def test_no_distance_changes_nothing(method: Method) -> None:
    field = complex_noise(SHAPE)
    transfer = transfer_function(
        field.shape, Optics(PIXEL_UM, WAVELENGTH_UM, method=method), 0.0, dtype=torch.complex128
    )
    assert relative_error(propagate(field, transfer), field) < 1e-14


@pytest.mark.parametrize("method", METHODS)
def test_there_and_back(method: Method) -> None:
    field = complex_noise(SHAPE)
    there = carried(field, 480.0, method)
    assert relative_error(there, field) > 0.5
    assert relative_error(carried(there, -480.0, method), field) < 1e-13


@pytest.mark.parametrize("method", METHODS)
def test_energy_is_conserved(method: Method) -> None:
    field = complex_noise(SHAPE)
    before, after = (float(u.abs().square().sum()) for u in (field, carried(field, 480.0, method)))
    assert after == pytest.approx(before, rel=1e-12)


class TestPropagation(AdjointMixin):
    @pytest.fixture(params=[(method, limit) for method in METHODS for limit in (False, True)])
    def operator(self, request: pytest.FixtureRequest) -> Operator:
        method, limit = request.param
        optics = Optics(PIXEL_UM, WAVELENGTH_UM, method=method)
        transfer = transfer_function(
            SHAPE, optics, 300.0, band_limit=limit, shift_um=(0.3, -2.0), dtype=torch.complex128
        )
        return Operator(lambda x: propagate(x, transfer), lambda y: propagate_adjoint(y, transfer), SHAPE, SHAPE)


@pytest.mark.parametrize("method", METHODS)
def test_a_medium_shortens_the_wavelength(method: Method) -> None:
    shape = (30, 40)
    in_water = transfer_function(shape, Optics(PIXEL_UM, 0.6, 1.33, method), 200.0, dtype=torch.complex128)
    shorter = transfer_function(shape, Optics(PIXEL_UM, 0.6 / 1.33, method=method), 200.0, dtype=torch.complex128)
    assert float((in_water - shorter).abs().max()) < 1e-11


def test_evanescent_waves_are_left_out() -> None:
    fy, fx = frequencies((64, 64), 0.2)
    transfer = transfer_function((64, 64), Optics(0.2, 0.5), 1e-6, band_limit=False, dtype=torch.complex128)
    propagating = (fy**2 + fx**2).sqrt() * 0.5 < 1
    assert torch.equal(transfer != 0, propagating)
    assert 0 < int(propagating.sum()) < propagating.numel()


@pytest.mark.parametrize("distance_um", [700.0, -900.0])
@pytest.mark.parametrize("method", METHODS)
def test_the_band_ends_where_the_grid_undersamples_the_phase(method: Method, distance_um: float) -> None:
    shape = (1, 256)
    fy, fx = frequencies(shape, PIXEL_UM)
    band = passband(fy, fx, distance_um, Optics(PIXEL_UM, WAVELENGTH_UM, method=method), limit=True)[0]
    half = 0.5 / (shape[1] * PIXEL_UM)
    ends = [
        propagation_phase(fy, fx + side, distance_um, Optics(PIXEL_UM, WAVELENGTH_UM, method=method))[0]
        for side in (-half, half)
    ]
    # from one frequency to the next the phase must not turn by more than half a turn
    turn = (ends[1] - ends[0]).abs()
    assert float(turn[band].max()) < 1.001 * math.pi
    assert float(turn[~band].min()) > 0.999 * math.pi


def test_the_band_is_limited_along_each_axis_by_its_own_length() -> None:
    fy, fx = frequencies((64, 256), PIXEL_UM)
    band = passband(fy, fx, 500.0, Optics(PIXEL_UM, WAVELENGTH_UM), limit=True)
    highest = [
        1 / WAVELENGTH_UM / math.sqrt((2 * 500.0 / (size * PIXEL_UM)) ** 2 + 1) for size in (64, 256)
    ]  # Matsushima and Shimobaba, Eq. 13
    assert torch.equal(band, (fy.abs() <= highest[0]) & (fx.abs() <= highest[1]))
    assert band.any() and not band.all()


@pytest.mark.parametrize("method", METHODS)
def test_a_denser_bump_converges_light_behind_it(method: Method) -> None:
    size = 128
    place = PIXEL_UM * (torch.arange(size, dtype=torch.float64) - size // 2)
    bump = 0.1 * torch.exp(-(place[:, None] ** 2 + place[None, :] ** 2) / (2 * 6.0**2))
    field = torch.polar(torch.ones_like(bump), bump)
    behind, before = (carried(field, z, method).abs()[size // 2, size // 2] for z in (120.0, -120.0))
    assert float(behind) > 1.01
    assert float(before) < 0.99


@pytest.mark.parametrize("method", METHODS)
def test_a_lens_focuses_at_its_focal_length(method: Method) -> None:
    size, focus = 192, 900.0
    place = PIXEL_UM * (torch.arange(size, dtype=torch.float64) - size // 2)
    r2 = place[:, None] ** 2 + place[None, :] ** 2
    # thickest in the middle: the phase is largest there
    lens = torch.polar(torch.exp(-r2 / 35.0**2), -math.pi / WAVELENGTH_UM / focus * r2)
    on_axis = {z: float(carried(lens, z, method).abs()[size // 2, size // 2]) for z in (0.0, 600.0, 900.0, 1200.0)}
    assert max(on_axis, key=lambda z: on_axis[z]) == focus
    assert on_axis[focus] > 5 * on_axis[0.0]


def test_a_shift_moves_down_and_to_the_right() -> None:
    field = complex_noise((20, 24))
    transfer = transfer_function(
        (20, 24),
        Optics(PIXEL_UM, WAVELENGTH_UM),
        0.0,
        band_limit=False,
        shift_um=(3 * PIXEL_UM, -2 * PIXEL_UM),
        dtype=torch.complex128,
    )
    assert relative_error(propagate(field, transfer), torch.roll(field, (3, -2), (0, 1))) < 1e-13


def test_single_precision_keeps_the_phase_of_long_distances() -> None:
    double = transfer_function((32, 32), Optics(0.5, WAVELENGTH_UM), 5e4, band_limit=False, dtype=torch.complex128)
    single = transfer_function((32, 32), Optics(0.5, WAVELENGTH_UM), 5e4, band_limit=False)
    assert single.dtype == torch.complex64
    assert float((single - double).abs().max()) < 1e-6
