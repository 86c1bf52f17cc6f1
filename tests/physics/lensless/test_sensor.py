"""Sensor pixels larger than those of the object: means, adjoints and derivatives."""

from __future__ import annotations

import pytest
import torch

from napari_diner.physics.lensless.sensor import BlurredSensor, Sensor
from napari_diner.physics.propagation import frequencies
from tests.kit.adjoint import AdjointMixin, Operator
from tests.kit.fields import complex_noise


@pytest.mark.parametrize("binning", [1, 2, 3])
def test_each_pixel_records_the_mean_of_what_it_covers(binning: int) -> None:
    sensor = Sensor(binning)
    image = complex_noise((2, 6 * binning, 4 * binning)).real
    mean = sensor.mean(image)
    assert mean.shape == (2, 6, 4)
    rows, columns = sensor.fine((slice(2, 3), slice(1, 2)))
    torch.testing.assert_close(mean[:, 2, 1], image[:, rows, columns].mean((1, 2)))
    torch.testing.assert_close(sensor.mean(sensor.spread(mean)), mean)


@pytest.mark.parametrize("binning", [1, 2, 3])
class TestMean(AdjointMixin):
    @pytest.fixture
    def operator(self, binning: int) -> Operator:
        sensor, fine, coarse = Sensor(binning), (6 * binning, 4 * binning), (6, 4)
        return Operator(sensor.mean, sensor.mean_adjoint, fine, coarse, real_domain=True, real_codomain=True)


def blurred(binning: int) -> BlurredSensor:
    """Part of a sensor, (6, 4), behind an even blur of two waves on 12b by 10b pixels."""
    shape = (12 * binning, 10 * binning)
    fy, fx = frequencies(shape, 1.0)
    within = slice(2 * binning, 8 * binning), slice(5 * binning, 9 * binning)
    return BlurredSensor(binning, blur=torch.exp(-8 * (fy**2 + fx**2)), within=within)


SENSORS: list[tuple[Sensor, tuple[int, ...]]] = [
    *((Sensor(binning), (6 * binning, 4 * binning)) for binning in (1, 2, 3)),
    *((blurred(binning), (2, 12 * binning, 10 * binning)) for binning in (1, 2)),
]


@pytest.mark.parametrize(("sensor", "fine"), SENSORS)
class TestChange(AdjointMixin):
    @pytest.fixture
    def operator(self, sensor: Sensor, fine: tuple[int, ...]) -> Operator:
        response = sensor.response(complex_noise(fine, 3), complex_noise((6, 4), 4).real)
        return Operator(response.change, response.adjoint, fine, (6, 4), real_codomain=True)


@pytest.mark.parametrize(("sensor", "fine"), SENSORS)
def test_the_response_is_the_derivative_of_the_recorded_amplitude(sensor: Sensor, fine: tuple[int, ...]) -> None:
    U, dU = complex_noise(fine, 1), complex_noise(fine, 2)
    slope = (sensor.modulus(U + 1e-6 * dU) - sensor.modulus(U - 1e-6 * dU)) / 2e-6
    response = sensor.response(U, 1 / sensor.modulus(U))
    torch.testing.assert_close(response.change(dU), slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("sensor", "fine"), SENSORS)
def test_in_the_dark_nothing_answers(sensor: Sensor, fine: tuple[int, ...]) -> None:
    dark = torch.zeros(fine, dtype=torch.complex128)
    response = sensor.response(dark, sensor.modulus(dark).clamp_min(1e-20).reciprocal())
    assert not response.change(complex_noise(fine)).any()


def test_a_blur_keeps_the_light_and_takes_it_from_beyond_the_pixels() -> None:
    sensor = blurred(1)
    lit = torch.zeros(2, 12, 10, dtype=torch.float64)
    lit[:, 1, 5] = 1.0  # the pixel before the first
    assert 0.1 < float(sensor.mean(lit)[0, 0]) < 1
    torch.testing.assert_close(sensor.mean(torch.ones_like(lit)), torch.full((6, 4), 2.0, dtype=torch.float64))


def test_interpolation_keeps_slopes_and_their_place() -> None:
    slope = torch.arange(8.0).expand(1, 8, 8)
    fine = Sensor(2).interpolated(slope)[0]
    # centres of fine pixels lie a quarter of a pixel beside those of the sensor
    torch.testing.assert_close(fine[4, 2:-2], torch.arange(0.75, 6.5, 0.5))
