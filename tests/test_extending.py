"""The examples of the page on extending, executed unchanged, from outside the package."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the module of the page, and an entry point that names it, as an installed package would have."""
    folder = tmp_path_factory.mktemp("extension")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3
    (folder / "my_extension.py").write_text("\n\n".join(blocks), encoding="utf-8")
    entry = re.search(r'```toml\n\[project\.entry-points\."([\w.]+)"\]\n(.*?)```', PAGE.read_text(), re.DOTALL)
    assert entry is not None
    info = folder / "my_extension-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-extension\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{entry[1]}]\n{entry[2].replace(chr(34), '')}")
    return folder


def run(place: Path, *arguments: str) -> str:
    """Run the command line with the extension installed; return what it printed."""
    path = os.pathsep.join([str(place), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "napari_diner", *arguments]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def script(place: Path, code: str) -> str:
    """Run a script with the extension installed; return what it printed."""
    path = os.pathsep.join([str(place), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, cwd=place)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def smooth_image(place: Path) -> Path:
    y, x = np.mgrid[:32, :40] / 20
    image = 0.5 + 0.3 * np.sin(3 * x) * np.cos(2 * y)
    tifffile.imwrite(place / "image.tif", image.astype(np.float32))
    return place / "image.tif"


def test_a_representation_from_outside_is_fitted(place: Path, smooth_image: Path) -> None:
    options = ("--representation", "spline", "--epochs", "300", "--set", "extension.spline.spacing=8")
    run(place, "fit", str(smooth_image), "-o", str(place / "fitted"), *options)
    report = json.loads((place / "fitted" / "report.json").read_text())
    assert report["representation"] == "spline"
    assert report["parameters"] == 5 * 6
    assert report["psnr_db"] > 30


def test_representation_and_solver_from_outside_retrieve_a_phase(place: Path) -> None:
    printed = script(
        place,
        """
import numpy as np
import napari_diner as nd

sample = nd.sample("lensless", height_px=48, width_px=48)
for solver in ("wirtinger-flow", "spline"):
    settings = {"solver": solver, "start": "contrast-transfer", "gradient": {"iterations": 40}}
    result = nd.lensless(sample, recipe=sample.recipe, **settings)
    stages = [stage["name"] for stage in result.report["stages"]]
    print(solver, stages[-1], result.report["measurement_psnr_db"], result.phase.shape)
""",
    )
    lines = [line.split(" ", 3) for line in printed.splitlines()]
    assert [line[0] for line in lines] == ["wirtinger-flow", "spline"]
    assert all(line[1] == line[0] for line in lines)
    assert float(lines[0][2]) > 35
    assert float(lines[1][2]) > 15


def test_a_task_from_outside_is_a_command_and_a_function(place: Path, smooth_image: Path) -> None:
    printed = run(place, "deconvolve", str(smooth_image), "-o", str(place / "sharp"), "--sigma-px", "1")
    assert "sharpness" in printed
    run(place, "run", str(place / "sharp" / "recipe.yaml"), "-o", str(place / "again"))
    first, second = (tifffile.imread(place / name / "deconvolved.tif") for name in ("sharp", "again"))
    assert np.array_equal(first, second)
    printed = script(
        place,
        "import napari_diner as nd\n"
        "result = nd.task('deconvolve')('image.tif', sigma_px=1)\n"
        "print(result.deconvolved.shape, result.report['sharpness'] > 1)",
    )
    assert printed.split() == ["(32,", "40)", "True"]


def test_what_is_unknown_is_named_with_what_is_near(place: Path) -> None:
    printed = script(
        place,
        "import napari_diner as nd\n"
        "for make in (lambda: nd.task('deconvolv'), lambda: nd.lensless.recipe(solver='wirtinger')):\n"
        "    try:\n        make()\n    except nd.DinerError as error:\n        print(error.field, error)",
    )
    assert "task There is no task 'deconvolv'; did you mean 'deconvolve'?" in printed
    assert "'wirtinger-flow'" in printed
