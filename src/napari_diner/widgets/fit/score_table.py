"""A small table of the scores of a comparison."""

from __future__ import annotations

from collections.abc import Mapping

from napari_diner.tasks.report import Report
from napari_diner.widgets.forms.tables import ReadOnlyTable

_MOST_ROWS = 7
_COLUMNS = {
    "psnr_db": ("dB", "Peak signal-to-noise ratio", "{:.1f}"),
    "unexplained": ("unexplained", "Share of the variation of the data that is not reproduced", "{:.2%}"),
    "bits_per_pixel": ("bits/px", "Size of the model file, including the table, in bits per pixel", "{:.1f}"),
    "iterations": ("epochs", "Passes over the data", "{:,}"),
    "seconds": ("s", "Computing time in seconds", "{:.1f}"),
}
"""For each figure of a report the title of its column, its tooltip and its format."""


class ScoreTable(ReadOnlyTable):
    """One row for each contender, the winner in bold."""

    def __init__(self) -> None:
        super().__init__({title: tip for title, tip, _ in _COLUMNS.values()}, _MOST_ROWS)

    def show_scores(self, reports: Mapping[str, Report], winner: str) -> None:
        """Show the figures in the reports of all contenders, by name."""
        rows = {
            name: [form.format(report[key]) for key, (_, _, form) in _COLUMNS.items()]
            for name, report in reports.items()
        }
        self.show_rows(rows, bold=winner)
