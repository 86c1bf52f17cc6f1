"""Transfer functions from a file replace computed ones, and must match the frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from napari_diner.errors import InputError, OutOfMemoryError, RecipeError
from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import ring
from napari_diner.physics.idt.transfer import BornModel
from napari_diner.tasks.idt.data import IdtData, assemble
from napari_diner.tasks.idt.recipe import IdtRecipe
from tests.tasks.idt.small_recordings import MEDIUM, SETTINGS, Recording, reconstructed, started

SHAPE = (8, 48, 48)
PLAIN: dict[str, Any] = {"solver": "tikhonov", "regularization": {"tikhonov": 10.0}}


def full_spectra(frames: int, dispersion: Any = "exact") -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Transfer functions as files have them: of all frequencies, zero at [0, 0], complex, (N, Z, Y, X)."""
    model = BornModel(
        VolumeGeometry(SHAPE, 0.6, 0.515, MEDIUM, 0.1625, 0.65), ring(0.637, frames), dispersion=dispersion
    )
    whole = np.zeros((2, frames, *SHAPE), np.complex64)
    for frame in range(frames):
        for part, H in enumerate(model.transfer(frame)):
            half = H.numpy()
            whole[part, frame, :, :, :25] = half
            mirrored = np.roll(half[:, ::-1], 1, 1)[..., 1:24].conj()
            whole[part, frame, :, :, 25:] = mirrored[..., ::-1]
    return whole[0], whole[1]


def save(path: Path, frames: np.ndarray[Any, Any] | None, *transfer: np.ndarray[Any, Any]) -> str:
    """Write a recording as MATLAB does: axes in reverse, complex numbers as pairs."""
    with h5py.File(path, "w") as file:
        if frames is not None:
            file["I"] = frames.swapaxes(-2, -1)
            file["I"].attrs["MATLAB_class"] = np.bytes_("double")
        for name, values in zip(("Hreal", "Himag"), transfer, strict=False):
            pairs = np.empty(values.swapaxes(-2, -1).shape, np.dtype([("real", "<f4"), ("imag", "<f4")]))
            pairs["real"], pairs["imag"] = values.swapaxes(-2, -1).real, values.swapaxes(-2, -1).imag
            file[name] = pairs
    return str(path)


@pytest.mark.parametrize("centred", [False, True])
def test_a_file_with_our_own_functions_gives_our_own_volume(
    centred: bool, recording: Recording, tmp_path: Path
) -> None:
    transfer = full_spectra(len(recording.frames))
    if centred:
        H_re, H_im = (np.fft.fftshift(H, (-2, -1)) for H in transfer)
        transfer = H_re, H_im
    path = save(tmp_path / "a.mat", recording.frames, *transfer)
    # a file with functions of its own needs neither NA nor illuminations
    left = {key: value for key, value in SETTINGS.items() if key not in ("na", "ring")}
    recipe = IdtRecipe.parse({**left, **PLAIN, "stack": path, "transfer_functions": "file"})
    found = reconstructed(recipe, assemble(recipe))
    own = reconstructed(recording.recipe.updated(PLAIN), recording.frames)
    for name in ("n_re", "n_im"):
        departure = own[name].data - own[name].data.mean()
        np.testing.assert_allclose(found[name].data, own[name].data, atol=1e-3 * np.abs(departure).max())


def test_functions_beside_frames_from_elsewhere(recording: Recording, tmp_path: Path) -> None:
    path = save(tmp_path / "a.mat", None, *full_spectra(len(recording.frames)))
    found = reconstructed(recording.recipe.updated({**PLAIN, "transfer_functions": path}), recording.frames)
    own = reconstructed(recording.recipe.updated(PLAIN), recording.frames)
    assert found.report["residual_rms"] == pytest.approx(own.report["residual_rms"], rel=1e-3)


def test_the_legacy_dispersion_is_that_of_functions_made_with_it(recording: Recording) -> None:
    transfer = full_spectra(len(recording.frames), "legacy")
    given = reconstructed(recording.recipe.updated(PLAIN), IdtData(recording.frames, transfer=transfer))
    named = reconstructed(recording.recipe.updated({**PLAIN, "dispersion": "legacy"}), recording.frames)
    exact = reconstructed(recording.recipe.updated(PLAIN), recording.frames)
    volumes = [one["n_re"].data - MEDIUM for one in (given, named, exact)]
    size = np.linalg.norm(volumes[2])
    assert np.linalg.norm(volumes[0] - volumes[1]) < 1e-3 * size
    # the wrong waves put the object to other depths
    assert np.linalg.norm(volumes[1] - volumes[2]) > 0.2 * size


@pytest.mark.parametrize(
    ("cut", "problem"),
    [
        (np.s_[:, :5], r"have 5 slices but the recipe 8; set slice_count to 5"),
        (np.s_[:7], r"7×8×48×48 but frames and volume need 12×8×48×48"),
        (np.s_[..., :40], r"12×8×48×40 but frames and volume need 12×8×48×48"),
    ],
)
def test_functions_of_another_shape(cut: Any, problem: str, recording: Recording) -> None:
    transfer = tuple(np.zeros((12, *SHAPE), np.complex64)[cut] for _ in range(2))
    with pytest.raises(InputError, match=problem):
        started(recording.recipe, IdtData(recording.frames, transfer=transfer))


def test_functions_too_large_for_the_memory_are_refused_before_they_are_read(recording: Recording) -> None:
    class Huge:
        """Announces a size and has no values."""

        shape = (12, 4096, 4800, 4800)

        def __getitem__(self, frame: int, /) -> Any:
            raise AssertionError("the values must not be read")

    recipe = recording.recipe.updated({"slice_count": 4096})
    frames = np.broadcast_to(np.float32(0), (12, 4800, 4800))
    with pytest.raises(OutOfMemoryError, match="memory"):
        started(recipe, IdtData(frames, transfer=(Huge(), Huge())))


def test_files_that_hold_none(recording: Recording, tmp_path: Path) -> None:
    path = save(tmp_path / "a.mat", recording.frames)
    recipe = recording.recipe.updated({"stack": path, "transfer_functions": "file"})
    with pytest.raises(InputError, match="contains no transfer functions; leave out transfer_functions"):
        assemble(recipe)
    (tmp_path / "stack.tif").write_bytes(b"II*\0 and no more")
    with pytest.raises(InputError, match=r"stack\.tif is not a MATLAB file of version 7\.3"):
        started(recording.recipe.updated({"transfer_functions": str(tmp_path / "stack.tif")}), recording.frames)


def test_given_functions_and_calibration_exclude_each_other() -> None:
    with pytest.raises(RecipeError, match="exclude each other"):
        IdtRecipe.parse({**SETTINGS, "transfer_functions": "a.mat", "calibration": {"illuminations": "refine"}})
