"""Directions in files."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_diner.errors import InputError
from napari_diner.tasks.idt.directions_file import read_illuminations


@pytest.mark.parametrize("title", ["frame", "image", "No.", "Frame number"])
def test_sources_of_one_frame_share_its_number(tmp_path: Path, title: str) -> None:
    path = tmp_path / "leds.csv"
    path.write_text(f"NA_y;NA_x;{title}\n-0,2;0,05;2,0\n0,1;0,2;1\n0,12;0,2;01\n0;-0,3;3\n")
    assert read_illuminations(path) == [[[0.1, 0.2, 1.0], [0.12, 0.2, 1.0]], [-0.2, 0.05], [0.0, -0.3]]


@pytest.mark.parametrize("unit", [" (deg)", "_deg", " [rad]", " (1/µm)", " (%)", " / mrad", " (mm)"])
def test_angles_and_frequencies_are_no_numerical_apertures(tmp_path: Path, unit: str) -> None:
    path = tmp_path / "leds.csv"
    path.write_text(f"NA_y{unit},NA_x{unit}\n0.2,0.1\n0.1,0.2\n")
    with pytest.raises(InputError, match=r"numerical apertures without a unit"):
        read_illuminations(path)


@pytest.mark.parametrize("unit", ["", " (-)", " [1]", " (NA)"])
def test_titles_that_say_that_there_is_no_unit(tmp_path: Path, unit: str) -> None:
    path = tmp_path / "leds.csv"
    path.write_text(f"NA_y{unit},NA_x{unit}\n0.2,0.1\n0.1,0.2\n")
    assert read_illuminations(path) == [[0.2, 0.1], [0.1, 0.2]]
