"""Sensor pixels larger than those of the object: means, adjoints and derivatives."""

from __future__ import annotations

import pytest
import torch

from napari_diner.physics.lensless.sensor import Sensor
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


@pytest.mark.parametrize("binning", [1, 2, 3])
class TestChange(AdjointMixin):
    @pytest.fixture
    def operator(self, binning: int) -> Operator:
        sensor, fine = Sensor(binning), (6 * binning, 4 * binning)
        direction = complex_noise(fine, 3)
        return Operator(
            lambda x: sensor.change(direction, x),
            lambda y: sensor.change_adjoint(direction, y),
            fine,
            (6, 4),
            real_codomain=True,
        )


@pytest.mark.parametrize("binning", [1, 2, 3])
def test_the_direction_is_the_derivative_of_the_recorded_amplitude(binning: int) -> None:
    sensor = Sensor(binning)
    U, dU = complex_noise((6 * binning, 4 * binning), 1), complex_noise((6 * binning, 4 * binning), 2)
    slope = (sensor.modulus(U + 1e-6 * dU) - sensor.modulus(U - 1e-6 * dU)) / 2e-6
    torch.testing.assert_close(sensor.change(sensor.direction(U), dU), slope, rtol=1e-6, atol=1e-8)


def test_in_the_dark_there_is_no_direction() -> None:
    for binning in (1, 2):
        dark = torch.zeros(4, 4, dtype=torch.complex128)
        assert not Sensor(binning).direction(dark).any()


def test_interpolation_keeps_slopes_and_their_place() -> None:
    slope = torch.arange(8.0).expand(1, 8, 8)
    fine = Sensor(2).interpolated(slope)[0]
    # centres of fine pixels lie a quarter of a pixel beside those of the sensor
    torch.testing.assert_close(fine[4, 2:-2], torch.arange(0.75, 6.5, 0.5))
