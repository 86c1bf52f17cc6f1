"""Displacement, rotation and scale of one image relative to another."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.transform import rotate

from napari_diner.preprocess.similarity import (
    Similarity,
    fit_similarity,
    overlap_window,
    rough_shift,
    thinnings,
    unturned,
    unturned_mask,
)

LARGE, SIZE = 240, 160


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    """A random picture that is smooth on the grid, larger than what is compared of it."""
    return ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((LARGE, LARGE)), 2.0)


def middle(picture: np.ndarray) -> np.ndarray:
    cut = slice((LARGE - SIZE) // 2, (LARGE + SIZE) // 2)
    return picture[cut, cut]


def seen(scene: np.ndarray, place: Similarity) -> np.ndarray:
    """Return the middle of a scene as it is displaced, turned and enlarged."""
    centre = np.full(2, (LARGE - 1) / 2)
    back = np.linalg.inv(place.matrix)
    offset = centre - place.shift_px - back @ centre
    return middle(ndimage.affine_transform(scene, back, offset, order=5, mode="reflect"))


def found_in(scene: np.ndarray, image: np.ndarray, *, turn: bool = True) -> tuple[Similarity, float]:
    reference = middle(scene)
    coarsest, *_ = grids = thinnings(reference.shape)
    found, _ = rough_shift(reference, image, Similarity(), coarsest)
    for thin in (*grids, 1):
        found, correlation = fit_similarity(reference, image, found, turn=turn, thin=thin)
    return found, correlation


@pytest.mark.parametrize(
    "place",
    [Similarity(), Similarity(11.3, -6.2), Similarity(-4.1, 8.7, 1.7, 1.025), Similarity(2.2, 3.4, -2.0, 0.97)],
)
def test_a_known_similarity_is_found(scene: np.ndarray, place: Similarity) -> None:
    found, correlation = found_in(scene, seen(scene, place))
    np.testing.assert_allclose(found.shift_px, place.shift_px, atol=0.01)
    assert found.rotation_deg == pytest.approx(place.rotation_deg, abs=2e-3)
    assert found.scale == pytest.approx(place.scale, abs=5e-5)
    assert correlation > 0.999


def test_the_displacement_alone(scene: np.ndarray) -> None:
    found, _ = found_in(scene, seen(scene, Similarity(5.4, -9.8)), turn=False)
    np.testing.assert_allclose(found.shift_px, (5.4, -9.8), atol=0.01)
    assert found.rotation_deg == 0 and found.scale == 1


def test_complex_pictures_are_found_whatever_their_common_phase(scene: np.ndarray) -> None:
    field = scene + 1j * np.roll(scene, 40, axis=0)
    place = Similarity(3.3, -2.1, 0.8, 1.01)
    image = seen(field.real, place) + 1j * seen(field.imag, place)
    found, _ = found_in(field, image)
    np.testing.assert_allclose(found.shift_px, place.shift_px, atol=0.01)
    assert found.rotation_deg == pytest.approx(place.rotation_deg, abs=2e-3)


def test_a_turn_is_counter_clockwise_as_in_scikit_image(scene: np.ndarray) -> None:
    found, _ = found_in(scene, middle(rotate(scene, 1.5, order=3, mode="reflect")))
    assert found.rotation_deg == pytest.approx(1.5, abs=0.01)
    assert found.scale == pytest.approx(1, abs=1e-4)


def test_turn_and_scale_are_taken_out_and_the_displacement_stays(scene: np.ndarray) -> None:
    place = Similarity(3.0, -5.0, 1.2, 1.02)
    image = seen(scene, place)
    back = unturned(image, place)
    shifted = seen(scene, Similarity(3.0, -5.0))
    inner = slice(12, -12)
    np.testing.assert_allclose(back[inner, inner], shifted[inner, inner], atol=0.02 * scene.std())
    everywhere = np.ones(image.shape, bool)
    assert unturned_mask(everywhere, Similarity(scale=0.97)).all()
    # an enlarged frame sees less
    kept = unturned_mask(everywhere, Similarity(scale=1.05))
    assert kept[inner, inner].all() and not kept[0].any()


def test_what_is_found_adds_up() -> None:
    first, more = Similarity(1.0, 2.0, 0.5, 1.02), Similarity(-0.2, 0.1, 0.1, 0.99)
    both = first.then(more)
    assert both.shift_px == pytest.approx((0.8, 2.1))
    assert both.rotation_deg == pytest.approx(0.6) and both.scale == pytest.approx(1.02 * 0.99)
    left = both.relative_to(more)
    assert left.shift_px == pytest.approx(first.shift_px) and left.scale == pytest.approx(first.scale)
    assert Similarity(scale=1.01).turned_by_px((100, 200)) == pytest.approx(1.0)


def test_pictures_with_nothing_in_common_stand_out_as_little_as_chance(scene: np.ndarray) -> None:
    other = ndimage.gaussian_filter(np.random.default_rng(9).standard_normal((LARGE, LARGE)), 2.0)
    _, same = rough_shift(middle(scene), seen(scene, Similarity(6.0, 2.0)), Similarity(), 2)
    _, different = rough_shift(middle(scene), middle(other), Similarity(), 2)
    assert different < 1.5 < 3 < same
    _, nothing = rough_shift(middle(scene), np.ones((SIZE, SIZE)), Similarity(), 2)
    assert nothing < 1.5


def test_only_what_two_pictures_share_counts() -> None:
    weights = overlap_window((10, 12), np.array([3.0, -4.0]))
    assert not weights[7:].any() and not weights[:, :4].any()
    assert weights[1:6, 5:11].all()
    assert not overlap_window((10, 12), np.array([11.0, 0.0])).any()


@pytest.mark.parametrize(("size", "grids"), [(40, (1,)), (96, (2, 1)), (200, (4, 2)), (2048, (8, 4))])
def test_grids_for_a_first_look(size: int, grids: tuple[int, ...]) -> None:
    assert thinnings((size, size + 10)) == grids
