"""NeRV: a video as a network from the number of a frame to the frame (Chen et al., NeurIPS 2021).

Written from the paper and its published settings: 40 sines and cosines of the time with base 1.25, two layers of a
perceptron to a coarse grid of about 9×16 points, then blocks of a 3×3 convolution, pixel shuffle and swish up to the
size of the frame; loss 0.7 L1 + 0.3 (1 − SSIM); one frame at a step; Adam (0.5, 0.999) with a step of 5e-4, warmed up
over a fifth of the time and annealed along a cosine. Theirs are scaled to the machine: the widths, 512 and at least 96
in the paper, and the factors of the blocks, which multiply to 80 there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

COARSE, CHANNELS, STEM, NARROWEST = (9, 16), 26, 512, 24
OCTAVES, BASE, LEARNING_RATE, WARM_UP = 40, 1.25, 5e-4, 0.2


def factors(scale: int) -> list[int]:
    """Return factors of 5, 3 and 2, largest first, that multiply to at least `scale`."""
    while True:
        rest, parts = scale, []
        for prime in (5, 3, 2):
            while rest % prime == 0:
                rest //= prime
                parts.append(prime)
        if rest == 1:
            return parts
        scale += 1


class NeRV(nn.Module):
    """The decoder: times from 0 to 1, (n,), to frames, (n, colours, Y, X), with values from 0 to 1."""

    def __init__(self, size: tuple[int, int], colours: int = 3, narrowest: int = NARROWEST, stem: int = STEM) -> None:
        super().__init__()
        self.size = size
        scales = factors(max(math.ceil(whole / part) for whole, part in zip(size, COARSE, strict=True)))
        total = math.prod(scales)
        self.coarse = (math.ceil(size[0] / total), math.ceil(size[1] / total))
        self.register_buffer("rates", math.pi * BASE ** torch.arange(OCTAVES), persistent=False)
        self.stem = nn.Sequential(
            nn.Linear(2 * OCTAVES, stem), nn.SiLU(), nn.Linear(stem, CHANNELS * math.prod(self.coarse)), nn.SiLU()
        )
        blocks: list[nn.Module] = []
        channels = CHANNELS
        for number, scale in enumerate(scales):
            following = channels if number == 0 else max(channels // 2, narrowest)
            blocks += [nn.Conv2d(channels, following * scale**2, 3, padding=1), nn.PixelShuffle(scale), nn.SiLU()]
            channels = following
        self.blocks = nn.Sequential(*blocks, nn.Conv2d(channels, colours, 1))

    def forward(self, times: Tensor) -> Tensor:
        """Return the frames at some times."""
        phases = times[:, None] * self.rates
        grid = self.stem(torch.cat([phases.sin(), phases.cos()], 1)).reshape(len(times), CHANNELS, *self.coarse)
        frames: Tensor = (torch.tanh(self.blocks(grid)) + 1) / 2
        return frames[..., : self.size[0], : self.size[1]]


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Return the structural similarity of images, (n, colours, Y, X) from 0 to 1 (Wang et al. 2004)."""
    place = torch.arange(11) - 5.0
    window = torch.exp(-(place**2) / (2 * 1.5**2))
    kernel = torch.outer(window, window)[None, None] / window.sum() ** 2

    def mean(image: Tensor) -> Tensor:
        return conv2d(image.flatten(0, 1)[:, None], kernel)

    mean_a, mean_b = mean(a), mean(b)
    variances = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + 0.01**2) / (mean_a**2 + mean_b**2 + 0.01**2)
    return (luminance * (2 * covariance + 0.03**2) / (variances + 0.03**2)).mean()


def fit_nerv(
    frames: Tensor, seconds: float, model: NeRV, clock: Callable[[], float] = time.perf_counter
) -> tuple[Tensor, int]:
    """Train for a time, as published; return the frames of the network, (T, colours, Y, X), and the steps."""
    times = torch.arange(len(frames)) / len(frames)
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.5, 0.999))
    order, steps, began = torch.empty(0, dtype=torch.long), 0, clock()
    while (done := (clock() - began) / seconds) < 1:
        warm = 0.1 + 0.9 * done / WARM_UP
        annealed = 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * (warm if done < WARM_UP else annealed)
        if not len(order):
            order = torch.randperm(len(frames))
        number, order = order[:1], order[1:]
        predicted, frame = model(times[number]), frames[number]
        optimizer.zero_grad()
        loss = 0.7 * (predicted - frame).abs().mean() + 0.3 * (1 - ssim(predicted, frame))
        loss.backward()
        optimizer.step()
        steps += 1
    with torch.no_grad():
        return torch.cat([model(some) for some in times.split(1)]), steps
