"""Plan of the peak memory of a run and of its files, made before anything is allocated. Does not import torch."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from napari_diner.device import available_memory, check_memory
from napari_diner.wording import digits

if TYPE_CHECKING:
    import torch

_MARGIN = 1.1
# bytes of PyTorch and its dependencies before they are imported, and of libraries imported during a run
_TORCH, _LATER = 220e6, 50e6


def largest(*phases: Mapping[str, float]) -> Mapping[str, float]:
    """Return the parts of the phase of a run with the largest total: memory of one phase is free in the next."""
    return max(phases, key=lambda parts: sum(parts.values()))


@dataclass(frozen=True)
class MemoryPlan:
    """The memory of a run at its peak."""

    subject: str
    """Subject of messages, e.g. ``"A stack of 6 frames of 512×512 pixels"``."""
    parts: Mapping[str, float]
    """Bytes at the peak, by the cure that would lower them, e.g. ``"crop the frames"``."""
    held: int = field(default_factory=lambda: _held())
    """Bytes that the process holds already, and that libraries will need."""
    result: float = 0.0
    """Bytes of the files of the result."""

    @property
    def work(self) -> int:
        """Bytes for the run, with a margin."""
        return int(_MARGIN * sum(self.parts.values()))

    def total(self, device: torch.device | None = None) -> int:
        """Return the bytes at the peak, as `napari_diner.device.peak_memory_mb` counts them on a device."""
        return self.work + (0 if _is_card(device) else self.held)

    def check(self, device: torch.device | None = None) -> None:
        """Check that the run fits the free memory of a device, or main memory if None.

        Raises
        ------
        OutOfMemoryError
            If it does not; the message has the cure for the largest part.
        """
        cure = max(self.parts, key=self.parts.__getitem__)
        check_memory(self.work, self.subject, device, cure)

    def describe(self, device: torch.device | None = None) -> str:
        """Return the peak and the available memory in words, e.g. ``"about 1.2 GB of 7.6 GB"``."""
        present = 0 if _is_card(device) else psutil.Process().memory_info().rss
        return f"about {digits(self.total(device) / 1e9)} GB of {digits((available_memory(device) + present) / 1e9)} GB"


def _is_card(device: torch.device | None) -> bool:
    return device is not None and device.type == "cuda"


def _held() -> int:
    present: int = psutil.Process().memory_info().rss
    return int(present + _LATER + (0 if "torch" in sys.modules else _TORCH))
