"""Samples that scatter too strongly for single scattering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from napari_diner.tasks.idt.data import IdtData
from napari_diner.tasks.idt.job import IdtJob
from napari_diner.tasks.idt.recording import IdtRecording
from napari_diner.tasks.idt.state import IdtState
from napari_diner.tasks.run import Run
from tests.tasks.idt.small_recordings import finished, record

DOUBT = "other directions predict the frames better"


class StrongJob(IdtJob):
    """A job whose sample is taken for a strong one, and whose directions are doubted."""

    suspicions: Sequence[str] = (DOUBT,)

    def begin(self) -> IdtState:
        return replace(super().begin(), is_strong=True, is_multiply_scattering=True)


@pytest.mark.parametrize("na", [0.637, 0.4])
def test_doubts_from_single_scattering_end_where_multiple_scattering_explains_the_frames(na: float) -> None:
    recording = record(count=6)
    settings = {"model": "multislice", "ring": {"na": na}, "multislice": {"method": "gauss-newton"}, "iterations": 2}
    recipe = recording.recipe.updated({**settings, "regularization": {"tikhonov": 10.0, "tv": 0.002}})
    report = finished(Run(StrongJob(IdtRecording(recipe, IdtData(recording.frames)))), compares_settings=True).report
    is_explained = report["unexplained_beyond_noise"] < 0.01
    assert is_explained == (na == 0.637)
    assert (DOUBT in report["warnings"]) == (not is_explained)
