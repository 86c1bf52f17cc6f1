"""Run a fit recipe: data in, a neural representation of them out."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterable, Iterator
from typing import Any

import numpy as np
import torch

from napari_diner import device as devices
from napari_diner.io.arrays import NamedArray
from napari_diner.io.stacks import checksum
from napari_diner.representations.base import Representation
from napari_diner.representations.diner import Diner
from napari_diner.solvers.fit.batch_fit import BatchFit
from napari_diner.solvers.fit.problem import ValueProblem
from napari_diner.solvers.fit.table_fit import TableFit
from napari_diner.solvers.starting_values import fit_values
from napari_diner.solvers.step import Step
from napari_diner.tasks.fit.data import FitData, layout_of, memory_needed, table_width, with_axes
from napari_diner.tasks.fit.layout import Array, Layout
from napari_diner.tasks.fit.model import Fitted, pack
from napari_diner.tasks.fit.preview import preview
from napari_diner.tasks.fit.recipe import FitRecipe, learning_rate_of
from napari_diner.tasks.fit.represent import build_representation
from napari_diner.tasks.fit.stored import LOW, unpacked_table
from napari_diner.tasks.fit.unique import unique_samples
from napari_diner.tasks.report import provenance, psnr_of
from napari_diner.tasks.run import Progress, Reconstruction, Result, remaining_s

_ROWS = 1 << 20


def reconstruct(
    recipe: FitRecipe, data: FitData | Array, *, preview_interval_s: float | None = None
) -> FitReconstruction:
    """Prepare the fit of a representation to data.

    Parameters
    ----------
    recipe
        All settings; see `FitRecipe`.
    data
        The data with their axes, or just an array.
    preview_interval_s
        Shortest time between two previews; no previews if None.

    Returns
    -------
    FitReconstruction
        Iterate it for `Progress`, then ask it for the `Result`.

    Raises
    ------
    InputError
        If the data cannot be used, or do not have the axes named.
    OutOfMemoryError
        If the work does not fit the memory.

    Examples
    --------
    >>> with reconstruct(FitRecipe(epochs=500), image) as run:
    ...     for progress in run:
    ...         print(progress.iteration, progress.losses["psnr_db"])
    ...     fitted = run.result()["reconstruction"].data
    """
    if not isinstance(data, FitData):
        data = FitData(np.asarray(data))
    return FitReconstruction(recipe, data, preview_interval_s)


class FitReconstruction(Reconstruction):
    """A fit in progress; made by `reconstruct`."""

    def __init__(self, recipe: FitRecipe, data: FitData, preview_interval_s: float | None) -> None:
        super().__init__()
        self._data = data = with_axes(recipe, data)
        self.layout = layout_of(recipe, data)
        self.recipe = _resolved(recipe, data, self.layout)
        self.preview_interval_s = preview_interval_s
        self.device = devices.choose_device(recipe.device)
        devices.check_memory(
            memory_needed(self.recipe, data.data.shape, data.axes),
            f"A fit to {'×'.join(map(str, data.data.shape))} numbers",
            self.device,
        )
        self._checksum = checksum(data.data)
        self._representation: Representation | None = None
        self._solver: TableFit | BatchFit | None = None
        self._index: Array | None = None
        self._unique: Array | None = None
        self._counts: Array | None = None
        self._epochs = 0
        self._training_s = 0.0
        self._timed_out = False
        self._last_preview = 0.0
        self._result: Result | None = None

    def _run(self) -> Generator[Progress, None, None]:
        recipe, layout = self.recipe, self.layout
        torch.manual_seed(recipe.seed)
        generator = torch.Generator().manual_seed(recipe.seed)
        samples = layout.to_samples(self._data.data)
        if recipe.representation == "diner" and recipe.training.unique:
            found = unique_samples(samples)
            if found is not None:
                self._unique, self._index, self._counts = found
        rows = samples.reshape(-1, layout.outputs) if self._unique is None else self._unique
        shape = layout.sample_shape if self._index is None else (len(rows),)
        self.recipe = recipe = recipe.with_lattice(len(rows))
        targets = torch.from_numpy(np.ascontiguousarray(layout.to_outputs(rows.T))).to(self.device)
        weights = None
        if self._counts is not None:
            weights = torch.from_numpy(self._counts.astype(np.float32)).to(self.device)
        problem = ValueProblem(targets, weights)
        representation = build_representation(recipe, shape, layout.outputs, generator).to(self.device)
        self._representation = representation
        if recipe.bit_exact or recipe.representation == "pixels":
            fit_values(representation, targets.reshape(layout.outputs, *shape), generator)
            self._epochs = 1
            yield from self._progress("placing keys", [Step(1, 1, 0.0)])
            return
        assert recipe.learning_rate is not None
        settings = (recipe.training, recipe.epochs, recipe.learning_rate)
        limit = (recipe.max_seconds, lambda: self.clock.seconds)
        solver: TableFit | BatchFit
        if isinstance(representation, Diner):
            solver = TableFit(problem, representation, *settings, *limit)
        else:
            solver = BatchFit(problem, representation, *settings, generator, *limit)
        self._solver = solver
        began = self.clock.seconds
        for progress in self._progress(recipe.name, solver.steps()):
            self._epochs, self._training_s = progress.iteration, self.clock.seconds - began
            yield progress
        self._timed_out = recipe.max_seconds is not None and self._epochs < recipe.epochs
        yield from self._progress("placing keys", solver.finish())

    def _progress(self, label: str, steps: Iterable[Step]) -> Iterator[Progress]:
        began = self.clock.seconds
        for step in steps:
            now = self.clock.seconds
            left = None if self.recipe.max_seconds is None else self.recipe.max_seconds - now
            span = self.layout.high - self.layout.low
            losses = {"loss": step.loss, "psnr_db": psnr_of(step.loss * span**2, self.layout.peak)}
            if not np.isfinite(losses["psnr_db"]):
                del losses["psnr_db"]
            shown: tuple[NamedArray, ...] = ()
            if self.preview_interval_s is not None and time.monotonic() - self._last_preview >= self.preview_interval_s:
                shown = (preview(self.fitted()),)
                self._last_preview = time.monotonic()
            remaining = remaining_s(step.done, now - began, left)
            yield Progress(label, step.iteration, step.iterations, losses, now, remaining, shown)

    def fitted(self) -> Fitted:
        """Return the representation as it is now; it goes on changing while the run does."""
        assert self._representation is not None
        return Fitted(self._representation, self.layout, self.recipe, self._index)

    def _snapshot(self) -> Result:
        if self._result is not None:
            return self._result
        representation = self._representation
        assert representation is not None
        before = None
        if not self.finished and self._solver is not None:
            before = {name: value.clone() for name, value in representation.state_dict().items()}
            self._solver.keep_better()
        result = self._make_result()
        if before is not None:
            representation.load_state_dict(before)
        if self.finished:
            self._result = result
        return result

    def _make_result(self) -> Result:
        fitted, layout, recipe = self.fitted(), self.layout, self.recipe
        report: dict[str, Any] = {}
        weights = pack(fitted)
        if LOW in weights:
            report["float_psnr_db"] = self._score(_outputs(fitted.representation))[0]
            table = unpacked_table(weights)
            keys = torch.from_numpy(table).reshape(-1, table.shape[-1])
            fitted.representation.load_state_dict({"hash_table": keys}, strict=False)
        outputs = _outputs(fitted.representation)
        psnr_db, identical, values = self._score(outputs)
        if self._index is not None:
            values = values[self._index]
        data = layout.from_samples(values.reshape(*layout.sample_shape, layout.outputs))
        header = layout.to_header()
        text = len(json.dumps(header)) + len(recipe.model_dump_json()) + 100 * len(weights)
        model_bytes = sum(weight.nbytes for weight in weights.values()) + text
        source = self._data.source_bytes
        table_parameters = 0
        if isinstance(fitted.representation, Diner):
            # counted as published, with a key for each sample, whether or not equal ones shared it
            table_parameters = int(np.prod(layout.sample_shape)) * fitted.representation.settings.table_width
            network = fitted.representation.parameter_count() - fitted.representation.hash_table.numel()
        else:
            network = fitted.representation.parameter_count()
        report |= {
            "task": "fit",
            "solver": recipe.name,
            "representation": recipe.representation,
            "partial": not self.finished,
            "stopped_by_time_limit": self._timed_out,
            "iterations": self._epochs,
            "seconds": self.clock.seconds,
            "seconds_per_epoch": self._training_s / max(self._epochs, 1),
            "psnr_db": psnr_db,
            "measurement_psnr_db": psnr_db,
            "psnr_peak": layout.peak,
            "identical": identical,
            "parameters": network + table_parameters,
            "table_parameters": table_parameters,
            "samples": int(np.prod(layout.sample_shape)),
            "unique_values": None if self._unique is None else len(self._unique),
            "model_bytes": model_bytes,
            "bits_per_pixel": 8 * model_bytes / layout.pixels,
            "source_bits_per_pixel": None if source is None else 8 * source / layout.pixels,
            **provenance(self.device, recipe.seed),
            "input_sha256": self._checksum,
            "warnings": self._warnings(identical),
        }
        return Result(
            task="fit",
            arrays=(NamedArray("reconstruction", np.ascontiguousarray(data), layout.axes, layout.scale_um),),
            recipe=recipe,
            report=report,
            weights=weights,
            header=header,
            partial=not self.finished,
        )

    def _warnings(self, identical: float) -> list[str]:
        warnings = []
        if self.recipe.bit_exact and identical < 1:
            warnings.append(f"{1 - identical:.2e} of the numbers differ after rounding; the fit is not bit-exact")
        if self.recipe.representation == "pixels":
            warnings.append("pixels are the data themselves and say nothing about a representation")
        return warnings

    def _score(self, outputs: np.ndarray[Any, np.dtype[np.float32]]) -> tuple[float, float, Array]:
        """Return PSNR in dB, share of numbers that are equal after rounding, and the values, (n, outputs)."""
        layout = self.layout
        rows = layout.to_samples(self._data.data).reshape(-1, layout.outputs) if self._unique is None else self._unique
        values = np.empty(rows.shape, np.dtype(layout.dtype))
        square = equal = total = 0.0
        for start in range(0, len(rows), _ROWS):
            part = slice(start, start + _ROWS)
            counts = np.ones(1) if self._counts is None else self._counts[part, None]
            wanted = rows[part]
            found = outputs[part].astype(np.float64) * (layout.high - layout.low) + layout.low
            values[part] = layout.to_values(outputs[part])
            square += float((counts * (found - wanted) ** 2).sum())
            equal += float((counts * (values[part] == wanted)).sum())
            total += float(np.broadcast_to(counts, wanted.shape).sum())
        return psnr_of(square / total, layout.peak), equal / total, values

    def _release(self) -> None:
        self._representation = self._solver = None
        devices.free_memory(self.device)


def _resolved(recipe: FitRecipe, data: FitData, layout: Layout) -> FitRecipe:
    """Return the recipe with everything decided that it left open."""
    width = table_width(recipe, layout)
    samples = int(np.prod(layout.sample_shape))
    changes: dict[str, Any] = {
        "image": recipe.image or data.source,
        "axes": data.axes,
        "table_width": width,
        "learning_rate": recipe.learning_rate or learning_rate_of(recipe.name, recipe.epochs),
    }
    if recipe.representation == "hash-grid" and recipe.hash_grid.log2_table_size is None:
        from napari_diner.representations.hash_grid import matched_table_size

        size = matched_table_size(layout.sample_shape, recipe.hash_grid, samples * width)
        changes["hash_grid"] = {"log2_table_size": size}
    if layout.scale_um[data.axes.index("X")] != 1.0:
        changes["pixel_size_um"] = layout.scale_um[data.axes.index("X")]
    return recipe.updated(changes)


@torch.no_grad()
def _outputs(representation: Representation) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return what the exact representation gives for all of its samples, (n, outputs)."""
    return representation.exact().flatten(1).T.cpu().numpy()
