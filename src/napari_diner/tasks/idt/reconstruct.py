"""Run a recipe of diffraction tomography: frames in, refractive index out."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_diner import device as devices
from napari_diner.errors import DinerError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.stacks import checksum
from napari_diner.physics.idt.contrast import refractive_index
from napari_diner.physics.idt.given import GivenTransfer
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.physics.idt.transfer import BornModel
from napari_diner.solvers.step import Step
from napari_diner.tasks.idt.calibrate import Calibration, within_aperture
from napari_diner.tasks.idt.data import Array, IdtData, contrast_of, memory_needed
from napari_diner.tasks.idt.given_transfer import build_given, open_transfer
from napari_diner.tasks.idt.optics import build_born, build_multislice, illumination_of, preflight
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.stages import Inversion, Stage
from napari_diner.tasks.idt.truth import Truth, check_truth, score
from napari_diner.tasks.report import provenance, psnr_db
from napari_diner.tasks.run import Progress, Reconstruction, Result, remaining_s


def reconstruct(
    recipe: IdtRecipe,
    data: IdtData | Array,
    *,
    truth: Truth | None = None,
    preview_interval_s: float | None = None,
) -> IdtReconstruction:
    """Prepare the reconstruction of a volume of refractive index from intensities under oblique illumination.

    Parameters
    ----------
    recipe
        All settings; see `IdtRecipe`.
    data
        The recording, or just its frames, (N, Y, X).
    truth
        The known object, to be scored against.
    preview_interval_s
        Shortest time between two previews; no previews if None.

    Returns
    -------
    IdtReconstruction
        Iterate it for `Progress`, then ask it for the `Result`: ``n_re`` and ``n_im``, (Z, Y, X), and ``residual``.

    Raises
    ------
    RecipeError
        If settings are missing or do not fit the data.
    InputError
        If the data cannot be used.
    OutOfMemoryError
        If the work does not fit the memory.
    """
    if not isinstance(data, IdtData):
        data = IdtData(np.asarray(data))
    return IdtReconstruction(recipe, data, truth, preview_interval_s)


class IdtReconstruction(Reconstruction):
    """A reconstruction of the refractive index in progress; made by `reconstruct`."""

    def __init__(self, recipe: IdtRecipe, data: IdtData, truth: Truth | None, preview_interval_s: float | None) -> None:
        super().__init__()
        frames = np.asarray(data.frames)
        resolved: dict[str, Any] = {"stack": recipe.stack or data.source}
        if recipe.pixel_size_um is None and data.pixel_size_um is not None:
            resolved["pixel_size_um"] = data.pixel_size_um
        self.recipe = recipe = recipe.updated(resolved)
        recipe.check_complete(len(frames) if frames.ndim == 3 else 0)
        self.preview_interval_s = preview_interval_s
        self.device = devices.choose_device(recipe.device)
        self._shape = (recipe.slice_count, *frames.shape[1:])
        devices.check_memory(
            memory_needed(recipe, len(frames), frames.shape[1:]),
            f"A volume of {'×'.join(map(str, self._shape))} voxels from {len(frames)} frames",
            self.device,
        )
        if truth is not None:
            check_truth(truth, self._shape)
        self.truth = truth
        self._transfer = data.transfer if data.transfer is not None else open_transfer(recipe)
        self._calibration: Calibration | None = None
        self._contrast, self._warnings = contrast_of(recipe, data)
        if self._transfer is None:
            self.illumination, said = within_aperture(recipe, illumination_of(recipe, len(frames)))
            self._warnings += said
        self._checksum = checksum(frames)
        self._inversion: Inversion | None = None
        self._last_preview = 0.0
        self._result: Result | None = None
        # impossible optics are said before any work is done
        self._model = self._build_model()
        if isinstance(self._model, BornModel):
            self._warnings += preflight(self._model)

    def _build_model(self) -> BornModel | GivenTransfer:
        if self._transfer is not None:
            return build_given(self.recipe, self._shape, len(self._contrast), self._transfer, self.device)
        return self._build_born(self._shape)

    def _build_born(self, shape: tuple[int, int, int]) -> BornModel:
        return build_born(self.recipe, shape, self.illumination, self.device)

    def _build_multislice(self) -> SSNPModel:
        return build_multislice(self.recipe, self._shape, self.illumination, self.device)

    def _calibrate(self) -> Generator[Progress, None, None]:
        """Find out what the recipe asks for about the illuminations, and rebuild the model with it."""
        calibration = Calibration(self.recipe, self.illumination, self._contrast)
        for stage, step in calibration.steps():
            yield Progress(stage, step.iteration, step.iterations, {"loss": step.loss}, self.clock.seconds, None, ())
        self._calibration = calibration
        self.illumination, self._contrast = calibration.illumination, calibration.contrast
        self._model = self._build_model()

    def _run(self) -> Generator[Progress, None, None]:
        recipe = self.recipe
        if recipe.calibration.wanted:
            yield from self._calibrate()
        exact = self._transfer is None and recipe.dispersion == "exact"
        inversion = self._inversion = Inversion(
            recipe,
            self._model,
            self._build_multislice if exact else None,
            None if self._transfer is not None else self._build_born,
            torch.from_numpy(self._contrast).to(self.device),
            lambda: self.clock.seconds,
        )
        for stage, step in inversion.run():
            yield self._progress(stage, step)

    def _progress(self, stage: Stage, step: Step) -> Progress:
        assert self._inversion is not None
        shown: tuple[NamedArray, ...] = ()
        if self.preview_interval_s is not None and time.monotonic() - self._last_preview >= self.preview_interval_s:
            volume = self._inversion.preview()
            shown = () if volume is None else (self._arrays(volume)[0],)
            self._last_preview = time.monotonic()
        limit = self.recipe.max_seconds
        left = None if limit is None else limit - self.clock.seconds
        losses = {"loss": step.loss} if math.isfinite(step.loss) else {}
        remaining = remaining_s(step.done, stage.seconds, left) if losses else None
        return Progress(stage.name, step.iteration, step.iterations, losses, self.clock.seconds, remaining, shown)

    def _arrays(self, contrast: Tensor) -> tuple[NamedArray, NamedArray]:
        assert self.recipe.pixel_size_um is not None
        scale = (self.recipe.slice_spacing_um, *(self.recipe.pixel_size_um,) * 2)
        n_re, n_im = refractive_index(contrast, self.recipe.medium_index)
        return (
            NamedArray("n_re", n_re.float().cpu().numpy(), "ZYX", scale),
            NamedArray("n_im", n_im.float().cpu().numpy(), "ZYX", scale),
        )

    def _snapshot(self) -> Result:
        if self._result is not None:
            return self._result
        inversion = self._inversion
        contrast = None if inversion is None else inversion.best()
        if inversion is None or contrast is None:
            raise DinerError("There is no volume yet; let the reconstruction go on for a moment")
        assert self.recipe.pixel_size_um is not None
        n_re, n_im = self._arrays(contrast)
        with torch.no_grad():
            residual = (inversion.problem.model.forward(contrast) - inversion.problem.data).cpu().numpy()
        pixel = self.recipe.pixel_size_um
        result = Result(
            task="idt",
            arrays=(n_re, n_im, NamedArray("residual", residual, "NYX", (1.0, pixel, pixel))),
            recipe=self.recipe,
            report=self._report(inversion, contrast, n_re, n_im, residual),
            weights=_weights(inversion, contrast),
            partial=not self.finished,
        )
        if self.finished:
            self._result = result
        return result

    def _report(
        self, inversion: Inversion, contrast: Tensor, n_re: NamedArray, n_im: NamedArray, residual: Array
    ) -> dict[str, Any]:
        priors, representation = inversion.problem.priors, inversion.representation
        report: dict[str, Any] = {
            "task": "idt",
            "solver": self.recipe.solver,
            "model": inversion.model,
            "partial": not self.finished,
            "stopped_by_time_limit": inversion.timed_out,
            "iterations": inversion.iterations,
            "seconds": self.clock.seconds,
            "stages": [asdict(stage) for stage in inversion.stages],
            # of the intensities, in units of the background
            "measurement_psnr_db": psnr_db(residual, 1.0),
            "residual_rms": float(np.sqrt(np.mean(np.square(residual, dtype=np.float64)))),
            "data_rms": float(np.sqrt(np.mean(np.square(self._contrast, dtype=np.float64)))),
            "peak_phase_rad": self._model.peak_phase(contrast),
            "parameters": contrast.numel() if representation is None else representation.parameter_count(),
            "regularization": {
                "tikhonov": priors.tikhonov,
                "tv": priors.tv,
                "positivity": priors.positive_re,
                "positive_absorption": priors.positive_im,
            },
            "choices": {name: asdict(choice) for name, choice in inversion.choices.items()},
            **({"calibration": self._calibration.report()} if self._calibration is not None else {}),
            **provenance(self.device, self.recipe.seed),
            "input_sha256": self._checksum,
            "warnings": [*self._warnings, *inversion.warnings],
        }
        if self.truth is not None:
            report["truth"] = score(n_re.data, n_im.data, self.truth, self.recipe.medium_index)
        return report

    def _release(self) -> None:
        self._inversion = None
        devices.free_memory(self.device)


def _weights(inversion: Inversion, contrast: Tensor) -> dict[str, Array]:
    """Return what is kept in the model file: the parameters of the network if there is one, else the contrast."""
    if inversion.representation is None:
        return {"contrast": contrast.cpu().numpy()}
    return {name: value.cpu().numpy() for name, value in inversion.representation.state_dict().items()}
