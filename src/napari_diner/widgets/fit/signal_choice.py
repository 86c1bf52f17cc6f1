"""Choose an image, a volume, a stack or a video: a layer of the viewer, or files that become one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from napari.layers import Image

from napari_diner.device import check_memory
from napari_diner.io.signals import SignalInfo, probe_signal, read_signal
from napari_diner.tasks.fit.range import range_of
from napari_diner.widgets.forms.layer_choice import LayerChoice
from napari_diner.widgets.layers.layer_arguments import axis_labels
from napari_diner.widgets.layers.layer_metadata import METADATA_KEY, layer_notes


class SignalChoice(LayerChoice):
    """Offers image layers, in grey or colours, except results of fits."""

    noun = "image"
    kind = "a layer of grey values or colours, not of labels"
    tip = "Image layer to fit: an image, a stack, a volume or a video, in grey, colours or channels"

    def accepts(self, layer: Image) -> bool:
        """Return whether a layer can be fitted."""
        is_fit = layer.metadata.get("report", {}).get("task") == "fit"
        return not (is_fit or layer_notes(layer).get("display_only"))

    def load(self, source: str) -> Image:
        """Read a file, a folder or a glob."""
        info = probe_signal(source)
        return signal_layer(info, _read(info), source)

    def load_many(self, paths: list[Path]) -> Image:
        """Read files with one image each as the frames of a video."""
        info = SignalInfo.of(str(paths[0].parent), [str(path) for path in paths])
        return signal_layer(info, _read(info), None)


def signal_layer(info: SignalInfo, data: npt.NDArray[np.generic], source: str | None) -> Image:
    """Return a layer with the axes, spacing and colours that files announce.

    Parameters
    ----------
    info
        What the files announce.
    data
        Their contents.
    source
        File, folder or glob with the same data, or None.
    """
    letters = info.axes.removesuffix("S")
    return Image(
        data,
        name=info.paths[0].stem if len(info.paths) == 1 else info.paths[0].parent.name,
        rgb=info.axes.endswith("S"),
        scale=info.scale_um[: len(letters)],
        units=tuple("um" if info.has_scale and axis in "ZYX" else "pixel" for axis in letters),
        axis_labels=axis_labels(letters) if info.has_axes else None,
        metadata={METADATA_KEY: {"source": source}} if source else {},
    )


def _read(info: SignalInfo) -> npt.NDArray[np.generic]:
    """Return the values of files after checking that they can be fitted and shown."""
    check_memory(info.nbytes, f"{info.source} with {'×'.join(map(str, info.shape))} numbers")
    data = read_signal(info)
    # contrast limits below the smallest number of single precision would crash napari
    range_of(data, info.header.missing)
    return data
