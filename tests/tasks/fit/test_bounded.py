"""Fits that are stored with a largest error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import save_file

import napari_diner as nd
from napari_diner.errors import InputError, RecipeError
from napari_diner.tasks.fit.bounded import correction_step
from napari_diner.tasks.fit.data import FitData
from napari_diner.tasks.fit.layout import Layout
from napari_diner.tasks.fit.model import FitModel, unpack
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.fit.task import FitTask
from napari_diner.tasks.saving import load, save
from napari_diner.tasks.task import Frames
from tests.tasks.fit.test_model import SHARED, fit, opened

DATA: dict[str, tuple[Any, str, float]] = {
    "bytes": (np.uint8, "YXS", 3),
    "bytes without error": (np.uint8, "YX", 0.6),
    "camera": (np.uint16, "ZYX", 20),
    "signed": (np.int16, "YX", 1),
    "wide": (np.uint32, "YX", 100_000),
    "numbers": (np.float32, "ZCYX", 0.25),
    "numbers with an offset": (np.float64, "YX", 1e-3),
}
SHAPES = {"YX": (21, 17), "YXS": (15, 14, 3), "ZYX": (3, 12, 11), "ZCYX": (3, 2, 11, 13)}


def data_of(name: str) -> npt.NDArray[Any]:
    dtype, axes, _ = DATA[name]
    noise = np.random.default_rng(0).normal(size=SHAPES[axes])
    if "offset" in name:
        return (noise + 1000).astype(dtype)
    if np.dtype(dtype).kind == "f":
        return (20 * noise).astype(dtype)
    limits = np.iinfo(dtype)
    middle, part = (limits.max + limits.min) / 2, (limits.max / 4 - limits.min / 4)
    return (middle + part * noise).clip(limits.min, limits.max).astype(dtype)


@pytest.mark.parametrize("changes", [{}, {"stored_bits": 8}, {"representation": "siren"}], ids=str)
@pytest.mark.parametrize("name", DATA)
def test_no_value_is_off_by_more(name: str, changes: dict[str, Any], tmp_path: Path) -> None:
    data, (_, axes, most) = data_of(name), DATA[name]
    result = fit(FitData(data, axes), max_error=most, **changes)
    save(result, tmp_path / "fit")
    model = FitModel.open(tmp_path / "fit")
    stored = model.evaluate()
    assert stored.dtype == data.dtype
    off = np.abs(stored.astype(np.float64) - data)
    assert off.max() <= most
    assert result.report["largest_error"] == pytest.approx(off.max(), rel=1e-3)
    # the limit is used: what is stored is no copy
    assert off.max() >= 0.9 * (most if data.dtype.kind == "f" else np.floor(most))
    part = (slice(1, 3), slice(None, None, -2))
    # sums of another order round differently in the last bit
    np.testing.assert_allclose(model.evaluate(part).astype(float), stored[part], rtol=1e-6, atol=data.dtype.kind != "f")
    # images of floating-point numbers are stored in single precision
    np.testing.assert_allclose(load(tmp_path / "fit")["reconstruction"].data, stored, rtol=1e-6)


def test_values_that_share_a_key_share_a_correction(tmp_path: Path) -> None:
    data = np.random.default_rng(1).integers(0, 60, (30, 40)).astype(np.uint16) * 700
    result = fit(FitData(data, "YX"), max_error=2, **SHARED)
    assert result.report["unique_values"] == 60
    save(result, tmp_path / "fit")
    model = FitModel.open(tmp_path / "fit")
    assert np.abs(model.evaluate().astype(int) - data).max() <= 2
    assert np.abs(model.evaluate((4, slice(3, 9))).astype(int) - data[4, 3:9]).max() <= 2
    kept, stored = unpack(result), model.fitted()
    for name, value in kept.representation.state_dict().items():
        np.testing.assert_array_equal(value, stored.representation.state_dict()[name])
    assert kept.index is not None and stored.index is not None
    np.testing.assert_array_equal(kept.index, stored.index)


def test_no_index_is_stored_where_corrections_take_less(tmp_path: Path) -> None:
    y, x = np.mgrid[:120, :90]
    data = (2000 + 900 * np.sin(x / 9) * np.cos(y / 7)).astype(np.uint16)
    result = fit(FitData(data, "YX"), max_error=4, **SHARED)
    assert result.report["unique_values"] == len(np.unique(data))
    save(result, tmp_path / "fit")
    model = FitModel.open(tmp_path / "fit")
    assert model.fitted().index is None
    # the index of 11 bits, which neighbours do not predict, would take more than all of it; the network is constant
    assert result.report["table_levels"] == 1
    assert sum(array.nbytes for array in result.weights.values()) < 5 * data.size / 8
    assert np.abs(model.evaluate().astype(int) - data).max() <= 4
    assert np.abs(model.evaluate((slice(30, 33), 5)).astype(int) - data[30:33, 5]).max() <= 4


def test_a_larger_error_takes_fewer_bits() -> None:
    y, x = np.mgrid[:64, :64]
    data = (2000 + 900 * np.sin(x / 9) * np.cos(y / 7)).astype(np.uint16)
    sizes = [fit(FitData(data, "YX"), max_error=most).report["model_bytes"] for most in (1, 10, 100)]
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize(("dtype", "most"), [("float32", 1e-7), ("float64", 0.0), ("uint32", 3.0)])
def test_an_error_below_the_precision_of_the_network_is_refused(dtype: str, most: float) -> None:
    layout = Layout("YX", (9, 9), dtype, (1.0, 1.0), 0.0, 1.0 if dtype.startswith("f") else 2.0**31)
    with pytest.raises(RecipeError, match="set it to") as caught:
        correction_step(layout, most)
    least = float(str(caught.value).split("set it to ")[1].split()[0])
    assert correction_step(layout, 1.01 * least) > 0


def test_an_error_that_one_number_keeps_is_refused() -> None:
    layout = Layout("YX", (9, 9), "uint8", (1.0, 1.0), 10.0, 250.0)
    with pytest.raises(RecipeError, match=r"at least half the range of the data, 240,.* set it below 120"):
        correction_step(layout, 120.0)
    assert correction_step(layout, 119.0) > 0


@pytest.mark.parametrize("changes", [{"bit_exact": True}, {"representation": "pixels"}], ids=str)
def test_what_leaves_no_error_has_no_limit(changes: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="empty max_error"):
        FitRecipe.parse({"max_error": 1.0, **changes})


def test_a_series_has_no_largest_error() -> None:
    frames = np.zeros((2, 9, 9), np.uint8)
    frames[:, 3:5] = 7
    with pytest.raises(RecipeError, match="series"):
        nd.fit(Frames(frames, "TYX"), select="T=all", max_error=1, epochs=2)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bounded") / "fit"
    save(fit(FitData(data_of("camera"), "ZYX"), max_error=20), folder)
    return folder / "model.safetensors"


@pytest.mark.parametrize(
    "changes",
    [
        {"coded": "[]"},
        {"coded": "[" * 100_000},
        {"coded": "{}"},
        {"coded": '{"corrections": 3}'},
        {"coded": '{"corrections": {"shape": [3, 12, 11, 1], "dtype": "object"}}'},
        {"coded": '{"corrections": {"shape": [99999999999, 99999999999, 1], "dtype": "uint8"}}'},
        {"correction_step": "0"},
        {"correction_step": "NaN"},
        {"correction_step": "1e999"},
        {"correction_step": "[]"},
    ],
    ids=str,
)
def test_forged_headers_are_refused(changes: dict[str, str], whole: Path, tmp_path: Path) -> None:
    weights, header = opened(whole)
    save_file(weights, tmp_path / "a.safetensors", header | changes)
    with pytest.raises(InputError, match="damaged"):
        FitModel.open(tmp_path / "a.safetensors")


@pytest.mark.parametrize("name", ["corrections.blocks", "hash_table.blocks", "corrections.ends", "hash_table.ends"])
def test_damaged_blocks_are_refused(name: str, whole: Path, tmp_path: Path) -> None:
    weights, header = opened(whole)
    weights[name] = weights[name][::-1].copy() if name.endswith(".blocks") else weights[name] + 2**40
    save_file(weights, tmp_path / "a.safetensors", header)
    with pytest.raises(InputError, match="damaged"):
        FitModel.open(tmp_path / "a.safetensors").evaluate()


def test_the_report_says_how_it_is_stored(whole: Path) -> None:
    report = json.loads((whole.parent / "report.json").read_text())
    assert report["largest_error"] <= 20 and 0 < report["corrected"] <= 1 and report["table_levels"] >= 1
    rows = dict(FitTask().summary_rows(report))
    assert rows["largest error"].startswith(f"{report['largest_error']:.4g} (")
    assert rows["PSNR of the network without corrections"].endswith(" dB")
    assert report["model_bytes"] == pytest.approx(whole.stat().st_size, rel=0.3)
