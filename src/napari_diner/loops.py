"""Loops compiled by numba, where it is installed, and shared between threads."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

# terms may be contracted and summed in another order; NaN and infinity stay what they are
_FLAGS = {"contract", "reassoc", "nsz", "arcp"}


@functools.cache
def can_compile() -> bool:
    """Return whether numba is installed: the extra ``compiled``."""
    return importlib.util.find_spec("numba") is not None


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a loop, which runs without Python's lock; without numba, return it as it is.

    The result is stored beside the file of the function, or in the user's folder for caches.
    """
    if not can_compile():
        return function
    import numba

    options: dict[str, Any] = {"nogil": True, "fastmath": _FLAGS, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:
        # neither of these folders can be written
        return numba.njit(**options)(function)  # type: ignore[no-any-return]


def shared(
    loop: Callable[..., float], count: int, threads: int, arguments: Callable[[int], tuple[Any, ...]]
) -> list[float]:
    """Return what a loop returns for equal parts of its range, one for each thread.

    Parameters
    ----------
    loop
        Takes its arguments and the first and last index of a part.
    count
        Number of indices.
    threads
        Number of threads.
    arguments
        Returns the arguments of a thread.
    """
    cuts = [count * thread // threads for thread in range(threads + 1)]
    jobs = [(*arguments(thread), cuts[thread], cuts[thread + 1]) for thread in range(threads)]
    if threads == 1:
        return [loop(*jobs[0])]
    return list(_pool().map(lambda job: loop(*job), jobs))


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="loops")
