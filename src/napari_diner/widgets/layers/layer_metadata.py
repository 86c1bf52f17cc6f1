"""Metadata of layers: source and description of the recording."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from napari.layers import Image, Layer

from napari_diner.errors import DinerError, InputError
from napari_diner.io.files import find_files, pattern_of
from napari_diner.io.signals import probe_signal

METADATA_KEY = "napari-diner"
"""Key of a layer's metadata under which samples and opened files keep what the docks need to know."""
DISPLAY_ONLY: dict[str, object] = {METADATA_KEY: {"display_only": True}}
"""Metadata of layers for display only, such as previews: no dock offers them as data."""


def layer_notes(layer: Layer) -> Mapping[str, object]:
    """Return the metadata that samples and opened files have stored in a layer."""
    notes = layer.metadata.get(METADATA_KEY, {})
    return notes if isinstance(notes, Mapping) else {}


def add_notes(layer: Layer, **notes: object) -> None:
    """Add to the metadata of a layer."""
    layer.metadata = {**layer.metadata, METADATA_KEY: {**layer_notes(layer), **notes}}


def source_of(layer: Image) -> str | None:
    """Return the file, folder or glob of a layer, or None if it was not read from files.

    A layer of files that napari has opened as a stack refers to the first file only; files beside it whose names differ
    in numbers are taken for the others if there are as many as frames. Callers that read them have to compare the
    values.
    """
    noted, shape = layer_notes(layer).get("source"), tuple(layer.data.shape)
    if noted or not layer.source.path:
        return str(noted) if noted else None
    source = str(layer.source.path)
    with contextlib.suppress(DinerError, OSError):
        if layer.ndim > 2 and not probe_signal(source).may_hold(shape):
            return pattern_of(source, shape[0]) or source
    return source


def files_of(layer: Image, frames: int) -> tuple[str, ...]:
    """Return the files of a layer with some frames, in their order: one with all, one for each, or none."""
    noted, source = layer_notes(layer).get("files"), source_of(layer)
    files = [str(file) for file in noted] if isinstance(noted, Sequence) else []
    with contextlib.suppress(InputError):
        files = files or (find_files(source) if source else [])
    return tuple(files) if len(files) in (1, frames) else ()


def is_recording(layer: Layer) -> bool:
    """Return whether a layer may contain recorded data: neither a result nor for display only."""
    return "report" not in layer.metadata and not layer_notes(layer).get("display_only")
