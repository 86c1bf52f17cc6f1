"""Renderings of a saved fit: parts as in NumPy, other samplings, and complete files or none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from napari_diner import memory
from napari_diner.cli.render import parse_region
from napari_diner.errors import InputError
from napari_diner.io import ome_zarr_writing
from napari_diner.io.arrays import NamedArray
from napari_diner.io.ometiff import read_array, write_array
from napari_diner.tasks.fit.data import FitData
from napari_diner.tasks.fit.job import FitJob
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.run import Run
from napari_diner.tasks.saving import save
from tests.kit.runs import finished

if TYPE_CHECKING:
    from tests.cli.conftest import Run

SHAPE, AXES = (5, 12, 14, 3), "ZYXS"


def fitted(folder: Path, **settings: Any) -> npt.NDArray[Any]:
    """Save a fit, and return the data as it has them."""
    z, y, x, s = np.meshgrid(*[np.arange(size) for size in SHAPE], indexing="ij")
    data = (200 * (1 + np.sin(z + y / 3) * np.cos(x / 4 + s))).astype(np.uint16)
    recipe = FitRecipe.parse({"epochs": 20, "device": "cpu", "training": {"searches": 0}, **settings})
    result = finished(Run(FitJob(recipe, FitData(data, AXES, (0.5, 0.1, 0.1, 1.0)))))
    save(result, folder)
    return result["reconstruction"].data


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, npt.NDArray[Any]]:
    """A DINER of a small volume in colours, and the volume as it has it."""
    folder = tmp_path_factory.mktemp("fit") / "model"
    return folder, fitted(folder)


@pytest.mark.parametrize(
    ("region", "index", "axes", "scale"),
    [
        ("", np.index_exp[:], "ZYXS", (0.5, 0.1, 0.1, 1.0)),
        ("z=3", np.index_exp[3], "YXS", (0.1, 0.1, 1.0)),
        ("z=3,y=2:9,x=::2", np.index_exp[3, 2:9, ::2], "YXS", (0.1, 0.2, 1.0)),
        (" X = 4: , Z = -1 , s=0", np.index_exp[-1, :, 4:, 0], "YX", (0.1, 0.1)),
        ("y=-5:,z=1:5:2", np.index_exp[1:5:2, -5:], "ZYXS", (1.0, 0.1, 0.1, 1.0)),
        ("z=1,s=1:2", np.index_exp[1, :, :, 1:2], "YXS", (0.1, 0.1, 1.0)),
        ("x=::-1", np.index_exp[:, :, ::-1], "ZYXS", (0.5, 0.1, 0.1, 1.0)),
    ],
)
def test_a_region_is_what_numpy_cuts(
    region: str,
    index: tuple[Any, ...],
    axes: str,
    scale: tuple[float, ...],
    model: tuple[Path, npt.NDArray[Any]],
    run: Run,
    tmp_path: Path,
) -> None:
    folder, data = model
    out = tmp_path / "new" / "part.tif"
    finished = run("render", folder, "-o", out, "--region", region)
    assert finished.code == 0, finished.err
    found = read_array(out)
    np.testing.assert_array_equal(found.data, data[index])
    assert (found.axes, found.data.dtype) == (axes, data.dtype)
    assert found.scale_um == pytest.approx(scale)
    assert finished.out.startswith(f"{' × '.join(map(str, data[index].shape))} ({axes}, uint16) in ")
    assert [path.name for path in out.parent.iterdir()] == ["part.tif"]


def test_a_model_file_does_as_well_as_its_folder(
    model: tuple[Path, npt.NDArray[Any]], run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out.tiff"
    assert run("render", model[0] / "model.safetensors", "-o", out, "-q").out == ""
    np.testing.assert_array_equal(read_array(out).data, model[1])


@pytest.mark.parametrize("representation", ["diner", "siren", "pixels"])
@pytest.mark.parametrize(
    ("zoom", "shape", "scale"),
    [("2", (5, 24, 28, 3), (0.5, 0.05, 0.05, 1.0)), ("2,1,0.5", (10, 12, 7, 3), (0.25, 0.1, 0.2, 1.0))],
)
def test_a_zoom_gives_another_sampling(
    zoom: str, shape: tuple[int, ...], scale: tuple[float, ...], representation: str, run: Run, tmp_path: Path
) -> None:
    data = fitted(tmp_path / "model", representation=representation)
    out = tmp_path / "out.tif"
    finished = run("render", tmp_path / "model", "-o", out, "--zoom", zoom)
    assert finished.code == 0, finished.err
    found = read_array(out)
    assert (found.data.shape, found.data.dtype) == (shape, data.dtype)
    assert found.scale_um == pytest.approx(scale)
    if zoom == "2" and representation != "siren":
        # interpolated between the values, and never beyond them
        assert data.min() <= found.data.min() <= found.data.max() <= data.max()


def test_splines_of_order_zero_repeat_the_pixels(
    model: tuple[Path, npt.NDArray[Any]], run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out.tif"
    assert run("render", model[0], "-o", out, "--zoom", 2, "--order", 0, "--region", "z=0").code == 0
    np.testing.assert_array_equal(read_array(out).data, model[1][0].repeat(2, 0).repeat(2, 1))


def test_a_rendering_can_be_larger_than_the_memory(
    model: tuple[Path, npt.NDArray[Any]], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("zarr")
    small, large = tmp_path / "small.tif", tmp_path / "large.ome.zarr"
    options = ("--zoom", "3,30,20", "--region", "s=0")
    assert run("render", model[0], "-o", small, *options).code == 0
    monkeypatch.setattr(memory, "free_bytes", lambda: 2_000_000)
    refused = run("render", model[0], "-o", tmp_path / "other.tif", *options)
    assert (refused.code, "other.ome.zarr" in refused.err) == (2, True)
    for name, size in (("_CHUNK", {"Z": 4, "Y": 64, "X": 64}), ("_SHARD", {"Z": 1, "Y": 1, "X": 1})):
        monkeypatch.setattr(ome_zarr_writing, name, size)
    assert run("render", model[0], "-o", large, *options).out.startswith("15 × 360 × 280 (ZYX, uint16) in ")
    image = ome_zarr_writing.StoredImage.open(large)
    np.testing.assert_array_equal(image.levels[0][...], read_array(small).data)
    assert image.scale_um == pytest.approx(read_array(small).scale_um)
    again = run("render", model[0], "-o", large, *options, "--overwrite")
    assert (again.code, "choose another name" in again.err) == (2, True)


def test_a_file_is_only_replaced_where_that_is_asked_for(
    model: tuple[Path, npt.NDArray[Any]], run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out.tif"
    write_array(out, NamedArray("mine", np.zeros((4, 4), np.uint8), "YX", (1.0, 1.0)))
    before = out.read_bytes()
    assert run("render", model[0], "-o", out).code == 2
    assert run("render", model[0], "-o", out, "--overwrite", "--region", "z=9").code == 2
    assert out.read_bytes() == before
    assert run("render", model[0], "-o", out, "--overwrite", "--region", "z=2").code == 0
    np.testing.assert_array_equal(tifffile.imread(out), model[1][2])
    assert [path.name for path in tmp_path.iterdir()] == ["out.tif"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--region", "t=1"], "The model has no axis T; its axes are Z (5), Y (12), X (14), S (3)"),
        (["--region", "z=5"], "The region 'z=5' lies outside; Z goes from 0 to 4"),
        (["--region", "z=-6"], "The region 'z=-6' lies outside; Z goes from 0 to 4"),
        (["--region", "y=4:40"], "The region 'y=4:40' lies outside; Y goes from 0 to 11"),
        (["--region", "y=4:4"], "The region 'y=4:4' is empty; Y goes from 0 to 11"),
        (["--region", "y=::0"], "The region 'y=::0' is empty"),
        (["--region", "y=3"], "The region 'y=3' leaves no image; write y=3:4"),
        (["--region", "z=1,Z=2"], "The region names the axis Z twice"),
        (["--region", "z"], "The region 'z' is not understood; write it as in z=3,y=10:50,x=::2"),
        (["--region", "z=1:2:3:4"], "is not understood"),
        (["--region", "z="], "is not understood"),
        (["--region", "a" * 9000], "aaa…' is not understood"),
        (["--region", "z=1 2"], "is not understood"),
        (["--region", "z=a"], "is not understood"),
        (["--zoom", "2,2"], "The zoom has 2 numbers; give one, or one for each of the axes ZYX"),
        (["--zoom", "0"], "A zoom must lie between 0.001 and 1000"),
        (["--zoom", "nan"], "A zoom must lie between 0.001 and 1000"),
        (["--zoom", "1000,1000,1000"], "GB"),
    ],
)
def test_what_cannot_be_rendered_is_one_line(
    options: list[str], message: str, model: tuple[Path, npt.NDArray[Any]], run: Run, tmp_path: Path
) -> None:
    finished = run("render", model[0], "-o", tmp_path / "new" / "out.tif", *options)
    assert finished.code == 2
    assert message in finished.err
    assert finished.err.count("\n") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("damage", ["cut", "task", "version", "recipe"])
def test_a_damaged_model_is_one_line(
    damage: str, model: tuple[Path, npt.NDArray[Any]], run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    content = (model[0] / "model.safetensors").read_bytes()
    changed = {
        "cut": content[: len(content) // 2],
        "task": content.replace(b'"task": "fit"', b'"task": "fat"'),
        "version": content.replace(b'"format_version": "1"', b'"format_version": "9"'),
        "recipe": content.replace(b'\\"backbone\\": \\"mlp\\"', b'\\"backbone\\": \\"mlx\\"'),
    }[damage]
    assert changed != content
    path.write_bytes(changed)
    finished = run("render", path, "-o", tmp_path / "out.tif")
    assert finished.code == 2
    assert re.match(r"napari-diner: \S+model\.safetensors", finished.err)
    assert finished.err.count("\n") == 1
    assert not (tmp_path / "out.tif").exists()


places = st.none() | st.integers(-12, 12)


@given(places, places, st.none() | st.integers(-3, 3))
def test_slices_are_read_as_python_reads_them(start: int | None, stop: int | None, step: int | None) -> None:
    text = ":".join("" if part is None else str(part) for part in (start, stop, step))
    meant = slice(start, stop, step)
    if step != 0 and range(12)[meant]:
        assert parse_region(f"y={text}", "YX", (12, 9)) == [meant, slice(None)]
    else:
        with pytest.raises(InputError, match="is empty"):
            parse_region(f"y={text}", "YX", (12, 9))
