"""Shared fixtures."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import pytest

# the arrays of the tests are small: a second thread costs more in waiting than it saves in work
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure() -> None:
    """Let tests and the programs that they start be interrupted.

    A shell that runs a command in the background has it ignore SIGINT, and every program started
    from there inherits that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True)
def _what_is_loaded_is_set_aside() -> None:
    """Leave modules and collected tests out of searches for garbage, each of which takes half a second among them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of measured data, which is too large for the repository."""
    folder = os.environ.get("NAPARI_DINER_DATA")
    if not folder:
        pytest.skip("the measured data are not here; set NAPARI_DINER_DATA to their folder")
    path = Path(folder)
    if not path.is_dir():
        pytest.fail(f"NAPARI_DINER_DATA names {path}, which is not a folder")
    return path
