"""What napari opens of this package; the modules are imported in a thread, so that the window stays responsive."""

from __future__ import annotations

import importlib
import sys

from napari_diner.widgets.work import wait_for

_SAMPLES = "napari_diner.widgets.layers.sample_data"
_MODULES = {
    "LenslessDock": "napari_diner.widgets.lensless.dock",
    "FocusDock": "napari_diner.widgets.focus.dock",
    "IdtDock": "napari_diner.widgets.idt.dock",
    "FitDock": "napari_diner.widgets.fit.dock",
    "BatchDock": "napari_diner.widgets.batch.dock",
    "MeasureDock": "napari_diner.widgets.measure.dock",
    **dict.fromkeys(("lensless_stack", "cell_recording", "colour_image", "volume_16_bit", "short_video"), _SAMPLES),
}


def __getattr__(name: str) -> object:
    """Return the class of a dock, or the function that makes a sample."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _MODULES[name]
    if module not in sys.modules:
        wait_for("Loading", lambda: importlib.import_module(module))
    return getattr(sys.modules[module], name)
