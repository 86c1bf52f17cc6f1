"""Device selection and memory checks."""

from __future__ import annotations

import contextlib
import functools
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from napari_diner import memory
from napari_diner.errors import RecipeError

if TYPE_CHECKING:
    import torch

_EAGER_CALLS = 3  # calls of a step before it is recorded, as in PyTorch's guide to CUDA graphs


def choose_device(name: str = "auto") -> torch.device:
    """Return the device called `name`; ``"auto"`` is CUDA if there is a usable card, otherwise the processor.

    Apple's ``"mps"`` is used only on request, since it lacks double precision.

    Raises
    ------
    RecipeError
        If the device is not available.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not present.get(name, False):
        choices = ", ".join(device for device, available in present.items() if available)
        raise RecipeError(f"The device {name!r} is not available; set {{field}} to one of: auto, {choices}", "device")
    if name == "cuda":
        _wake()
    return torch.device(name)


@functools.cache
def _wake() -> None:
    """Let the thread of backward passes start to use the card, of which torch warns otherwise."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Attempting to run cuBLAS")
        ones = torch.ones(1, 1, device="cuda", requires_grad=True)
        (ones @ ones).sum().backward()


def describe(device: torch.device) -> str:
    """Return the name of a device for reports, e.g. ``"cpu (2 threads)"``."""
    import torch

    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)" if device.type == "cpu" else device.type


def available_memory(device: torch.device | None = None) -> int:
    """Return the bytes that can still be allocated on `device`, or in main memory if None."""
    if device is not None and device.type == "cuda":
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    return memory.free_bytes()


def check_memory(
    needed: int,
    what: str,
    device: torch.device | None = None,
    cure: str = memory.FEWER,
) -> None:
    """Check that `needed` bytes can be allocated.

    Raises
    ------
    OutOfMemoryError
        If they cannot; `what` is the subject of the message, and `cure` its end.
    """
    where = "graphics" if device is not None and device.type == "cuda" else "main"
    memory.refuse_beyond(available_memory(device), needed, what, where, cure)


def peak_memory_mb(device: torch.device) -> float:
    """Return the peak memory of this process in MB: on the card for CUDA, otherwise resident."""
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device) / 1e6
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / 1e6
    with contextlib.suppress(OSError, StopIteration):
        # of this program; what `resource` reports includes the process that started it
        lines = Path("/proc/self/status").read_text().splitlines()
        return float(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024 / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def captured(step: Callable[[], torch.Tensor], device: torch.device) -> Callable[[], torch.Tensor]:
    """Return an equivalent step with less overhead: on CUDA it is recorded once and then replayed (CUDA graphs).

    A small network launches dozens of short kernels per step, which take less time than Python needs to launch them.
    The first calls run as usual, since recording requires everything to be allocated. On other devices the step is
    returned unchanged.

    Parameters
    ----------
    step
        Changes tensors in place and returns a scalar, always with the same kernels on the same tensors and without
        reading anything back from the card. Values that change between calls, such as a learning rate, must be tensors.
    device
        The device that it runs on.
    """
    if device.type != "cuda":
        return step
    import torch

    graph = torch.cuda.CUDAGraph()
    side = torch.cuda.Stream(device)
    calls = 0
    output: torch.Tensor | None = None

    def run() -> torch.Tensor:
        nonlocal calls, output
        calls += 1
        if calls <= _EAGER_CALLS:
            side.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(side):
                value = step()
            torch.cuda.current_stream(device).wait_stream(side)
            return value
        if output is None:
            with torch.cuda.graph(graph):
                output = step()
        # recording does not compute
        graph.replay()
        return output

    return run


def free_memory(device: torch.device) -> None:
    """Release cached memory of a graphics card whose tensors are no longer referenced.

    Runs leave no tensors in reference cycles, so there is nothing to collect: a full collection takes tenths of a
    second in a napari session, during which its window stands still.
    """
    if device.type == "cuda":
        import torch

        torch.cuda.empty_cache()
