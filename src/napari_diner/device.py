"""Where the computing happens, and whether the work fits there."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

import psutil

from napari_diner.errors import OutOfMemoryError, RecipeError

if TYPE_CHECKING:
    import torch


def choose_device(name: str = "auto") -> torch.device:
    """Return the device called `name`; ``"auto"`` takes CUDA if there is a usable card, and else the processor.

    Apple's ``"mps"`` is only taken when asked for, since it has no double precision.

    Raises
    ------
    RecipeError
        If the device asked for is not there.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not present.get(name, False):
        there = ", ".join(device for device, is_there in present.items() if is_there)
        raise RecipeError(f"The device {name!r} is not available here; choose one of: auto, {there}")
    return torch.device(name)


def available_memory(device: torch.device | None = None) -> int:
    """Return the bytes that can still be allocated on `device`; on the main memory if None."""
    if device is not None and device.type == "cuda":
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    return int(psutil.virtual_memory().available)


def check_memory(needed: int, what: str, device: torch.device | None = None) -> None:
    """Check that `needed` bytes can be allocated, before anything is.

    Raises
    ------
    OutOfMemoryError
        If they cannot; the message names `what` needs them.
    """
    free = available_memory(device)
    if needed > free:
        where = "graphics" if device is not None and device.type == "cuda" else "main"
        raise OutOfMemoryError(
            f"{what} needs about {needed / 2**30:.1f} GiB but only {free / 2**30:.1f} GiB of {where} memory are free; "
            "crop or bin the frames, or use a larger machine"
        )


def peak_memory_mb(device: torch.device) -> float:
    """Return the most memory this process has held so far, in MB: on the card for CUDA, else resident."""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device) / 1e6
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def free_memory(device: torch.device) -> None:
    """Give cached memory back to the device, once its tensors are no longer referred to."""
    gc.collect()
    if device.type == "cuda":
        import torch

        torch.cuda.empty_cache()
