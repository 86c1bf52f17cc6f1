"""A picture of the spatial frequencies that a recording contains, and of the missing cone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination
from napari_diner.physics.idt.recorded import recorded_power
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 80
_LATERAL, _AXIAL = 81, 65
# responses below this fraction of the strongest, in power, are not visible
_FAINTEST = 1e-3


def draw_recorded_of(recipe: IdtRecipe, report: Report, figure: Figure) -> bool:
    """Draw the frequencies in the recording of a result, with its calibrated directions if there are any.

    Returns
    -------
    bool
        Whether the directions are known; they are not for transfer functions from a file.
    """
    directions = [frame["na_yx"] for frame in report["frames"] if frame.get("na_yx")]
    if recipe.transfer_functions is not None or not directions:
        return False
    directions = report.get("calibration", {}).get("illuminations_na", directions)
    draw_recorded(recipe.geometry((recipe.slice_count, 1, 1)), Illumination.of(directions), figure)
    return True


def recorded_picture(geometry: VolumeGeometry, illumination: Illumination) -> npt.NDArray[np.uint8]:
    """Return the picture of `draw_recorded` as pixels, (Y, X, 4)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained", dpi=_DPI)
    canvas = FigureCanvasAgg(figure)
    draw_recorded(geometry, illumination, figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba()).copy()  # type: ignore[no-untyped-call]


def draw_recorded(geometry: VolumeGeometry, illumination: Illumination, figure: Figure) -> None:
    """Draw how strongly the frames respond to each lateral and axial frequency; black is not in the data.

    Parameters
    ----------
    geometry, illumination
        The optics, and the directions of the frames.
    figure
        To draw into.
    """
    tilt = float(np.hypot(*illumination.apertures.T).max()) / geometry.wavelength_um
    lateral = torch.linspace(0, 1.02 * (geometry.cutoff + tilt), _LATERAL, dtype=torch.float64)
    reach = geometry.medium_frequency - (geometry.medium_frequency**2 - geometry.cutoff**2) ** 0.5
    axial = torch.linspace(0, 1.3 * reach, _AXIAL, dtype=torch.float64)
    power = recorded_power(geometry, illumination, lateral, axial).numpy()
    both = np.concatenate([power[:, :0:-1], power], axis=1)
    both = np.concatenate([both[:0:-1], both])
    right, top = float(lateral[-1]), float(axial[-1])
    figure.set_size_inches(7, 4)
    axes = figure.subplots()
    image = axes.imshow(
        np.log10(np.maximum(both, _FAINTEST)),
        origin="lower", extent=(-right, right, -top, top), aspect="auto", cmap="magma",
    )  # fmt: skip
    nyquist = 0.5 / geometry.slice_spacing_um
    if nyquist < top:
        for sign in (-1, 1):
            axes.axhline(sign * nyquist, color="white", linestyle=":", linewidth=1)
        axes.text(0.98 * right, nyquist, "finest period of the slices", color="white", ha="right", va="bottom")
    axes.text(0, 0.85 * top, "missing cone", color="white", ha="center", va="center")
    axes.set(
        title="Spatial frequencies in the recording",
        xlabel="lateral frequency (cycles/µm)", ylabel="axial frequency (cycles/µm)",
    )  # fmt: skip
    figure.colorbar(image, ax=axes, label="response (decades of power)")
