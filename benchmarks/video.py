"""Video fits: representations side by side (Table 3 of the paper), with tables counted among the parameters.

    python benchmarks/video.py -o results                      # a generated panning video of 30×270×480
    python benchmarks/video.py --texture FILE -o results       # a pan over an image of your own
    python benchmarks/video.py --video FILE -o results         # a video as TIFF, e.g. 30×1080×1920

Runs are sequential. A graphics card is used if torch finds one; --device cpu prevents that. The figures of the
paper are printed for orientation: they are for other videos, of 62 million pixels, on an A100.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage

import napari_diner as nd
from napari_diner.device import choose_device, describe
from napari_diner.tasks.fit.recipe import FitRecipe
from napari_diner.tasks.saving import to_json
from napari_diner.tasks.task import Frames
from plain_diner import plain_fit

PAPER = [
    ("SIREN", "8.77 K", "706 s", 21.22),
    ("NeRV", "97.24 M", "7445 s", 36.08),
    ("DINER", "8.77 K*", "1309 s", 50.74),
]
"""Table 3: method, parameters (*: without the table, which has 187 million more), time for 500 epochs, PSNR in dB."""
RUNS: dict[str, dict[str, Any]] = {
    "siren": {"representation": "siren", "network": {"hidden_layers": 4}},
    "hash-grid": {"representation": "hash-grid"},
    "diner-siren 4×64": {"diner": {"backbone": "siren", "hidden_layers": 4}},
    "diner-siren 2×64": {"diner": {"backbone": "siren"}},
    "diner-mlp 2×64": {"diner": {"backbone": "mlp"}},
    "diner-siren 2×64, no shared keys": {"diner": {"backbone": "siren"}, "training": {"unique": False}},
}
FRAMES, HEIGHT, WIDTH = 30, 270, 480


def pan(path: str) -> Frames:
    """Pan a window over an image by fractions of a pixel per frame, with flickering brightness."""
    image = np.asarray(nd.read(path))[..., :3].astype(np.float32)
    frames = []
    for number in range(FRAMES):
        offset = (20 + 3.37 * number, 20 + 7.61 * number, 0.0)
        window = ndimage.shift(image, [-part for part in offset], order=1, mode="reflect")[:HEIGHT, :WIDTH]
        frames.append(window * (1 + 0.02 * np.sin(number)))
    return Frames(np.clip(np.rint(frames), 0, 255).astype(np.uint8), "TYXS")


def load_video(arguments: argparse.Namespace) -> Frames:
    """Return the video from a file, a pan over an image, or a generated video."""
    if arguments.video:
        return nd.read(arguments.video, "TYXS")
    if arguments.texture:
        return pan(arguments.texture)
    return Frames(nd.sample("video", frames=FRAMES, height_px=HEIGHT, width_px=WIDTH).data.data, "TYXS")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", help="TIFF file with colour frames")
    parser.add_argument("--texture", help="TIFF or PNG file to pan over")
    parser.add_argument("--epochs", type=int, default=500, help="as in the paper")
    parser.add_argument("--seconds", type=float, default=240.0, help="time limit for each representation")
    parser.add_argument("--runs", help="numbers from 0, separated by commas; default: all")
    parser.add_argument("--skip-published", action="store_true", help="do not time DINER as published")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for video.json, .txt and .png")
    arguments = parser.parse_args()
    data = load_video(arguments)
    device = choose_device(arguments.device)
    arguments.output.mkdir(parents=True, exist_ok=True)
    lines = [f"{data.shape} {data.array.dtype}, {describe(device)}, torch {torch.__version__}", ""]
    print(lines[0], flush=True)

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    report: dict[str, Any] = {}
    if not arguments.skip_published:
        values = torch.from_numpy(np.asarray(data).reshape(-1, data.shape[-1]) / np.float32(255)).to(device)
        seconds = plain_fit(values, 1, kind="siren", width=3, layers=4)[1]
        report["published_seconds_per_epoch"] = seconds
        say(f"published full batch, SIREN 4×64: {seconds:.2f} s per epoch, {seconds * 500:.0f} s for 500 epochs")
    say(f"{'representation':34s} {'parameters':>12s} {'in table':>12s} {'epochs':>7s} {'seconds':>8s} {'PSNR dB':>8s}")
    chosen = [int(number) for number in arguments.runs.split(",")] if arguments.runs else range(len(RUNS))
    shown: dict[str, np.ndarray] = {"video": np.asarray(data)[-1]}
    for name in [list(RUNS)[number] for number in chosen]:
        recipe = FitRecipe(epochs=arguments.epochs, max_seconds=arguments.seconds, device=arguments.device)
        result = nd.fit(data, recipe=recipe.updated(RUNS[name]))
        figures = report[name] = dict(result.report)
        shown[name] = result.reconstruction[-1]
        counts = f"{figures['parameters']:12,d} {figures['table_parameters']:12,d} {figures['iterations']:7d}"
        say(f"{name:34s} {counts} {figures['seconds']:8.1f} {figures['psnr_db']:8.2f}")
    for method, parameters, time, psnr in PAPER:
        say(f"{'paper: ' + method:34s} {parameters:>12s} {'':12s} {500:7d} {time:>8s} {psnr:8.2f}")
    (arguments.output / "video.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (arguments.output / "video.json").write_text(to_json(report), encoding="utf-8")
    draw(shown, report, arguments.output / "video.png")


def draw(shown: dict[str, np.ndarray], report: dict[str, Any], path: Path) -> None:
    """Draw the last frame of the video and of every representation."""
    from matplotlib.figure import Figure

    rows = -(-len(shown) // 2)
    figure = Figure(figsize=(9, 2.8 * rows), layout="constrained")
    for axes, (name, frame) in zip(figure.subplots(rows, 2, squeeze=False).flat, shown.items(), strict=False):
        axes.imshow(frame)
        psnr = f", {report[name]['psnr_db']:.1f} dB" if name in report else ""
        axes.set_title(name + psnr, fontsize=9)
    for axes in figure.axes:
        axes.set_axis_off()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
