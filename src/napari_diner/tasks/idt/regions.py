"""Measurements of labelled regions of a refractive index, with their errors. Does not import torch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from napari_diner.io.arrays import Array, NamedArray
from napari_diner.tasks.report import Report

Column = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer]
Mask = npt.NDArray[np.bool_]

UNCERTAINTY, PRIOR_CHANGE, DEVIATIONS = "n_uncertainty", "n_prior_change", "n_deviations"
"""Arrays of a result: standard deviation of n_re by noise, its change with the priors, and samples of the noise."""
# position of the edge of a label that counts as uncertain, in units of the finest recorded period
_EDGE = 0.25
# smoothing of a label before its surface is triangulated, in voxels, against stairs
_SMOOTHING = 0.7


def index_columns(
    arrays: Mapping[str, NamedArray], report: Report, regions: Labels, medium_index: float, resolution_um: float | None
) -> dict[str, Column]:
    """Return volume, surface, mean index and optical volume of regions, with errors if there is an uncertainty.

    The standard error by noise (``_se``) is that of the sums of the samples ``n_deviations`` over the region, so that
    it includes the correlation of neighbouring voxels. The stated error (``_error``) is twice that, in quadrature
    with what is systematic: half the change as the edge of the label moves outwards and inwards by a quarter of the
    finest period that the recording contains, laterally and along z; the mean index outside all regions, which
    is zero without the missing cone, times the volume; and the change with the weights of the priors.

    Parameters
    ----------
    arrays
        Those of a result, by name.
    report
        Of the result. Without positivity, sums over regions are biased by more than could be stated, since the mean
        of each slice is not recorded: there is no ``_error`` then.
    regions
        A number for each region, (Z, Y, X); 0 is background.
    medium_index
        n0.
    resolution_um
        Finest recorded lateral period, λ/(2 NA); None if unknown.

    Returns
    -------
    dict[str, ndarray]
        A value for each region, in ascending order of the labels.
    """
    index = arrays["n_re"]
    contrast = index.data.astype(np.float64) - medium_index
    spacing = np.asarray(index.scale_um)
    deviations = arrays[DEVIATIONS].data if DEVIATIONS in arrays else None
    change = arrays[PRIOR_CHANGE].data if PRIOR_CHANGE in arrays else None
    edge_um = _edge_um(report, resolution_um)
    haze = _haze(contrast, regions, spacing, edge_um)
    rows = [
        _row(_Region(regions, number, spacing, edge_um), contrast, deviations, change, haze, medium_index)
        for number in np.unique(regions[regions > 0])
    ]
    return {name: np.array([row[name] for row in rows], np.float64) for name in rows[0]}


class _Region:
    """One region within its bounding box: its voxels, and those with the edge moved outwards and inwards."""

    def __init__(self, regions: Labels, number: int, spacing: Column, edge_um: Column | None) -> None:
        from scipy.ndimage import distance_transform_edt

        margin = np.ones(3, int) if edge_um is None else np.ceil(edge_um / spacing).astype(int) + 1
        places = np.nonzero(regions == number)
        self.box = tuple(
            slice(max(int(place.min()) - more, 0), int(place.max()) + more + 1)
            for place, more in zip(places, margin, strict=True)
        )
        within = regions[self.box]
        self.inside: Mask = within == number
        self.spacing = spacing
        self.voxel_um3 = float(np.prod(spacing))
        self.moved: tuple[Mask, Mask] | None = None
        if edge_um is not None:
            scaled = tuple(spacing / edge_um)
            grown = (distance_transform_edt(~self.inside, sampling=scaled) <= 1) & ((within == number) | (within == 0))
            # the end of the volume is no edge
            padded = np.pad(self.inside, 1, mode="edge")
            shrunk = distance_transform_edt(padded, sampling=scaled)[1:-1, 1:-1, 1:-1] > 1
            self.moved = grown, shrunk

    def sum(self, volume: Array, mask: Mask | None = None) -> float:
        """Return the integral over the region, or over another mask of its box, in units of the volume times µm³."""
        return float(volume[self.box][self.inside if mask is None else mask].sum(dtype=np.float64)) * self.voxel_um3

    def surface(self, mask: Mask) -> float:
        """Return the area of the surface of a mask of the box in µm²."""
        from scipy.ndimage import gaussian_filter
        from skimage.measure import marching_cubes, mesh_surface_area

        if not mask.any():
            return 0.0
        solid = np.pad(mask, 2).astype(np.float32)
        smooth = gaussian_filter(solid, _SMOOTHING)
        if smooth.max() > 0.5:
            solid = smooth
        vertices, faces, _, _ = marching_cubes(solid, 0.5, spacing=tuple(self.spacing))  # type: ignore[no-untyped-call]
        return float(mesh_surface_area(vertices, faces))  # type: ignore[no-untyped-call]


def _row(
    region: _Region, contrast: Array, deviations: Array | None, change: Array | None, haze: float | None, n0: float
) -> dict[str, float]:
    volume, optical = float(region.inside.sum()) * region.voxel_um3, region.sum(contrast)
    row = {
        "volume_um3": volume,
        "surface_um2": region.surface(region.inside),
        "mean_index": n0 + optical / volume,
        "optical_volume_um3": optical,
    }
    noise = 0.0
    if deviations is not None:
        noise = float(np.sqrt(np.mean([region.sum(sample) ** 2 for sample in deviations])))
        row |= {"mean_index_se": noise / volume, "optical_volume_um3_se": noise}
    if region.moved is None or haze is None:
        return row
    grown, shrunk = region.moved
    volumes = [float(mask.sum()) * region.voxel_um3 for mask in (grown, shrunk)]
    sums = [region.sum(contrast, mask) for mask in (grown, shrunk)]
    means = [total / part if part else optical / volume for total, part in zip(sums, volumes, strict=True)]
    prior = 0.0 if change is None else region.sum(change)
    common = [2 * noise, haze * volume, prior]
    row["volume_um3_error"] = (volumes[0] - volumes[1]) / 2
    row["surface_um2_error"] = abs(region.surface(grown) - region.surface(shrunk)) / 2
    row["optical_volume_um3_error"] = float(np.linalg.norm([*common, (sums[0] - sums[1]) / 2]))
    row["mean_index_error"] = float(np.linalg.norm([*common, (means[0] - means[1]) / 2 * volume])) / volume
    return row


def _edge_um(report: Report, resolution_um: float | None) -> Column | None:
    """Return by how much the edge of a label is uncertain along z, y and x; None if it is not known."""
    positive = report.get("regularization", {}).get("positivity", False)
    periods = [band["axial_period_um"] for band in report.get("uncertainty", {}).get("bands", ())]
    axial = min((period for period in periods if period), default=None)
    if not positive or axial is None or resolution_um is None:
        return None
    return _EDGE * np.array([axial, resolution_um, resolution_um])


def _haze(contrast: Array, regions: Labels, spacing: Column, edge_um: Column | None) -> float | None:
    """Return the mean contrast away from all regions, to which the missing cone smears them."""
    if edge_um is None:
        return None
    from scipy.ndimage import distance_transform_edt

    outside = distance_transform_edt(regions == 0, sampling=tuple(spacing / edge_um)) > 1
    return float(contrast[outside].mean()) if outside.any() else 0.0
