"""Reading of model files, and refusal of other files."""

from __future__ import annotations

import json
import pickle
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save, save_file

from napari_diner.errors import InputError
from napari_diner.io.weights import WeightsFile, write_weights

TABLE = np.arange(4 * 5 * 2, dtype=np.uint16).reshape(4, 5, 2)
LOW = np.array([0.5, -1], np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_file({"table": TABLE, "low": LOW}, tmp_path / "a.safetensors", {"task": "fit"})
    return tmp_path / "a.safetensors"


def write(path: Path, header: Any, content: bytes = b"") -> Path:
    """Write a file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content)
    return path


def test_what_is_in_it_is_known_before_it_is_read(path: Path) -> None:
    file = WeightsFile(path)
    assert file.header == {"task": "fit"}
    assert file.shapes == {"table": (4, 5, 2), "low": (2,)}
    assert file.dtypes == {"table": np.dtype(np.uint16), "low": np.dtype(np.float32)}
    assert file.bytes == path.stat().st_size


def test_arrays_and_boxes_of_them(path: Path) -> None:
    file = WeightsFile(str(path))
    np.testing.assert_array_equal(file.read("table"), TABLE)
    box = file.read_box("table", (slice(1, 3), slice(2, 5)))
    assert box.dtype == np.uint16
    np.testing.assert_array_equal(box, TABLE[1:3, 2:5])


def test_a_file_without_a_header_of_texts(path: Path) -> None:
    save_file({"low": LOW}, path)
    assert WeightsFile(path).header == {}


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"])
def test_types(dtype: str, path: Path) -> None:
    save_file({"a": np.arange(6).astype(dtype)}, path)
    file = WeightsFile(path)
    assert file.read("a").dtype == file.dtypes["a"] == np.dtype(dtype)


def test_names_that_are_not_there(path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as a model file"):
        WeightsFile(path).read("missing")


def test_truncated_files_are_refused(path: Path) -> None:
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match="may be damaged"):
            WeightsFile(path)


def test_longer_files_are_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(InputError, match="may be damaged"):
        WeightsFile(path)


def test_a_pickle_is_not_executed(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    (tmp_path / "a.safetensors").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError):
        WeightsFile(tmp_path / "a.safetensors")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        {"a": 1},
        {"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 8]}},
        {"a": {"dtype": "O", "shape": [1], "data_offsets": [0, 4]}},
        {"__metadata__": {"recipe": 5}, "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}},
    ],
)
def test_forged_headers_are_refused(header: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="may be damaged"):
        WeightsFile(write(tmp_path / "a.safetensors", header, bytes(4)))


def test_a_header_that_is_longer_than_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", 1 << 62) + b"{}")
    with pytest.raises(InputError, match="may be damaged"):
        WeightsFile(tmp_path / "a.safetensors")


def test_types_that_are_none_of_ours_are_refused(tmp_path: Path) -> None:
    entry = {"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    with pytest.raises(InputError, match="BF16"):
        WeightsFile(write(tmp_path / "a.safetensors", entry, bytes(4)))


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        WeightsFile(tmp_path / "missing.safetensors")
    with pytest.raises(InputError, match="cannot be read"):
        WeightsFile(tmp_path)


def test_any_byte_may_be_damaged(tmp_path: Path) -> None:
    content = save({"table": TABLE, "low": LOW}, {"task": "fit"})
    for place in range(len(content) - TABLE.nbytes - LOW.nbytes):
        damaged = bytearray(content)
        damaged[place] ^= 0x15
        (tmp_path / "a.safetensors").write_bytes(damaged)
        try:
            file = WeightsFile(tmp_path / "a.safetensors")
            for name in file.shapes:
                file.read(name)
        except InputError as error:
            assert "\n" not in str(error)


def test_arrays_are_written_as_safetensors_writes_them(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    volume = random.random((2, 3, 6, 7)).astype(np.float32)
    weights = {
        "b": volume[..., 1:4, 2:5], "a": np.asfortranarray(random.random((4, 5))), "c": np.arange(7, dtype=np.uint8),
        "one": np.float32(2).reshape(()), "none": np.zeros((0, 3), np.float32),
    }  # fmt: skip
    write_weights(tmp_path / "a.safetensors", weights, {"task": "idt"})
    read = WeightsFile(tmp_path / "a.safetensors")
    assert read.header == {"task": "idt"} and set(read.shapes) == set(weights)
    for name, array in weights.items():
        np.testing.assert_array_equal(read.read(name), array)
        assert read.dtypes[name] == array.dtype
    theirs = save({name: np.ascontiguousarray(array).reshape(array.shape) for name, array in weights.items()})
    ours = (tmp_path / "a.safetensors").read_bytes()
    assert theirs[8 + int.from_bytes(theirs[:8], "little") :] == ours[8 + int.from_bytes(ours[:8], "little") :]


def test_a_cropped_volume_is_written_without_a_copy(tmp_path: Path) -> None:
    volume = np.ones((2, 8, 520, 520), np.float32)[..., 4:-4, 4:-4]
    tracemalloc.start()
    try:
        write_weights(tmp_path / "a.safetensors", {"contrast": volume}, {})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.2 * volume.nbytes
    np.testing.assert_array_equal(WeightsFile(tmp_path / "a.safetensors").read("contrast"), volume)
