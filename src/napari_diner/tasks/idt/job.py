"""A reconstruction by diffraction tomography: one recipe on one recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor

from napari_diner import device as devices
from napari_diner.errors import DinerError, InputError, RecipeError
from napari_diner.io.arrays import NamedArray
from napari_diner.io.stacks import check_frames, check_frames_first, checksum, frames_last
from napari_diner.physics.idt.contrast import refractive_index
from napari_diner.physics.idt.illumination import Illumination
from napari_diner.physics.idt.linear import LinearModel
from napari_diner.physics.padding import Padding
from napari_diner.preprocess.same_exposure import of_one_light
from napari_diner.preprocess.soundness import numbered, repeated, without_light
from napari_diner.solvers.idt.problem import VolumeProblem
from napari_diner.solvers.idt.regularisers import TotalVariation, VolumePriors
from napari_diner.tasks.frame_list import frame_list
from napari_diner.tasks.idt.calibrate import IlluminationCalibration
from napari_diner.tasks.idt.data import IdtData, contrast_of, saturated_in, with_file_facts, without
from napari_diner.tasks.idt.memory import plan
from napari_diner.tasks.idt.optics import ComputedModels, GivenModels, Models, computed_models, findings
from napari_diner.tasks.idt.plausibility import drift, optics_doubts
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.stages import IdtStages, warnings_of_phase
from napari_diner.tasks.idt.state import IdtState
from napari_diner.tasks.idt.strong import warnings_of_reach
from napari_diner.tasks.idt.surround import width_px, with_surround
from napari_diner.tasks.idt.truth import TrueVolume, check_truth, score
from napari_diner.tasks.idt.uncertainty import uncertainty_report, uncertainty_volumes
from napari_diner.tasks.idt.ways import expected_sign, sign_of_sample
from napari_diner.tasks.job import UNCERTAINTY, Job, Outcome, RunRecord, Stage
from napari_diner.tasks.left_out import LeftOut
from napari_diner.tasks.preflight import Finding, saturation
from napari_diner.tasks.report import psnr_db
from napari_diner.tasks.unexplained import Unexplained

# with the right geometry strong samples leave up to 0.13 unexplained, weak ones 0.01; a wrong one 0.18 or more: see
# benchmarks/unexplained.py
_DOUBTFUL = (
    0.15, 0.1, "an empty volume",
    "check the directions, their order and the background; a sample may also scatter or absorb too strongly",
)  # fmt: skip
_DOUBTFUL_FRAME = 0.02


class IdtJob(Job[IdtState]):
    """The reconstruction of a volume of refractive index from one recording; see `Task.job`."""

    task = "idt"

    def __init__(self, recipe: IdtRecipe, data: IdtData, truth: TrueVolume | None = None) -> None:
        self.checksum = checksum(np.asarray(data.frames))
        self._left_out = LeftOut.of(recipe, len(data.frames) if data.frames.ndim == 3 else 0)
        with self._left_out.counting():
            self._prepare(recipe, data, truth)

    def _prepare(self, recipe: IdtRecipe, data: IdtData, truth: TrueVolume | None) -> None:
        frames = np.asarray(data.frames)
        self.recipe: IdtRecipe = with_file_facts(recipe, data)
        check_frames_first(frames.shape, len(self.recipe.illuminations), self.recipe.axes)
        self.recipe.check_complete(len(frames) if frames.ndim == 3 else 0)
        self.device = devices.choose_device(recipe.device)
        if frames.ndim == 3:  # anything else is refused below
            self.memory = plan(self.recipe, frames.shape)
            self.memory.check(self.device)
        if self._left_out.numbers and recipe.transfer_functions is not None:
            raise RecipeError("{field} and {field:transfer_functions} exclude each other; remove one", "leave_out")
        data = without(data, self._left_out)
        frames = np.asarray(data.frames)
        check_frames(frames)
        shape = (recipe.slice_count, frames.shape[1], frames.shape[2])
        doubts = optics_doubts(self.recipe, shape[1:])
        warnings = [*doubts, *repeated(frames)]
        data, unlit = self._lit(data)
        # from here on, frames without light are not counted
        counted_before = self._left_out.counted((*data.warnings, *warnings))
        counted_before += self._left_out.counted(_said_of(unlit))
        self._left_out = self._left_out.and_of_the_rest(unlit)
        contrast, warnings = contrast_of(self.recipe, data)
        warnings += of_one_light(contrast)
        self.recipe, repeats = with_surround(self.recipe, contrast, is_computed=data.transfer is None)
        warnings += repeats
        doubt = frames_last(frames.shape, self.recipe.axes)
        warnings += [] if doubt is None else [doubt]
        if truth is not None:
            check_truth(truth, shape)
        self.truth = truth
        # impossible optics are reported before any work is done
        models, more = self._models(data, shape)
        warnings += more
        prior, solver, expected, calibration = recipe.regularization, recipe.solver, 0, None
        about_optics = findings(models.geometry, models.illumination) if isinstance(models, ComputedModels) else []
        if isinstance(models, ComputedModels):
            warnings += drift(self.recipe, contrast, models.illumination)
            if not doubts:  # further warnings would be consequences
                warnings += [line.sentence for line in about_optics if line.level != "good"]
                expected, more = expected_sign(recipe, models, torch.from_numpy(contrast))
                warnings += more
            if recipe.calibration.wanted:
                calibration = IlluminationCalibration.of(recipe.calibration, models)
        priors = VolumePriors(
            tikhonov=prior.tikhonov or 0.0,
            tv=prior.tv or 0.0,
            sign_re=sign_of_sample(prior.sign, expected) if prior.positivity and solver != "tikhonov" else 0,
            sign_im=1 if prior.positive_absorption and solver != "tikhonov" else 0,
        )
        tv = TotalVariation.of_voxels(*self.recipe.voxel_um[:2])
        full, more = saturated_in(self.recipe, data)
        warnings += more
        self._findings = [*about_optics, saturation(full, self.recipe.saturated)]
        padding, wide = None, models
        if isinstance(models, ComputedModels) and (width := width_px(self.recipe, models.geometry)):
            self.memory = plan(self.recipe, frames.shape)
            self.memory.check(self.device)
            padding = Padding(shape[1:], "unknown", width)
            wide = models.of_size(*padding.padded_shape)
        there = torch.from_numpy(contrast).to(self.device)
        at_least = None if full is None else torch.from_numpy(full).to(self.device)
        problem = VolumeProblem(wide.linear(), there, priors, tv, at_least=at_least, padding=padding)
        self.warnings = (*counted_before, *self._left_out.counted(warnings))
        self.notes = data.notes
        illumination = () if data.transfer is not None else self._illumination().frames
        directions = [[[source.na_y, source.na_x] for source in sources] for sources in illumination]
        self._frames = frame_list(self._left_out.kept, data.files, {"na_yx": directions})
        self._first = IdtState(wide, problem, calibration=calibration)

    def _models(self, data: IdtData, shape: tuple[int, int, int]) -> tuple[Models, list[str]]:
        recipe, frames = self.recipe, len(data.frames)
        if data.transfer is not None:
            return GivenModels(data.transfer, recipe.slices(shape), frames, self.device), []
        return computed_models(recipe, self._illumination(), shape, self.device)

    def _illumination(self) -> Illumination:
        return self.recipe.illumination(self._left_out.frames).without(self._left_out.numbers)

    def _lit(self, data: IdtData) -> tuple[IdtData, list[int]]:
        """Return the data without frames that have no light, and the positions of these frames."""
        unlit = without_light(np.asarray(data.frames), self.recipe.background_offset)
        if unlit and (self.recipe.transfer_functions is not None or self.recipe.calibration.wanted):
            raise InputError(
                f"There is {_noise_in(unlit)}; take them out of the stack, and out of the list of illuminations"
            )
        return without(data, LeftOut(len(data.frames), tuple(unlit))), unlit

    def findings(self) -> Sequence[Finding]:
        """Return what optics, illumination and saturation allow."""
        return self._findings

    def begin(self) -> IdtState:
        """Return the state with the data and a linear model."""
        return self._first

    def stages(self) -> Sequence[Stage[IdtState]]:
        """Return the stages in order."""
        return list(IdtStages(self.recipe))

    def follow(self, previous: IdtState) -> IdtState:
        """Return the state with illumination, model, weights and volume of the previous recording."""
        return self._first.following(previous)

    def later_stages(self) -> Sequence[Stage[IdtState]]:
        """Return only the stages of the solver and of the uncertainty."""
        return list(IdtStages(self.recipe).later())

    def preview(self, state: IdtState) -> tuple[NamedArray, ...]:
        """Return the real part of the index of a state."""
        return () if state.volume is None else self._index(state.seen)[:1]

    def outcome(self, state: IdtState, record: RunRecord) -> Outcome:
        """Return the refractive index and the residual of a state."""
        volume, problem, recipe = state.volume, state.explained, self.recipe
        if volume is None:
            raise DinerError("There is no volume yet; let the reconstruction continue for a moment")
        contrast = state.seen
        n_re, n_im = self._index(contrast)
        data = problem.data.cpu().numpy()
        with torch.no_grad():
            residual = problem.residual(volume, problem.frames).cpu().numpy()
        priors = problem.priors
        unexplained = Unexplained.of(residual, data)
        residual_rms = float(np.sqrt(np.mean(np.square(residual, dtype=np.float64))))
        figures: dict[str, object] = {
            **unexplained.figures(),
            "solver": recipe.solver,
            "model": "born" if isinstance(problem.model, LinearModel) else "multislice",
            # of the intensities, in units of the background
            "measurement_psnr_db": psnr_db(residual, float(np.ptp(data))),
            "measurement_peak": float(np.ptp(data)),
            "residual_rms": residual_rms,
            "data_rms": float(np.sqrt(np.mean(np.square(data, dtype=np.float64)))),
            "frames": self._frames,
            "peak_phase_rad": problem.linear.peak_phase(contrast),
            "parameters": sum(part.numel() for part in state.parameters.values()) or volume.numel(),
            "regularization": {
                "tikhonov": priors.tikhonov,
                "tv": priors.tv,
                "positivity": priors.sign_re != 0,
                "sign": {1: "positive", -1: "negative", 0: None}[priors.sign_re],
                "positive_absorption": priors.sign_im != 0,
            },
            "choices": {name: asdict(choice) for name, choice in state.choices.items()},
        }
        if problem.padding is not None:
            figures["surround"] = {"object_px": problem.padding.padded_shape, "before_px": problem.padding.before}
        if self._left_out.numbers:
            figures["left_out"] = [number + 1 for number in self._left_out.numbers]
        if state.calibration is not None:
            figures["calibration"] = state.calibration.report()
        if self.truth is not None:
            figures["truth"] = score(n_re.data, n_im.data, self.truth, recipe.medium_index)
        figures |= record.reconstruction
        uncertainties: tuple[NamedArray, ...] = ()
        if state.uncertainty is not None:
            uncertainties = uncertainty_volumes(state.uncertainty, recipe.voxel_um)
            figures[UNCERTAINTY] = uncertainty_report(state.uncertainty, state.models, recipe, residual_rms)
        warnings = unexplained.warnings(*_DOUBTFUL)
        warnings += unexplained.frame_warnings(_DOUBTFUL_FRAME, "direction, alignment and background")
        if recipe.uncertainty.map and record.timed_out and state.uncertainty is None:
            warnings.append("no time was left for the uncertainty; raise max_seconds, or lower uncertainty.samples")
        if state.is_strong and state.is_multiply_scattering:
            figures["method"] = "gauss-newton"
            warnings += warnings_of_reach(unexplained, problem.linear.peak_phase(contrast))
        if not state.is_multiply_scattering:
            warnings += warnings_of_phase(state)
        # parameters of the network if there is one, otherwise the contrast
        weights = {name.removeprefix("field."): value for name, value in state.parameters.items()}
        return Outcome(
            arrays=(n_re, n_im, *uncertainties, NamedArray("residual", residual, "NYX", (1.0, *recipe.voxel_um[1:]))),
            figures=figures,
            warnings=self._left_out.counted([*warnings, *state.warnings]),
            weights={name: value.cpu().numpy() for name, value in (weights or {"contrast": contrast}).items()},
        )

    def _index(self, contrast: Tensor) -> tuple[NamedArray, NamedArray]:
        n_re, n_im = (
            NamedArray(name, part.float().cpu().numpy(), "ZYX", self.recipe.voxel_um)
            for name, part in zip(("n_re", "n_im"), refractive_index(contrast, self.recipe.medium_index), strict=True)
        )
        return n_re, n_im


def _noise_in(unlit: Sequence[int]) -> str:
    return f"nothing but noise, as without light, in {numbered(unlit)}"


def _said_of(unlit: Sequence[int]) -> list[str]:
    verb = "is" if len(unlit) == 1 else "are"
    return [f"there is {_noise_in(unlit)}, which {verb} left out"] if unlit else []
