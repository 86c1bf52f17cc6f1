"""Large fields: a coarse picture of the whole, then tile by tile, each brought into line with its neighbours."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, Protocol

import numpy as np

from napari_diner import device as devices
from napari_diner.errors import InputError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.stacks import checksum
from napari_diner.preprocess.steps import prepared_shape
from napari_diner.tasks.lensless.data import LenslessData
from napari_diner.tasks.lensless.geometry import at_the_sample, geometry_report
from napari_diner.tasks.lensless.phase_output import phase_images
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.lensless.tile_blend import Field, align, blend, seam_differences
from napari_diner.tasks.lensless.tile_check import TileCheck
from napari_diner.tasks.lensless.tile_data import CoarsePicture, TileFrames, coarse_recipe
from napari_diner.tasks.lensless.tile_plan import Span, Tile, plan_tiles, spread_px, tiled_memory
from napari_diner.tasks.lensless.truth import Truth, check_truth, score
from napari_diner.tasks.reconstruction import Progress, Reconstruction, Result, remaining_s
from napari_diner.tasks.report import provenance, psnr_of

_PREVIEW_PIXELS = 512
# the part of a time limit that the coarse picture may take
_COARSE_SHARE = 0.25


class Solve(Protocol):
    """Makes the reconstruction of one piece, from a complex field to start from, (Y, X)."""

    def __call__(self, recipe: LenslessRecipe, data: LenslessData, *, start: Field | None = None) -> Reconstruction:
        """Prepare it."""


class TiledReconstruction(Reconstruction):
    """A lensless reconstruction of a large field in progress.

    The light that reaches a pixel comes from no farther than the spread of diffraction aside. So each tile computes
    the object over a rim of that width around the pixels whose data it explains, and within these its model is exact.

    What a tile alone tells badly is the slowly varying phase. It comes from a picture of the whole field with wider
    pixels, made first, from which the tiles start; what remains free in them, a constant and a slope of the phase, is
    brought into line with the neighbours (`tile_blend.align`), and the tiles are blended across smooth windows.

    Parameters
    ----------
    recipe
        Complete, as the user wrote it.
    data
        The recording.
    size_px
        Longest side of a tile.
    solve
        Makes the reconstruction of a tile.
    truth
        The known object, to be scored against.
    preview_interval_s
        Shortest time between two previews; no previews if None.
    """

    def __init__(
        self,
        recipe: LenslessRecipe,
        data: LenslessData,
        size_px: int,
        solve: Solve,
        truth: Truth | None = None,
        preview_interval_s: float | None = None,
    ) -> None:
        super().__init__()
        frames = data.frames
        self.recipe = recipe
        self.truth = truth
        self.preview_interval_s = preview_interval_s
        self.device = devices.choose_device(recipe.device)
        self._solve = solve
        if truth is not None:
            check_truth(truth, prepared_shape(recipe.preprocess, frames.shape[1:]))
        devices.check_memory(
            tiled_memory(recipe, len(frames), frames.shape[1:], 0, None, size_px),
            f"A stack of {len(frames)} frames of {frames.shape[1]}×{frames.shape[2]} pixels in tiles of {size_px}",
        )
        self._checksum = checksum(frames)
        self._frames = TileFrames(recipe, data)
        self.plan = plan_tiles(self._frames.recipe, self._frames.shape, size_px)
        """Which tiles there are."""
        side = max(self._frames.shape)
        self._factor = -(-side // recipe.tiles.coarse_px)
        self._coarse: CoarsePicture | None = None
        self._fields: dict[int, Field] = {}
        self._sigmas: dict[int, dict[str, Field]] = {}
        self._reports: dict[int, dict[str, Any]] = {}
        self._stages: list[dict[str, Any]] = []
        self._warnings: list[str] = list(self._frames.notes)
        if spread_px(self._frames.recipe) > self.plan.spread_px:
            self._warnings.append(
                f"light spreads over up to {spread_px(self._frames.recipe)} pixels, but tiles overlap by "
                f"{self.plan.overlap_px} only; larger tiles would hold the finest details better"
            )
        self._last_preview = 0.0
        self._timed_out = False
        self._result: Result | None = None

    def _run(self) -> Generator[Progress, None, None]:
        yield from self._coarse_picture()
        count = len(self.plan.tiles)
        total = count * self.recipe.tiles.passes
        began = self.clock.seconds
        for turn in range(self.recipe.tiles.passes):
            starts = self._starts(turn)
            for number, tile in enumerate(self.plan.tiles):
                done = turn * count + number
                yield from self._tile(number, tile, starts(number), done, total, began)
                if self._timed_out:
                    break
        self._stages.append({"name": "tiles", "seconds": self.clock.seconds - began, "tiles": len(self._fields)})

    def _coarse_picture(self) -> Generator[Progress, None, None]:
        """Reconstruct the whole field with wide pixels."""
        limit = self.recipe.max_seconds
        recipe = coarse_recipe(self._frames.recipe, self._factor)
        recipe = recipe.updated({"max_seconds": None if limit is None else _COARSE_SHARE * limit})
        with self._solve(recipe, self._frames.binned(self._factor)) as run:
            for progress in run:
                losses, steps = progress.losses, (progress.iteration, progress.iterations)
                self._coarse = self._coarse or self._picture(run.result())
                yield Progress("coarse picture", *steps, losses, self.clock.seconds, None, self._preview())
            result = run.result()
        self._coarse = self._picture(result)
        stage = {"name": "coarse picture", "factor": self._factor}
        self._stages.append(stage | {key: result.report[key] for key in ("seconds", "iterations", "loss")})

    def _picture(self, result: Result) -> CoarsePicture:
        return CoarsePicture(_field(result), self._factor, self.plan.periodic)

    def _starts(self, turn: int) -> Any:
        """Return what gives the field that a tile starts from in this pass."""
        coarse = self._coarse
        assert coarse is not None
        if turn == 0:
            return lambda number: coarse.at(self.plan.tiles[number])
        whole = self._blended()
        return lambda number: self.plan.tiles[number].cut(whole)

    def _tile(
        self, number: int, tile: Tile, start: Field, done: int, total: int, began: float
    ) -> Generator[Progress, None, None]:
        """Reconstruct one tile."""
        recipe = self._frames.recipe
        limit = self.recipe.max_seconds
        if limit is not None:
            left = max(limit - self.clock.seconds, 1e-3)
            recipe = recipe.updated({"max_seconds": left / (total - done)})
        if all(span.neighbours == (True, True) for span in (tile.rows, tile.columns)):
            recipe = recipe.updated({"padding": {"mode": "none"}})
        since = self.clock.seconds
        usual = (since - began) / done if done else None
        try:
            run = self._solve(recipe, self._frames.tile(tile), start=start)
        except InputError as error:
            # a part of the field without light cannot be explained; what the coarse picture says has to do
            self._warnings.append(f"tile {number + 1} is left coarse: {error}")
            self._fields[number] = start
            return
        with run:
            for progress in run:
                within = 0.0 if usual is None else min((self.clock.seconds - since) / usual, 0.99)
                left_s = remaining_s((done + within) / total, self.clock.seconds - began)
                yield Progress(
                    f"tile {done + 1} of {total}: {progress.stage}", done, total, progress.losses, self.clock.seconds,
                    left_s, self._preview(),
                )  # fmt: skip
            result = run.result()
        self._fields[number] = _field(result)
        self._reports[number] = dict(result.report)
        names = ("amplitude_uncertainty", "uncertainty")
        self._sigmas[number] = {array.name: array.data for array in result.arrays if array.name in names}
        self._timed_out = limit is not None and self.clock.seconds >= limit
        yield Progress(f"tile {done + 1} of {total}", done + 1, total, {}, self.clock.seconds, None, self._preview())

    def _whole(self) -> Tile:
        spans = (Span(0, size, 0, size, 0, size, (False, False)) for size in self.plan.shape)
        return Tile(*spans)

    def _blended(self) -> Field:
        """Return the field from the tiles that are done and, elsewhere, from the coarse picture."""
        assert self._coarse is not None
        tiles = self.plan.tiles
        background = self._coarse.at(self._whole()) if len(self._fields) < len(tiles) else None
        if self._fields:
            coarse = {number: self._coarse.at(tiles[number]) for number in self._fields}
            self._fields = align(self.plan, self._fields, coarse)
        return blend(self.plan, self._fields, background)

    def _preview(self) -> tuple[NamedArray, ...]:
        """Return a small picture of what is done, if it is time for one."""
        now = time.monotonic()
        if self.preview_interval_s is None or now - self._last_preview < self.preview_interval_s:
            return ()
        assert self._coarse is not None
        stride = -(-max(self.plan.shape) // _PREVIEW_PIXELS)
        picture = self._coarse.at(self._whole(), stride)
        for number, field in self._fields.items():
            tile = self.plan.tiles[number]
            rows, columns = (
                np.arange(-(-span.core_start // stride) * stride, span.core_stop, stride)
                for span in (tile.rows, tile.columns)
            )
            part = field[np.ix_(rows - tile.rows.start, columns - tile.columns.start)]
            picture[np.ix_(rows // stride, columns // stride)] = part
        self._last_preview = time.monotonic()
        return self._images(picture, stride)

    def _images(self, field: Field, stride: int = 1) -> tuple[NamedArray, NamedArray]:
        pixel = at_the_sample(self.recipe).pixel_size_um
        assert pixel is not None
        scale = (pixel * stride,) * 2
        turned = field * np.exp(-1j * np.angle(field.sum(dtype=np.complex128))).astype(np.complex64)
        return (
            NamedArray("amplitude", np.abs(turned), "YX", scale),
            NamedArray("phase", np.angle(turned), "YX", scale, "rad"),
        )

    def _snapshot(self) -> Result:
        if self._result is not None:
            return self._result
        assert self.recipe.wavelength_um is not None
        field = self._blended()
        amplitude, phase = self._images(field)
        check = TileCheck(self._frames, self.plan, field)
        residual = NamedArray("residual", check.residual, "NYX", (1.0, *amplitude.scale_um))
        result = Result(
            task="lensless",
            arrays=(
                *self._doubts(amplitude), amplitude, phase, residual,
                *phase_images(phase, self.recipe.phase_output, self.recipe.wavelength_um),
            ),
            recipe=self.recipe,
            report=self._report(amplitude, phase, check),
            weights={"amplitude": amplitude.data, "phase": phase.data},
            partial=not self.finished,
        )  # fmt: skip
        if self.finished:
            self._result = result
        return result

    def _doubts(self, like: NamedArray) -> tuple[NamedArray, ...]:
        """Return the standard deviations, blended as the fields are, where every tile has one."""
        if not self._sigmas or not all(self._sigmas.get(number) for number in range(len(self.plan.tiles))):
            return ()
        images = []
        for name, unit in (("amplitude_uncertainty", "1"), ("uncertainty", "rad")):
            variances = {number: (found[name] ** 2).astype(np.complex64) for number, found in self._sigmas.items()}
            sigma = np.sqrt(np.maximum(blend(self.plan, variances).real, 0))
            images.append(NamedArray(name, sigma, "YX", like.scale_um, unit))
        return tuple(images)

    def _report(self, amplitude: NamedArray, phase: NamedArray, check: TileCheck) -> dict[str, Any]:
        seams = seam_differences(self.plan, self._fields)
        iterations = [int(report["iterations"]) for report in self._reports.values()]
        gains = self._frames.recipe.gains or (1.0,) * len(self._frames.frames)
        report: dict[str, Any] = {
            "task": "lensless",
            "solver": self.recipe.solver,
            "start": self.recipe.start,
            "partial": not self.finished,
            "stopped_by_time_limit": self._timed_out,
            "iterations": sum(iterations),
            "seconds": self.clock.seconds,
            "stages": self._stages,
            "measurement_psnr_db": psnr_of(check.mean_square, check.peak),
            "measurement_peak": check.peak,
            "loss": check.loss,
            "parameters": sum(report["parameters"] for report in self._reports.values()),
            "gains": list(gains),
            "tiles": {
                "count": len(self.plan.tiles),
                "done": len(self._fields),
                "size_px": list(self.plan.largest),
                "overlap_px": self.plan.overlap_px,
                "spread_px": self.plan.spread_px,
                "seam_px": self.plan.seam_px,
                "seam_rms_rad": float(np.sqrt(np.mean(seams**2))) if seams.size else None,
                "coarse_factor": self._factor,
            },
            **geometry_report(self.recipe, at_the_sample(self.recipe)),
            **provenance(self.device, self.recipe.seed),
            "input_sha256": self._checksum,
            "warnings": self._warnings,
        }
        found = [report["uncertainty"] for report in self._reports.values() if "uncertainty" in report]
        if found:
            report["uncertainty"] = found[len(found) // 2]
        if self.truth is not None:
            report["truth"] = score(amplitude.data, phase.data, self.truth)
        return report

    def _release(self) -> None:
        self._fields, self._sigmas, self._coarse = {}, {}, None
        devices.free_memory(self.device)


def _field(result: Result) -> Field:
    """Return the complex field of a result."""
    phase = result["phase"].data
    field: Field = (result["amplitude"].data * np.exp(1j * phase)).astype(np.complex64)
    return field
