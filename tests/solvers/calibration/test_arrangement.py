"""Assignment of directions to frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination, ring
from napari_diner.physics.idt.transfer import BornModel
from napari_diner.solvers.calibration.arrangement import (
    Arrangement,
    ArrangementTest,
    Judged,
    arrangements,
    nearby,
    opposite,
)
from napari_diner.solvers.calibration.contrast_sign import agreed_by_middle

GEOMETRY = VolumeGeometry((10, 56, 56), 0.55, 0.532, 1.34, 0.17, 0.6)


def ball(centre_z: float = 0.4) -> torch.Tensor:
    z, y, x = np.mgrid[:10, :56, :56].astype(float)
    z, y, x = (z - 4.5) * 0.55 - centre_z, (y - 27.5) * 0.17, (x - 27.5) * 0.17
    shape = 1 / (1 + np.exp((np.sqrt(z**2 + (y - 0.6) ** 2 + (x + 0.3) ** 2) - 1.3) / 0.1))
    shape += 1 / (1 + np.exp((np.sqrt(z**2 + (y + 1.7) ** 2 + (x - 1.1) ** 2) - 0.6) / 0.1))
    return torch.from_numpy(0.008 * np.stack([shape, 0.1 * shape])).float()


def frames(illumination: Illumination, contrast: torch.Tensor, noise: float = 0.003) -> torch.Tensor:
    chance = torch.Generator().manual_seed(3)
    clean = BornModel(GEOMETRY, illumination).forward(contrast)
    return clean + noise * torch.randn(clean.shape, generator=chance)


def judged(given: Illumination, data: torch.Tensor, geometry: VolumeGeometry = GEOMETRY) -> dict[str, Judged]:
    ways = arrangements(given)
    return {way.arrangement.name: way for way in ArrangementTest(geometry, data).judge(ways)}


def best(ways: dict[str, Judged]) -> Judged:
    least = min(way.error for way in ways.values())
    return max((way for way in ways.values() if way.error < 1.02 * least), key=lambda way: way.skewness)


def grid() -> Illumination:
    y, x = np.mgrid[-2:3, -2:3].reshape(2, -1) * 0.29
    inside = np.hypot(y, x) < 0.6
    # not symmetric, as one light is broken
    return Illumination.of(np.stack([y, x], 1)[inside][:-1].tolist())


@pytest.mark.parametrize("sense", [1, -1])
def test_the_first_angle_and_the_sense_of_a_ring_are_found(sense: int) -> None:
    true = ring(0.58, 12, offset_deg=37.5)
    if sense < 0:
        true = Illumination(true.frames[::-1])
    ways = judged(ring(0.58, 12), frames(true, ball()))
    found = best(ways)
    assert np.allclose(found.arrangement.illumination.apertures, true.apertures, atol=1e-6)
    assert found.is_better_than(ways["as given"])
    assert found.sign == 1
    assert found.arrangement.first_angle_deg == pytest.approx(37.5) if sense > 0 else True


def test_first_angles_between_the_steps_are_approached() -> None:
    data = frames(ring(0.58, 10, offset_deg=50), ball())
    test = ArrangementTest(GEOMETRY, data)
    found = min(test.judge(arrangements(ring(0.58, 10))), key=lambda way: way.error)
    for step in (4.0, 2.0, 1.0):
        found = min([found, *test.judge(nearby(found.arrangement, step))], key=lambda way: way.error)
    angles = [found.arrangement.first_angle_deg, opposite(found.arrangement)[0].first_angle_deg]
    assert min(abs(angle - 50) for angle in angles if angle is not None) < 1.5


@pytest.mark.parametrize(
    "name",
    [
        "turned by 90°",
        "y reversed",
        "y and x exchanged",
        "reverse order, x reversed",
        "beginning with the direction of frame 8",
    ],
)
def test_a_list_is_put_right(name: str) -> None:
    true = grid()
    # what undoes itself, or is undone by the turn the other way
    wrong = next(way.illumination for way in arrangements(true) if way.name == name)
    ways = judged(wrong, frames(true, ball()))
    found = best(ways)
    assert np.allclose(found.arrangement.illumination.apertures, true.apertures)
    assert found.is_better_than(ways["as given"])


def test_a_right_list_is_left_alone() -> None:
    data = frames(grid(), ball())
    ways = judged(grid(), data)
    (roughly,) = ArrangementTest(GEOMETRY, data).rough().judge([ways["as given"].arrangement])
    assert ways["as given"].error <= roughly.error < 1.5 * ways["as given"].error
    assert best(ways).arrangement.name == "as given"
    assert not any(way.is_better_than(ways["as given"]) for way in ways.values())


def test_turned_lists_fit_as_well_with_the_opposite_contrast_if_slices_are_centred() -> None:
    ways = judged(ring(0.58, 12), frames(ring(0.58, 12), ball()))
    given, turned = ways["as given"], next(way for name, way in ways.items() if name.startswith("turned by 180°"))
    assert turned.error == pytest.approx(given.error, rel=1e-3)
    assert (given.sign, turned.sign) == (1, -1)
    assert turned.skewness == pytest.approx(-given.skewness, rel=1e-2)


def test_the_position_of_slices_off_the_focus_tells_a_turned_list() -> None:
    above = VolumeGeometry((10, 56, 56), 0.55, 0.532, 1.34, 0.17, 0.6, first_slice_um=1.5)
    data = BornModel(above, ring(0.58, 12)).forward(ball())
    ways = judged(ring(0.58, 12), data, above)
    turned = next(way for name, way in ways.items() if name.startswith("turned by 180°"))
    assert ways["as given"].is_better_than(turned)


@pytest.mark.parametrize(("dense", "expected"), [(1, 1), (-1, -1)])
def test_the_middle_of_a_cut_field_has_to_agree_about_the_sign(dense: int, expected: int) -> None:
    y, x = np.mgrid[:40, :44]
    blob = np.exp(-((y - 21) ** 2 + (x - 20) ** 2) / 18)
    slices = torch.from_numpy(dense * np.stack([blob, 0.5 * blob]))
    assert agreed_by_middle(expected * 0.7, slices) == expected * 0.7
    # the halo of something denser beyond an edge
    halo = torch.from_numpy(dense * np.exp(-((x / 5.0) ** 2)))
    assert agreed_by_middle(-expected * 0.7, slices - halo) == 0
    assert agreed_by_middle(0.7, torch.zeros(2, 40, 44)) == 0


def test_the_sign_is_that_of_the_sample() -> None:
    thin = ball() * torch.tensor([-1.0, 1.0])[:, None, None, None]
    assert judged(grid(), frames(grid(), thin))["as given"].sign == -1
    # noise has none
    assert judged(grid(), 0.01 * torch.randn(len(grid()), 56, 56))["as given"].sign == 0


def test_what_absorbs_tells_the_sign_where_dense_and_thin_parts_balance() -> None:
    one = ball()
    index = one[0] - one[0].roll((14, 9), (1, 2))
    data = frames(grid(), torch.stack([index, 0.2 * one[0]]))
    turned = Arrangement("turned", grid().opposite())
    given, turned_way = ArrangementTest(GEOMETRY, data).judge([Arrangement("as given", grid()), turned])
    assert (given.sign, turned_way.sign) == (0, 0)
    assert (given.sign_by_absorption, turned_way.sign_by_absorption) == (1, -1)
    assert turned_way.contrast.agreement == pytest.approx(-given.contrast.agreement, rel=1e-2)
    noise = 0.01 * torch.randn(len(grid()), 56, 56)
    assert ArrangementTest(GEOMETRY, noise).judge([turned])[0].sign_by_absorption == 0


def test_as_many_frequencies_as_many_frames_allow_are_enough() -> None:
    geometry = VolumeGeometry((4, 64, 64), 0.55, 0.532, 1.34, 0.17, 0.6)
    noise = torch.randn(90, 64, 64)
    assert ArrangementTest(geometry, noise, frequencies=200, periods=10).is_rich
    # hardly any detail passes this objective
    assert not ArrangementTest(replace(geometry, na=0.1), noise, frequencies=200, periods=10).is_rich


def test_a_lost_frame_of_a_ring_is_found() -> None:
    true = ring(0.58, 14)
    kept = [number for number in range(14) if number != 9]
    ways = judged(ring(0.58, 13), frames(true, ball())[kept])
    found = best(ways)
    assert found.arrangement.name == "frame 10 of 14 is missing"
    assert np.allclose(found.arrangement.illumination.apertures, true.apertures[kept])
    assert found.is_better_than(ways["as given"])


def test_frames_with_several_sources_are_compared_too() -> None:
    pairs = ring(0.58, 16).frames
    true = Illumination(tuple((*pairs[number], *pairs[(number + 5) % 16]) for number in range(0, 16, 2)))
    wrong = next(way.illumination for way in arrangements(true) if way.name == "x reversed")
    found = best(judged(wrong, frames(true, ball(), 0.001)))
    assert np.allclose(found.arrangement.illumination.apertures, true.apertures)


def test_each_list_of_directions_is_listed_once() -> None:
    # four lights on the axes: turns and mirror images are permutations, and many of them are the same list
    cross = Illumination.of([[0.3, 0], [0, 0.4], [-0.3, 0], [0, -0.4]])
    ways = arrangements(cross)
    lists = {tuple(map(tuple, np.round(way.illumination.apertures, 6) + 0.0)) for way in ways}
    assert len(lists) == len(ways)
    assert ways[0].name == "as given"
