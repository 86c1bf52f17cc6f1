"""A run of each task is killed, and continues from its checkpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_diner.cli.app import execute
from napari_diner.io.folder import checkpoint_path

SAMPLES = {
    "lensless": ["--height-px", "48", "--width-px", "48"],
    "idt": ["--height-px", "24", "--width-px", "24", "--slices", "4", "--frames", "8"],
    "image": ["--height-px", "32", "--width-px", "32"],
}
COMMANDS = {
    "lensless": "lensless --recipe lensless/recipe.yaml --gauss-newton.tolerance 1e-12 --gauss-newton.iterations 8",
    "idt": "idt --recipe idt/recipe.yaml --model multislice",
    "fit": "fit image/image.tif --epochs 400",
}
# each task runs in a process of its own, until it has written a checkpoint
KILLED = """
import os, signal, sys, time
from pathlib import Path
from napari_diner.cli.app import execute
from napari_diner.io.folder import checkpoint_path
import napari_diner.tasks.fit.job, napari_diner.tasks.idt.job, napari_diner.tasks.lensless.job
for line in sys.stdin:
    arguments = line.split()
    path = checkpoint_path(arguments[-1])
    child = os.fork()
    if child == 0:
        try:
            execute([*arguments[:-1], "-o", arguments[-1], "--checkpoint-seconds", "0.01", "-q"])
        finally:
            os._exit(0)
    while not path.exists() and os.waitpid(child, os.WNOHANG) == (0, 0):
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_killed_run_of_each_task_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, settings in SAMPLES.items():
        assert execute(["simulate", name, "-o", name, "-q", *settings]) == 0
    lines = "\n".join(f"{command} {name}-out" for name, command in COMMANDS.items())
    subprocess.run([sys.executable, "-c", KILLED], input=lines, text=True, check=True, timeout=300)
    for name, command in COMMANDS.items():
        out = tmp_path / f"{name}-out"
        assert checkpoint_path(out).exists() and not out.exists()
        assert execute([*command.split(), "-o", str(out), "-q", "--resume"]) == 0
        assert execute([*command.split(), "-o", f"{name}-whole", "-q"]) == 0
        assert not checkpoint_path(out).exists()
        assert json.loads((out / "report.json").read_text())["resumed_after_s"]
        for path in out.glob("*.tif"):
            np.testing.assert_array_equal(tifffile.imread(path), tifffile.imread(f"{name}-whole/{path.name}"))
