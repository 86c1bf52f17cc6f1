"""What is shown of distances that were found: a table, its file, and a picture of the curves."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_diner.preprocess.focus import Focus

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from napari_diner.tasks.focus.search import FocusSearch

COLUMNS = ("frame", "distances_um", "distances_um_se", "sharpest_um", "sharpest_um_se", "given_um")


def rows(report: Mapping[str, Any]) -> list[dict[str, float | int | None]]:
    """Return what a report says of each frame, by the names of `COLUMNS`."""
    found: list[dict[str, float | int | None]] = []
    for number in range(len(report["distances_um"])):
        row: dict[str, float | int | None] = {"frame": number + 1}
        for column in COLUMNS[1:]:
            values = report.get(column) or ()
            row[column] = values[number] if number < len(values) else None
        found.append(row)
    return found


def table(report: Mapping[str, Any]) -> str:
    """Return the distances of all frames in columns, for the terminal."""
    head = ["frame", "distance (µm)", "by itself (µm)", "given (µm)"]
    lines = [head]
    for row in rows(report):
        given = row["given_um"]
        lines.append(
            [
                str(row["frame"]),
                f"{row['distances_um']:.2f} ± {row['distances_um_se']:.2f}",
                f"{row['sharpest_um']:.2f} ± {row['sharpest_um_se']:.2f}",
                "" if given is None else f"{given:g}",
            ]
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    if report.get("offset_um") is not None:
        text.append(f"all frames together: {report['offset_um']:+.2f} ± {report['offset_um_se']:.2f} µm")
    text.append(f"depth of field {report['depth_of_field_um']:.3g} µm")
    return "\n".join([*text, *(f"note: {warning}" for warning in report["warnings"])])


def as_csv(report: Mapping[str, Any]) -> str:
    """Return the distances as a CSV file with a heading; its column distances_um serves as --distances-um."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows(report):
        writer.writerow({key: f"{value:.4f}" if isinstance(value, float) else value for key, value in row.items()})
    return text.getvalue()


def save_figure(search: FocusSearch, path: str | Path) -> None:
    """Draw the curve of each frame and that of all together, with their peaks, as a PNG.

    Distances of a point source are drawn as those of parallel light that they are equivalent to.
    """
    from matplotlib.figure import Figure

    joint = search.joint
    figure = Figure(figsize=(8, 7 if joint else 4.5), layout="constrained")
    panels = figure.subplots(2 if joint else 1, 1, squeeze=False)[:, 0]
    given = search.model_recipe.distances_um if search.recipe.distances_um else ()
    for number, found in enumerate(search.found):
        _draw(panels[0], found, f"C{number % 10}", f"{number + 1}")
        if given:
            panels[0].axvline(given[number], color=f"C{number % 10}", linestyle=":", linewidth=1)
    panels[0].set(title="each frame by itself (dotted: as given)", xlabel="distance (µm)", ylabel="sharpness")
    panels[0].legend(title="frame", fontsize="small", ncols=2)
    if joint:
        _draw(panels[1], joint, "black", "")
        panels[1].axvline(0, color="black", linestyle=":", linewidth=1)
        panels[1].set(title="all frames together", xlabel="added to all distances (µm)", ylabel="sharpness")
    figure.savefig(path, dpi=110)


def _draw(axes: Axes, found: Focus, colour: str, label: str) -> None:
    span = float(np.ptp(found.sharpness)) or 1.0
    axes.plot(found.distances_um, (found.sharpness - found.sharpness.min()) / span, color=colour, label=label)
    # a peak that jumps when a part of the field is left out is uncertain by more than the picture is wide
    low, high = np.clip(found.distance_um + found.uncertainty_um * np.array([-1, 1]), *found.distances_um[[0, -1]])
    axes.axvspan(low, high, color=colour, alpha=0.15, linewidth=0)
    axes.axvline(found.distance_um, color=colour, linewidth=1)
