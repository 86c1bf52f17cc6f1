"""Choice of the device and checks of its memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from napari_diner import device, memory
from napari_diner.errors import OutOfMemoryError, RecipeError


def test_auto_takes_what_is_there() -> None:
    assert device.choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there() -> None:
    with pytest.raises(RecipeError, match="'cuda' is not available; set device to one of: auto, cpu"):
        device.choose_device("cuda")


def test_memory_is_refused_before_it_is_taken() -> None:
    device.check_memory(1, "a pixel")
    with pytest.raises(OutOfMemoryError, match=r"A galaxy needs about .* GB"):
        device.check_memory(2**60, "A galaxy")


def test_peak_memory_counts_this_process() -> None:
    before = device.peak_memory_mb(torch.device("cpu"))
    held = torch.ones(2**26)
    assert device.peak_memory_mb(torch.device("cpu")) >= max(before, held.numel() * 4 / 1e6)


@pytest.mark.parametrize(
    "names", [("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")]
)
def test_the_limit_of_a_container_counts(
    tmp_path: Path, names: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in zip(
        (*names, "memory.stat"), ("7000\n", "5000\n", "anon 4000\ninactive_file 600\n"), strict=True
    ):
        (tmp_path / name).write_text(value)
    monkeypatch.setattr(memory, "_LIMITS", ((tmp_path / "elsewhere", *names), (tmp_path, *names)))
    assert device.available_memory() == 7000 - (5000 - 600)
    (tmp_path / names[0]).write_text("max\n")
    assert device.available_memory() > 10**6
