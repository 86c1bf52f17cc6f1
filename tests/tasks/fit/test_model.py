"""Saved fits: evaluation by region, and manipulated files."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy import ndimage

from napari_diner import device
from napari_diner.errors import InputError, OutOfMemoryError
from napari_diner.io.ometiff import read_array
from napari_diner.io.weights import WeightsFile
from napari_diner.representations.networks import CoordinateNetwork
from napari_diner.tasks.fit.data import FitData
from napari_diner.tasks.fit.model import FitModel, unpack
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.result import Result
from napari_diner.tasks.saving import load, save
from tests.tasks.fit import small_fits

QUICK: dict[str, Any] = {
    "epochs": 12,
    "diner": {"lattice_size": 16, "hidden_features": 8},
    "network": {"hidden_features": 8},
    "decaf": {"hidden_features": 8, "hidden_layers": 2},
    "hash_grid": {"levels": 4},
    "training": {"unique": False},
}
SHARED = {"training": {"unique": True}}
KINDS: dict[str, dict[str, Any]] = {
    "diner": {},
    "diner, shared keys": SHARED,
    "diner of 16 bits": {"stored_bits": 16},
    "diner of 8 bits, shared keys": {"stored_bits": 8, **SHARED},
    "siren": {"representation": "siren"},
    "pe-mlp": {"representation": "pe-mlp"},
    "hash-grid": {"representation": "hash-grid"},
    "decaf": {"representation": "decaf"},
    "pixels": {"representation": "pixels"},
}
SIGNALS: dict[str, tuple[int, ...]] = {
    "YX": (11, 13), "YXS": (11, 13, 3), "ZYX": (5, 11, 13), "CYX": (2, 11, 13), "ZCYX": (3, 2, 11, 13),
    "TYXS": (4, 7, 9, 3),
}  # fmt: skip
Boxes = list[tuple[str, int]]
Saved = Callable[..., tuple[FitModel, npt.NDArray[Any]]]


def signal(axes: str, dtype: Any = np.uint16) -> FitData:
    """Data with as many distinct values that some of them are equal."""
    shape = SIGNALS[axes]
    waves = sum((place + 1) * grid for place, grid in enumerate(np.indices(shape))) % 40
    scale = tuple({"Z": 2.0, "Y": 0.5, "X": 0.5}.get(axis, 1.0) for axis in axes)
    return FitData((waves * (5 if dtype == np.uint8 else 100)).astype(dtype), axes, scale)


def fit(data: FitData, **changes: Any) -> Result:
    return small_fits.fit(FitRecipe.parse(QUICK).updated(changes), data)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Fit, save and open again; beside the model, the reconstruction that was saved with it."""
    folders: dict[str, Path] = {}

    def run(axes: str, dtype: Any = np.uint16, **changes: Any) -> tuple[FitModel, npt.NDArray[Any]]:
        wanted = json.dumps([axes, np.dtype(dtype).name, changes])
        if wanted not in folders:
            folders[wanted] = tmp_path_factory.mktemp("saved") / "fit"
            save(fit(signal(axes, dtype), **changes), folders[wanted])
        folder = folders[wanted]
        return FitModel.open(folder), read_array(folder / "reconstruction.tif").data

    return run


@pytest.fixture
def boxes(monkeypatch: pytest.MonkeyPatch) -> Boxes:
    """Names and bytes of what is read of model files."""
    read: Boxes = []
    box, whole = WeightsFile.read_box, WeightsFile.read

    def read_box(self: WeightsFile, name: str, where: Any) -> npt.NDArray[Any]:
        part = box(self, name, where)
        read.append((name, part.nbytes))
        return part

    def read_whole(self: WeightsFile, name: str) -> npt.NDArray[Any]:
        part = whole(self, name)
        read.append((name, part.nbytes))
        return part

    monkeypatch.setattr(WeightsFile, "read_box", read_box)
    monkeypatch.setattr(WeightsFile, "read", read_whole)
    return read


def assert_same(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> None:
    """Sums of another order round differently in the last bit, which can tip an integer over."""
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    if found.dtype.kind == "f":
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-2)
    else:
        assert np.abs(found.astype(int) - wanted).max() <= 1
        assert np.mean(found != wanted) < 0.02


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", ["YX", "YXS", "ZCYX"])
def test_a_saved_fit_is_what_was_saved(kind: str, axes: str, saved: Saved) -> None:
    model, wanted = saved(axes, **KINDS[kind])
    assert (model.shape, model.axes, model.dtype) == (wanted.shape, axes, wanted.dtype)
    assert model.scale_um == signal(axes).scale_um
    assert_same(model.evaluate(), wanted)
    parts: list[tuple[slice | int, ...]] = [
        (2,),
        (slice(1, 3), -1),
        (slice(None), slice(8, 1, -3)),
        (slice(None, None, 2), slice(None), slice(None, None, -1)),
        (0, slice(1, 2), 1),
    ]
    for part in parts:
        if len(part) <= wanted.ndim and wanted[part].size:
            assert_same(model.evaluate(part), wanted[part])


@pytest.mark.parametrize("channels", ["joint", "separate"])
@pytest.mark.parametrize("axes", SIGNALS)
def test_channels_and_colours_are_where_they_were(axes: str, channels: str, saved: Saved) -> None:
    model, wanted = saved(axes, np.uint8, channels=channels)
    assert_same(model.evaluate(), wanted)
    assert_same(model.evaluate((*[slice(None)] * (wanted.ndim - 1), -1)), wanted[..., -1])
    assert_same(model.evaluate((slice(1, 2), slice(0, 2))), wanted[1:2, 0:2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint32])
def test_other_types_come_back_as_they_were(dtype: Any, saved: Saved) -> None:
    model, wanted = saved("ZYX", dtype)
    assert model.dtype == dtype
    assert_same(model.evaluate((3,)), wanted[3])


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_representation_comes_back(kind: str, saved: Saved) -> None:
    model, wanted = saved("YXS", **KINDS[kind])
    fitted = model.fitted()
    with torch.no_grad():
        outputs = fitted.representation.exact().flatten(1).T.numpy()
    if fitted.index is not None:
        outputs = outputs[fitted.index.reshape(-1)]
    values = model.layout.to_values(outputs).reshape(wanted.shape)
    assert_same(values, wanted)
    assert fitted.recipe == model.recipe


def test_a_result_in_memory_is_the_one_in_the_file(tmp_path: Path) -> None:
    result = fit(signal("YXS"), **KINDS["diner of 8 bits, shared keys"])
    save(result, tmp_path / "fit")
    kept, stored = unpack(result), FitModel.open(tmp_path / "fit" / "model.safetensors").fitted()
    assert kept.layout == stored.layout
    assert kept.recipe == stored.recipe
    assert kept.index is not None
    assert stored.index is not None
    np.testing.assert_array_equal(kept.index, stored.index)
    for name, value in kept.representation.state_dict().items():
        assert torch.equal(value, stored.representation.state_dict()[name])


def test_the_size_is_that_of_the_file(whole: Path) -> None:
    model = FitModel.open(whole)
    assert model.file_bytes == whole.stat().st_size
    assert model.bits_per_pixel == 8 * model.file_bytes / (11 * 13)


@pytest.mark.parametrize(("bits", "itemsize"), [(8, 1), (16, 2), (32, 4)])
def test_only_the_rows_that_are_needed_are_read(bits: int, itemsize: int, saved: Saved, boxes: Boxes) -> None:
    model, _ = saved("ZYX", stored_bits=bits)
    model.evaluate((3, slice(2, 7)))
    assert [nbytes for name, nbytes in boxes if name == "hash_table"] == [5 * 13 * 2 * itemsize]
    boxes.clear()
    model.evaluate((0, 0, 0))
    # the network is there by now; of a table with fewer bits its columns' extremes are read, too
    assert sum(nbytes for _, nbytes in boxes) == 2 * itemsize + (2 * 2 * 4 if bits < 32 else 0)


def test_of_an_index_only_the_part_that_is_needed_is_read(saved: Saved, boxes: Boxes) -> None:
    model, _ = saved("ZYX", **SHARED)
    for place in range(3):
        model.evaluate((place,))
    assert [nbytes for name, nbytes in boxes if name == "index"] == [11 * 13] * 3
    assert len([name for name, _ in boxes if name == "hash_table"]) == 1


def test_of_pixels_only_the_part_that_is_needed_is_read(saved: Saved, boxes: Boxes) -> None:
    model, _ = saved("ZYX", representation="pixels")
    model.evaluate((1, slice(4)))
    assert boxes == [("values", 4 * 13 * 4)]


def test_a_volume_of_16_bits_through_files(tmp_path: Path, boxes: Boxes) -> None:
    z, y, x = np.mgrid[:8, :16, :20]
    cells = 400 + 9000 * np.exp(-((z - 3) ** 2 / 8 + (y - 8) ** 2 / 20 + (x - 9) ** 2 / 30))
    volume = np.random.default_rng(0).poisson(cells).astype(np.uint16)
    result = fit(FitData(volume, "ZYX", (1.5, 0.3, 0.3)), bit_exact=True, diner={"hidden_features": 64})
    assert len(np.unique(volume)) > 256
    save(result, tmp_path / "fit")
    model = FitModel.open(tmp_path / "fit")
    np.testing.assert_array_equal(model.evaluate((5,)), volume[5])
    assert [nbytes for name, nbytes in boxes if name == "hash_table"] == [16 * 20 * 2 * 4]
    np.testing.assert_array_equal(load(tmp_path / "fit")["reconstruction"].data, volume)
    assert model.scale_um == (1.5, 0.3, 0.3)


LARGE = (64, 512, 1024)


def test_a_plane_of_a_large_model_takes_the_memory_of_a_plane(tmp_path: Path) -> None:
    # 400 MB that take no room on the disk: a table of zeros
    data = FitData(np.arange(4 * 6 * 8, dtype=np.uint16).reshape(4, 6, 8), "ZYX")
    save(fit(data, diner={"table_width": 3}), tmp_path / "fit")
    path = tmp_path / "fit" / "model.safetensors"
    weights, header = opened(path)
    table = weights.pop("hash_table")
    save_file(weights, path, header | {"shape": json.dumps(LARGE)})
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    entries = json.loads(content[8 : 8 + length])
    end = len(content) - 8 - length
    nbytes = int(np.prod(LARGE)) * table.shape[-1] * 4
    entries["hash_table"] = {"dtype": "F32", "shape": [*LARGE, 3], "data_offsets": [end, end + nbytes]}
    text = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + content[8 + length :])
        file.truncate(file.tell() + nbytes)
    assert nbytes > 400e6
    code = (
        "import resource, sys; from napari_diner.tasks.fit.model import FitModel; model = FitModel.open(sys.argv[1]); "
        "model.evaluate((0, slice(4))); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; "
        "plane = model.evaluate((40,)); "
        "print(*plane.shape, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True, text=True)
    height, width, grown_kb = map(int, done.stdout.split())
    assert (height, width) == LARGE[1:]
    # the keys of the plane are 6 MB, mapped and copied
    assert grown_kb < 60_000


def opened(path: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata())  # noqa: SIM118


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file with an index and a table of 16 bits."""
    folder = tmp_path_factory.mktemp("whole") / "fit"
    save(fit(signal("YXS"), stored_bits=16, **SHARED), folder)
    return folder / "model.safetensors"


def recipe_with(header: dict[str, str], **changes: Any) -> dict[str, str]:
    recipe = json.loads(header["recipe"])
    for name, value in changes.items():
        recipe[name] = recipe[name] | value if isinstance(value, dict) else value
    return header | {"recipe": json.dumps(recipe)}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"format": "other"}, "not a model of napari-diner"),
        ({"format_version": "2"}, "has format 2, but this version of napari-diner reads 1"),
        ({"task": "lensless"}, "task 'lensless'"),
        ({"recipe": "{"}, "damaged"),
        ({"recipe": "[]"}, "damaged"),
        ({"recipe": '{"surprise": 1}'}, "damaged"),
        ({"recipe": "[" * 100_000}, "damaged"),
        ({"axes": "YX"}, "damaged"),
        ({"axes": "QYX"}, "damaged"),
        ({"axes": "SYX"}, "damaged"),
        ({"shape": "[11, 13, 4]"}, "damaged"),
        ({"shape": "[13, 11, 3]"}, "damaged"),
        ({"shape": "[11, 13, -3]"}, "damaged"),
        ({"shape": "5"}, "damaged"),
        ({"shape": "[4294967296, 4294967296, 3]"}, "damaged"),
        ({"dtype": "object"}, "damaged"),
        ({"dtype": "complex64"}, "damaged"),
        ({"dtype": "V9999999"}, "damaged"),
        ({"dtype": "u1,,u1"}, "damaged"),
        ({"dtype": "uint8"}, "damaged"),
        ({"low": "NaN"}, "damaged"),
        ({"high": "1e999"}, "damaged"),
        ({"high": "-5"}, "damaged"),
        ({"scale_um": "[1, 0, 1]"}, "damaged"),
        ({"scale_um": "[1, 1]"}, "damaged"),
        ({"separate": "true"}, "damaged"),
    ],
)
def test_forged_headers_are_refused(changes: dict[str, str], problem: str, whole: Path, tmp_path: Path) -> None:
    weights, header = opened(whole)
    save_file(weights, tmp_path / "a.safetensors", header | changes)
    with pytest.raises(InputError, match=problem) as caught:
        FitModel.open(tmp_path / "a.safetensors")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["format", "format_version", "task", "recipe", "axes", "shape", "dtype", "scale_um", "low", "high"]
)
def test_every_entry_of_the_header_is_needed(name: str, whole: Path, tmp_path: Path) -> None:
    weights, header = opened(whole)
    del header[name]
    save_file(weights, tmp_path / "a.safetensors", header)
    with pytest.raises(InputError):
        FitModel.open(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "changes",
    [
        {"diner": {"hidden_features": 1024, "hidden_layers": 16}},
        {"diner": {"hidden_layers": 1}},
        {"diner": {"table_width": 3}},
        {"diner": {"table_width": None}},
        {"representation": "siren", "network": {"hidden_features": 1024, "hidden_layers": 16}},
        {"representation": "pe-mlp"},
        {"representation": "pixels"},
        {"representation": "hash-grid", "hash_grid": {"log2_table_size": 26, "levels": 32, "features": 8}},
        {"representation": "hash-grid", "hash_grid": {"log2_table_size": None}},
    ],
)
def test_recipes_that_ask_for_other_networks_allocate_nothing(
    changes: dict[str, Any], whole: Path, tmp_path: Path
) -> None:
    weights, header = opened(whole)
    save_file(weights, tmp_path / "a.safetensors", recipe_with(header, **changes))
    with pytest.raises(InputError, match="damaged"):
        FitModel.open(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "name", ["hash_table", "hash_table.low", "hash_table.step", "backbone.0.weight", "backbone.4.bias"]
)
def test_every_array_is_needed_and_in_its_form(name: str, whole: Path, tmp_path: Path) -> None:
    weights, header = opened(whole)
    path = tmp_path / "a.safetensors"
    array = weights.pop(name)
    for forged in (None, array[:, None], array.astype(np.float64), array.astype(np.int32), np.float32(1) * array):
        other = {} if forged is None else {name: forged}
        if forged is not None and forged.dtype == array.dtype and forged.shape == array.shape:
            continue
        save_file(weights | other, path, header)
        with pytest.raises(InputError, match="damaged"):
            FitModel.open(path)


def test_arrays_too_many_are_refused(whole: Path, tmp_path: Path) -> None:
    weights, header = opened(whole)
    save_file(weights | {"more": np.zeros(3, np.float32)}, tmp_path / "a.safetensors", header)
    with pytest.raises(InputError, match="do not match its recipe"):
        FitModel.open(tmp_path / "a.safetensors")


def test_an_index_beyond_the_table_is_refused(whole: Path, tmp_path: Path) -> None:
    weights, header = opened(whole)
    weights["index"] = weights["index"].copy()
    weights["index"][10, 12] = len(weights["hash_table"])
    save_file(weights, tmp_path / "a.safetensors", header)
    model = FitModel.open(tmp_path / "a.safetensors")
    assert model.evaluate((slice(10),)).shape == (10, 13, 3)
    with pytest.raises(InputError, match="index points beyond its table"):
        model.evaluate((10,))
    with pytest.raises(InputError, match="index points beyond its table"):
        model.fitted()


def test_an_empty_table_is_refused(whole: Path, tmp_path: Path) -> None:
    weights, header = opened(whole)
    weights["hash_table"] = weights["hash_table"][:0]
    save_file(weights, tmp_path / "a.safetensors", header)
    with pytest.raises(InputError):
        FitModel.open(tmp_path / "a.safetensors").evaluate()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(value: float, whole: Path, tmp_path: Path) -> None:
    weights, header = opened(whole)
    weights["backbone.4.bias"] = np.full_like(weights["backbone.4.bias"], value)
    save_file(weights, tmp_path / "a.safetensors", header)
    with pytest.raises(InputError, match="not finite"):
        FitModel.open(tmp_path / "a.safetensors").evaluate((0,))


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        FitModel.open(tmp_path)


def test_memory_is_asked_for_before_anything_is_allocated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(fit(signal("YX"), representation="siren"), tmp_path / "fit")
    path = tmp_path / "fit" / "model.safetensors"
    weights, header = opened(path)
    # a network can claim an image of any size
    save_file(weights, path, header | {"shape": "[1048576, 1048576]"})
    model = FitModel.open(path)
    assert model.evaluate((5, slice(10))).shape == (10,)
    with pytest.raises(OutOfMemoryError, match="This part of the model needs"):
        model.evaluate()
    with pytest.raises(OutOfMemoryError, match="This part of the model needs"):
        model.render(zoom=2)
    monkeypatch.setattr(device, "available_memory", lambda of=None: 10)
    with pytest.raises(OutOfMemoryError):
        model.fitted()


@pytest.mark.parametrize("kind", ["diner", "pixels"])
@pytest.mark.parametrize(("zoom", "order"), [(2, 1), (1.5, 3), (0.5, 0), ((3, 2), 1)])
def test_a_table_is_rendered_by_interpolating_its_values(kind: str, zoom: Any, order: int, saved: Saved) -> None:
    model, _ = saved("YX", np.float32, **KINDS[kind])
    known = model.evaluate((slice(1, 9),))
    rendered = model.render((slice(1, 9),), zoom, order)
    zooms = zoom if isinstance(zoom, tuple) else (zoom, zoom)
    wanted = ndimage.zoom(known, zooms, order=order, mode="nearest", grid_mode=True)
    assert rendered.data.dtype == np.float32
    np.testing.assert_allclose(rendered.data, wanted, rtol=1e-4, atol=0.05)
    # the extent stays, whatever is rounded
    extent = [size * spacing for size, spacing in zip(rendered.data.shape, rendered.scale_um, strict=True)]
    assert extent == pytest.approx([8 * 0.5, 13 * 0.5])


def test_a_network_is_rendered_by_evaluating_between_its_samples(
    saved: Saved,
) -> None:
    model, _ = saved("YX", np.float32, representation="siren")
    rendered = model.render((slice(2, 8), 4), (3,))
    assert (rendered.axes, rendered.data.shape) == ("Y", (18,))
    network = model.fitted().representation
    assert isinstance(network, CoordinateNetwork)
    places = 2 + ((np.arange(18) + 0.5) / 3 - 0.5).clip(0, 5)
    coordinates = np.stack([2 * places / 10 - 1, np.full(18, 2 * 4 / 12 - 1)], -1).astype(np.float32)
    with torch.no_grad():
        outputs = network.at(torch.from_numpy(coordinates)).numpy()
    np.testing.assert_allclose(rendered.data, model.layout.to_values(outputs)[:, 0], rtol=1e-4, atol=0.01)
    # the middle one of three is the sample itself
    np.testing.assert_allclose(rendered.data[1::3], model.evaluate((slice(2, 8), 4)), rtol=1e-4, atol=0.01)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", ["YXS", "ZCYX"])
def test_renderings_have_axes_scale_and_type(kind: str, axes: str, saved: Saved) -> None:
    model, wanted = saved(axes, np.uint8, **KINDS[kind])
    same = model.render((1,))
    np.testing.assert_array_equal(same.data, model.evaluate((1,)))
    assert (same.axes, same.scale_um) == (axes[1:], model.scale_um[1:])
    fine = model.render((slice(None, None, 2),), 2)
    assert (fine.axes, fine.data.dtype) == (axes, np.uint8)
    sizes = dict(zip(axes, wanted.shape, strict=True)) | {axes[0]: len(range(0, wanted.shape[0], 2))}
    assert fine.data.shape == tuple(sizes[axis] * (2 if axis in "YX" else 1) for axis in axes)
    spacing = dict(zip(axes, model.scale_um, strict=True))
    spacing[axes[0]] *= 2
    assert fine.scale_um == tuple(spacing[axis] / (2 if axis in "YX" else 1) for axis in axes)


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("kind", ["diner of 8 bits, shared keys", "pixels", "siren"])
def test_a_rendering_is_the_same_in_parts(kind: str, order: int, saved: Saved) -> None:
    model, _ = saved("TYXS", np.float32, **KINDS[kind])
    part = (slice(None), slice(None, None, -1), slice(1, None, 2))
    for zoom in (1.0, (2.5, 3, 0.6)):
        whole, lazy = model.render(part, zoom, order), model.rendering(part, zoom, order)
        assert (lazy.shape, lazy.axes, lazy.scale_um) == (whole.data.shape, whole.axes, whole.scale_um)
        parts = [[lazy[z : z + 2, y : y + 5] for y in range(0, lazy.shape[1], 5)] for z in range(0, lazy.shape[0], 2)]
        joined = np.concatenate([np.concatenate(rows, 1) for rows in parts])
        np.testing.assert_allclose(joined, whole.data, atol=1e-5 * np.ptp(whole.data))
        with pytest.raises(IndexError, match="without steps"):
            lazy[::2,]


def test_integers_are_rounded_and_do_not_overflow(tmp_path: Path) -> None:
    edge = np.repeat(np.array([0, 0, 0, 255, 255, 255], np.uint8), 4).reshape(6, 4)
    save(fit(FitData(edge, "YX"), representation="pixels"), tmp_path / "fit")
    # splines overshoot on both sides of an edge
    exact = ndimage.zoom(edge.astype(float), 4, order=3, mode="nearest", grid_mode=True)
    assert exact.min() < -5
    assert exact.max() > 260
    rendered = FitModel.open(tmp_path / "fit").render((), 4, 3).data
    assert rendered.dtype == np.uint8
    np.testing.assert_allclose(rendered, exact.clip(0, 255), atol=0.51)


def test_thin_parts_can_be_rendered(saved: Saved) -> None:
    model, _ = saved("YX")
    assert model.render((slice(3, 4),), 0.2).data.shape == (1, 3)
    assert model.render((slice(3, 4), slice(0, 1)), 3).data.shape == (3, 3)


@pytest.mark.parametrize(
    ("zoom", "order", "problem"),
    [
        (0, 1, "between 0.001 and 1000"),
        (-1, 1, "between 0.001 and 1000"),
        (float("nan"), 1, "between 0.001 and 1000"),
        (1e9, 1, "between 0.001 and 1000"),
        ((2, 2), 1, "2 numbers; give one, or one for each of the axes ZYX"),
        (2, 7, "order of the splines is 7"),
        (2, -1, "order of the splines is -1"),
    ],
)
def test_zooms_that_cannot_be(zoom: Any, order: int, problem: str, saved: Saved) -> None:
    model, _ = saved("ZYX")
    with pytest.raises(InputError, match=problem):
        model.render((), zoom, order)
