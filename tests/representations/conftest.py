"""What the tests of compiled loops share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from napari_diner.representations import interpolation, threaded


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Share the work between threads, also unevenly."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def for_few_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use compiled loops, and all threads, for any number of keys."""
    monkeypatch.setattr(interpolation, "FEWEST_KEYS", 1)
    monkeypatch.setattr(threaded, "_FEWEST_FOR_CORNERS", 1)
