"""Choose a stack of frames: a layer of the viewer, or files that become one."""

from __future__ import annotations

from pathlib import Path

from napari.layers import Image

from napari_diner.device import check_memory
from napari_diner.errors import InputError
from napari_diner.io.stacks import StackInfo, probe, read
from napari_diner.widgets.forms.layer_choice import METADATA_KEY, LayerChoice, known_about


class StackChoice(LayerChoice):
    """Offers the layers that are stacks: grey, of one resolution, three axes, and no result of ours."""

    noun = "stack"
    tip = "Image layer with one frame for each height: axes (frame, y, x)"

    def accepts(self, layer: Image) -> bool:
        """Tell whether a layer can be a stack of frames."""
        ours = "report" in layer.metadata or known_about(layer).get("shown_only")
        return not layer.rgb and not layer.multiscale and layer.ndim == 3 and not ours

    def load(self, source: str) -> Image:
        """Read the frames of a file, a folder or a glob."""
        return _layer(probe(source), source)

    def load_many(self, paths: list[Path]) -> Image:
        """Read files with one frame each."""
        infos = [probe(path) for path in paths]
        first = infos[0]
        for path, info in zip(paths, infos, strict=True):
            if (info.shape, info.dtype) != ((1, first.height, first.width), first.dtype):
                raise InputError(
                    f"{path.name} holds {info.frames}×{info.height}×{info.width} values of type {info.dtype}, "
                    f"which does not go with {paths[0].name}; choose files with one frame each and of one size"
                )
        size = first.pixel_size_um
        return _layer(StackInfo(len(paths), first.height, first.width, first.dtype, size, paths=tuple(paths)), None)


def _layer(info: StackInfo, source: str | None) -> Image:
    check_memory(info.nbytes, f"A stack of {info.frames} frames of {info.height}×{info.width} pixels")
    size = info.pixel_size_um
    return Image(
        read(info),
        name=info.paths[0].stem if len(info.paths) == 1 else info.paths[0].parent.name,
        scale=None if size is None else (1, size, size),
        units=None if size is None else ("pixel", "um", "um"),
        metadata={METADATA_KEY: {"source": source}} if source else {},
    )
