"""Fits stored with a largest error: whether it holds for every value, and their size beside other formats.

    python benchmarks/bounded.py -o results [--only noise] [--seconds 10]
    python benchmarks/bounded.py --image FILE FILE -o results     # images of your own as well

Each data set is fitted, saved and read again from its file; the error is that of the file, over all values. The other
columns are bits a pixel of the same data: zstd and PNG or JPEG-XL without loss, and with the same largest error JPEG-LS
(unsigned numbers) or the smaller one of ZFP and SZ3 (floating-point numbers). A dash stands where a format cannot hold
the data, or imagecodecs is not there.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import napari_diner as nd
from napari_diner.tasks.fit.model import FitModel
from napari_diner.tasks.task import Frames
from output import table, write
from textures import fur

DISTANCES = (300.0, 400.0, 500.0)
Data = tuple[npt.NDArray[Any], str]
HEADER = (
    "data", "type", "shape", "max_error", "largest error", "bits, ours", "whole", "zstd", "PNG, JPEG-XL",
    "JPEG-LS, ZFP, SZ3", "seconds",
)  # fmt: skip


def sample(task: str, dtype: str, scale: float = 1.0, **size: int) -> Data:
    """Return the data of a sample in another type."""
    array = nd.sample(task, **size).data
    return (array.data * scale).astype(dtype), array.axes


def data_sets() -> dict[str, tuple[Callable[[], Data], tuple[float, ...]]]:
    """Return data sets by name, each with largest errors."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:256, :256]
    waves = 0.5 + 0.5 * np.sin(x / 9) * np.cos(y / 7)
    spectra = np.exp(-(((np.arange(32)[:, None, None] - 30 * waves) / 6) ** 2))
    grating = 0.5 + 0.5 * np.sin(x**2 / 90 + y / 3)
    return {
        "image": (lambda: sample("image", "uint8", height_px=256, width_px=256), (1, 4)),
        "fur": (lambda: (fur(256), "YXS"), (1, 4)),
        "fur, grey": (lambda: (fur(256, grey=True), "YX"), (2,)),
        "video": (lambda: sample("video", "uint8", height_px=96, width_px=96, frames=8), (2,)),
        "holograms, float": (
            lambda: sample("lensless", "float32", height_px=128, width_px=128, distances_um=DISTANCES), (100,),
        ),
        "holograms, 12 bits": (
            lambda: sample("lensless", "uint16", 1 / 16, height_px=128, width_px=128, distances_um=DISTANCES), (8,),
        ),
        "tomograms": (lambda: sample("idt", "float32", height_px=96, width_px=96, slices=8, frames=8), (0.002,)),
        "noise, 8 bits": (lambda: (random.integers(0, 256, (256, 256)).astype(np.uint8), "YX"), (0, 2)),
        "noise, 16 bits": (lambda: (random.poisson(5000 * waves + 200).astype(np.uint16), "YX"), (1, 16)),
        "smooth, 16 bits": (lambda: ((60000 * waves).astype(np.uint16), "YX"), (1, 16)),
        "grating, 12 bits": (lambda: ((4095 * grating).astype(np.uint16), "YX"), (2,)),
        "checks": (lambda: ((x // 8 + y // 8).astype(np.uint8) % 2 * 200, "YX"), (0,)),
        "labels": (lambda: (((x // 20) * 7 + (y // 30)).astype(np.uint16), "YX"), (0,)),
        "signed": (lambda: ((8000 * (waves - 0.5) + random.normal(0, 9, waves.shape)).astype(np.int16), "YX"), (5,)),
        "temperatures": (
            lambda: ((300 + waves + random.normal(0, 0.01, waves.shape)).astype(np.float32), "YX"), (0.01,),
        ),
        "phase": (lambda: ((6 * waves).astype(np.float32), "YX"), (0.01, 0.001)),
        "double": (lambda: (1e6 + waves, "YX"), (1e-3,)),
        "volume": (
            lambda: (random.poisson(400 * np.stack([waves, waves.T] * 4)).astype(np.uint16), "ZYX"), (3,),
        ),
        "32 channels, clean": (lambda: ((50000 * spectra).astype(np.uint16), "CYX"), (20, 200)),
        "32 channels, noisy": (lambda: (random.poisson(3000 * spectra + 100).astype(np.uint16), "CYX"), (50, 200)),
        "outlier": (lambda: (np.where((x == 9) & (y == 7), 60000, 900 * waves).astype(np.uint16), "YX"), (4,)),
        "constant": (lambda: (np.full((64, 64), 77, np.uint8), "YX"), (0,)),
    }  # fmt: skip


def least(found: list[str]) -> str:
    """Return the fewest bits."""
    return min(found, key=lambda text: math.inf if text == "-" else float(text), default="-")


def others(data: npt.NDArray[Any], axes: str, most: float, pixels: int) -> list[str]:
    """Return the bits a pixel of other formats: zstd, one for images without loss, one with the same largest error."""
    try:
        import imagecodecs as codecs
    except ImportError:
        return ["-"] * 3

    def bits(encode: Callable[[], bytes]) -> str:
        try:
            return f"{8 * len(encode()) / pixels:.2f}"
        except Exception:  # the codecs raise errors of their own for what they cannot hold
            return "-"

    planes = list(data.reshape(-1, *data.shape[-2:])) if axes[-1] != "S" else list(data.reshape(-1, *data.shape[-3:]))
    whole = data.dtype.kind == "u"

    def each(encode: Callable[[Any], bytes]) -> Callable[[], bytes]:
        return lambda: b"".join(encode(np.ascontiguousarray(plane)) for plane in planes)

    lossless = min(
        (
            bits(each(encode))
            for encode in (codecs.png_encode, lambda plane: codecs.jpegxl_encode(plane, lossless=True))
        ),
        key=lambda text: math.inf if text == "-" else float(text),
    )
    near = math.floor(most)
    same: list[Callable[[], bytes]] = []
    if whole:
        same = [each(lambda plane: codecs.jpegls_encode(plane, level=near))]
    elif data.dtype.kind == "f":
        same = [
            each(lambda plane: codecs.zfp_encode(plane, level=most, mode="a")),
            lambda: codecs.sz3_encode(np.ascontiguousarray(data), mode="abs", abs=most),
        ]
    return [
        bits(lambda: codecs.zstd_encode(np.ascontiguousarray(data).tobytes(), level=19)),
        lossless if whole else "-",
        least([bits(encode) for encode in same]),
    ]


def row(name: str, data: npt.NDArray[Any], axes: str, most: float, seconds: float) -> list[Any]:
    """Fit, save, read again and compare."""
    began = time.perf_counter()
    result = nd.fit(Frames(data, axes), max_error=most, max_seconds=seconds)
    with tempfile.TemporaryDirectory() as folder:
        result.save(Path(folder) / "fit")
        model = FitModel.open(Path(folder) / "fit")
        largest = float(np.abs(model.evaluate().astype(np.float64) - data).max())
        bits, pixels = model.bits_per_pixel, model.layout.pixels
    took = time.perf_counter() - began
    more = others(data, axes, most, pixels)
    whole = f"{8 * data.nbytes / pixels:.0f}"
    shape = "×".join(map(str, data.shape))
    mark = f"{largest:.4g}" if largest <= most else f"{largest:.4g} TOO LARGE"
    return [name, data.dtype.name, shape, f"{most:g}", mark, f"{bits:.2f}", whole, *more, f"{took:.0f}"]


def rows(arguments: argparse.Namespace) -> Iterator[list[Any]]:
    """Give a row for each data set and error."""
    sets: dict[str, tuple[Callable[[], Data], tuple[float, ...]]] = {
        name: each for name, each in data_sets().items() if arguments.only in name
    }
    for path in arguments.image:
        image = nd.read(path)
        sets[path.stem] = ((lambda image=image: (np.asarray(image.array), image.axes)), (1, 4))
    for name, (make, errors) in sets.items():
        data, axes = make()
        for most in errors:
            found = row(name, data, axes, most, arguments.seconds)
            print(*found, sep="  ", flush=True)
            yield found


def main() -> None:
    """Print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for bounded.txt and .json")
    parser.add_argument("--only", default="", help="part of the names of the data sets")
    parser.add_argument("--seconds", type=float, default=10, help="time limit of each fit")
    parser.add_argument("--image", type=Path, nargs="*", default=[], help="images to add")
    arguments = parser.parse_args()
    found = list(rows(arguments))
    held = sum("LARGE" not in each[4] for each in found)
    print(f"{held} of {len(found)} within their largest error")
    write(arguments.output, "bounded", table(HEADER, found), {"header": HEADER, "rows": found})


if __name__ == "__main__":
    main()
