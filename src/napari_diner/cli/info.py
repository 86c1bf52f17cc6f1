"""The command that shows versions and hardware."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from napari_diner.cli.terminal import print_rows
from napari_diner.tasks.report import Row

QT_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")
PACKAGES = ("napari-diner", "torch", "numpy", "napari", "tifffile", "safetensors", "scikit-image")


def qt_binding() -> str | None:
    """Return the name of an installed Qt binding without importing it."""
    return next((name for name in QT_BINDINGS if find_spec(name) is not None), None)


def info() -> int:
    """Show versions, devices and memory, for bug reports."""
    import psutil
    import torch

    rows = [("python", platform.python_version()), ("system", platform.platform())]
    for name in PACKAGES:
        try:
            rows.append((name, version(name)))
        except PackageNotFoundError:
            rows.append((name, "not installed"))
    rows.append(("Qt binding", qt_binding() or "none (pip install 'napari-diner[all]' for the docks)"))
    rows.append(("torch build", f"CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"))
    cards = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    for number, card in enumerate(cards):
        size = torch.cuda.get_device_properties(number).total_memory
        rows.append((f"cuda:{number}", f"{card}, {size / 2**30:.1f} GiB"))
    rows.append(("cuda", "available" if torch.cuda.is_available() else "not available"))
    rows.append(("mps", "available" if torch.backends.mps.is_available() else "not available"))
    rows.append(("processor", f"{psutil.cpu_count() or 1} cores, torch uses {torch.get_num_threads()} threads"))
    memory = psutil.virtual_memory()
    rows.append(("memory", f"{memory.total / 2**30:.1f} GiB, {memory.available / 2**30:.1f} GiB free"))
    print_rows(Row(*row) for row in rows)
    return 0
