"""What a calibration found, frame by frame, in a table of the lensless dock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_diner.widgets.forms.reading_table import ReadingTable

_MOST_ROWS = 4
_COLUMNS = {
    "z (µm)": "Distance from the sample to the sensor that was found",
    "±": "Its standard error, in µm",
    "moved": "By how much it differs from the distance that was given, in µm",
    "dy": "By how much the frame is displaced down, without mean and tilt, in µm",
    "dx": "By how much the frame is displaced to the right, without mean and tilt, in µm",
    "gain": "Relative brightness",
}


class CalibrationTable(ReadingTable):
    """One row for each frame; hidden while nothing was calibrated."""

    def __init__(self) -> None:
        super().__init__(_COLUMNS, _MOST_ROWS)

    def show_report(self, report: Mapping[str, Any]) -> None:
        """Show the section ``calibration`` of a report; nothing if there is none."""
        found = report.get("calibration")
        if found is None:
            self.hide()
            return
        names = ("distances_um", "distances_um_se", "moved_um", "shifts_um", "gains")
        frames = zip(*(found[name] for name in names), strict=True)
        self.fill(
            {
                str(number): [f"{z:.2f}", f"{error:.2g}", f"{moved:+z.2f}", f"{dy:z.2f}", f"{dx:z.2f}", f"{gain:.3f}"]
                for number, (z, error, moved, (dy, dx), gain) in enumerate(frames, start=1)
            }
        )
