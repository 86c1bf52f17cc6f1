"""Loops compiled by numba, where it is installed, and shared between threads."""

from __future__ import annotations

import contextlib
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

    The result is stored beside the file of the function, or in the user's folder for caches, where that is possible.
    """
    if not can_compile():
        return function
    import numba

    loop: Any = numba.njit(nogil=True, fastmath=_FLAGS, error_model="numpy")(function)
    with contextlib.suppress(RuntimeError):  # neither of these folders can be written
        loop._cache = _lenient_cache()(function)
    callable_loop: Callable[..., Any] = loop
    return callable_loop


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function into the loops that call it, however long it is; without numba, return it as it is."""
    if not can_compile():
        return function
    import numba

    part: Callable[..., Any] = numba.njit(nogil=True, fastmath=_FLAGS, error_model="numpy", forceinline=True)(function)
    return part


@functools.cache
def _lenient_cache() -> type[Any]:
    """Return numba's cache, except that a damaged or full one costs time, but no run."""
    from numba.core import caching

    numbas: Any = caching.FunctionCache  # it has no types

    class LenientCache(numbas):  # type: ignore[misc]
        def load_overload(self, *arguments: object) -> object:
            try:
                return super().load_overload(*arguments)
            except Exception:  # whatever the bytes of a damaged file mean to pickle
                with contextlib.suppress(OSError):
                    self.flush()
                return None

        def save_overload(self, *arguments: object) -> None:
            with contextlib.suppress(OSError):
                super().save_overload(*arguments)

    return LenientCache


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
    others = [_pool().submit(loop, *job) for job in jobs[1:]]
    # the calling thread works too, as waking another one takes as long as a short part
    return [loop(*jobs[0]), *(other.result() for other in others)]


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="loops")
