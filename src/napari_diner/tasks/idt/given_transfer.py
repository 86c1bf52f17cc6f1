"""Transfer functions from a file, instead of computed ones."""

from __future__ import annotations

import torch

from napari_diner.device import check_memory
from napari_diner.errors import InputError, about
from napari_diner.io.matlab import MatlabTransfer, probe_transfer
from napari_diner.physics.idt.geometry import Slices
from napari_diner.physics.idt.given import GivenTransfer, TransferFunctions
from napari_diner.tasks.idt.recipe import IdtRecipe

Pair = tuple[TransferFunctions, TransferFunctions]
"""Transfer functions of Δε_re and Δε_im."""


def open_transfer(recipe: IdtRecipe) -> tuple[MatlabTransfer, MatlabTransfer] | None:
    """Return the transfer functions named in a recipe, without reading their values; None if there are none.

    Raises
    ------
    InputError
        If the file cannot be used or contains none.
    """
    named = recipe.transfer_functions
    if named is None:
        return None
    path = recipe.stack if named == "file" else named
    if path is None:
        raise InputError(
            "The file with the transfer functions contains no stack; name a file in {field}", "transfer_functions"
        )
    with about("transfer_functions"):
        transfer = probe_transfer(path)
    if transfer is None:
        raise InputError(
            f"{path} contains no transfer functions; leave out {{field}} to have them computed", "transfer_functions"
        )
    return transfer


def build_given(transfer: Pair, slices: Slices, frames: int, device: torch.device) -> GivenTransfer:
    """Build the linear model of given transfer functions, after a check of their size.

    Raises
    ------
    InputError
        If they are of another shape, or contain values that are not finite.
    OutOfMemoryError
        If they would not fit the memory.
    """
    shape = slices.shape
    H_re, H_im = transfer
    needed = (frames, *shape)
    for name, H in (("Δε_re", H_re), ("Δε_im", H_im)):
        stored = tuple(H.shape)
        if len(stored) == 4 and stored[1] != shape[0] and stored[:1] + stored[2:] == needed[:1] + needed[2:]:
            raise InputError(
                f"The transfer functions have {stored[1]} slices but the recipe {shape[0]}; set {{field}} to "
                f"{stored[1]} (and {{field:slice_spacing_um}} and {{field:first_slice_um}} to what they were made for)",
                "slice_count",
            )
        if stored != needed:
            raise InputError(
                f"The transfer functions of {name} have the shape {_described(stored)} but frames and volume need "
                f"{_described(needed)} (frames × slices × rows × columns); give those made for these frames"
            )
    size = frames * shape[0] * shape[1] * shape[2]
    # the half-spectra of both, complex64, and one frame of each in double precision
    check_memory(8 * size + 4 * 16 * size // frames, f"Transfer functions of {_described(needed)} values", device)
    return GivenTransfer(
        H_re,
        H_im,
        slices,
        centred=bool(getattr(H_im, "centred", False)),
        device=device,
    )


def _described(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
