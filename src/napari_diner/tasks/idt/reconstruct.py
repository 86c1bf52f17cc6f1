"""Run a recipe of diffraction tomography: frames in, refractive index out."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_diner import device as devices
from napari_diner.io.arrays import NamedArray
from napari_diner.io.stacks import checksum
from napari_diner.physics.idt.contrast import refractive_index
from napari_diner.physics.idt.illumination import Illumination, ring
from napari_diner.physics.idt.preflight import axial_sampling, lateral_sampling, low_frequencies
from napari_diner.physics.idt.transfer import BornModel
from napari_diner.solvers.idt.admm import Admm
from napari_diner.solvers.idt.choose import Choice, choose_tikhonov, choose_tv
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.regularisers import Priors, TotalVariation
from napari_diner.solvers.idt.tikhonov import ClosedForm
from napari_diner.tasks.idt.data import Array, IdtData, contrast_of, memory_needed
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.truth import Truth, check_truth, score
from napari_diner.tasks.reconstruction import Progress, Reconstruction, Result, remaining_s
from napari_diner.tasks.report import provenance, psnr_db

# the linear model is right to a few per cent below the first phase, and wrong beyond use above the second
_LINEAR_PHASE_RAD = 0.5
_WEAK_LOW_FREQUENCIES = 0.2


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
        self.illumination = illumination_of(recipe, len(frames))
        self._contrast, self._warnings = contrast_of(recipe, data)
        self._checksum = checksum(frames)
        self._problem: VolumeProblem | None = None
        self._solver: Admm | None = None
        self._volume: Tensor | None = None
        self._choices: dict[str, Choice] = {}
        self._iterations = 0
        self._timed_out = False
        self._last_preview = 0.0
        self._result: Result | None = None
        # impossible optics are said before any work is done
        self._model = self._build_model()
        self._warnings += preflight(self._model)

    def _build_model(self) -> BornModel:
        recipe = self.recipe
        assert recipe.wavelength_um is not None and recipe.pixel_size_um is not None and recipe.na is not None
        return BornModel(
            self._shape,
            recipe.pixel_size_um,
            recipe.slice_spacing_um,
            recipe.first_slice_um,
            recipe.wavelength_um,
            recipe.na,
            recipe.medium_index,
            self.illumination,
            device=self.device,
        )

    def _run(self) -> Generator[Progress, None, None]:
        recipe, model = self.recipe, self._model
        assert recipe.pixel_size_um is not None
        wanted = recipe.regularization
        data = torch.from_numpy(self._contrast).to(self.device)
        closed = ClosedForm(model)
        alpha = wanted.tikhonov
        if alpha is None:
            choice = self._choices["tikhonov"] = choose_tikhonov(closed, data)
            alpha = choice.value
        self._volume = closed.solve(data, alpha)
        priors = Priors(
            tikhonov=alpha if recipe.solver == "tikhonov" else 0.0,
            tv=wanted.tv or 0.0,
            positive_re=wanted.positivity and recipe.solver != "tikhonov",
            positive_im=wanted.positive_absorption and recipe.solver != "tikhonov",
        )
        tv = TotalVariation.of_voxels(recipe.slice_spacing_um, recipe.pixel_size_um)
        problem = self._problem = VolumeProblem(model, data, priors, tv)
        self._warn_of_phase()
        misfit = float(problem.misfit(self._volume))
        yield self._progress("closed form", 1, 1, misfit, 0.0)
        if recipe.solver == "tikhonov":
            self._iterations = 1
            return
        if wanted.tv is None:
            choice = self._choices["tv"] = choose_tv(problem, self._volume)
            priors = Priors(priors.tikhonov, choice.value, priors.positive_re, priors.positive_im)
            problem = self._problem = VolumeProblem(model, data, priors, tv)
            yield self._progress("weights", 1, 1, misfit, 0.0)
        began = self.clock.seconds
        solver = self._solver = Admm(problem, self._volume, recipe.iterations)
        for step in solver.steps():
            self._iterations = step.iteration
            yield self._progress("voxels", step.iteration, step.iterations, step.loss, self.clock.seconds - began)
            if recipe.max_seconds is not None and self.clock.seconds >= recipe.max_seconds:
                self._timed_out = True
                break
        self._volume = solver.volume()

    def _warn_of_phase(self) -> None:
        assert self._volume is not None
        phase = self._model.peak_phase(self._volume)
        if phase > _LINEAR_PHASE_RAD:
            self._warnings.append(
                f"the sample delays light by up to {phase:.2g} rad, more than single scattering describes (0.5 rad); "
                "indices will be too low and shapes wrong"
            )

    def _progress(self, stage: str, iteration: int, iterations: int, loss: float, spent_s: float) -> Progress:
        shown: tuple[NamedArray, ...] = ()
        if self.preview_interval_s is not None and time.monotonic() - self._last_preview >= self.preview_interval_s:
            shown = (self._arrays(self._best())[0],)
            self._last_preview = time.monotonic()
        limit = self.recipe.max_seconds
        left = None if limit is None else limit - self.clock.seconds
        remaining = remaining_s(iteration / iterations, spent_s, left) if stage == "voxels" else None
        return Progress(stage, iteration, iterations, {"loss": loss}, self.clock.seconds, remaining, shown)

    def _best(self) -> Tensor:
        volume = self._solver.volume() if self._solver is not None and not self.finished else self._volume
        assert volume is not None
        return volume

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
        contrast = self._best()
        assert self._problem is not None and self.recipe.pixel_size_um is not None
        n_re, n_im = self._arrays(contrast)
        with torch.no_grad():
            residual = (self._model.forward(contrast) - self._problem.data).cpu().numpy()
        pixel = self.recipe.pixel_size_um
        result = Result(
            task="idt",
            arrays=(n_re, n_im, NamedArray("residual", residual, "NYX", (1.0, pixel, pixel))),
            recipe=self.recipe,
            report=self._report(contrast, n_re, n_im, residual),
            weights={"contrast": contrast.cpu().numpy()},
            partial=not self.finished,
        )
        if self.finished:
            self._result = result
        return result

    def _report(self, contrast: Tensor, n_re: NamedArray, n_im: NamedArray, residual: Array) -> dict[str, Any]:
        assert self._problem is not None
        priors = self._problem.priors
        report: dict[str, Any] = {
            "task": "idt",
            "solver": self.recipe.solver,
            "model": "born",
            "partial": not self.finished,
            "stopped_by_time_limit": self._timed_out,
            "iterations": self._iterations,
            "seconds": self.clock.seconds,
            # of the intensities, in units of the background
            "measurement_psnr_db": psnr_db(residual, 1.0),
            "residual_rms": float(np.sqrt(np.mean(np.square(residual, dtype=np.float64)))),
            "data_rms": float(np.sqrt(np.mean(np.square(self._contrast, dtype=np.float64)))),
            "peak_phase_rad": self._model.peak_phase(contrast),
            "parameters": contrast.numel(),
            "regularization": {
                "tikhonov": self._choices["tikhonov"].value if "tikhonov" in self._choices else priors.tikhonov,
                "tv": priors.tv,
                "positivity": priors.positive_re,
                "positive_absorption": priors.positive_im,
            },
            "choices": {name: asdict(choice) for name, choice in self._choices.items()},
            **provenance(self.device, self.recipe.seed),
            "input_sha256": self._checksum,
            "warnings": list(self._warnings),
        }
        if self.truth is not None:
            report["truth"] = score(n_re.data, n_im.data, self.truth, self.recipe.medium_index)
        return report

    def _release(self) -> None:
        self._problem = self._solver = self._volume = None
        devices.free_memory(self.device)


def illumination_of(recipe: IdtRecipe, frames: int) -> Illumination:
    """Return the illumination that a recipe describes for a number of frames."""
    if recipe.ring.na is not None:
        return ring(recipe.ring.na, frames, offset_deg=recipe.ring.first_angle_deg)
    return Illumination.of(recipe.illuminations)


def preflight(model: BornModel) -> list[str]:
    """Return what is to be said of the optics before anything is computed."""
    warnings = []
    lateral = lateral_sampling(model.geometry)
    if not lateral.fine:
        warnings.append(
            f"the pixel of {lateral.value_um:.3g} µm is coarser than λ/(4 NA) = {lateral.limit_um:.3g} µm; "
            "fine detail is folded into coarse"
        )
    axial = axial_sampling(model.geometry, model.illumination)
    if not axial.fine:
        warnings.append(
            f"the slice spacing of {axial.value_um:.3g} µm is above the axial Nyquist limit of {axial.limit_um:.3g} µm"
        )
    low = low_frequencies(model.geometry, model.illumination)
    if low.ratio < _WEAK_LOW_FREQUENCIES:
        warnings.append(
            f"slow changes of the index are hardly seen (response {low.ratio:.2f} of the strongest); light from the "
            "edge of the objective's aperture would show them"
        )
    return warnings
