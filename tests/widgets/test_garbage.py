"""Searches for garbage leave objects out, and what others have set aside stays so."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from napari_diner.widgets.garbage import no_collection, set_aside


@pytest.fixture
def frozen() -> Iterator[None]:
    """Restore what the tests have set aside."""
    yield
    gc.freeze()


@pytest.mark.usefixtures("frozen")
def test_present_objects_are_set_aside_for_a_while() -> None:
    gc.unfreeze()
    with set_aside():
        assert gc.get_freeze_count() > 10_000
    assert gc.get_freeze_count() == 0
    with no_collection():
        assert not gc.isenabled()
    assert gc.isenabled() and gc.get_freeze_count() == 0


@pytest.mark.usefixtures("frozen")
def test_what_others_have_set_aside_stays_so() -> None:
    gc.freeze()
    count = gc.get_freeze_count()
    with set_aside(), no_collection():
        pass
    assert gc.get_freeze_count() >= count - 100  # some may have been deleted
