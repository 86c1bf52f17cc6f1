"""Frames of a sample that moves between the heights: a smooth displacement for each frame, which is undone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from napari_diner.physics.lensless.contrast_transfer import contrast_transfer_inverse
from napari_diner.solvers.lensless.alternating import AlternatingProjections
from napari_diner.solvers.settings import AlternatingSettings
from napari_diner.solvers.solver import Resumable
from napari_diner.solvers.step import Step
from napari_diner.tasks.lensless.data import Array
from napari_diner.tasks.lensless.model import ModelBuilder
from napari_diner.tasks.lensless.prepared import PreparedFrames
from napari_diner.tasks.lensless.register import UNFINISHED, RegisteredRecording
from napari_diner.tasks.lensless.setup import Setup
from napari_diner.wording import digits

# rounds of recovering the object and following the frames, and projections in each; displacements grow without bound in
# more, as the object follows the frames and their noise: see benchmarks/moving.py
_ROUNDS, _PROJECTIONS = 3, 10
# half of the side of a region that is compared, and the standard deviation by which displacements are smoothed, as
# parts of the field
_REGION, _SMOOTH = 1 / 12, 1 / 24
_SMALLEST_PX = 5
# contrast, relative to the mean, below which a place follows its surround, and largest move in a round
_LEAST_CONTRAST, _STEP_PX = 0.1, 1.0
# largest displacement that is believed
_FARTHEST_PX = 8.0
# the object has partly followed the frames
_FARTHER = 1.3


class FrameDeformation(Resumable):
    """Estimate a smooth displacement of each frame relative to the middle one; a `Solver`.

    Alternating projections recover an object from all frames. The displacement of a frame is that between the
    prediction of this object at its height and the frame: an optical flow by regions (iterative Lucas-Kanade, Le
    Besnerais and Champagnat, ICIP 2005), smoothed and bounded. The frames are unwarped, and all of it is repeated.

    With the displacement u of the sample, a frame is that of the undisplaced sample at ``x + u(x)``, as long as u
    changes little over the width of the diffraction pattern of a point.

    Parameters
    ----------
    setup, prepared
        The frames, registered as a whole.
    builder
        Builds forward models.
    """

    kept = answer = ("_flows", "_rounds_done")

    def __init__(self, setup: Setup, prepared: PreparedFrames, builder: ModelBuilder) -> None:
        self._setup, self._all, self._builder = setup, prepared, builder
        frames, *shape = prepared.amplitudes.shape
        self._middle = frames // 2
        self._flows = np.zeros((frames, 2, *shape), np.float32)
        self._rounds_done = 0
        side = min(shape)
        self._radius = max(round(_REGION * side), _SMALLEST_PX)
        self._sigma = max(_SMOOTH * side, 1.0)

    def steps(self) -> Iterator[Step]:
        """Yield a step after each round."""
        from skimage.registration import optical_flow_ilk

        while self._rounds_done < _ROUNDS:
            unwarped = self._unwarped()
            problem = self._builder.problem(self._setup, unwarped)
            start = contrast_transfer_inverse(problem.model, problem.filled_amplitudes())
            solver = AlternatingProjections(problem, start, AlternatingSettings(iterations=_PROJECTIONS))
            loss = [step.loss for step in solver.steps()][-1]
            predicted = problem.model.moduli(solver.result()).cpu().numpy()
            flows = self._flows.copy()
            for number, (shown, frame) in enumerate(zip(predicted, unwarped.amplitudes, strict=True)):
                parts = optical_flow_ilk(shown, frame, radius=self._radius, num_warp=4)  # type: ignore[no-untyped-call]
                flow = self._smooth(np.stack(parts), shown)
                flows[number] += _FARTHER * flow
            flows = np.clip(self._observable(flows), -_FARTHEST_PX, _FARTHEST_PX)
            self._flows, self._rounds_done = flows, self._rounds_done + 1
            yield Step(self._rounds_done, _ROUNDS, loss, resumable=True)

    def _observable(self, flows: Array) -> Array:
        """Return flows without the parts that an object explains as well.

        A common one displaces the object. One proportional to the distance is that of light deflected by a slope of the
        phase, z ∂φ/∂x λ/2π.
        """
        flows = flows - flows[self._middle]
        distances = np.array(self._setup.heights.distances_um)
        away = (distances - distances[self._middle]) / np.ptp(distances)
        slope = np.tensordot(away, flows, 1) / (away @ away)
        observable: Array = (flows - away[:, None, None, None] * slope).astype(np.float32)
        return observable

    def _smooth(self, flow: Array, shown: Array) -> Array:
        """Return a flow, (2, Y, X), averaged with the contrast of the frame as weight; it ends where there is none."""
        down, right = np.gradient(shown)
        contrast = down**2 + right**2
        weight = self._average(contrast)
        least = _LEAST_CONTRAST * weight.mean()
        limited = np.clip(flow, -_STEP_PX, _STEP_PX)
        return np.stack([self._average(contrast * part) / (weight + least) for part in limited])

    def _average(self, values: Array) -> Array:
        averaged: Array = ndimage.gaussian_filter(values, self._sigma, mode="nearest")
        return averaged

    def _unwarped(self) -> PreparedFrames:
        whole = self._all
        amplitudes = np.stack(
            [_warped(frame, flow, 3) for frame, flow in zip(whole.amplitudes, self._flows, strict=True)]
        )
        masks = np.ones(amplitudes.shape, bool) if whole.mask is None else whole.mask
        mask = np.stack([_warped(each, flow, 1) > 0.999 for each, flow in zip(masks, self._flows, strict=True)])
        at_least = whole.at_least
        if at_least is not None:
            at_least = np.stack([_warped(each, flow, 1) > 0 for each, flow in zip(at_least, self._flows, strict=True)])
        return dataclasses.replace(
            whole,
            amplitudes=np.maximum(amplitudes, 0),
            mask=None if whole.mask is None and mask.all() else mask,
            at_least=at_least,
        )

    def result(self) -> RegisteredRecording:
        """Return the unwarped frames."""
        return RegisteredRecording(self._setup, self._unwarped(), self._report())

    current = result

    def unfinished(self) -> Mapping[str, Any]:
        """Return the part ``registration`` of the report of a run that ends meanwhile, with frames as they were."""
        return {**self._report(), **UNFINISHED}

    def _report(self) -> Mapping[str, Any]:
        lengths = np.linalg.norm(self._flows, axis=1) * self._setup.frame_optics.pixel_size_um
        largest = [float(length.max()) for length in lengths]
        warnings = []
        if np.abs(self._flows).max() >= _FARTHEST_PX:
            warnings.append(
                f"registration: parts of the sample move by more than {_FARTHEST_PX:g} pixels between the heights, and "
                "are followed no farther; record faster"
            )
        return {
            "deformation_um": largest,
            "deformation_rounds": self._rounds_done,
            "warnings": warnings,
            "summary": f"deformed by up to {digits(max(largest), 3)} µm",
        }


def _warped(image: Array, flow: Array, order: int) -> Array:
    """Return an image at positions displaced by a flow, (2, Y, X); 0 beyond its edges, but for cubic splines."""
    places = np.indices(image.shape, dtype=np.float32) + flow
    mode = "nearest" if order > 1 else "constant"
    warped: Array = ndimage.map_coordinates(image.astype(np.float32), places, order=order, mode=mode)
    return warped
