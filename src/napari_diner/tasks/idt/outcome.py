"""Images, figures and warnings of a reconstructed volume."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
from torch import Tensor

from napari_diner.errors import NoResultError
from napari_diner.io.arrays import NamedArray
from napari_diner.physics.idt.base import IDTModel
from napari_diner.physics.idt.contrast import refractive_index
from napari_diner.physics.idt.linear import LinearModel
from napari_diner.physics.idt.ssnp import SSNPModel
from napari_diner.solvers.idt.weight_choice import noise_level
from napari_diner.tasks.blurred_frames import blurred_frames, warnings_of_blur
from napari_diner.tasks.frame_doubts import frame_doubts
from napari_diner.tasks.idt.extent import warnings_of_ends
from napari_diner.tasks.idt.optics import ComputedModels, prediction_seconds
from napari_diner.tasks.idt.patterns_left import static_left
from napari_diner.tasks.idt.plausibility import warnings_of_medium
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.recording import IdtRecording
from napari_diner.tasks.idt.rival import Comparison
from napari_diner.tasks.idt.stages import LINEAR_PHASE_RAD, warnings_of_phase
from napari_diner.tasks.idt.state import IdtState
from napari_diner.tasks.idt.strong import warnings_of_reach
from napari_diner.tasks.idt.truth import score
from napari_diner.tasks.job import Outcome, RunRecord
from napari_diner.tasks.report import mean_square, psnr_db
from napari_diner.tasks.stripes_left import stripes_left
from napari_diner.tasks.unexplained import Unexplained
from napari_diner.wording import percent

Frames = npt.NDArray[np.float32]
# with the right geometry strong samples leave up to 0.13 unexplained, weak ones 0.01; a wrong one 0.18 or more: see
# benchmarks/unexplained.py
_DOUBTFUL = (
    0.15, 0.1, "an empty volume",
    "check the directions, their order, pixel size, NA and background; a sample may scatter or absorb too strongly",
)  # fmt: skip
_DOUBTFUL_FRAME, _CHECK = 0.02, "direction, alignment and background"
# share beyond noise that is left with a tenth of the penalty: at most 0.044 with the right directions, in fields that
# continue beyond their edges, and at least 0.06 if they are turned by 15° or reversed
_OF_PENALTY = 0.05
# time for the score of a run that was ended early, and the fewest frames for it
_SCORING_S, _FEWEST_SCORED = 0.3, 4
# largest share for a volume whose shape means something
_MOSTLY_EXPLAINED = 0.5
# part of saturated pixels from which noise does not tell which detail of a volume is that of a sample
_MOST_BOUNDED = 0.05


def no_volume() -> NoResultError:
    """Return the error of a result that is wanted before there is one."""
    return NoResultError("There is no volume yet; let the reconstruction continue for a moment")


def index_of(contrast: Tensor, recipe: IdtRecipe) -> tuple[NamedArray, NamedArray]:
    """Return the refractive index of a contrast (2, Z, Y, X), real and imaginary part."""
    volumes = [np.empty(contrast.shape[1:], np.float32) for _ in range(2)]
    for place in range(contrast.shape[1]):  # complex numbers for one slice only
        for volume, part in zip(volumes, refractive_index(contrast[:, place], recipe.medium_index), strict=True):
            volume[place] = part.float().cpu().numpy()
    n_re, n_im = (
        NamedArray(name, volume, "ZYX", recipe.voxel_um) for name, volume in zip(("n_re", "n_im"), volumes, strict=True)
    )
    return n_re, n_im


def scored_frames(model: IDTModel, record: RunRecord, late_s: float | None = None) -> list[int] | None:
    """Return the frames by which a volume is scored: all, None, or some if a run is ended early, and wants no waiting.

    Parameters
    ----------
    model
        The model of the volume.
    record
        Progress of the run.
    late_s
        Seconds that may be spent on it after the time limit; None for no limit.
    """
    allowed = math.inf if late_s is None or not record.timed_out else max(late_s, _SCORING_S)
    share = (allowed if record.finished else _SCORING_S) / max(prediction_seconds(model), 1e-9)
    count = model.frames if share >= 1 else max(round(share * model.frames), _FEWEST_SCORED)
    if count >= model.frames:
        return None
    return [(2 * place + 1) * model.frames // (2 * count) for place in range(count)]


def outcome_of(
    recording: IdtRecording,
    state: IdtState,
    contrast: Tensor,
    data: Frames,
    residual: Frames,
    record: RunRecord,
    *,
    is_sampled: bool = False,
    comparison: Comparison | None = None,
) -> Outcome:
    """Return the outcome of a volume within the field of view.

    Parameters
    ----------
    recording
        The recording.
    state
        With the model, the weights and the calibration that led to the volume.
    contrast
        Contrast, (2, Z, Y, X).
    data, residual
        g, and the difference of the model from it, (N, Y, X).
    record
        Progress of the run.
    is_sampled
        Whether data and residual are those of `scored_frames` only. Nothing is said about single frames then, and the
        residual is no image of the result.
    comparison
        A representation beside the volume before it.
    """
    problem, recipe, left_out = state.explained, recording.recipe, recording.left_out
    n_re, n_im = index_of(contrast, recipe)
    priors = problem.priors
    unexplained = Unexplained.of(residual, data)
    phase = problem.linear.peak_phase(contrast)
    figures: dict[str, object] = {
        **unexplained.figures(),
        "solver": recipe.solver,
        "model": "born" if isinstance(problem.model, LinearModel) else "multislice",
        # of the intensities, in units of the background
        "measurement_psnr_db": psnr_db(residual, float(np.ptp(data))),
        "measurement_peak": float(np.ptp(data)),
        "residual_rms": mean_square(residual) ** 0.5,
        "data_rms": mean_square(data) ** 0.5,
        "frames": recording.frames,
        "peak_phase_rad": phase,
        "parameters": contrast.numel(),
        "regularization": {
            "tikhonov": priors.tikhonov,
            "tv": priors.tv,
            "positivity": priors.sign_re != 0,
            "sign": {1: "positive", -1: "negative", 0: None}[priors.sign_re],
            "positive_absorption": priors.sign_im != 0,
        },
        "choices": {name: asdict(choice) for name, choice in state.choices.items()},
    }
    if recording.used.numbers:
        figures["left_out"] = [number + 1 for number in recording.used.numbers]
    if state.calibration is not None:
        figures["calibration"] = state.calibration.report()
    if recording.truth is not None:
        figures["truth"] = score(n_re.data, n_im.data, recording.truth, recipe.medium_index)
    figures |= record.reconstruction
    is_described = state.is_multiply_scattering or phase <= LINEAR_PHASE_RAD
    first = recording.first_cure or record.first_cure
    static, stripes = list[str](), list[str]()
    if not is_sampled and not recording.first_cure:  # changes of the values leave patterns, too
        is_weak, beyond = phase <= LINEAR_PHASE_RAD, state.dark is not None
        static = static_left(
            residual,
            data,
            unexplained,
            recipe.background,
            is_weak=is_weak,
            is_described=is_described and not beyond,
            first=record.first_cure,
        )
        stripes = [] if static or beyond else stripes_left(residual, data)
    of_penalty = [] if static else _of_penalty(state, unexplained, data)
    warnings = static or ([] if of_penalty else unexplained.warnings(*_DOUBTFUL, first=first))
    warnings = [*stripes, *warnings]
    dark, beside = state.dark, state.brightness
    behind = [] if comparison is None else comparison.warnings()
    if comparison is not None:
        figures["start_unexplained"] = comparison.rival.share
    of_frames, remarks, disturbs = list[str](), list(of_penalty), False
    # wrong directions or optics leave what looks like the faults of single frames, and blur the volume along z
    is_misled = record.is_suspected and recording.doubts_geometry
    if is_sampled:
        figures["scored_frames"] = len(residual)
        remarks.append(f"as the run ended early, the score is that of {len(residual)} of {problem.model.frames} frames")
    elif dark is None:
        # single scattering leaves much where strong samples are cut by the edges
        named = frozenset[int]()
        if is_described and not is_misled:
            levels, cure = [1.0] * len(data), "leave these frames out (leave_out), or crop the field"
            doubts = frame_doubts(residual, -data, unexplained, levels, cure=cure, oblique=True)
            blurred = [one for one in blurred_frames(doubts.spectra) if one[0] not in doubts.unlike]
            warnings = [*doubts.texts, *warnings, *warnings_of_blur(blurred)]
            named, disturbs = doubts.named | {number for number, _ in blurred}, doubts.disturbs
        may_be_odd = not (disturbs or is_misled)
        of_frames = unexplained.frame_warnings(_DOUBTFUL_FRAME, _CHECK, named) if may_be_odd else []
    elif beside is None:  # the residual is that of bright field
        of_frames = unexplained.frame_warnings(_DOUBTFUL_FRAME, _CHECK)
        warnings.append("no time was left for the dark-field frames; raise max_seconds, or lower iterations")
    else:
        places = list(dark.places)
        of_bright = (np.delete(images, places, axis=0) for images in (residual, data))
        of_frames = Unexplained.of(*of_bright).frame_warnings(_DOUBTFUL_FRAME, _CHECK)
        of_dark = Unexplained.of(residual[places], data[places])
        final = problem.model.brightness(state.estimate) if isinstance(problem.model, SSNPModel) else beside.factors
        figures["dark_field"] = dark.report(beside, final, of_dark.share)
    warnings += of_frames
    if behind:
        # what another volume explains is no fault of the data
        explains = comparison is not None and not comparison.rival.is_doubtful(*_DOUBTFUL[:2])
        warnings = [*behind, *([] if explains else warnings)]
    is_explained = False
    if state.is_strong and state.is_multiply_scattering:
        figures["method"] = "gauss-newton"
        of_reach = warnings_of_reach(unexplained, phase)
        warnings += [] if behind else of_reach
        # suspicions come from single scattering, which does not describe such samples
        is_explained = not (of_reach or is_sampled)
    # whoever ends a run early does not want to wait, and this takes seconds with many frames
    is_clear = record.finished and not (first or disturbs or is_misled) and unexplained.share < _MOSTLY_EXPLAINED
    if is_clear and isinstance(state.models, ComputedModels):
        models, weight = state.models.of_size(*contrast.shape[2:]), priors.tikhonov or None
        warnings += warnings_of_ends(
            models, contrast[0], problem.data, noise_level(problem.linear, problem.data), weight
        )
    if not state.is_multiply_scattering:
        warnings += warnings_of_phase(state, phase)
    if unexplained.share < _MOSTLY_EXPLAINED:
        warnings += warnings_of_medium(recipe.medium_index, float(n_re.data.max()))
    images = [] if is_sampled else [NamedArray("residual", residual, "NYX", (1.0, *recipe.voxel_um[1:]))]
    return Outcome(
        arrays=(n_re, n_im, *images),
        remarks=remarks,
        figures=figures,
        warnings=left_out.counted([*warnings, *state.warnings]),
        weights={"contrast": contrast.cpu().numpy()},
        refutes_suspicions=is_explained,
    )


def _of_penalty(state: IdtState, unexplained: Unexplained, data: Frames) -> list[str]:
    """Return a remark if the penalty of the closed form is why it leaves much of the data unexplained."""
    loosened = state.loosened
    if loosened is None or unexplained.share >= 1 or not unexplained.is_doubtful(*_DOUBTFUL[:2]):
        return []
    noise = noise_level(state.problem.linear, state.problem.data) ** 2 / (mean_square(data) or 1.0)
    if loosened > _OF_PENALTY + noise:
        return []
    return [
        f"{percent(unexplained.share)} of the variation of the data is left unexplained, as the weight of the closed "
        f"form, which keeps out noise, holds back detail: a tenth of it leaves {percent(loosened)}; the solver voxels "
        "explains more"
    ]
