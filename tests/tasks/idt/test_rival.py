"""A representation that explains less than the volume before it is told."""

from __future__ import annotations

from typing import Any

from tests.tasks.idt.small_recordings import Recording, reconstructed

PIXELS = {"solver": "pixels", "gradient": {"iterations": 12}}


def report(recording: Recording, **changes: Any) -> dict[str, Any]:
    recipe = recording.recipe.updated({**PIXELS, **changes})
    return reconstructed(recipe, recording.frames, recording.truth).report


def test_a_start_that_is_kept_is_no_fault(recording: Recording) -> None:
    found = report(recording, start="voxels")
    assert found["unexplained"] <= 1.01 * found["start_unexplained"]
    assert not any("less well" in text for text in found["warnings"])


def test_a_network_that_cannot_hold_its_start_is_told(recording: Recording) -> None:
    found = report(recording, solver="siren", network={"hidden_features": 4}, start="voxels")
    (warning,) = found["warnings"]
    assert warning.startswith("siren explains the data less well than its start: it leaves ")
    assert "voxels 0." in warning and warning.endswith("more iterations, or choose the solver voxels")


def test_a_cold_start_that_is_behind_the_closed_form_is_told(recording: Recording) -> None:
    found = report(recording, start="empty")
    assert found["start_unexplained"] < 0.05 < found["unexplained"]
    assert found["warnings"][0].startswith("pixels explains the data less well than the closed form: it leaves ")
    # the data are not to blame
    assert not any("check the directions" in text for text in found["warnings"])
