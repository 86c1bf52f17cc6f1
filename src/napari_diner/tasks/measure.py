"""Measurements of the regions of a label image: area or volume, phase or index, dry mass. Does not import torch."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from napari_diner.errors import InputError, RecipeError
from napari_diner.io.arrays import NamedArray
from napari_diner.tasks.idt.recipe import IdtRecipe
from napari_diner.tasks.idt.regions import Column, Labels, index_columns
from napari_diner.tasks.lensless.phase_output import unwrap
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.report import Report
from napari_diner.tasks.result import Result

REFRACTION_INCREMENT = 0.19
"""Refractive index per concentration of protein, α in mL/g: 0.18 to 0.21 (Barer, Nature 169, 366 (1952))."""
INCREMENTS = (0.05, 0.5)
"""Plausible range of α."""
MEASURED = ("phase", "n_re")
"""The arrays of results that can be measured."""


def measure(
    result: Result, labels: npt.NDArray[np.generic], increment: float = REFRACTION_INCREMENT
) -> dict[str, Column]:
    """Measure the regions of a label image in a result.

    In a phase image φ, the phase of a region is relative to the median of the unlabelled background, and its dry mass
    is ``m = λ/(2πα) ∫ φ dA`` (Barer, Nature 169, 366 (1952)). In a volume of the index n in a medium of the index
    n₀, it is ``m = 1/α ∫ (n − n₀) dV``. With α in mL/g, which is µm³/pg, and lengths in µm, masses are in pg.

    Parameters
    ----------
    result
        Of a lensless or IDT reconstruction.
    labels
        Integers of the shape of the phase, (Y, X), or of the index, (Z, Y, X); zero is background.
    increment
        Refraction increment α in mL/g.

    Returns
    -------
    dict[str, ndarray]
        One entry for each label in each column: ``label``, the centroid ``y_um``, ``x_um`` (and ``z_um``), and

        - of a phase: ``area_um2``, ``mean_phase_rad``, ``phase_volume_rad_um2`` (∫ φ dA), ``dry_mass_pg``, the latter
          three with a standard error (``_se``) if the result has an ``uncertainty``;
        - of an index: ``volume_um3``, ``surface_um2``, ``mean_index``, ``optical_volume_um3`` (∫ (n − n₀) dV),
          ``dry_mass_pg``; with an uncertainty, the latter three with a standard error by noise (``_se``), and all with
          a stated error that includes what is systematic (``_error``), see `napari_diner.tasks.idt.regions`.

    Raises
    ------
    InputError
        If the result has neither phase nor index, or the labels do not fit it.
    RecipeError
        If the refraction increment is implausible.
    """
    low, high = INCREMENTS
    if not low <= increment <= high:
        raise RecipeError(
            f"{{field}} is {increment:g} mL/g, but for cells it is about {REFRACTION_INCREMENT:g}; choose a value from "
            f"{low:g} to {high:g}",
            "refraction_increment",
        )
    arrays = {array.name: array for array in result.arrays}
    recipe = result.recipe
    if isinstance(recipe, LenslessRecipe) and "phase" in arrays and recipe.wavelength_um is not None:
        return _of_phase(arrays, result.report, labels, recipe.wavelength_um / (2 * math.pi * increment))
    if isinstance(recipe, IdtRecipe) and "n_re" in arrays:
        return _of_index(arrays, result.report, labels, recipe, increment)
    raise InputError("The result holds neither a phase nor an index to measure; give one of lensless or idt")


def _of_phase(
    arrays: Mapping[str, NamedArray], report: Report, labels: npt.NDArray[np.generic], mass_per_volume: float
) -> dict[str, Column]:
    image = arrays["phase"]
    regions = _checked(labels, image)
    phase = arrays["unwrapped_phase"].data if "unwrapped_phase" in arrays else unwrap(image.data)
    outside = regions == 0
    if not outside.any():
        raise InputError("The labels leave no background, whose phase counts as zero; label the objects only")
    phase = phase - np.median(phase[outside])
    table, mean = _table(regions, image, phase)
    size = table.pop("size")
    table |= {"area_um2": size, "mean_phase_rad": mean, "phase_volume_rad_um2": mean * size}
    table["dry_mass_pg"] = mass_per_volume * mean * size
    if "uncertainty" in arrays:
        error = _mean_error(regions, arrays["uncertainty"], report, size, math.prod(image.scale_um) * outside.sum())
        table |= {
            "mean_phase_rad_se": error,
            "phase_volume_rad_um2_se": error * size,
            "dry_mass_pg_se": mass_per_volume * error * size,
        }
    return table


def _of_index(
    arrays: Mapping[str, NamedArray],
    report: Report,
    labels: npt.NDArray[np.generic],
    recipe: IdtRecipe,
    increment: float,
) -> dict[str, Column]:
    image = arrays["n_re"]
    regions = _checked(labels, image)
    table, _ = _table(regions, image, np.asarray(image.data, np.float64))
    table.pop("size")
    resolution_um = None
    if recipe.wavelength_um is not None and recipe.na is not None:
        resolution_um = recipe.wavelength_um / (2 * recipe.na)
    table |= index_columns(arrays, report, regions, recipe.medium_index, resolution_um)
    for suffix in ("", "_se", "_error"):
        if (optical := table.get(f"optical_volume_um3{suffix}")) is not None:
            table[f"dry_mass_pg{suffix}"] = optical / increment
    return table


def doubts(result: Result) -> list[str]:
    """Return warnings about the measurement of a result: sentences without a full stop."""
    is_index = isinstance(result.recipe, IdtRecipe)
    if is_index and not result.report.get("regularization", {}).get("positivity", True):
        return [
            "the mean index of each slice is not in the data, so that without positivity the mean index, the optical "
            "volume and the dry mass of a region are too low by an unknown part; use the solver voxels with positivity"
        ]
    return []


def _table(regions: Labels, image: NamedArray, values: npt.NDArray[np.floating]) -> tuple[dict[str, Column], Column]:
    """Return label, centroid and size of each region, and the mean of the values in it."""
    from skimage.measure import regionprops_table  # slow to import

    properties = regionprops_table(  # type: ignore[no-untyped-call]
        regions, values.astype(np.float64), ("label", "centroid", "area", "intensity_mean"), spacing=image.scale_um
    )
    table = {"label": properties["label"]}
    table |= {f"{axis.lower()}_um": properties[f"centroid-{number}"] for number, axis in enumerate(image.axes)}
    return table | {"size": properties["area"]}, np.asarray(properties["intensity_mean"], np.float64)


def _mean_error(regions: Labels, sigma: NamedArray, report: Report, size: Column, outside_um2: float) -> Column:
    """Return the standard error of the mean phase of each region above that of the background.

    The errors of an octave of spatial frequencies are correlated within a period p; their mean over the area A has the
    variance ``σ²/max(A/p², 1)``. The octaves and their σ are those of the report, scaled to the variance in the region.
    This is an upper estimate, as errors of periods that fit into a region cancel.
    """
    variance = _table(regions, sigma, sigma.data.astype(np.float64) ** 2)[1]
    octaves = report["uncertainty"]["bands"]
    total = sum(octave["phase_sigma_rad"] ** 2 for octave in octaves)

    def of_mean(area_um2: Column) -> Column:
        squares = np.zeros_like(area_um2)
        for octave in octaves:
            # the lowest band has no lower limit
            cells = area_um2 * octave["low_per_um"] * octave["high_per_um"]
            squares += octave["phase_sigma_rad"] ** 2 / np.maximum(cells, 1)
        return squares

    background = of_mean(np.array([outside_um2]))
    error: Column = np.sqrt(variance / max(total, 1e-300) * of_mean(size) + background)
    return error


def _checked(labels: npt.NDArray[np.generic], image: NamedArray) -> Labels:
    """Return labels as integers of the shape of an image.

    Raises
    ------
    InputError
        If they have another shape, are not whole numbers, are negative, or label nothing.
    """
    labels = np.squeeze(labels)
    if labels.shape != image.data.shape:
        ours, theirs = ("×".join(map(str, shape)) for shape in (image.data.shape, labels.shape))
        raise InputError(f"The labels have {theirs} pixels but {image.name} has {ours}; label that image")
    if labels.dtype.kind not in "biuf" or not np.array_equal(labels, np.round(labels.astype(np.float64))):
        raise InputError("The labels are not whole numbers; give an image with one number for each region")
    if labels.min() < 0:
        raise InputError("The labels contain negative numbers; number regions from 1, and the background 0")
    if not labels.any():
        raise InputError("The labels are zero everywhere; number the regions to measure from 1")
    return labels.astype(np.int64)


def to_csv(table: Mapping[str, Column]) -> str:
    """Return a table of regions as text, with a line of titles; numbers keep six digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    writer.writerows([f"{value:.6g}" for value in row] for row in zip(*table.values(), strict=True))
    return text.getvalue()
