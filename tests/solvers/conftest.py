"""What the tests of the solvers share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.solvers.lensless.small_problems import Recording, record


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """For images this small, threads cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def recording() -> Recording:
    return record()
