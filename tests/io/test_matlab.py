"""MATLAB files: axes are in MATLAB's order, and nothing is read from other files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from napari_diner.errors import InputError
from napari_diner.io.matlab import probe_transfer
from napari_diner.io.stacks import probe, read

FRAMES, ROWS, COLUMNS, SLICES = 3, 10, 12, 4
RANDOM = np.random.default_rng(0)
STACK = RANDOM.standard_normal((FRAMES, ROWS, COLUMNS))
TRANSFER = RANDOM.standard_normal((2, FRAMES, SLICES, ROWS, COLUMNS, 2)) @ np.array([1, 1j])


def paired(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Complex numbers as MATLAB keeps them."""
    pairs = np.empty(values.shape, np.dtype([("real", "<f4"), ("imag", "<f4")]))
    pairs["real"], pairs["imag"] = values.real, values.imag
    return pairs


def save(path: Path, **variables: np.ndarray[Any, Any]) -> Path:
    """Write variables given with rows before columns as MATLAB does: its text first, all axes in reverse."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in variables.items():
            stored = values.swapaxes(-2, -1)
            file[name] = paired(stored) if np.iscomplexobj(stored) else stored
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path


@pytest.mark.parametrize(
    "names", [("I", "Hreal", "Himag"), ("I_Raw", "PTF_4D", "ATF_4D"), ("dat", "Hreal_py", "Himag_py")]
)
def test_public_recordings_are_read_with_rows_before_columns(names: tuple[str, str, str], tmp_path: Path) -> None:
    path = save(tmp_path / "a.mat", **dict(zip(names, (STACK, *TRANSFER), strict=True)))
    np.testing.assert_array_equal(read(probe(path)), STACK)
    transfer = probe_transfer(path)
    assert transfer is not None
    for found, wanted in zip(transfer, TRANSFER, strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found[1], wanted[1], rtol=1e-6)


def test_frames_alone_and_single_axes(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mat", I=STACK[:, None])
    assert probe_transfer(path) is None
    np.testing.assert_array_equal(read(probe(path)), STACK)


def test_what_python_wrote_is_not_turned(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        file["I"], file["Hreal"], file["Himag"] = STACK, *TRANSFER
    np.testing.assert_array_equal(read(probe(path)), STACK)
    transfer = probe_transfer(path)
    assert transfer is not None
    assert transfer[0].shape == TRANSFER[0].shape
    np.testing.assert_allclose(transfer[0][1], TRANSFER[0][1], rtol=1e-6)


def test_where_frequency_zero_is_can_be_told(tmp_path: Path) -> None:
    response = np.zeros((FRAMES, SLICES, ROWS, COLUMNS), complex)
    response[..., 0, 0] = -1
    corner = save(tmp_path / "corner.mat", I=STACK, Hreal=TRANSFER[0], Himag=response)
    centre = save(
        tmp_path / "centre.mat", I=STACK, Hreal=TRANSFER[0], Himag=np.roll(response, (ROWS // 2, COLUMNS // 2), (2, 3))
    )
    for path, centred in ((corner, False), (centre, True)):
        transfer = probe_transfer(path)
        assert transfer is not None
        assert transfer[1].centred is centred


@pytest.mark.parametrize("compressed", [False, True])
def test_both_versions_give_the_same_stack(compressed: bool, tmp_path: Path) -> None:
    savemat(tmp_path / "old.mat", {"I": np.moveaxis(STACK, 0, -1)}, do_compression=compressed)
    for path in (tmp_path / "old.mat", save(tmp_path / "new.mat", I=STACK)):
        np.testing.assert_array_equal(read(probe(path)), STACK)
    with pytest.raises(InputError, match=r"version before 7\.3.*-v7\.3"):
        probe_transfer(tmp_path / "old.mat")


def test_fields_of_structures_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"data": {"raw": np.moveaxis(STACK, 0, -1), "inner": {"empty": STACK[0]}, "na": 0.5}})
    with pytest.raises(InputError, match=r"'data\.raw' \(10×12×3 .* 'data\.inner\.empty' .* as in 'a\.mat::data\.raw'"):
        probe(path)
    np.testing.assert_array_equal(read(probe(f"{path}::data.raw")), STACK)
    np.testing.assert_array_equal(read(probe(f"{path}::data.inner.empty"))[0], STACK[0])
    savemat(path, {"data": {"raw": np.moveaxis(STACK, 0, -1), "na": 0.5}})
    np.testing.assert_array_equal(read(probe(path)), STACK)


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"I": STACK, "Hreal": TRANSFER[0]}, "holds Hreal but no Himag"),
        ({"I": STACK, "Hreal": TRANSFER[0, 0], "Himag": TRANSFER[0, 0]}, "transfer functions have four axes"),
    ],
)
def test_transfer_functions_that_cannot_be(variables: dict[str, Any], problem: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=problem):
        probe_transfer(save(tmp_path / "a.mat", **variables))


def test_complex_frames_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mat", I=TRANSFER[0, :, 0])
    with pytest.raises(InputError, match="not an image of real numbers"):
        probe(path)
    savemat(tmp_path / "old.mat", {"I": TRANSFER[0, :, 0]})
    with pytest.raises(InputError, match="complex, not intensities"):
        read(probe(tmp_path / "old.mat"))


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    whole = save(tmp_path / "a.mat", I=STACK).read_bytes()
    (tmp_path / "cut.mat").write_bytes(whole[:600])
    (tmp_path / "text.mat").write_text("no data")
    for name in ("cut.mat", "text.mat", "none.mat"):
        with pytest.raises(InputError, match=name):
            probe(tmp_path / name)


def test_links_to_other_files_are_not_followed(tmp_path: Path) -> None:
    save(tmp_path / "other.mat", I=STACK)
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file["I"] = h5py.ExternalLink("other.mat", "I")
    for name in ("a.mat", "a.mat::I"):
        with pytest.raises(InputError, match="no array"):
            probe(f"{tmp_path / name}")
