"""A volume of refractive index as pictures: where it is cut, and over which range it is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.truth import Volume
from napari_diner.tasks.run import Result


def index_limits(volume: Volume, medium_index: float) -> tuple[float, float]:
    """Return the range of index that shows a volume: from the medium's up to nearly the highest.

    Where the volume falls below the medium by more than it rises above, the range is centred on the medium.
    """
    low, high = (float(np.percentile(volume, part)) - medium_index for part in (0.1, 99.9))
    if high <= 0 and low >= 0:
        return medium_index - 1e-4, medium_index + 1e-4
    if -low > high:
        return medium_index + low, medium_index - low
    return medium_index, medium_index + high


def cuts(volume: Volume, guide: Volume, medium_index: float) -> tuple[Volume, Volume]:
    """Return the xy and the xz slice of a volume through the densest place of another, (Y, X) and (Z, X).

    Parameters
    ----------
    volume
        What is cut, (Z, Y, X).
    guide
        The volume that decides where.
    medium_index
        Index around the object.
    """
    weight = np.abs(guide.astype(np.float64) - medium_index)
    z, y = int(weight.sum((1, 2)).argmax()), int(weight.sum((0, 2)).argmax())
    return volume[z], volume[:, y]


def save_picture(result: Result, path: str | Path) -> None:
    """Draw an xy and an xz slice of index and of absorption as a PNG, with scale in micrometres and colour bars."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 7), layout="constrained")
    grid = figure.subplots(2, 2, squeeze=False, height_ratios=[1.6, 1])
    assert isinstance(result.recipe, IdtRecipe)
    medium_index = result.recipe.medium_index
    guide = result["n_re"]
    dz, dy, dx = guide.scale_um
    planes, rows, columns = guide.data.shape
    for column, name in enumerate(("n_re", "n_im")):
        base = medium_index if name == "n_re" else 0.0
        volume = result[name].data
        low, high = index_limits(volume, base)
        pair = cuts(volume, guide.data, medium_index)
        for row, (cut, height_um) in enumerate(zip(pair, (rows * dy, planes * dz), strict=True)):
            axes = grid[row, column]
            image = axes.imshow(
                cut, cmap="magma", vmin=low, vmax=high, extent=(0, columns * dx, height_um, 0), interpolation="nearest"
            )
            axes.set(title=f"{name}, {'xy' if row == 0 else 'xz'}", xlabel="x (µm)", ylabel=f"{'yz'[row]} (µm)")
            figure.colorbar(image, ax=axes, shrink=0.8)
    figure.savefig(path, dpi=110)
