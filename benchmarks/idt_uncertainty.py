"""Coverage of the error bars of a refractive index, and of the dry mass of cells.

Frames of a simulated cell are recorded again and again with other noise, and reconstructed with the weights of the
first run. The bars of a run cover if the mean of the others is within two of them: a bar is for noise only, and the
difference between this mean and the true index, which is listed beside it, is due to the missing cone and the priors.
Voxels outside the cell are counted separately, as many of them are zero in every volume. The bar of an octave is that
of the report; it covers if the deviation of a run from the mean has a root mean square within it, times 1.2.

With --mass, each recording is of another cell. The label is the voxels that the true cell fills by half, or what the
index of the reconstruction shows of it (Otsu's threshold). The stated error of the dry mass is two standard errors.

    python benchmarks/idt_uncertainty.py -o results                       # 50 repeats, hours
    python benchmarks/idt_uncertainty.py --repeats 6 --size 48 --slices 12 --solvers tikhonov -o results
    python benchmarks/idt_uncertainty.py --mass -o results                # 50 cells
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skimage.filters import threshold_otsu

from napari_diner.physics.bands import band_mask, octaves
from napari_diner.simulate.idt.recording import IdtSample, simulate
from napari_diner.simulate.idt.settings import IdtSimulation
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.task import IdtTask
from napari_diner.tasks.measure import measure
from napari_diner.tasks.result import Result
from napari_diner.tasks.task import Frames
from output import table, write

SLACK = 1.2
SOLVERS = ("tikhonov", "voxels")


def recipe_of(settings: IdtSimulation, solver: str) -> IdtRecipe:
    """Return the recipe of a simulated recording."""
    return IdtRecipe.parse(
        {
            "wavelength_um": settings.wavelength_um, "pixel_size_um": settings.pixel_size_um, "na": settings.na,
            "medium_index": settings.medium_index, "slice_spacing_um": settings.slice_spacing_um,
            "slice_count": settings.slices, "background": "ratio", "ring": {"na": settings.ring_na}, "solver": solver,
        }
    )  # fmt: skip


def reconstructed(recipe: IdtRecipe, frames: Any) -> Result:
    """Return the result of a run."""
    with IdtTask().start(recipe, Frames(frames)) as run:
        for _ in run:
            pass
        return run.result()


def coverage(settings: IdtSimulation, solver: str, repeats: int, samples: int) -> dict[str, Any]:
    """Return the coverage over repeats of one recording."""
    clean = simulate(settings.model_copy(update={"noise_sigma": 0.0}))
    random = np.random.default_rng(settings.seed)
    recipe = recipe_of(settings, solver).updated({"uncertainty": {"map": True, "samples": samples}})
    indices, sigmas, results = [], [], []
    for _ in range(repeats):
        noise = settings.noise_sigma * random.standard_normal(clean.frames.shape)
        result = reconstructed(recipe, (clean.frames + noise).astype(np.float32))
        indices.append(result["n_re"].data), sigmas.append(result["n_uncertainty"].data), results.append(result.report)
        weights = result.report["regularization"]
        # repeats with the same weights
        weight = "tikhonov" if solver == "tikhonov" else "tv"
        recipe = recipe.updated({"regularization": {weight: weights[weight]}, "model": result.report["model"]})
    index, sigma = np.stack(indices).astype(np.float64), np.stack(sigmas)
    # of the mean without the run itself, which has an error of its own
    others = (index.sum(0) - index) / (repeats - 1)
    covered = np.abs(index - others) <= 2 * sigma * np.sqrt(1 + 1 / (repeats - 1))
    inside = clean.phantom.inside
    bands = _of_bands(index - index.mean(0), results, settings)
    return {
        "solver": solver, "model": recipe.model, "repeats": repeats, "samples": samples,
        "covered_inside": float(covered[:, inside].mean()), "covered_outside": float(covered[:, ~inside].mean()),
        "sigma_rms": float(np.sqrt(np.mean(sigma[:, inside] ** 2))),
        "scatter_rms": float(index.std(0, ddof=1)[inside].mean()),
        "bias_rms": float(np.sqrt(np.mean((index.mean(0) - clean.phantom.n_re)[inside] ** 2))),
        "prior_change_rms": float(np.sqrt(np.mean(result["n_prior_change"].data[inside] ** 2))),
        "seconds": [report["seconds"] for report in results],
        "bands": bands,
    }  # fmt: skip


def _of_bands(errors: Any, reports: list[Any], settings: IdtSimulation) -> list[dict[str, float]]:
    shape = errors.shape[-2:]
    fy = np.fft.fftfreq(shape[0], settings.pixel_size_um)[:, None]
    fx = np.fft.rfftfreq(shape[1], settings.pixel_size_um)[None]
    frequency, spectra = torch.from_numpy(np.hypot(fy, fx)), np.fft.rfft2(errors)
    rows = []
    for place, band in enumerate(octaves(shape, settings.pixel_size_um)):
        part = np.fft.irfft2(spectra * band_mask(band, frequency).numpy(), s=shape)
        rms = np.sqrt((part**2).mean((1, 2, 3)) * len(errors) / (len(errors) - 1))
        bars = np.array([report["uncertainty"]["bands"][place]["n_sigma"] for report in reports])
        rows.append(
            {"low_per_um": band.low, "high_per_um": band.high, "scatter": float(np.sqrt(np.mean(rms**2))),
             "bar": float(bars.mean()), "covered": float((rms <= SLACK * bars).mean())}
        )  # fmt: skip
    return rows


def masses(settings: IdtSimulation, solver: str, cells: int, samples: int) -> dict[str, Any]:
    """Return the dry masses of cells with their errors, and the true ones."""
    rows = []
    for seed in range(cells):
        sample = simulate(settings.model_copy(update={"seed": seed}))
        recipe = recipe_of(settings, solver).updated({"uncertainty": {"map": True, "samples": samples}})
        result = reconstructed(recipe, sample.frames)
        rows.append({"seed": seed, **_mass(sample, result)})
        print(json.dumps(rows[-1]), flush=True)
    kinds = ("true_label", "own_label")
    covered = {
        kind: float(np.mean([abs(row[kind]["off_pg"]) <= row[kind]["error_pg"] for row in rows])) for kind in kinds
    }
    return {"solver": solver, "cells": rows, "covered": covered}


def _mass(sample: IdtSample, result: Result) -> dict[str, Any]:
    """Return mass, error and truth by the true label, and by one made from the reconstruction."""
    n_re, medium = result["n_re"].data, sample.settings.medium_index
    voxel = float(np.prod(result["n_re"].scale_um))
    truth = float((sample.phantom.n_re.astype(np.float64) - medium).sum()) * voxel / 0.19
    labels = {"true_label": sample.phantom.inside, "own_label": n_re - medium > threshold_otsu(n_re - medium) / 2}
    answer: dict[str, Any] = {"true_pg": truth, "model": result.report["model"], "seconds": result.report["seconds"]}
    for kind, label in labels.items():
        row = {name: float(column[0]) for name, column in measure(result, label.astype(np.int32)).items()}
        noise, total = row["dry_mass_pg_se"], row.get("dry_mass_pg_error", 0.0)
        answer[kind] = {
            "mass_pg": row["dry_mass_pg"], "off_pg": row["dry_mass_pg"] - truth, "noise_pg": 2 * noise,
            "error_pg": total,
        }  # fmt: skip
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=50, help="repeats, or cells")
    parser.add_argument("--samples", type=int, default=8, help="samples of the noise in each run")
    parser.add_argument("--size", type=int, default=96, help="pixels across")
    parser.add_argument("--slices", type=int, default=24)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--phase", type=float, default=0.3, help="peak phase of the cell in rad")
    parser.add_argument("--noise", type=float, default=0.005)
    parser.add_argument("--model", choices=["born", "multislice"], default="multislice", help="of the simulation")
    parser.add_argument("--solvers", nargs="+", choices=SOLVERS, default=SOLVERS)
    parser.add_argument("--mass", action="store_true", help="dry mass of different cells")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the table and the numbers")
    given = parser.parse_args()
    settings = IdtSimulation(
        height_px=given.size, width_px=given.size, slices=given.slices, frames=given.frames,
        peak_phase_rad=given.phase, noise_sigma=given.noise, model=given.model,
    )  # fmt: skip
    rows: list[list[Any]] = []
    if given.mass:
        answers = [masses(settings, solver, given.repeats, given.samples) for solver in given.solvers]
        for answer in answers:
            for kind in ("true_label", "own_label"):
                off = np.array([row[kind]["off_pg"] for row in answer["cells"]])
                true = np.array([row["true_pg"] for row in answer["cells"]])
                errors = np.array([[row[kind]["noise_pg"], row[kind]["error_pg"]] for row in answer["cells"]])
                rows.append(
                    [answer["solver"], kind, *(float(np.mean(part / true)) for part in (off, np.abs(off))),
                     *(float(np.mean(part / true)) for part in errors.T), answer["covered"][kind]]
                )  # fmt: skip
        text = table(["", "label", "bias", "off", "noise 2σ", "stated", "covered"], rows)
        write(given.output, "idt_mass", text, {"settings": settings.model_dump(), "solvers": answers})
        return
    answers = [coverage(settings, solver, given.repeats, given.samples) for solver in given.solvers]
    for answer in answers:
        rows.append(
            [answer["solver"], "voxels", answer["sigma_rms"], answer["scatter_rms"], answer["bias_rms"],
             answer["prior_change_rms"], answer["covered_inside"], answer["covered_outside"]]
        )  # fmt: skip
        for band in answer["bands"]:
            low, high = band["low_per_um"], band["high_per_um"]
            label = f"{1 / high:.2g} to {1 / low:.2g} µm" if low else f"above {1 / high:.2g} µm"
            rows.append([answer["solver"], label, band["bar"], band["scatter"], "", "", band["covered"], ""])
    text = table(["", "", "bar", "scatter", "bias", "prior", "covered", "outside"], rows)
    write(given.output, "idt_uncertainty", text, {"settings": settings.model_dump(), "solvers": answers})


if __name__ == "__main__":
    main()
