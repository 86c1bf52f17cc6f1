"""The stages that calibrate the illumination of a recording."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from napari_diner.solvers.calibration.idt import IlluminationRefinement, RefinedIllumination
from napari_diner.solvers.calibration.spectral_circles import CircleFit, CircleSearch
from napari_diner.solvers.solver import Budget
from napari_diner.tasks.idt.state import IdtState
from napari_diner.tasks.job import Stage

# part of a time limit by which they end
_SHARE = 0.5


def calibration() -> Iterator[Stage[IdtState]]:
    """Give the stages of a recipe that calibrates the illumination."""
    yield Stage("circles", _circles, _from_circles, _SHARE, essential=True, show=_unchanged)
    yield Stage("refinement", _refinement, _refined, _SHARE, essential=True, show=_unchanged)


def _circles(state: IdtState, budget: Budget) -> CircleSearch | None:
    calibration = state.calibration
    if calibration is None or not calibration.searches_circles:
        return None
    return calibration.circle_search(state.periodic_data)


def _from_circles(state: IdtState, fit: CircleFit) -> IdtState:
    return state.calibrated(None if state.calibration is None else state.calibration.with_circles(fit))


def _refinement(state: IdtState, budget: Budget) -> IlluminationRefinement | None:
    calibration = state.calibration
    if calibration is None or not calibration.settings.refines:
        return None
    return calibration.refinement(state.periodic_data)


def _refined(state: IdtState, refined: RefinedIllumination) -> IdtState:
    if state.calibration is None:
        return state
    calibration = state.calibration.with_refinement(refined)
    doubts = calibration.doubts(state.periodic_data)
    return replace(state.calibrated(calibration), warnings=(*state.warnings, *doubts))


def _unchanged(state: IdtState, answer: object) -> IdtState:
    return state
