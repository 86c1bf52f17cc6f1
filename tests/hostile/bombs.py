"""Files made to exhaust time or memory, and paths that are not files."""

from __future__ import annotations

import json
import os
import socket
import struct
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import tifffile

from tests.hostile.files import STACK

GIGABYTE = 2**30


def bombs(folder: Path) -> list[Path]:
    """Write all of them into a folder; return them."""
    folder.mkdir(parents=True)
    for write in (_recipes, _tiffs, _xml, _images, _arrays, _containers, _special, _texts):
        write(folder)
    return sorted(folder.iterdir())


def recipe_bombs(folder: Path) -> list[Path]:
    """Write the recipes only."""
    folder.mkdir(parents=True)
    _recipes(folder)
    return sorted(folder.iterdir())


def structure_bombs(folder: Path) -> list[Path]:
    """Write those that are small and quickly refused by their structure."""
    folder.mkdir(parents=True)
    for write in (_xml, _special):
        write(folder)
    return sorted(folder.iterdir())


def _recipes(folder: Path) -> None:
    aliases = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{new}: &{new} [{','.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefghi", "bcdefghij", strict=True)
    )
    texts = {
        "aliases": aliases + "task: *j\n",
        "alias_value": aliases + "task: lensless\nwavelength_um: *j\n",
        "merge": "a: &a {<<: *a}\n",
        "self": "task: &a [*a]\n",
        "deep": "task: lensless\nprior: " + "[" * 20_000,
        "deep_map": "task: lensless\nprior: " + "{a: " * 20_000,
        "digits": f"task: lensless\nwavelength_um: {'9' * 5000}\n",
        "digits_key": f"{'9' * 5000}: 1\n",
        "base60": "task: lensless\nwavelength_um: " + ":".join(["59"] * 3000) + "\n",
        "long": f"task: {'x' * 10_000_000}\n",
        "long_key": f"task: lensless\n{'x' * 1_000_000}: 1\n",
        "twice": "task: lensless\nseed: 1\nseed: 2\n",
        "tag": "task: !!python/object/apply:os.system ['true']\n",
        "own_tag": "task: !lensless x\n",
        "date": "task: lensless\nwavelength_um: 2020-01-01\nseed: 2020-13-45\n",
        "binary": "task: lensless\nstack: !!binary aGVsbG8=\n",
        "set": "task: lensless\ndistances_um: !!set {1, 2}\n",
        "null": "~\n",
        "list": "- task\n",
        "control": 'task: "\\e[31m\\a\\n\\n"\nwavelength_um: "\\x07\\u2028"\n',
        "many": "task: lensless\n" + "".join(f"k{number}: 1\n" for number in range(100_000)),
        "infinite": "task: lensless\nwavelength_um: .inf\ndistances_um: [.nan, .inf, -.inf]\n",
        "nul_path": 'task: lensless\nstack: "a\\0b"\n',
        "long_path": f"task: lensless\nstack: {'x' * 300}\n",
        "nobody": "task: lensless\nstack: ~nobody/x.tif\n",
        "complex_key": "? [1, 2]\n: 3\n",
        "documents": "task: lensless\n---\ntask: idt\n",
    }
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    (folder / "latin.yaml").write_bytes(b"task: lensless\nstack: \xff\xfe\xe9\n")
    (folder / "zeros.yaml").write_bytes(bytes(1000))


def _ifd(entries: list[tuple[int, int, int, int]], following: int) -> bytes:
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<H", len(entries)) + body + struct.pack("<I", following)


def _page(width: int, height: int, place: int, size: int, compression: int = 1) -> list[tuple[int, int, int, int]]:
    """Entries of an 8-bit grey page in one strip."""
    return [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, compression),
        (262, 3, 1, 1),
        (273, 4, 1, place),
        (277, 3, 1, 1),
        (278, 4, 1, height),
        (279, 4, 1, size),
    ]


def _tiffs(folder: Path) -> None:
    head = struct.pack("<2sHI", b"II", 42, 8)
    length = len(_ifd(_page(4, 4, 0, 16), 0))
    (folder / "cycle.tif").write_bytes(head + _ifd(_page(4, 4, 8, 16), 8))
    for name, count, last in (("loop", 30_000, 8), ("chain", 200_000, 0)):
        pages = [_ifd(_page(4, 4, 8, 16), 8 + (number + 1) * length) for number in range(count - 1)]
        (folder / f"{name}.tif").write_bytes(head + b"".join(pages) + _ifd(_page(4, 4, 8, 16), last))
    empty = struct.pack("<H", 0)
    (folder / "empty_pages.tif").write_bytes(
        head + b"".join(empty + struct.pack("<I", 8 + 6 * (number + 1)) for number in range(100_000))
    )
    (folder / "tags.tif").write_bytes(head + struct.pack("<H", 65535) + bytes(100))
    (folder / "count.tif").write_bytes(head + _ifd([(256, 4, 0xFFFFFFFF, 8), (257, 4, 1, 4)], 0))
    (folder / "strips.tif").write_bytes(head + _ifd([*_page(4, 4, 8, 16)[:5], (273, 4, 0x3FFFFFFF, 8)], 0))
    (folder / "wide.tif").write_bytes(head + _ifd(_page(2**31 - 1, 2**31 - 1, 8, 16), 0))
    for name, pixels, declared in (("bomb", GIGABYTE, 64), ("declared", GIGABYTE, 32768)):
        packer = zlib.compressobj(9)
        strip = b"".join(packer.compress(bytes(2**20)) for _ in range(pixels // 2**20)) + packer.flush()
        page = _page(declared, declared, 8 + length, len(strip), 8)
        (folder / f"{name}.tif").write_bytes(head + _ifd(page, 0) + strip)


def _xml(folder: Path) -> None:
    def ome(name: str, xml: str) -> None:
        tifffile.imwrite(
            folder / f"{name}.ome.tif", STACK[:1], photometric="minisblack", metadata=None, description=xml.encode()
        )

    sizes = (
        '<?xml version="1.0"?>{doctype}<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="i">'
        '<Pixels ID="p" DimensionOrder="XYZCT" Type="uint16" SizeX="16" SizeY="16" SizeC="1" SizeZ="{z}" SizeT="{t}" '
        'PhysicalSizeX="{size}">{data}</Pixels></Image></OME>'
    )
    filled = {"doctype": "", "z": 1, "t": 1, "size": 1, "data": '<TiffData IFD="0" PlaneCount="1"/>'}
    ome("sizes", sizes.format(**{**filled, "z": 100_000, "t": 100_000}))
    ome("planes", sizes.format(**{**filled, "z": 2_000_000_000}))
    ome("negative", sizes.format(**{**filled, "z": -5, "t": "9" * 5000}))
    ome("data", sizes.format(**{**filled, "data": '<TiffData IFD="0" PlaneCount="2000000000"/>'}))
    ome("first", sizes.format(**{**filled, "data": '<TiffData IFD="2000000000" FirstZ="2000000000"/>'}))
    ome("length", sizes.format(**{**filled, "size": "9" * 5000}))
    ome("deep", sizes.format(**{**filled, "data": "<a>" * 100_000}))
    entities = '<!DOCTYPE o [<!ENTITY a0 "aaaaaaaaaa">' + "".join(
        f'<!ENTITY a{new} "{f"&a{new - 1};" * 10}">' for new in range(1, 10)
    )
    ome("entities", sizes.format(**{**filled, "doctype": entities + "]>", "data": "&a9;"}))
    ome(
        "outside",
        sizes.format(**{**filled, "doctype": '<!DOCTYPE o [<!ENTITY x SYSTEM "file:///etc/passwd">]>', "data": "&x;"}),
    )
    for name, text in {
        "imagej": "ImageJ=1.53\nimages=2000000000\nslices=2000000000\nhyperstack=true\n",
        "shaped": '{"shape": [2000000000, 16, 16]}',
        "nested": '{"shape": ' + "[" * 50_000,
    }.items():
        tifffile.imwrite(folder / f"{name}.tif", STACK[:1], photometric="minisblack", metadata=None, description=text)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _images(folder: Path) -> None:
    def png(name: str, width: int, height: int, *chunks: bytes) -> None:
        start = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        (folder / f"{name}.png").write_bytes(start + b"".join(chunks) + _chunk(b"IEND", b""))

    data = _chunk(b"IDAT", zlib.compress(bytes(17 * 16)))
    png("huge", 2**31 - 1, 2**31 - 1, data)
    png("large", 60_000, 60_000, data)
    png("expanding", 16, 16, _chunk(b"IDAT", zlib.compress(bytes(2**28), 9)))
    png("text", 16, 16, _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**28), 9)), data)
    png("profile", 16, 16, _chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**28), 9)), data)
    png("nothing", 0, 0, data)


def _arrays(folder: Path) -> None:
    for name, shape in {
        "shape": "(1000000, 1000000, 1000000)",
        "negative": "(-4, -4)",
        "many": f"({'1, ' * 60})",
    }.items():
        header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
        (folder / f"{name}.npy").write_bytes(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode())
    (folder / "nested.npy").write_bytes(b"\x93NUMPY\x02\0" + struct.pack("<I", 60_000) + b"[" * 60_000)
    (folder / "header.npy").write_bytes(b"\x93NUMPY\x02\0" + struct.pack("<I", 2**32 - 1) + bytes(100))
    np.save(folder / "object.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    with (
        zipfile.ZipFile(folder / "zip.npz", "w", zipfile.ZIP_DEFLATED) as file,
        file.open("a.npy", "w", force_zip64=True) as entry,
    ):
        header = "{'descr': '<u1', 'fortran_order': False, 'shape': (1024, 1024, 1024)}".ljust(117) + "\n"
        entry.write(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode())
        for _ in range(1024):
            entry.write(bytes(2**20))
    with zipfile.ZipFile(folder / "entries.npz", "w") as file:
        for number in range(20_000):
            file.writestr(f"{number}.npy", b"\x93NUMPY")


def _containers(folder: Path) -> None:
    with h5py.File(folder / "declared.h5", "w") as file:
        file.create_dataset("a", (10**5, 10**5, 10**3), "f8", chunks=(1, 1000, 1000))
    with h5py.File(folder / "links.h5", "w") as file:
        file["again"] = h5py.SoftLink("/again")
        file["root"] = h5py.SoftLink("/")
        file["outside"] = h5py.ExternalLink("/etc/passwd", "a")
        file["group/self"] = file["/"]
        file.create_dataset("raw", (4, 4), "u1", external=[("/etc/passwd", 0, 16)])
    with h5py.File(folder / "attributes.h5", "w") as file:
        array = file.create_dataset("a", data=STACK)
        for number in range(10_000):
            array.attrs[f"k{number}"] = number
    with h5py.File(folder / "groups.h5", "w") as file:
        for number in range(20_000):
            file.create_group(f"g{number}")
    with h5py.File(folder / "deep.h5", "w") as file:
        place: h5py.Group = file
        for _ in range(2000):
            place = place.create_group("g")
    tag = struct.pack("<II", 14, 0xF0000000)
    packed = zlib.compress(tag + bytes(2**27), 9)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    (folder / "packed.mat").write_bytes(head + struct.pack("<II", 15, len(packed)) + packed)
    (folder / "length.mat").write_bytes(head + struct.pack("<II", 14, 0xFFFFFFF0) + bytes(64))
    for name, metadata in {
        "shape": {"zarr_format": 2, "shape": [10**9, 10**9], "chunks": [10**9, 10**9], "dtype": "<f8", "order": "C",
                  "compressor": None, "fill_value": 0, "filters": None},
        "chunks": {"zarr_format": 2, "shape": [10**6, 10**6], "chunks": [1, 1], "dtype": "<f8", "order": "C",
                   "compressor": None, "fill_value": 0, "filters": None},
        "tiny": {"zarr_format": 2, "shape": [3, 3000, 3000], "chunks": [1, 1, 1], "dtype": "<u2", "order": "C",
                 "compressor": None, "fill_value": 0, "filters": None},
    }.items():  # fmt: skip
        (folder / f"{name}.zarr").mkdir()
        (folder / f"{name}.zarr" / ".zarray").write_text(json.dumps(metadata))
    (folder / "nested.zarr").mkdir()
    (folder / "nested.zarr" / "zarr.json").write_text('{"a": ' * 50_000)
    for name, text in {
        "outside": {"multiscales": [{"axes": ["y", "x"], "datasets": [{"path": "../../../../etc"}]}]},
        "endless": {"multiscales": [{"axes": ["y", "x"], "datasets": [{"path": ""}]}]},
    }.items():
        (folder / f"{name}.zarr").mkdir()
        (folder / f"{name}.zarr" / ".zgroup").write_text('{"zarr_format": 2}')
        (folder / f"{name}.zarr" / ".zattrs").write_text(json.dumps(text))


def _special(folder: Path) -> None:
    (folder / "empty.tif").touch()
    (folder / "folder.tif").mkdir()
    os.mkfifo(folder / "pipe.tif")
    os.mkfifo(folder / "pipe.yaml")
    os.mkfifo(folder / "pipe.csv")
    os.mkfifo(folder / "pipe.safetensors")
    (folder / "device.tif").symlink_to("/dev/zero")
    (folder / "device.yaml").symlink_to("/dev/zero")
    (folder / "device.csv").symlink_to("/dev/zero")
    (folder / "circle.tif").symlink_to(folder / "circle.tif")
    (folder / "circle.yaml").symlink_to(folder / "circle.yaml")
    (folder / "links").mkdir()
    for name in ("a", "b", "c"):
        (folder / "links" / name).symlink_to(folder / "links")
    (folder / "folder.yaml").mkdir()
    (folder / "folder.csv").mkdir()
    here = Path.cwd()
    os.chdir(folder)  # the names of sockets must be short
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind("socket.tif")
    finally:
        os.chdir(here)


def _texts(folder: Path) -> None:
    with (folder / "long.csv").open("w") as file:
        for _ in range(100):
            file.write("1.5,2.5\n" * 125_000)
    (folder / "field.csv").write_text("distance\n" + "1" * 200_000 + "\n")
    (folder / "word.csv").write_text("x" * 200_000 + "\n1\n")
    (folder / "quotes.csv").write_text('"' * 200_001 + "\n1\n")
    (folder / "columns.csv").write_text("1," * 500_000 + "\n")
    (folder / "blanks.csv").write_text("1 " * 200_000 + "\n" + " " * 200_000 + "#\n")
    (folder / "header.safetensors").write_bytes(struct.pack("<Q", 2**40) + b"{}")
    (folder / "nested.safetensors").write_bytes(struct.pack("<Q", 100_000) + b'{"a":' * 20_000)
    declared = json.dumps({"a": {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}}).encode()
    (folder / "declared.safetensors").write_bytes(struct.pack("<Q", len(declared)) + declared)
    (folder / "deep.json").write_text('{"a":' * 100_000)
    (folder / "digits.json").write_text('{"files": ' + "9" * 5000 + "}")
    (folder / "numbers.json").write_text(f"[{'1,' * 400_000}1]")
    (folder / "files.json").write_text('{"files": 5, "task": []}')
