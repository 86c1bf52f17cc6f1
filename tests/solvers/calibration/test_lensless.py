"""The parts of self-calibration, each compared with known results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.light import Light
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.solvers.calibration.elimination import Elimination
from napari_diner.solvers.calibration.frame_geometry import Derivatives, Geometry, directions, trend
from napari_diner.solvers.calibration.gauge import placed, unwound
from napari_diner.solvers.calibration.object_plane import PlaneSearch, Refocusing
from napari_diner.solvers.calibration.recorded_band import explained_up_to, passband
from napari_diner.solvers.calibration.registration import register
from napari_diner.solvers.lensless.problem import PhaseProblem
from tests.kit.fields import complex_noise
from tests.solvers.lensless.small_problems import SHAPE, smooth

PIXEL_UM, WAVELENGTH_UM = 1.12, 0.532
DISTANCES_UM = np.array([60.0, 85.0, 120.0, 170.0])


def model_of(
    geometry: Geometry, shape: tuple[int, int] = SHAPE, band_limit: bool = True, bandwidth_um: float = 0.0
) -> MultiHeight:
    return MultiHeight(
        shape,
        Heights(
            Optics(PIXEL_UM, WAVELENGTH_UM),
            geometry.distances_um.tolist(),
            shifts_um=[(dy, dx) for dy, dx in geometry.shifts_um.tolist()],
            gains=geometry.gains.tolist(),
            band_limit=band_limit,
            light=Light(geometry.source_um, 1000.0, "lens", bandwidth_um),
        ),
        dtype=torch.complex128,
    )


def blocks(seed: int) -> Tensor:
    """An image of even squares between 0 and 1, (96, 96), float64."""
    values = torch.rand(12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return values.repeat_interleave(8, 0).repeat_interleave(8, 1)


def derivatives() -> Derivatives:
    return Derivatives(SHAPE, Optics(PIXEL_UM, WAVELENGTH_UM), torch.complex128)


@pytest.fixture
def geometry() -> Geometry:
    return Geometry(DISTANCES_UM, np.array([[0.2, -0.1], [0.0, 0.3], [-0.4, 0.1], [0.5, 0.0]]), np.ones(4))


@pytest.fixture
def field() -> Tensor:
    return torch.polar(1 - 0.5 * smooth(1), 1.5 * smooth(2))


def test_moves_leave_out_what_the_object_takes_up() -> None:
    moves = directions(("z", "shift", "gain"), DISTANCES_UM)
    assert moves.shape == (4, 5, 3 + 3 + 3 + 3)
    np.testing.assert_allclose(moves.sum(0), 0, atol=1e-12)
    flat = moves.reshape(-1, 12)
    np.testing.assert_allclose(flat.T @ flat, np.eye(12), atol=1e-12)


def test_a_tilt_alone_moves_frames_in_proportion_to_their_distance() -> None:
    moves = directions(("tilt",), DISTANCES_UM)
    assert moves.shape == (4, 5, 2)
    np.testing.assert_allclose(np.corrcoef(moves[:, 1, 0], DISTANCES_UM)[0, 1], 1)
    assert not moves[:, [0, 3]].any()


def test_a_trend_is_taken_off_exactly() -> None:
    rest = np.array([[1.0, 0.0], [-1.0, 0.0], [0.5, 1.0], [0.3, -1.0]])
    parts = trend(DISTANCES_UM, rest + np.array([2.0, 3.0]) + np.outer(DISTANCES_UM, [1e-3, -2e-3]))
    assert abs(parts.rest_um.sum(0)).max() < 1e-12
    assert abs(DISTANCES_UM @ parts.rest_um).max() < 1e-9
    alone = trend(DISTANCES_UM, rest)
    np.testing.assert_allclose(parts.tilt - alone.tilt, [1e-3, -2e-3])


@pytest.mark.parametrize("column", [0, 1, 2, 3])
def test_columns_are_derivatives_of_the_amplitudes(geometry: Geometry, field: Tensor, column: int) -> None:
    move = np.zeros((4, 5, 1))
    move[2, column] = 1
    model = model_of(geometry)
    problem = PhaseProblem(model, model.fields(field).abs())
    elimination = Elimination(problem, model, field, derivatives(), move, None, 0.0)
    step = 1e-5
    ahead, behind = (
        model_of(Geometry.of(geometry.table + sign * step * move[:, :, 0])).fields(field).abs() for sign in (1, -1)
    )
    difference = (ahead - behind) / (2 * step)
    assert elimination.normal().matrix[0, 0] == pytest.approx(float(difference.square().sum()), rel=1e-4)


@pytest.mark.parametrize("bandwidth_um", [0.0, 0.1])
def test_the_column_of_the_source_is_a_derivative_too(geometry: Geometry, field: Tensor, bandwidth_um: float) -> None:
    geometry, moves = replace(geometry, source_um=20.0), directions(("source",), geometry.distances_um)
    model = model_of(geometry, bandwidth_um=bandwidth_um)
    problem = PhaseProblem(model, model.moduli(field))
    elimination = Elimination(problem, model, field, derivatives(), moves, None, 0.0)
    step = 1e-2
    ahead, behind = (
        model_of(Geometry.of(geometry.table + sign * step * moves[:, :, 0]), bandwidth_um=bandwidth_um).moduli(field)
        for sign in (1, -1)
    )
    difference = (ahead - behind) / (2 * step)
    assert elimination.normal().matrix[0, 0] == pytest.approx(float(difference.square().sum()), rel=1e-4)


def test_elimination_is_the_schur_complement_of_the_object(geometry: Geometry, field: Tensor) -> None:
    """Against a dense least squares of the same Jacobian, made by differences."""
    shape = (8, 10)
    # a little texture, so that every frequency of the object has something to answer with
    field = field[: shape[0], : shape[1]] * torch.exp(1e-3 * complex_noise(shape, 3))

    def frames(table: np.ndarray, step: Tensor) -> Tensor:
        at = Geometry.of(table)
        model = model_of(at, shape, band_limit=False)
        return model.fields(field * torch.exp(step)).abs().flatten()

    table, zero = geometry.table, torch.zeros(shape, dtype=torch.complex128)
    moves = directions(("z", "shift"), geometry.distances_um)
    by_geometry = torch.stack(
        [
            (frames(table + 1e-5 * moves[:, :, k], zero) - frames(table - 1e-5 * moves[:, :, k], zero)) / 2e-5
            for k in range(moves.shape[2])
        ],
        1,
    )
    columns = []
    for unit in (1.0, 1j):
        for pixel in range(field.numel()):
            step = zero.clone()
            step.view(-1)[pixel] = 1e-5 * unit
            columns.append((frames(table, step) - frames(table, -step)) / 2e-5)
    by_object = torch.stack(columns, 1)
    answer = torch.linalg.lstsq(by_object, by_geometry, driver="gelsd").solution
    left = by_geometry - by_object @ answer
    even = Geometry(geometry.distances_um, geometry.shifts_um, np.ones(len(geometry.distances_um)))
    model = model_of(even, shape, band_limit=False)
    factors = Derivatives(shape, Optics(PIXEL_UM, WAVELENGTH_UM), torch.complex128)
    problem = PhaseProblem(model, model.fields(field).abs())
    elimination = Elimination(problem, model, field, factors, moves, None, 0.0)
    before = elimination.normal().matrix
    for number in range(moves.shape[2]):
        elimination.improve(number, 120)
    expected = (left.T @ left).numpy()
    # the damping leaves a little, and the object takes up a part that no one would overlook
    np.testing.assert_allclose(np.diag(elimination.normal().matrix), np.diag(expected), rtol=0.03)
    assert (np.diag(expected) < 0.95 * np.diag(before)).any()


def test_shifts_of_frames_are_registered_to_a_fifth_of_a_pixel() -> None:
    true = PIXEL_UM * np.array([[2.0, -1.5], [-3.0, 0.5], [0.4, 2.5], [1.0, -2.0]])
    distances = DISTANCES_UM.tolist()
    shifts = [(dy, dx) for dy, dx in true.tolist()]
    object_ = torch.polar(0.4 + 0.6 * blocks(0), 1.2 * blocks(1))
    shape = (96, 96)
    model = MultiHeight(
        shape, Heights(Optics(PIXEL_UM, WAVELENGTH_UM), distances, shifts_um=shifts), dtype=torch.complex128
    )
    assumed = MultiHeight(
        shape,
        Heights(Optics(PIXEL_UM, WAVELENGTH_UM), [1.02 * distance for distance in distances]),
        dtype=torch.complex128,
    )
    found = register(PhaseProblem(assumed, model.fields(object_).abs()), PIXEL_UM)
    np.testing.assert_allclose(found, true - true.mean(0), atol=0.2 * PIXEL_UM)


def test_whole_turns_are_taken_off_and_the_frames_stay_as_they_are(geometry: Geometry, field: Tensor) -> None:
    x = torch.arange(SHAPE[1]) / SHAPE[1]
    wound = field * torch.polar(torch.ones_like(x), 2 * torch.pi * x).to(field.dtype)
    found = unwound(wound, geometry, derivatives())
    assert found is not None
    flat, moved = found
    # λ/L is the angle of one turn across the field
    slope = trend(DISTANCES_UM, moved.shifts_um - geometry.shifts_um).tilt
    np.testing.assert_allclose(slope, [0, WAVELENGTH_UM / (SHAPE[1] * PIXEL_UM)], rtol=1e-3, atol=1e-12)
    before, after = model_of(geometry).fields(wound).abs(), model_of(moved).fields(flat).abs()
    assert float((before - after).abs().max()) < 0.02
    assert float((before - model_of(geometry).fields(flat).abs()).abs().max()) > 0.1
    assert unwound(flat, moved, derivatives()) is None


def test_a_tilted_light_displaces_nothing_at_the_sample(field: Tensor) -> None:
    tilt = np.array([2e-3, -1e-3])
    true = Geometry(DISTANCES_UM, np.outer(DISTANCES_UM, tilt), np.ones(4))
    found = Geometry(DISTANCES_UM, true.shifts_um - true.shifts_um.mean(0), np.ones(4))
    given = Geometry(DISTANCES_UM, np.zeros((4, 2)), np.ones(4))
    model = model_of(found)
    moved, geometry = placed(field, found, given, derivatives(), model.padding)
    np.testing.assert_allclose(geometry.shifts_um, true.shifts_um, atol=1e-9)
    torch.testing.assert_close(model_of(geometry).fields(moved), model.fields(field), rtol=0, atol=1e-3)


@pytest.mark.parametrize("kind", ["both", "phase", "amplitude"])
def test_the_plane_of_a_sample_with_edges_is_found(kind: str) -> None:
    shape = (96, 96)
    amplitude = torch.ones(shape, dtype=torch.float64) if kind == "phase" else 0.4 + 0.6 * blocks(4)
    phase = torch.zeros(shape, dtype=torch.float64) if kind == "amplitude" else 1.2 * blocks(5)
    factors = Derivatives(shape, Optics(PIXEL_UM, WAVELENGTH_UM), torch.complex128)
    model = MultiHeight(shape, Heights(Optics(PIXEL_UM, WAVELENGTH_UM), [50.0]), dtype=torch.complex128)
    away = Refocusing(torch.polar(amplitude, phase), model, factors).at(4.3)
    search = PlaneSearch(Refocusing(away, model, factors), 15.0, 4 * PIXEL_UM**2 / WAVELENGTH_UM)
    assert list(search.steps())[-1] == pytest.approx(1)
    plane = search.result()
    assert plane.offset_um == pytest.approx(-4.3, abs=0.2)
    assert not plane.at_end


def test_all_that_frames_hold_is_explained_by_their_own_object(geometry: Geometry, field: Tensor) -> None:
    problem = PhaseProblem(model_of(geometry), model_of(geometry).fields(field).abs())
    assert explained_up_to(problem, field) is None


def test_what_is_finer_than_the_model_explains_is_found(geometry: Geometry, field: Tensor) -> None:
    amplitudes = model_of(geometry).fields(field).abs()
    radius = (torch.fft.fftfreq(SHAPE[0])[:, None] ** 2 + torch.fft.fftfreq(SHAPE[1]) ** 2).sqrt()
    noise = torch.fft.fft2(torch.randn(4, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(5)))
    amplitudes += 0.3 * torch.fft.ifft2(noise * (radius > 0.25)).real
    found = explained_up_to(PhaseProblem(model_of(geometry), amplitudes), field)
    # a little coarser, as the window lets noise into the neighbouring rings, where the object has hardly anything
    assert found is not None and 0.15 < found <= 0.25
    band = passband(model_of(geometry), found)
    assert band[0, 0] == 1 and band[SHAPE[0] // 2, 0] == 0
