"""Aberrations of the objective from the mutual agreement of frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_diner.physics.idt.contrast import permittivity_contrast
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination, ring
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.simulate.idt.cells import cells
from napari_diner.solvers.calibration.frame_spectra import FrameSpectra
from napari_diner.solvers.calibration.idt import IlluminationRefinement, moved
from napari_diner.solvers.calibration.pupil import PRIOR_RAD, PupilSearch, pupil_equations

TINY = VolumeGeometry((3, 12, 15), 0.7, 0.515, 1.33, 0.2, 0.6, 0.3, (0.3, -0.2, 0.4, 0.1, 0.3, -0.3, 0.2, 0.25))
LIT = Illumination.of([[0.31, 0.12], [[-0.22, 0.27, 2.0], [0.05, -0.33, 1.0]], [0.02, 0.41]])
MODES = (5, 8, 11)
GEOMETRY = VolumeGeometry((6, 48, 48), 1.2, 0.515, 1.33, 0.2, 0.6)
TRUE = np.array([0.0, 0.25, -0.2, 0.2, -0.15, 0.1, 0.2, 0.1])


def changed(mode: int, by: float) -> VolumeGeometry:
    numbers = list(TINY.zernike_rad)
    numbers[mode - 4] += by
    return replace(TINY, zernike_rad=tuple(numbers))


def covariances(spectra: FrameSpectra, geometry: VolumeGeometry, lit: Illumination, absorption: float) -> torch.Tensor:
    matrix = spectra.matrix(geometry, lit, absorption).to(torch.complex128)
    return matrix @ matrix.mH


@pytest.mark.parametrize("absorption", [1.0, 0.3])
def test_score_and_information_are_those_of_the_likelihood(absorption: float) -> None:
    """Both by differences of the covariance of the data, with no short cut."""
    data = 0.1 * torch.randn(3, 12, 15, generator=torch.Generator().manual_seed(0))
    spectra = FrameSpectra(TINY, data)
    count = len(spectra.fy)
    alpha, power = torch.full((count,), 0.05, dtype=torch.float64), torch.full((count,), 3.0, dtype=torch.float64)
    y = spectra.data(np.ones(3))
    moves = 0.02 * np.random.default_rng(0).standard_normal((8, 4))
    equations = pupil_equations(spectra, TINY, LIT, y, (alpha, power), MODES, moves, absorption)

    def covariance(parameter: int, by: float) -> torch.Tensor:
        geometry, lit = TINY, LIT
        if parameter < len(MODES):
            geometry = changed(MODES[parameter], by)
        else:
            lit = moved(LIT, LIT.apertures + by * moves[:, parameter - len(MODES)].reshape(-1, 2))
        return covariances(spectra, geometry, lit, absorption)

    centre = covariances(spectra, TINY, LIT, absorption) + 0.05 * torch.eye(3)
    inverse = torch.linalg.inv(centre)
    step = 3e-3
    slopes = torch.stack([(covariance(p, step) - covariance(p, -step)) / (2 * step) for p in range(len(MODES) + 4)])
    weights = spectra.shares / 2
    solved = (inverse @ y[..., None])[..., 0]
    traces = (inverse @ slopes).diagonal(dim1=-2, dim2=-1).sum(-1).real
    score = torch.einsum("kn,pknm,km->pk", solved.conj(), slopes, solved).real / 3.0 - traces
    np.testing.assert_allclose(equations.score, (score @ weights)[:3], rtol=0.02)
    products = inverse @ slopes
    information = torch.einsum("k,pknm,qkmn->pq", weights.to(products.dtype), products, products).real.numpy()
    prior = np.diag([PRIOR_RAD**-2] * 3 + [1.0] * 4)
    scale = np.sqrt(np.outer(np.diag(information), np.diag(information)))
    assert np.abs((equations.information - prior - information) / scale).max() < 0.02


def recorded(illumination: Illumination) -> torch.Tensor:
    """Frames of a weak cell under multiple scattering through an aberrated objective, as g, (N, Y, X)."""
    phantom = cells(GEOMETRY, peak_phase_rad=0.2, seed=1)
    contrast = permittivity_contrast(torch.from_numpy(phantom.n_re), torch.from_numpy(phantom.n_im), 1.33)
    model = SSNPModel(replace(GEOMETRY, zernike_rad=tuple(TRUE)), illumination)
    with torch.no_grad():
        frames = model.forward(contrast.float())
    return frames + 0.003 * torch.randn(frames.shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def recording() -> tuple[Illumination, torch.Tensor]:
    illumination = ring(0.56, 12)
    return illumination, recorded(illumination)


def test_coefficients_are_found_within_their_errors(recording: tuple[Illumination, torch.Tensor]) -> None:
    illumination, data = recording
    work = IlluminationRefinement(GEOMETRY, illumination, data, directions=False, pupil=True)
    for _ in work.steps():
        pass
    found = work.result()
    assert found.pupil is not None
    off, error = np.array(found.pupil.zernike_rad) - TRUE, np.array(found.pupil.zernike_rad_se)
    assert np.all(np.abs(off[1:]) < 4 * error[1:])
    # those of the radius are confused with the object
    assert np.all(error[1:7] < 0.01) and error[7] < 0.3
    assert found.pupil.zernike_rad[0] == error[0] == 0
    np.testing.assert_array_equal(found.apertures, illumination.apertures)
    # an ideal objective leaves much more unexplained
    assert found.unexplained_rms[1] < 0.6 * found.unexplained_rms[0]


def test_given_coefficients_are_the_start_and_a_given_defocus_stays(
    recording: tuple[Illumination, torch.Tensor],
) -> None:
    illumination, data = recording
    given = (0.2, 0.2, *TRUE[2:], 0.1)
    geometry = replace(GEOMETRY, zernike_rad=given)
    work = IlluminationRefinement(geometry, illumination, data, directions=False, pupil=True, iterations=1)
    assert work.geometry.zernike_rad == given
    for _ in work.steps():
        pass
    pupil = work.result().pupil
    assert pupil is not None and len(pupil.zernike_rad) == 9
    assert pupil.zernike_rad[0] == 0.2
    # nearer already after a step
    assert abs(pupil.zernike_rad[1] - 0.25) < 0.04 and abs(pupil.zernike_rad[8]) < 0.06


def test_modes_that_one_direction_does_not_see_keep_their_prior() -> None:
    """Odd modes displace the frequencies of a single frame, as another object would."""
    data = recorded(Illumination.of([[0.0, 0.0]]))
    work = IlluminationRefinement(GEOMETRY, Illumination.of([[0.0, 0.0]]), data, directions=False, pupil=True)
    for _ in work.steps():
        pass
    pupil = work.result().pupil
    assert pupil is not None
    odd = np.isin(np.arange(4, 12), (7, 8, 9, 10))
    assert np.all(np.array(pupil.zernike_rad_se)[odd] > 0.5)


def test_a_search_continues_where_it_was_stored(recording: tuple[Illumination, torch.Tensor]) -> None:
    illumination, data = recording
    build = lambda: IlluminationRefinement(GEOMETRY, illumination, data, directions=False, pupil=True, iterations=4)  # noqa: E731
    work = build()
    steps = work.steps()
    for _ in range(2):
        next(steps)
    again = build()
    again.restore(work.state())
    for each in (steps, again.steps()):
        for _ in each:
            pass
    assert again.result().pupil == work.result().pupil
    assert isinstance(again._pupil, PupilSearch)
