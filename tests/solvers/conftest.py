"""Shared fixtures of the tests of solvers."""

from __future__ import annotations

import pytest

from tests.solvers.lensless.small_problems import Recording, record


@pytest.fixture
def recording() -> Recording:
    return record()
