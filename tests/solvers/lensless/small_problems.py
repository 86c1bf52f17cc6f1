"""Small problems with known solutions, or with all features of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from napari_diner.physics.lensless.heights import Heights
from napari_diner.physics.lensless.light import Light
from napari_diner.physics.lensless.multiheight import MultiHeight
from napari_diner.physics.optics import Optics
from napari_diner.physics.padding import Padding
from napari_diner.solvers.lensless.problem import PhaseProblem
from tests.kit.fields import low_passed, noise

SHAPE = (32, 40)
Space = bool | Literal["unknown"]
"""Whether the field is padded by reflection, or has an unknown surround."""


@dataclass(frozen=True)
class Recording:
    """A problem and the field that solves it."""

    problem: PhaseProblem
    truth: Tensor


def smooth(seed: int) -> Tensor:
    """A real image between 0 and 1, (Y, X), float64."""
    image = low_passed(noise(SHAPE, seed), 60)
    return (image - image.min()) / (image.max() - image.min())


def record(dtype: torch.dtype = torch.complex128) -> Recording:
    model = MultiHeight(SHAPE, Heights(Optics(1.12, 0.532), (60.0, 85.0, 120.0, 170.0)), dtype=dtype)
    truth = torch.polar(1 - 0.5 * smooth(1), 1.5 * smooth(2)).to(dtype)
    return Recording(PhaseProblem(model, model.fields(truth).abs()), truth)


LASER, LED = Light(), Light(60.0, 1000.0, "lens", 0.12)
"""Coherent light, and light that is not."""


def rich_problem(masked: bool, padding: Space, light: Light = LASER) -> PhaseProblem:
    """A tiny problem with all that a model can have; no field solves it."""
    shape = (5, 6)
    generator = torch.Generator().manual_seed(0)
    space = Padding(shape, padding, 2) if isinstance(padding, str) else Padding(shape, "reflect", 2 * padding)
    model = MultiHeight(
        shape,
        Heights(
            Optics(1.12, 0.532),
            (40.0, 70.0),
            shifts_um=[(0.3, 0.0), (-0.5, 1.0)],
            gains=[1.2, 0.7],
            intensity_scale=1.5,
            light=light,
        ),
        illumination=torch.randn(space.object_shape, dtype=torch.complex128, generator=generator),
        padding=space,
        dtype=torch.complex128,
    )
    amplitudes = torch.rand(2, *shape, dtype=torch.float64, generator=generator) + 0.2
    mask = torch.rand(2, *shape, generator=generator) > 0.3
    return PhaseProblem(model, amplitudes, mask if masked else None)


def psnr_db(found: Tensor, truth: Tensor) -> tuple[float, float]:
    """Return the PSNR of amplitude and phase; a constant phase does not count."""
    turned = found * torch.sgn(torch.vdot(found.flatten(), truth.flatten()))
    amplitude = (found.abs() - truth.abs()).square().mean() / truth.abs().max() ** 2
    difference = (turned * truth.conj()).angle()
    difference = difference - difference.mean()
    spread = truth.angle().max() - truth.angle().min()
    return -10 * float(amplitude.log10()), -10 * float((difference.square().mean() / spread**2).log10())
