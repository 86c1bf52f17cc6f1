"""Frames are sorted by the numbers in their names, and distances are read from the names."""

from __future__ import annotations

import random

import pytest

from napari_diner.io.names import distances_in_names, sorted_by_numbers

IN_ORDER = {
    "decimal point": ["h_0.9mm", "h_0.95mm", "h_1.0mm", "h_1.05mm", "h_1.1mm", "h_10.0mm"],
    "decimal comma": ["h_0,9", "h_0,95", "h_1,05", "h_1,1", "h_10,0"],
    "p as a point": ["h_0p95mm", "h_1p0mm", "h_1p05mm", "h_1p1mm"],
    "p as a point without unit": ["s0p62_a", "s0p7_a", "s1p05_a", "s10p0_a"],
    "p as a point in some names": ["d0p62", "d0p7", "d1", "d1p25"],
    "p before a position": ["w1p8", "w1p9", "w1p10", "w1p11", "w2p8"],
    "signs": ["z-20um", "z-15um", "z-5um", "z0um", "z+5um", "z10um"],
    "only negative positions": ["z-30um", "z-20um", "z-10um"],
    "minus behind a separator": ["pos_-30", "pos_-20", "pos_-3"],
    "hyphens that join": ["frame-1", "frame-2", "frame-10"],
    "hyphens that join a letter and a count": ["z-1", "z-2", "z-10"],
    "hyphens that join a length": ["holo-300um", "holo-0.5mm", "holo-1000um"],
    "exponents": ["z_5e-4m", "z_1e-3m", "z_1.5e-3m", "z_2e-2m"],
    "exponents without unit": ["z_1e-5", "z_2e-5", "z_1e-3"],
    "words for signs": ["z_minus25um", "z_minus5um", "z_plus5um", "z_plus30um"],
    "letters for signs": ["zm40um", "zm15um", "z0um", "zp15um", "zp200um"],
    "separators of thousands in some names": ["z875um", "z960um", "z1,000um", "z1,125um", "z1,250um"],
    "points that separate thousands": ["h_300um", "h_2.500um", "h_10.125um"],
    "decimals beside small integers": ["h_1,125mm", "h_2mm", "h_3,250mm", "h_12mm"],
    "units": ["h_900um", "h_0.95mm", "h_1mm", "h_0.2cm", "h_0.01m"],
    "zeros in front": ["img_002", "img_010", "img_0100"],
    "a constant wavelength": ["h_532nm_z9.5um", "h_532nm_z10um", "h_532nm_z100um"],
    "dates": ["run_2026-11-27_z1", "run_2026-11-27_z2", "run_2026-11-27_z10"],
    "dates that differ": ["2026-11-27_z5", "2026-11-28_z4", "2026-12-01_z3"],
    "dates with points": ["2026.11.9_z1", "2026.11.10_z1"],
    "several numbers": ["s1_z2", "s1_z10", "s2_z1", "s10_z0"],
    "ranges": ["f_1-5", "f_1-10", "f_2-3"],
    "folders": ["z2/a", "z10/a", "z20.5/a"],
    "words": ["dark", "frame1", "frame2", "frame10"],
    "long counts": ["t20261127101500000001", "t20261127101500000002", "t20261127101500000010"],
    "OME": ["h_0.95mm.ome", "h_1.0mm.ome", "h_1.05mm.ome"],
    "hexadecimal": ["1e5", "2a", "30"],
}


@pytest.mark.parametrize("kind", IN_ORDER)
def test_order(kind: str) -> None:
    names = [f"/data/run 3/{name}.tif" for name in IN_ORDER[kind]]
    shuffled = random.Random(kind).sample(names, len(names))
    assert sorted_by_numbers(shuffled) == names


DISTANCES = {
    ("h_0.95mm", "h_1.05mm", "h_1,1mm"): (950, 1050, 1100),
    ("h_532nm_z300um_01", "h_532nm_z380.5um_02", "h_532nm_z460 um_03"): (300, 380.5, 460),
    ("01_z2e-4m", "02_z1p5mm"): (200, 1500),
    ("z300000nm", "z310000nm"): (300, 310),
    ("run 1/z40\u03bcm", "run 1/z50\u00b5m"): (40, 50),
    ("h_1cm", "h_2cm", "h_3cm"): (1e4, 2e4, 3e4),
    # no unit, no difference, no distance, wavelengths, two lengths, something else for one
    ("h_300", "h_400"): (),
    ("h_300um_1", "h_300um_2"): (),
    ("z-10um", "z0um", "z10um"): (),
    ("z0um", "z10um"): (),
    ("h_450nm", "h_532nm", "h_633nm"): (),
    ("z10um_x5um", "z20um_x6um"): (),
    ("h_300um", "h_400um", "background"): (),
    ("h_300um", "h_400"): (),
    ("h_10minutes", "h_20minutes"): (),
    ("h_10M", "h_20M"): (),
    ("h_300um",): (),
    # separators of thousands, or other signs in place of the decimal point
    ("z1,200um", "z1,450um"): (),
    ("z1,25um", "z1,450um"): (),
    ("z0,850mm", "z0,925mm"): (850, 925),
    ("z0_85mm", "z1_05mm", "z1_2mm"): (),
    ("z2-5mm", "z2-75mm", "z3-1mm"): (),
    ("1_85um", "2_105um", "3_120um"): (85, 105, 120),
    ("z900um", "z1.100um"): (),
    # ranges, and frames that are counted in front of a hyphen
    ("z15-25um", "z25-35um", "z35-45um"): (),
    ("h_100to150um", "h_200to250um"): (),
    ("1-2mm", "2-3mm", "3-4mm"): (),
    ("1-85um", "2-105um", "3-120um"): (85, 105, 120),
    # signs
    ("minus30um", "minus20um"): (),
    ("z_neg5um", "z_pos5um"): (),
    ("m25um", "m15um"): (),
    ("zm25um", "zp15um"): (),
    ("n300um", "n310um"): (),
    ("pos_300um", "pos_310um"): (300, 310),
    ("p300um", "p310um"): (300, 310),
    ("sperm300um", "sperm310um"): (300, 310),
}


@pytest.mark.parametrize("names", DISTANCES, ids=" ".join)
def test_distances(names: tuple[str, ...]) -> None:
    assert distances_in_names([f"/data/{name}.tif" for name in names]) == pytest.approx(DISTANCES[names], rel=1e-12)
