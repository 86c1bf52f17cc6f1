"""A small table of the scores of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from napari_diner.tasks.report import Report
from napari_diner.widgets.forms.tables import ReadOnlyTable
from napari_diner.wording import percent

_MOST_ROWS = 7
_COLUMNS: dict[str, tuple[str, str, Callable[[float], str]]] = {
    "psnr_db": ("dB", "Peak signal-to-noise ratio", "{:.1f}".format),
    "unexplained": ("missing", "Share of the variation of the data that is not reproduced", percent),
    "bits_per_pixel": ("bits/px", "Size of the model file, including the table, in bits per pixel", "{:.1f}".format),
    "iterations": ("epochs", "Passes over the data", "{:,}".format),
    "seconds": ("s", "Computing time in seconds", "{:.1f}".format),
}
"""For each figure of a report the title of its column, its tooltip and its text."""


class ScoreTable(ReadOnlyTable):
    """One row for each contender, the winner in bold."""

    def __init__(self) -> None:
        super().__init__({title: tip for title, tip, _ in _COLUMNS.values()}, _MOST_ROWS)

    def show_scores(self, reports: Mapping[str, Report], winner: str) -> None:
        """Show the figures in the reports of all contenders, by name."""
        rows = {name: [form(report[key]) for key, (_, _, form) in _COLUMNS.items()] for name, report in reports.items()}
        self.show_rows(rows, bold=winner)
