"""Searches for garbage, which take a third of a second among all objects of napari and torch."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def set_aside() -> Iterator[None]:
    """Leave all present objects out of the searches for garbage.

    Nothing is done if the process has already set objects aside for good, as `gc.unfreeze` would bring those back, too.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Collect no garbage while modules are imported."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        # makes the new objects old ones, so that they do not start a collection right now
        with set_aside():
            pass
        gc.enable()
