"""The sets with a truth of others, on small files in their formats, and the submissions to them."""

from __future__ import annotations

import io
import json
import math
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

ROWS = 32
Array = npt.NDArray[np.float64]


def text(values: Array) -> bytes:
    buffer = io.BytesIO()
    np.savetxt(buffer, values)
    return buffer.getvalue()


def parts_of(field: npt.NDArray[np.complex128], pattern: str) -> dict[str, bytes]:
    return {pattern.format("real"): text(field.real), pattern.format("imag"): text(field.imag)}


def write_zip(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:xz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def phase_object(size: int) -> npt.NDArray[np.complex128]:
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return np.exp(0.8j * np.exp(-(y**2 + x**2) / 12))


@pytest.fixture(scope="module")
def data(benchmarks_folder: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all sets, small: a round phantom with the field of its projection, and round phases."""
    from truth.sets import FILES

    folder = tmp_path_factory.mktemp("sets")
    z, y, x = np.mgrid[:ROWS, :ROWS, :ROWS] - (ROWS - 1) / 2
    contrast = 0.01 * np.exp(-(z**2 + y**2 + x**2) / 50)
    fields = {f"phantom_{number:03d}.txt": text(1.333 + plane) for number, plane in enumerate(contrast)}
    for number in (0, 45, 90):
        fields |= parts_of(np.exp(2j * math.pi * contrast.sum(0) / 6.5), f"field_{number:03d}_{{}}.txt")
    write_tar(folder / FILES["fdtd"], fields)
    write_zip(folder / FILES["mie"], parts_of(phase_object(30), "mie_sphere_{}.txt"))
    write_zip(folder / FILES["hl60"], parts_of(phase_object(ROWS), "HL60_{}.txt"))
    volume = np.zeros((20, 32, 32), np.uint16)
    volume[4:12, 12:20, 12:20] = 40_000
    tifffile.imwrite(folder / FILES["phantom"], volume)
    return folder


def run(data: Path, output: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> list[dict[str, object]]:
    from truth import __main__ as program

    arguments = ["truth", "--data", str(data), "-o", str(output), "--views", "2", *options]
    monkeypatch.setattr("sys.argv", arguments)
    program.main()
    report = json.loads((output / "truth.json").read_text())
    assert report["seed"] == 0
    return report["rows"]


def test_recordings_of_a_set_are_the_same_each_time(data: Path) -> None:
    from truth import inverse, sets

    first, second = sets.hl60(data), sets.hl60(data)
    assert np.array_equal(first.frames, second.frames)
    assert first.frames.shape == (4, ROWS + 32, ROWS + 32)
    clean = sets.hl60(data, photons=1e9).frames
    assert 0.95 < ((first.frames - clean) * (5000 / clean) ** 0.5).std() < 1.05
    assert inverse.phase_error(np.angle(first.field), first) < 1e-6

    density, voxel = sets.phantom(data)
    assert density.shape == (4, 8, 8)
    assert density.max() == 1
    frames, truth = inverse.intensities(density, voxel, 0.3)
    assert np.array_equal(frames, inverse.intensities(density, voxel, 0.3)[0])
    assert truth.shape == (2, 8, 8)
    assert 2 * math.pi / 0.515 * 2 * voxel[0] * truth.sum(0).max() == pytest.approx(0.3)
    faint, _ = inverse.intensities(density, voxel, 1e-6)
    assert 0.8 < (faint - 1).std() / 0.005 < 1.2


def test_a_turned_view_is_the_phantom_turned(data: Path) -> None:
    from truth import sets

    fdtd = sets.Fdtd(data)
    assert fdtd.contrast.max() == pytest.approx(0.01, rel=0.02)
    fdtd.contrast[:, :, 4] += np.linspace(0, 0.01, ROWS)[:, None]
    assert np.allclose(fdtd.view(45).contrast, np.rot90(fdtd.contrast, axes=(0, 2)), atol=1e-5)


def test_the_sphere_fills_its_radius(data: Path) -> None:
    from truth import sets

    case = sets.mie(data)
    assert case.contrast.shape[1:] == (30, 30)
    volume = case.contrast.sum() / 0.006 * case.voxel_um**3
    assert volume == pytest.approx(4 / 3 * math.pi * 7**3, rel=0.05)


def test_submissions_have_a_row_and_the_true_field_no_error(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from truth import forward, sets

    perfect = tmp_path / "others" / "perfect"
    perfect.mkdir(parents=True)
    fdtd, mie = sets.Fdtd(data), sets.mie(data)
    np.save(perfect / "fdtd.npy", np.stack([1j * fdtd.view(number).field for number in (0, 90)]))
    np.save(perfect / "mie.npy", mie.field)
    (perfect / "seconds.json").write_text('{"mie": 3.5}')
    options = ("--others", str(perfect.parent), "--sets", "fdtd", "mie")
    rows = run(data, tmp_path / "results", monkeypatch, *options)
    errors = {(row["set"], row["method"]): row for row in rows}
    assert errors["fdtd", "perfect"]["error"] < 1e-6
    assert errors["mie", "perfect"]["error"] < 1e-6
    assert errors["mie", "perfect"]["seconds"] == 3.5
    assert all(errors["fdtd", model]["error"] < 0.15 for model in forward.MODELS)
    inputs = np.load(tmp_path / "results" / "inputs" / "fdtd.npz")
    assert inputs["angles_deg"].tolist() == [0, 180]
    assert np.allclose(inputs["contrast"], fdtd.contrast)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.zeros((30, 29), complex), "has the shape 30×29; submit 30×30"),
        (np.zeros((30, 30)), "holds values of the type float64; submit complex numbers"),
        (np.full((30, 30), np.nan, complex), "not finite"),
    ],
)
def test_submissions_of_another_format_are_refused(
    answer: Array, message: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "others" / "wrong").mkdir(parents=True)
    np.save(tmp_path / "others" / "wrong" / "mie.npy", answer)
    with pytest.raises(SystemExit, match=message):
        run(data, tmp_path / "results", monkeypatch, "--others", str(tmp_path / "others"), "--sets", "mie")


def test_a_submission_that_is_no_array_is_refused(data: Path, tmp_path: Path) -> None:
    from truth.__main__ import submission

    (tmp_path / "mie.npy").write_text("no array")
    with pytest.raises(SystemExit, match="no NumPy file"):
        submission(tmp_path / "mie.npy", (30, 30), "complex")


def test_sets_without_a_file_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(tmp_path, tmp_path / "results", monkeypatch) == []
    printed = (tmp_path / "results" / "truth.txt").read_text()
    assert all(f"skipped: {name}:" in printed for name in ("fdtd", "mie", "hl60", "phantom"))


def test_waveorder_retrieves_phase_and_index(data: Path) -> None:
    pytest.importorskip("waveorder")
    from truth import inverse, sets, waveorder_models

    stack = sets.hl60(data, photons=1e9)
    assert inverse.phase_error(waveorder_models.phase(stack, 0.1), stack) < 0.95 * np.angle(stack.field).std()
    density, voxel = sets.phantom(data)
    frames, truth = inverse.intensities(density, voxel, 0.3)
    index = waveorder_models.index(frames, voxel, len(truth), 100)
    assert inverse.index_error(index, truth)[1] > 0.7
