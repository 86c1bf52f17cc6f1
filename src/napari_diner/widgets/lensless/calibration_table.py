"""The calibrated geometry, frame by frame, in a table of the lensless dock."""

from __future__ import annotations

from napari_diner.tasks.report import Report
from napari_diner.widgets.forms.tables import ReadOnlyTable
from napari_diner.wording import digits

_MOST_ROWS = 4
_COLUMNS = {
    "z (µm)": "Calibrated distance from the sample to the sensor",
    "±": "Its standard error, in µm",
    "moved": "Calibrated minus nominal distance, in µm",
    "dy": "Downward displacement of the frame, without mean and tilt, in µm",
    "dx": "Displacement of the frame to the right, without mean and tilt, in µm",
    "gain": "Relative brightness",
}


class CalibrationTable(ReadOnlyTable):
    """One row per frame; hidden if nothing was calibrated."""

    def __init__(self) -> None:
        super().__init__(_COLUMNS, _MOST_ROWS)

    def show_report(self, report: Report) -> None:
        """Show the section ``calibration`` of a report, if there is one."""
        names = ("distances_um", "distances_um_se", "moved_um", "shifts_um", "gains")
        columns = [report.get("calibration", {}).get(name, ()) for name in names]
        self.show_rows(
            {
                str(number): [f"{z:.2f}", digits(error), f"{moved:+z.2f}", f"{dy:z.2f}", f"{dx:z.2f}", f"{gain:.3f}"]
                for number, (z, error, moved, (dy, dx), gain) in enumerate(zip(*columns, strict=True), start=1)
            }
        )
