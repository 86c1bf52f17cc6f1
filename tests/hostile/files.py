"""Malformed files: small valid ones of every kind, damaged at random."""

from __future__ import annotations

import io
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import tifffile
import zarr
from PIL import Image
from safetensors.numpy import save
from scipy.io import savemat

STACK = np.random.default_rng(0).integers(1, 60000, (3, 16, 16)).astype(np.uint16)
COLUMNS = np.moveaxis(STACK, 0, -1)
EXTREMES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\x01\0\0\0", b"\0\0\0\x01")

RECIPE = """task: lensless
wavelength_um: 0.5
pixel_size_um: 1.5
distances_um: [300, 400, 500]
gauss_newton: {cg_steps: 5}
prior: {tv: 0.01}
"""
TABLE = "frame;distance (mm)\n1;0,3\n2;0,4\n3;0,5\n"
REPORT = {"task": "fit", "files": ["a.tif"], "seconds": 1.5, "warnings": [], "truth": {"phase": [1, 2, 3]}}


def seeds(folder: Path) -> list[Path]:
    """Write a valid file, or folder, of each kind; return them."""
    tiffs = {
        "plain": {"photometric": "minisblack"},
        "ome": {"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}},
        "imagej": {"imagej": True, "metadata": {"axes": "ZYX", "unit": "um"}, "resolution": (2, 2)},
        "deflate": {"photometric": "minisblack", "compression": "zlib"},
        "tiled": {"photometric": "minisblack", "tile": (16, 16)},
        "big": {"photometric": "minisblack", "bigtiff": True, "byteorder": ">"},
    }
    for name, options in tiffs.items():
        tifffile.imwrite(folder / f"{name}.tif", STACK, **options)
    Image.fromarray((STACK[0] >> 8).astype(np.uint8)).save(folder / "grey.png")
    Image.fromarray(np.moveaxis(STACK >> 8, 0, -1).astype(np.uint8)).save(folder / "colour.png")
    np.save(folder / "a.npy", STACK)
    np.savez_compressed(folder / "a.npz", a=STACK, b=np.ones(3))
    savemat(folder / "old.mat", {"frames": COLUMNS}, do_compression=True)
    savemat(folder / "structure.mat", {"data": {"frames": COLUMNS, "na": 0.5}})
    with h5py.File(folder / "new.mat", "w", userblock_size=512) as file:
        file.create_dataset("frames", data=STACK.swapaxes(1, 2), compression="gzip")
        file["frames"].attrs["MATLAB_class"] = np.bytes_("uint16")
    with h5py.File(folder / "a.h5", "w") as file:
        file["scan/raw"], file["led"] = STACK, np.ones((3, 2))
    for name, version in (("two.zarr", 2), ("three.zarr", 3)):
        group = zarr.open_group(str(folder / name), mode="w", zarr_format=version)
        axes = [{"name": axis, "unit": "micrometer"} for axis in "zyx"]
        levels = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 0.5, 0.5]}]}]
        images = [{"axes": axes, "datasets": levels}]
        group.attrs.update({"multiscales": images} if version == 2 else {"ome": {"multiscales": images}})
        group.create_array("0", shape=STACK.shape, dtype=STACK.dtype, chunks=(1, 16, 16))[...] = STACK
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "table.csv").write_text(TABLE)
    (folder / "report.json").write_text(json.dumps(REPORT))
    (folder / "model.safetensors").write_bytes(
        save({"a": np.ones((4, 4), np.float32)}, {"recipe": "{}", "layout": "{}"})
    )
    return sorted(folder.iterdir())


def mutants(folder: Path, count: int, seed: int = 0) -> Iterator[Path]:
    """Write `count` damaged files of all kinds into a folder, and yield them."""
    valid = folder / "valid"
    valid.mkdir(parents=True)
    sources, generator = seeds(valid), random.Random(seed)
    for number in range(count):
        source = sources[number % len(sources)]
        path = folder / f"{number}{source.suffix}"
        if source.is_dir():
            shutil.copytree(source, path)
            inner = generator.choice(sorted(file for file in path.rglob("*") if file.is_file()))
            inner.write_bytes(damaged(inner.read_bytes(), generator))
        else:
            path.write_bytes(damaged(source.read_bytes(), generator))
        yield path


def damaged(content: bytes, generator: random.Random) -> bytes:
    """Return a content with one to four random changes."""
    data = bytearray(content)
    for _ in range(generator.choice((1, 1, 2, 4))):
        generator.choice(_CHANGES)(data, generator)
    return bytes(data)


def _flip(data: bytearray, generator: random.Random) -> None:
    for _ in range(generator.choice((1, 3, 10))):
        if data:
            data[_place(data, generator)] = generator.randrange(256)


def _extreme(data: bytearray, generator: random.Random) -> None:
    place = _place(data, generator)
    data[place : place + 4] = generator.choice(EXTREMES)


def _cut(data: bytearray, generator: random.Random) -> None:
    del data[_place(data, generator) :]


def _repeat(data: bytearray, generator: random.Random) -> None:
    place = _place(data, generator)
    part = data[place : place + generator.choice((1, 8, 64))]
    data[place:place] = part * generator.choice((1, 2, 200))


def _remove(data: bytearray, generator: random.Random) -> None:
    place = _place(data, generator)
    del data[place : place + generator.choice((1, 4, 16))]


def _number(data: bytearray, generator: random.Random) -> None:
    """Replace a digit by many, which is what texts in headers suffer from."""
    digits = [place for place, value in enumerate(data[:4096]) if chr(value).isdigit()]
    if digits:
        place = generator.choice(digits)
        data[place : place + 1] = generator.choice((b"-1", b"0", b"99999999", b"1e308", b"nan", b"9" * 5000))


def _place(data: bytearray, generator: random.Random) -> int:
    """Return a place, in the header as often as not."""
    end = len(data) if generator.random() < 0.5 else min(len(data), 600)
    return generator.randrange(end) if end else 0


_CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (_flip, _extreme, _cut, _repeat, _remove, _number)


def packed(**arrays: np.ndarray) -> bytes:
    """Return the bytes of a compressed NumPy file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()
