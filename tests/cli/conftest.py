"""A small recording, and the command line run in this process."""

from __future__ import annotations

import functools
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from napari_diner.cli import app, main
from napari_diner.io.exchange import interruptions

WAVELENGTH_UM, PIXEL_UM, DISTANCES_UM = 0.532, 1.12, (300.0, 400.0, 500.0)


@dataclass(frozen=True)
class Finished:
    """Outcome of a command."""

    code: int
    out: str
    err: str


Run = Callable[..., Finished]

# building the application takes longer than most commands of the tests
_built = functools.cache(app.build_app)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run a command as the shell would, but without starting a process."""
    monkeypatch.setattr(app, "build_app", _built)
    before = {number: signal.getsignal(number) for number in interruptions()}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for images this small, waiting for a second core that others use costs seconds
    handlers = list(logging.getLogger("tifffile").handlers)

    def run_command(*arguments: object) -> Finished:
        monkeypatch.setattr(sys, "argv", ["napari-diner", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return Finished(ended.value.code, out, err)

    yield run_command
    torch.set_num_threads(threads)
    for number, handler in before.items():
        signal.signal(number, handler)
    logging.getLogger("tifffile").handlers[:] = handlers


def simulated(size: int = 48) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return amplitude, phase and (N, Y, X) intensities of a smooth object, by the angular spectrum in plain NumPy."""
    y, x = np.mgrid[:size, :size] / size
    phase = 0.8 * np.exp(-((x - 0.4) ** 2 + (y - 0.6) ** 2) / 0.02) + 0.3 * np.sin(4 * np.pi * x)
    amplitude = 0.9 - 0.3 * np.exp(-((x - 0.6) ** 2 + (y - 0.3) ** 2) / 0.01)
    f = np.fft.fftfreq(size, PIXEL_UM)
    axial = np.sqrt(WAVELENGTH_UM**-2 - f[:, None] ** 2 - f**2)
    spectrum = np.fft.fft2(amplitude * np.exp(1j * phase))
    fields = [np.fft.ifft2(spectrum * np.exp(2j * np.pi * z * (axial - 1 / WAVELENGTH_UM))) for z in DISTANCES_UM]
    return amplitude, phase, np.abs(np.array(fields)) ** 2


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A folder with a 16-bit stack that tells no pixel size, its truth, and a recipe that names the stack."""
    amplitude, phase, intensities = simulated()
    scale = 2 * intensities.max()
    folder = tmp_path / "recording"
    folder.mkdir()
    counts = np.round(intensities / scale * 65535).astype(np.uint16)
    tifffile.imwrite(folder / "stack.tif", counts, photometric="minisblack")
    tifffile.imwrite(folder / "amplitude.tif", amplitude.astype(np.float32))
    tifffile.imwrite(folder / "phase.tif", phase.astype(np.float32))
    (folder / "recipe.yaml").write_text(
        f"task: lensless\nstack: stack.tif\nwavelength_um: {WAVELENGTH_UM}\npixel_size_um: {PIXEL_UM}\n"
        f"distances_um: {list(DISTANCES_UM)}\nintensity_scale: {scale}\ngauss_newton: {{iterations: 3, cg_steps: 20}}\n"
    )
    return folder


@pytest.fixture
def physics() -> list[str]:
    """The options that describe the recording."""
    distances = ",".join(map(str, DISTANCES_UM))
    return ["--wavelength-um", str(WAVELENGTH_UM), "--pixel-size-um", str(PIXEL_UM), "--distances-um", distances]
