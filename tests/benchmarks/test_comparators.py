"""The methods that the paper compares with learn, and the tables name what they did."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from napari_diner.representations import registry
from napari_diner.representations.settings import RepresentationSettings
from napari_diner.simulate.lensless.recording import simulate
from napari_diner.simulate.lensless.settings import LenslessSimulation
from napari_diner.tasks.lensless.data import LenslessData
from napari_diner.tasks.lensless.job import LenslessJob
from napari_diner.tasks.lensless.recipe import LenslessRecipe
from napari_diner.tasks.run import Run


@pytest.fixture(autouse=True)
def only_our_representations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry.representations()))


@pytest.mark.parametrize(("method", "steps", "gain_db"), [("physennet", 60, 10), ("dnf", 120, 5)])
def test_networks_of_others_learn_an_object_from_its_frames(method: str, steps: int, gain_db: float) -> None:
    from comparators.dnf import register_dnf
    from comparators.physennet import register_physennet

    sample = simulate(LenslessSimulation(height_px=20, width_px=24, distances_um=(60.0, 90.0)))
    intensities = sample.frames / 65535 * sample.intensity_scale
    register_physennet(torch.from_numpy(intensities[0]).float(), width=4)
    register_dnf(float(intensities.mean()), width=32)
    recipe = LenslessRecipe.parse(
        {
            "wavelength_um": sample.wavelength_um, "pixel_size_um": sample.pixel_size_um,
            "distances_um": sample.distances_um, "intensity_scale": sample.intensity_scale,
            "solver": method, "start": "flat", "gradient": {"iterations": steps},
        }
    )  # fmt: skip
    with Run(LenslessJob(recipe, LenslessData(sample.frames))) as run:
        losses = [progress.losses["loss"] for progress in run if "loss" in progress.losses]
    assert losses[-1] < losses[0] / 10 ** (gain_db / 10)


def test_physennet_has_the_widths_of_its_paper_and_dnf_those_of_its() -> None:
    from comparators.dnf import register_dnf
    from comparators.physennet import register_physennet

    register_physennet(torch.rand(18, 33))
    register_dnf(0.5)
    unet, dnf = (registry.build(name, (18, 33), 2, RepresentationSettings()) for name in ("physennet", "dnf"))
    # convolutions of 3×3 without a bias, and two numbers of the normalisation of each channel
    down = [
        (1, 32),
        (32, 32),
        (32, 64),
        (64, 64),
        (64, 128),
        (128, 128),
        (128, 256),
        (256, 256),
        (256, 512),
        (512, 512),
    ]
    up = [part for size in (256, 128, 64, 32) for part in ((2 * size, size), (2 * size, size), (size, size))]
    assert unet.parameter_count() == sum(9 * a * b + 2 * b for a, b in [*down, *up, (32, 2)])
    # 82 numbers of the encoding, eight layers of 256, one linear layer, one of 128 and the output, twice
    layers = [(82, 256), *[(256, 256)] * 3, (338, 256), *[(256, 256)] * 3, (256, 256), (256, 128), (128, 1)]
    assert dnf.parameter_count() == 2 * sum(a * b + b for a, b in layers)
    assert unet().shape == dnf().shape == (2, 18, 33)
    numbers = torch.tensor([0, 5, 40, 593])
    for representation in (unet, dnf):
        values = representation.exact().flatten(1)[:, numbers].T
        assert torch.allclose(representation.sample(numbers), values, atol=1e-5)


def test_nerv_learns_a_video() -> None:
    from comparators.nerv import NeRV, fit_nerv

    y, x = np.mgrid[:18, :32]
    frames = torch.tensor(
        np.stack([np.stack([np.sin(0.3 * x + t), np.cos(0.3 * y), 0 * x]) for t in range(3)]) * 0.4 + 0.5
    ).float()
    torch.manual_seed(0)
    model = NeRV((18, 32), narrowest=8, stem=32)
    with torch.no_grad():
        before = float((model(torch.arange(3) / 3) - frames).square().mean())
    # a clock that ticks once a step, so that the number of steps does not depend on the machine
    ticks = itertools.count()
    predicted, steps = fit_nerv(frames, 120, model, lambda: float(next(ticks)))
    assert steps == 119
    assert float((predicted - frames).square().mean()) < 0.1 * before


@pytest.mark.parametrize(("scale", "parts"), [(1, []), (8, [2, 2, 2]), (7, [2, 2, 2]), (80, [5, 2, 2, 2, 2])])
def test_blocks_of_nerv_multiply_to_the_size(scale: int, parts: list[int]) -> None:
    from comparators.nerv import factors

    assert factors(scale) == parts


def test_tables_have_a_row_for_each_method() -> None:
    from comparators import __main__ as program

    recording = program.lensless.simulated(20, distances_um=(60.0, 90.0))
    rows = program.lensless.compared(recording, 0.01, width=0.1)
    assert [row["method"] for row in rows] == list(program.lensless.RUNS)
    text = program.lensless_table(rows)
    rows += program.video.compared(program.video.panned(2, 18), 0.01, narrowest=8, stem=32)
    assert [row["method"] for row in rows[len(program.lensless.RUNS) :]] == ["NeRV", *program.video.RUNS]
    text += program.video_table(rows[len(program.lensless.RUNS) :])
    assert all(row["method"] in text and row["seconds"] > 0 for row in rows)


def test_published_objects_are_recorded_in_the_size_asked_for(tmp_path: Path) -> None:
    from comparators.lensless import published

    y, x = np.mgrid[:40, :60]
    for name, image in (("amp", 155 + 100 * np.sin(x / 6)), ("phs", 128 + 100 * np.cos(y / 6))):
        Image.fromarray(image.astype(np.uint8)).save(tmp_path / f"GT_{name}.png")
    params = {"pixel_size_um": 2.0, "wavelength_um": 0.5, "distances_um": [50, 70], "phase_scale_rad": 1.5}
    (tmp_path / "params.json").write_text(json.dumps(params))
    recording = published(tmp_path, 20)
    assert recording.data.frames.shape == (2, 20, 30)
    assert recording.data.frames.max() == 255
    with Run(LenslessJob(recording.recipe, recording.data, recording.truth)) as run:
        for _ in run:
            pass
        report = run.result().report
    assert report["measurement_psnr_db"] > 55
    assert report["truth"]["amplitude_psnr_db"] > 40


def test_the_time_to_a_loss_is_the_first_with_it() -> None:
    from comparators.__main__ import seconds_to

    curve = [(0.5, 4.0), (1.0, 2.0), (1.5, 3.0), (2.0, 1.0)]
    assert [seconds_to(curve, loss) for loss in (5, 3, 2, 0.5)] == [0.5, 1.0, 1.0, None]
