"""A small weak object and its recording."""

from __future__ import annotations

import pytest

from tests.tasks.idt.small_recordings import Recording, record


@pytest.fixture(scope="session")
def recording() -> Recording:
    """A recording with little noise."""
    return record()
