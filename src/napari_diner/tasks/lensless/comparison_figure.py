"""The picture of a comparison of lensless solvers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_diner.tasks.comparison import Comparison, bare_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(comparison: Comparison, figure: Figure) -> None:
    """Draw the loss of each solver against time, and its amplitude and phase below."""
    names = list(comparison.results)
    figure.set_size_inches(3.2 * len(names), 9)
    grid = figure.add_gridspec(3, len(names), height_ratios=[1.2, 1, 1])
    plot = figure.add_subplot(grid[0, :])
    comparison.draw_curves(plot)
    plot.set(yscale="log", ylabel="mean (|U| − √I)²")
    reference = comparison.results[comparison.winner]
    limit = float(np.percentile(np.abs(reference.phase), 99.8)) or 1.0
    styles: dict[str, dict[str, Any]] = {
        "amplitude": {"cmap": "gray", "vmin": 0, "vmax": float(np.percentile(reference.amplitude, 99.8))},
        "phase": {"cmap": "twilight_shifted", "vmin": -limit, "vmax": limit},
    }
    criterion = comparison.criterion
    for column, name in enumerate(names):
        for row, (quantity, style) in enumerate(styles.items(), start=1):
            axes = bare_axes(figure, grid[row, column])
            image = axes.imshow(comparison.results[name][quantity].data, **style)
            if row == 1:
                axes.set_title(f"{name}\n{comparison.scores(name)[criterion]:.1f} {comparison.columns[criterion]}")
            if column == 0:
                axes.set_ylabel("phase (rad)" if quantity == "phase" else quantity)
            if column == len(names) - 1:
                figure.colorbar(image, ax=axes, shrink=0.8)
