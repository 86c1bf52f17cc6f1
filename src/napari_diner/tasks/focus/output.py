"""Output of autofocus: the distances as a file, and a picture of the curves."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = ("frame", "distances_um", "distances_um_se", "sharpest_um", "sharpest_um_se", "given_um")


def rows(report: Mapping[str, Any]) -> list[dict[str, float | int | None]]:
    """Return the figures of each frame in a report, by the names of `COLUMNS`."""
    found: list[dict[str, float | int | None]] = []
    for number in range(len(report["distances_um"])):
        row: dict[str, float | int | None] = {"frame": number + 1}
        for column in COLUMNS[1:]:
            values = report.get(column) or ()
            row[column] = values[number] if number < len(values) else None
        found.append(row)
    return found


def as_csv(report: Mapping[str, Any]) -> str:
    """Return the distances as a CSV file with a heading; its column distances_um can be read as distances."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows(report):
        writer.writerow({key: f"{value:.4f}" if isinstance(value, float) else value for key, value in row.items()})
    return text.getvalue()


def save_figure(report: Mapping[str, Any], path: str | Path) -> None:
    """Draw the curve of each frame and that of all together, with their peaks, as a PNG.

    Distances of a point source are drawn as those of parallel light that they are equivalent to.
    """
    from matplotlib.figure import Figure

    joint = report.get("joint_curve")
    figure = Figure(figsize=(8, 7 if joint else 4.5), layout="constrained")
    panels = figure.subplots(2 if joint else 1, 1, squeeze=False)[:, 0]
    for number, curve in enumerate(report["curves"]):
        _draw(panels[0], curve, f"C{number % 10}", f"{number + 1}")
    panels[0].set(title="single frames (dotted: nominal distances)", xlabel="distance (µm)", ylabel="sharpness")
    panels[0].legend(title="frame", fontsize="small", ncols=2)
    if joint:
        _draw(panels[1], joint, "black", "")
        panels[1].set(title="all frames together", xlabel="added to all distances (µm)", ylabel="sharpness")
    figure.savefig(path, dpi=110)


def _draw(axes: Axes, curve: Mapping[str, Any], colour: str, label: str) -> None:
    distances, sharpness = np.array(curve["distances_um"]), np.array(curve["sharpness"])
    span = float(np.ptp(sharpness)) or 1.0
    axes.plot(distances, (sharpness - sharpness.min()) / span, color=colour, label=label)
    # the standard error can exceed the width of the picture, if the peak jumps when a part of the field is left out
    low, high = np.clip(curve["peak_um"] + curve["peak_um_se"] * np.array([-1, 1]), *distances[[0, -1]])
    axes.axvspan(low, high, color=colour, alpha=0.15, linewidth=0)
    axes.axvline(curve["peak_um"], color=colour, linewidth=1)
    if curve["given_um"] is not None:
        axes.axvline(curve["given_um"], color=colour, linestyle=":", linewidth=1)
