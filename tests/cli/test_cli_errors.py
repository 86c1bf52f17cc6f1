"""Bad input: exit code 2, one line that names the problem and the cure, nothing written, no traceback."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from safetensors.numpy import save_file

if TYPE_CHECKING:
    from tests.cli.conftest import Run

OPTICS = "--wavelength-um 0.532 --pixel-size-um 1.12"
OTHERS = "--pixel-size-um 1.12 --distances-um 300,400,500"
RIGHT = f"{OPTICS} --distances-um 300,400,500"


def prepare(folder: Path) -> None:
    """Put one of each kind of bad input into a folder."""
    frames = np.random.default_rng(0).integers(100, 60000, (3, 32, 32), np.uint16)
    tifffile.imwrite(folder / "good.tif", frames, photometric="minisblack")
    dead = frames.copy()
    dead[1] = 0
    tifffile.imwrite(folder / "dead.tif", dead, photometric="minisblack")
    holed = frames.astype(np.float32)
    holed[2, 5, 5] = np.nan
    tifffile.imwrite(folder / "nan.tif", holed, photometric="minisblack")
    (folder / "mixed").mkdir()
    for name, size in (("a", 32), ("b", 30), ("c", 32)):
        tifffile.imwrite(folder / "mixed" / f"{name}.tif", frames[0, :size])
    (folder / "text.tif").write_text("not an image\n")
    (folder / "cut.tif").write_bytes((folder / "good.tif").read_bytes()[:3000])
    # 2 TiB, of which nothing is stored
    tifffile.imwrite(folder / "huge.tif", shape=(256, 65536, 65536), dtype=np.uint16, photometric="minisblack")
    (folder / "truth").mkdir()
    for name in ("amplitude", "phase"):
        tifffile.imwrite(folder / "truth" / f"{name}.tif", np.ones((30, 32), np.float32))
    for name, array in {
        "image.tif": frames[0],
        "colours.tif": np.moveaxis(frames, 0, -1)[..., :3].astype(np.uint8),
        "holes.tif": holed[2],
        "complex.tif": frames[0].astype(np.complex64),
        "double.tif": frames[0].astype(np.float64),
    }.items():
        tifffile.imwrite(folder / name, array)
    np.save(folder / "empty.npy", np.zeros((0, 5), np.uint8))
    save_file({"weight": np.zeros(3, np.float32)}, folder / "other.safetensors")
    (folder / "full").mkdir()
    (folder / "full" / "report.json").write_text("{}")
    for name, text in {
        "typo.yaml": "gaus_newton: {cg_steps: 3}\n",
        "nested.yaml": "gauss_newton: {cg_step: 3}\n",
        "broken.yaml": "wavelength_um: [1\n",
        "fit.yaml": "task: fitt\n",
        "image.yaml": "task: fit\nimage: image.tif\n",
        "exact.yaml": "task: fit\nimage: double.tif\nbit_exact: true\n",
        "taskless.yaml": "seed: 1\n",
        "list.csv": "100\nmany\n",
    }.items():
        (folder / name).write_text(text)


CASES = {
    f"lensless good.tif nan.tif dead.tif {RIGHT} -o out": "Unexpected arguments: 'nan.tif dead.tif'; quote a pattern",
    f"lensless good.tif -o out {OPTICS} --distances-um 300,400": "--distances-um has 2 entries but the stack has 3",
    f"lensless good.tif -o out {OPTICS}": "distances are missing; give --distances-um",
    f"lensless good.tif -o out {OPTICS} --distances-um 300,-4,500": "must be a positive number, not -4",
    f"lensless good.tif -o out {OPTICS} --distances-um -300,4,500": "must be a positive number, not -300",
    f"lensless good.tif -o out {OPTICS} --distances-um 300,x,500": "--distances-um, value 2: 'x' is not a number",
    f"lensless good.tif -o out {OPTICS} --distances-um list.csv": "list.csv, line 2: 'many' is not a number",
    f"lensless good.tif -o out {OPTICS} --distances-um none.csv": "--distances-um: none.csv cannot be read",
    f"lensless good.tif -o out {OTHERS} --wavelength-um 0": "--wavelength-um = 0.0 cannot be used: it should be",
    f"lensless good.tif -o out {RIGHT} --leave-out 0": "--leave-out = [0] cannot be used: frames are counted from 1",
    f"lensless good.tif -o out {OTHERS} --wavelength-um -0.5": "--wavelength-um = -0.5 cannot be used: it should be",
    f"lensless good.tif -o out {RIGHT} --wavelength-um 1": "--wavelength-um specified multiple times",
    f"lensless good.tif -o out {OTHERS} --wavelength-um nan": "--wavelength-um = nan cannot be used",
    f"lensless good.tif -o out {OTHERS} --wavelength-um red": "Invalid value for --wavelength-um: unable to convert",
    "lensless good.tif -o out --pixel-size-um 1 --distances-um 1,2,3": "wavelength is missing; give --wavelength-um",
    "lensless good.tif -o out --wavelength-um 0.5 --distances-um 1,2,3": "pixel size is missing",
    f"lensless nan.tif -o out {RIGHT}": "Frame 3 holds values that are not finite",
    f"lensless dead.tif -o out {RIGHT}": "Frame 2 is all zero",
    f"lensless mixed -o out {RIGHT}": "a.tif holds 32×32 values of type uint16 but mixed/b.tif 30×32",
    f"lensless text.tif -o out {RIGHT}": "text.tif is not a file of a format that can be read",
    f"lensless cut.tif -o out {RIGHT}": "cut.tif is truncated",
    f"lensless gone.tif -o out {RIGHT}": "gone.tif does not exist; check the path",
    f"lensless gone*.tif -o out {RIGHT}": "No TIFF, PNG or BMP file matches",
    f"lensless huge.tif -o out {RIGHT}": "GB of main memory are free; crop or bin the frames",
    f"lensless good.tif -o full {RIGHT}": "output folder full exists; choose another one or add --overwrite",
    f"lensless good.tif -o good.tif {RIGHT} --overwrite": "output good.tif is a file; name a folder",
    f"lensless good.tif -o out {RIGHT} --truth full": "truth folder full holds no amplitude.tif",
    f"lensless good.tif -o out {RIGHT} --truth truth": "pixels but the frames have 32×32; give the truth of this stack",
    f"lensless good.tif -o out {RIGHT} --recipe typo.yaml": "no key 'gaus_newton'; did you mean 'gauss_newton'?",
    f"lensless good.tif -o out {RIGHT} --recipe nested.yaml": "did you mean 'gauss_newton.cg_steps'?",
    f"lensless good.tif -o out {RIGHT} --recipe broken.yaml": "recipe broken.yaml cannot be read: it is not valid YAML",
    f"lensless good.tif -o out {RIGHT} --recipe gone.yaml": "recipe gone.yaml cannot be read",
    f"lensless good.tif -o out {RIGHT} --recipe fit.yaml": "task = 'fitt' cannot be used: it should be 'lensless'",
    f"lensless good.tif -o out {RIGHT} --set sed=3": "no key 'sed'; did you mean 'seed'?",
    f"lensless good.tif -o out {RIGHT} --set seed": "--set 'seed' is not understood; write it as --set key=value",
    f"lensless good.tif -o out {RIGHT} --set gauss_newton=3": "--gauss-newton = 3 cannot be used: it should be a",
    f"lensless good.tif -o out {RIGHT} --gauss-newton.cg-step 3": "Did you mean --gauss-newton.cg-steps?",
    f"lensless good.tif -o out {RIGHT} --solver best": "--solver = 'best' cannot be used: it should be 'gauss-newton'",
    f"lensless good.tif -o out {RIGHT} --mask gone.png": "gone.png does not exist",
    f"lensless good.tif {RIGHT}": "Name a folder for the results with --output, or add --check",
    f"lensless -o out {RIGHT}": "no intensity stack; name a multi-page TIFF",
    "lensles good.tif": 'Unknown command "lensles". Did you mean "lensless"?',
    "run fit.yaml -o out": "for the task 'fitt'. There is no task 'fitt'; did you mean 'fit'?",
    "run taskless.yaml -o out": "names no task; add a line such as 'task: lensless'",
    "run gone.yaml -o out": "recipe gone.yaml cannot be read",
    f"compare lensless good.tif -o out {RIGHT} --solvers best": "There is no contender 'best'",
    "simulate lensless -o full": "output folder full exists; choose another one or add --overwrite",
    "fit -o out": "There is nothing to fit; name a TIFF, PNG or BMP file",
    "fit gone.tif -o out": "gone.tif does not exist; check the path",
    "fit gone*.tif -o out": "No TIFF, PNG or BMP file matches",
    "fit text.tif -o out": "text.tif is not a file of a format that can be read",
    "fit cut.tif -o out": "cut.tif is truncated",
    "fit holes.tif -o out": "not finite (NaN or infinity)",
    "fit complex.tif -o out": "complex64",
    "fit empty.npy -o out": "empty.npy",
    "fit huge.tif -o out": "GB",
    "fit image.tif -o full": "output folder full exists; choose another one or add --overwrite",
    "fit image.tif": "Name a folder for the results with --output, or add --check",
    "fit image.tif --output= --overwrite": "Invalid value for --output: it is empty",
    "fit image.tif -o s3://bucket/out --overwrite": "'s3:/bucket/out' is an address; name a place on this machine",
    "render full -o ~nobody-of-this-name/out.tif": "in the home of an unknown user",
    "fit image.tif -o out --axes ZYX": "The axes 'ZYX' do not match image.tif, which holds 32×32 values",
    "fit image.tif -o out --axes ZX": "axes = 'ZX' cannot be used: name each axis once, Y and X among them",
    "fit image.tif -o out --select T=0": "image.tif has the axes 32 (Y) × 32 (X); --select cannot choose along T",
    "fit image.tif -o out --axes QX": "there is no axis Q; use the letters N, T, Z, C",
    "fit image.tif -o out --epochs 0": "epochs = 0 cannot be used: it should be",
    "fit image.tif -o out --diner.table-width 4": "--diner.table-width = 4 cannot be used: it should be",
    "fit image.tif -o out --learning-rate nan": "--learning-rate = nan cannot be used",
    "fit image.tif -o out --max-seconds 0": "--max-seconds = 0.0 cannot be used",
    "fit image.tif -o out --backbone relu": (
        "--diner.backbone = 'relu' cannot be used: it should be 'auto', 'siren', 'mlp' or 'finer'"
    ),
    "fit image.tif -o out --representation dinner": "--representation = 'dinner' cannot be used: it should be 'diner'",
    "fit image.tif -o out --set representation=dinner": "representation = 'dinner' cannot be used",
    "fit image.tif -o out --set tables.lattice_size=9": "no key 'tables'; did you mean 'diner.tables'",
    "fit image.tif -o out --truth truth": "has no ground truth to be scored against; leave out --truth",
    "fit image.tif -o out --bit-exact --representation siren": "bit_exact is a mode of DINER",
    "fit -o out --recipe exact.yaml": "cannot be reproduced bit for bit",
    "run image.yaml -o out --truth truth": "has no ground truth to be scored against; leave out --truth",
    "compare fit image.tif -o out --representations diner-sirn": "did you mean 'diner-siren'?",
    "compare fit image.tif -o out --representations siren,": "There is no contender ''",
    "compare fit image.tif -o out --seconds 0": "--seconds = 0 cannot be used",
    "compare fit gone.tif -o out": "gone.tif does not exist; check the path",
    "render gone -o out.tif": "gone",
    "render full -o out.tif": "model.safetensors",
    "render image.tif -o out.tif": "image.tif",
    "render ~nobody-of-this-name -o out.tif": "~nobody-of-this-name",
    "fit ~nobody-of-this-name -o out": "~nobody-of-this-name does not exist; check the path",
    "watch ~nobody-of-this-name --recipe image.yaml -o out": "~nobody-of-this-name is not a folder",
    "render other.safetensors -o out.tif": "other.safetensors is not a model of napari-diner",
    "render full -o full": "output full must be a TIFF file; give it a name that ends in .tif",
    "render full -o image.tif": "output image.tif exists; choose another name or add --overwrite",
    "render full -o out.tif --zoom big": "The zoom 'big' is not a number",
    "render full -o out.tif --order 6": "order of the splines is 6; choose one from 0 to 5",
    "simulate image -o out --height-px 3": "--height-px = 3 cannot be used: it should be",
    "simulate video -o out --frames 0": "frames = 0 cannot be used: it should be",
    "simulate volume -o out --set slice=3": "no key 'slice'; did you mean 'slices'?",
    "simulate image -o full": "output folder full exists; choose another one or add --overwrite",
    "demo fit -o full": "output folder full exists; choose another one or add --overwrite",
    "demo focus -o out": "There is no demonstration of focus; choose from lensless, idt, fit",
    "demo -o full": "output folder full exists; choose another one or add --overwrite",
}


@pytest.mark.parametrize("command", CASES)
def test_bad_input_is_one_line(command: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    finished = run(*command.split())
    assert finished.code == 2
    assert finished.err.startswith("napari-diner: ")
    assert finished.err.count("\n") == 1
    assert finished.err.endswith("\n")
    assert CASES[command] in finished.err.replace(f"{tmp_path}/", "")
    assert "Traceback" not in finished.out + finished.err
    assert sorted(tmp_path.rglob("*")) == before
