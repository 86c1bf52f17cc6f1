"""Parts of data are selected as in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_diner.errors import InputError
from napari_diner.tasks.fit.region import Region


@given(st.data())
def test_a_region_is_what_numpy_takes_it_for(data: st.DataObject) -> None:
    shape = data.draw(npst.array_shapes(min_dims=1, max_dims=4, max_side=7))
    array = np.arange(np.prod(shape)).reshape(shape)
    index = data.draw(npst.basic_indices(shape, allow_ellipsis=False))
    index = index if isinstance(index, tuple) else (index,)
    expected = array[index]
    assume(expected.size > 0)
    region = Region.of(index, shape)
    # read the box that holds it, then what is wanted of it
    found = array[region.box][region.in_box]
    assert found.shape == region.shape
    np.testing.assert_array_equal(found[tuple(0 if out else slice(None) for out in region.dropped)], expected)
    np.testing.assert_array_equal(found, array[np.ix_(*region.ranges)])


def test_the_box_is_no_larger_than_it_must_be() -> None:
    region = Region.of((slice(9, 2, -3), 4), (10, 5, 6))
    assert region.box == (slice(3, 10), slice(4, 5), slice(0, 6))


def test_whole_numbers_of_numpy_are_places() -> None:
    assert Region.of((np.int64(-1),), (4,)) == Region((range(3, 4),), (True,))


def test_an_axis_can_be_left_out() -> None:
    region = Region.of((1, slice(2), 3), (4, 4, 4))
    assert region.without(1) == Region((range(1, 2), range(3, 4)), (True, True))
    assert region.without(None) == region


@pytest.mark.parametrize(
    ("index", "problem"),
    [
        ((4,), "Place 4 of axis 0 is outside; it has 4, from 0 to 3"),
        ((0, -6), "Place -6 of axis 1"),
        ((slice(2, 2),), "nothing along axis 0"),
        ((slice(None), slice(7, None)), "nothing along axis 1"),
        ((slice(None, None, 0),), "steps of zero"),
        ((0, 0, 0), "3 axes but the data have 2"),
    ],
)
def test_regions_that_cannot_be(index: tuple[slice | int, ...], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        Region.of(index, (4, 5))
