"""A small table of what each representation of a comparison reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_diner.widgets.forms.reading_table import ReadingTable

_MOST_ROWS = 7
COLUMNS = {
    "psnr_db": ("dB", "Peak signal-to-noise ratio", "{:.1f}"),
    "bits_per_pixel": ("bits/px", "Size of the model file, the table counted, in bits per pixel", "{:.1f}"),
    "iterations": ("epochs", "How often it was shown the whole data", "{:,}"),
    "seconds": ("s", "Seconds of computing", "{:.1f}"),
}
"""For each figure of a report the title of its column, what it means, and how it is written."""


class ScoreTable(ReadingTable):
    """One row for each contender, the winner in bold."""

    def __init__(self) -> None:
        super().__init__({title: tip for title, tip, _ in COLUMNS.values()}, _MOST_ROWS)

    def show_scores(self, reports: Mapping[str, Mapping[str, Any]], winner: str) -> None:
        """Show the figures of all contenders.

        Parameters
        ----------
        reports
            Report of each contender by name.
        winner
            The name of the best.
        """
        figures = {
            name: [form.format(report[key]) for key, (_, _, form) in COLUMNS.items()]
            for name, report in reports.items()
        }
        self.fill(figures, bold=winner)
