"""Phase and refractive index from recorded intensities, with implicit neural representations, for napari.

    import napari_diner as nd

    frames = nd.read("stack.tif")
    result = nd.lensless(frames, wavelength_um=0.6328, pixel_size_um=1.67, distances_um=[500, 600, 700])
    print(result.report["measurement_psnr_db"], result.phase.mean())
    result.save("result")
    nd.show(result)

The folders are the symbols of Eq. 4b of the DINER paper (Xie et al., CVPR 2023),
``θ*, HM* = argmin L(P(f_θ(HM_i)), y)``: `representations` holds the unknown f_θ ∘ HM, `physics` the forward model
P, `solvers` the loss L and the argmin, `tasks` the questions that users ask.

Importing this package imports neither torch nor Qt; both are loaded when they are first needed.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # that of `typing` takes time in which a Ctrl-C at the start would print a traceback
if TYPE_CHECKING:
    from typing import Any

    from napari_diner.api import batch as batch
    from napari_diner.api import compare as compare
    from napari_diner.api import fit as fit
    from napari_diner.api import focus as focus
    from napari_diner.api import idt as idt
    from napari_diner.api import lensless as lensless
    from napari_diner.api import load as load
    from napari_diner.api import read as read
    from napari_diner.api import sample as sample
    from napari_diner.api import show as show
    from napari_diner.api import task as task
    from napari_diner.errors import DinerError as DinerError
    from napari_diner.tasks.result import Result as Result

# Threads of torch that wait for each other soon sleep instead of spinning (GNU OpenMP): where another program shares
# the processors, a spinning thread keeps the one that it waits for from running, and a step takes many times longer.
if "torch" not in sys.modules:  # it reads this once
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")

_PUBLIC = {
    **dict.fromkeys(
        ("read", "lensless", "idt", "fit", "focus", "batch", "compare", "load", "show", "sample", "task"),
        "napari_diner.api",
    ),
    "DinerError": "napari_diner.errors",
    "Result": "napari_diner.tasks.result",
}
__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str) -> Any:
    """Import public names on first access (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("napari-diner")
        except PackageNotFoundError:  # running from a source tree that is not installed
            return "0.0.0"
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_PUBLIC[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
