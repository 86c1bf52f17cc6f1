"""The unknown of lensless imaging: the complex field as a representation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_diner.representations import registry
from napari_diner.representations.base import Representation
from napari_diner.representations.diner import Diner
from napari_diner.representations.unknown import ComplexField
from napari_diner.tasks.lensless.recipe import LenslessRecipe


def build_unknown(recipe: LenslessRecipe, name: str, start: Tensor, generator: torch.Generator) -> ComplexField:
    """Build a representation of the field, with outputs of order one for a field such as the start.

    Parameters
    ----------
    recipe
        Settings and seed.
    name
        Name of the representation.
    start
        Complex field, (Y, X), of the expected brightness.
    generator
        Source of random keys.

    Returns
    -------
    ComplexField
        On the device of `start`.
    """
    torch.manual_seed(recipe.seed)
    shape = (start.shape[0], start.shape[1])
    separate = name == "diner" and recipe.diner.tables == "separate"
    parts: list[Representation] = [
        registry.build(name, shape, outputs, recipe, generator) for outputs in ((1, 1) if separate else (2,))
    ]
    return ComplexField(
        parts,
        # outputs of order one, independent of the units of the data
        amplitude_scale=float(start.abs().square().mean().sqrt()) or 1.0,
        phase_scale_rad=recipe.phase_scale_rad,
        amplitude_nonnegative=recipe.amplitude_nonnegative,
    ).to(start.device)


@torch.no_grad()
def make_flat(unknown: ComplexField, start: Tensor) -> None:
    """Make an unknown return about the mean of a field, by setting the last biases of its networks.

    The keys and all other parameters keep their random values. Representations whose last linear layer does not return
    the outputs are unchanged.
    """
    for part, target in zip(unknown.parts, unknown.targets(start), strict=True):
        mean = target.mean((-2, -1))
        if isinstance(part, Diner):
            layers, present = list(part.backbone), part.backbone(part.hash_table.mean(0))
        else:
            layers, present = list(part.modules()), part.exact().mean((-2, -1))
        linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
        if linear and linear[-1].out_features == part.outputs:
            linear[-1].bias.add_(mean - present)
