"""Insight: mapped coordinates, the learned INR, spectra, bands, arrangements, interpolation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from napari_diner.errors import InputError
from napari_diner.representations.diner import Diner
from napari_diner.representations.registry import build
from napari_diner.tasks.fit.insight import (
    arrangements,
    band_ratios,
    learned_inr,
    mapped_coordinates,
    spectrum,
)
from napari_diner.tasks.fit.layout import Layout
from napari_diner.tasks.fit.model import Fitted, unpack
from napari_diner.tasks.fit.recipe import FitRecipe
from tests.tasks.fit.small_fits import fit as fit_to

RAMP = torch.tensor([0.25, 0.5, 1.0])


def fitted(
    shape: tuple[int, ...], width: int, outputs: int = 1, axes: str = "", representation: str = "diner"
) -> Fitted:
    """Return a fit whose network is a known linear function of the keys, with keys spread over a box."""
    recipe = FitRecipe.parse(
        {"representation": representation, "diner": {"table_width": width, "hidden_features": 8, "lattice_size": 8}}
    )
    axes = axes or "ZYX"[-len(shape) :]
    samples = tuple(size for size, axis in zip(shape, axes, strict=True) if axis not in "CS")
    model = build(representation, samples, outputs, recipe, torch.Generator().manual_seed(0))
    if isinstance(model, Diner):
        model.backbone = torch.nn.Sequential(torch.nn.Linear(width, outputs))
        with torch.no_grad():
            model.backbone[0].weight.copy_(RAMP[:width].expand(outputs, width))
            model.backbone[0].bias.copy_(torch.arange(outputs) * 0.1)
            model.hash_table.uniform_(0, 0.5, generator=torch.Generator().manual_seed(1))
            model.hash_table[0], model.hash_table[1] = 0.0, 0.5  # corners of the box
    return Fitted(model, Layout(axes, shape, "float32", (1.0,) * len(shape), 0.0, 1.0), recipe)


def smooth_colours(size: int = 48) -> np.ndarray[Any, Any]:
    y, x = np.mgrid[:size, :size] / size
    waves = [np.sin(5 * y + 2 * x), np.cos(7 * x * y + 2), np.sin(4 * x - 6 * y * y)]
    return np.round(255 * (0.5 + 0.5 * np.stack(waves, -1))).astype(np.uint8)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_positions_are_keys_and_colours_the_values_there(width: int) -> None:
    fit = fitted((6, 7), width)
    positions, colours = mapped_coordinates(fit)
    assert np.array_equal(positions, fit.representation.hash_table.detach().numpy())
    assert colours.shape == (42, 1)
    assert np.allclose(colours[:, 0], positions @ RAMP[:width].numpy(), atol=1e-6)


def test_a_limit_draws_keys_without_repetition_and_repeatably() -> None:
    fit = fitted((40, 50), 2)
    positions, colours = mapped_coordinates(fit, limit=100, seed=3)
    assert len(positions) == len(colours) == 100
    assert len({tuple(position) for position in positions}) == 100
    assert np.array_equal(positions, mapped_coordinates(fit, limit=100, seed=3)[0])
    assert not np.array_equal(positions, mapped_coordinates(fit, limit=100, seed=4)[0])


@pytest.mark.parametrize(("outputs", "axes", "shape"), [(3, "YXS", (6, 7, 3)), (2, "CYX", (2, 6, 7))])
def test_three_channels_are_colours_and_others_are_averaged(outputs: int, axes: str, shape: tuple[int, ...]) -> None:
    fit = fitted(shape, 2, outputs, axes)
    positions, colours = mapped_coordinates(fit)
    grey = positions @ RAMP[:2].numpy()
    if outputs == 3:
        assert np.allclose(colours, grey[:, None] + [0, 0.1, 0.2], atol=1e-6)
    else:
        assert np.allclose(colours, grey[:, None] + 0.05, atol=1e-6)
    assert learned_inr(fit, 5).data.shape == ((5, 5, 3) if outputs == 3 else (5, 5))


@pytest.mark.parametrize(("width", "axes"), [(1, "YX"), (2, "YX"), (3, "ZYX")])
def test_the_learned_inr_is_the_network_on_an_even_mesh_over_the_keys(width: int, axes: str) -> None:
    inr = learned_inr(fitted((6, 7), width), 11)
    assert inr.axes == axes
    axis = np.linspace(0, 0.5, 11)
    mesh = np.meshgrid(*[axis] * width, indexing="ij")
    expected = sum(slope * numbers for slope, numbers in zip(RAMP[:width].numpy(), mesh, strict=True))
    assert np.allclose(inr.data.squeeze(), expected, atol=1e-6)
    assert inr.data.shape == ((1, 11) if width == 1 else (11,) * width)


def test_positions_in_points_lie_on_the_learned_inr() -> None:
    fit = fitted((20, 20), 2)
    inr = learned_inr(fit, 33).data
    positions, colours = mapped_coordinates(fit, size=33)
    assert positions.min() == pytest.approx(0, abs=1e-4) and positions.max() == pytest.approx(32, abs=1e-4)
    nearest = np.rint(positions).astype(int)
    # values differ by no more than half a point's step along both axes
    step = abs(inr[1, 1] - inr[0, 0])
    assert np.abs(inr[nearest[:, 0], nearest[:, 1]] - colours[:, 0]).max() <= step / 2 + 1e-6


def test_equal_keys_have_a_learned_inr() -> None:
    fit = fitted((4, 4), 2)
    fit.representation.hash_table.detach().fill_(0.25)
    assert np.allclose(learned_inr(fit, 4).data, 0.25 * (0.25 + 0.5), atol=1e-5)
    assert np.allclose(mapped_coordinates(fit, size=4)[0], 0)


def test_colours_stay_within_their_range() -> None:
    fit = fitted((6, 7), 2)
    fit.representation.backbone[0].weight.detach().mul_(100)
    fit.representation.backbone[0].bias.detach().fill_(-10)
    for colours in (mapped_coordinates(fit)[1], learned_inr(fit, 9).data):
        assert colours.min() == 0 and colours.max() == 1


@pytest.mark.parametrize("look", [mapped_coordinates, learned_inr])
def test_only_a_diner_has_keys(look: Any) -> None:
    with pytest.raises(InputError, match="pixels has no hash table"):
        look(fitted((6, 7), 2, representation="pixels"))


@pytest.mark.parametrize(("cycles", "band"), [((0, 3), 0), ((0, 13), 1), ((20, 0), 2), ((-22, 22), 3), ((0, 31), 3)])
def test_a_wave_is_in_the_band_of_its_frequency(cycles: tuple[int, int], band: int) -> None:
    y, x = np.mgrid[:64, :64] / 64
    wave = 7 + np.cos(2 * np.pi * (cycles[0] * y + cycles[1] * x))
    expected = np.eye(4)[band]
    assert np.allclose(band_ratios(wave), expected, atol=1e-9)


def test_bands_are_the_same_for_any_shape_contrast_and_mean() -> None:
    y, x = np.mgrid[:48, :80]
    image = np.cos(2 * np.pi * 0.05 * y) + 2 * np.cos(2 * np.pi * 0.3 * x)  # 0.1 and 0.6 of the Nyquist frequency
    image = image[:40]
    assert np.allclose(band_ratios(image), [1 / 3, 0, 2 / 3, 0], atol=1e-9)
    assert np.allclose(band_ratios(5 * image - 100), band_ratios(image), atol=1e-9)


def test_white_noise_fills_the_bands_by_their_areas() -> None:
    noise = np.random.default_rng(0).normal(size=(256, 256))
    assert band_ratios(noise) == pytest.approx(np.array([1, 3, 5, 7]) / 16, abs=0.005)
    volume = np.random.default_rng(0).normal(size=(48, 48, 48))
    assert band_ratios(volume, axes="ZYX") == pytest.approx(np.array([1, 7, 19, 37]) / 64, abs=0.005)


def test_colours_are_added_up() -> None:
    y, x = np.mgrid[:64, :64] / 64
    low, high = np.cos(2 * np.pi * 3 * x), np.cos(2 * np.pi * 30 * y)
    assert np.allclose(band_ratios(np.stack([low, low, 2 * high], -1)), [0.5, 0, 0, 0.5], atol=1e-9)
    assert np.allclose(band_ratios(np.stack([low, high]), axes="CYX"), [0.5, 0, 0, 0.5], atol=1e-9)


def test_a_flat_image_has_no_bands() -> None:
    assert band_ratios(np.full((8, 8), 3)).tolist() == [0, 0, 0, 0]


def test_the_spectrum_has_zero_frequency_at_its_centre() -> None:
    y, _ = np.mgrid[:32, :40] / 32
    shown = spectrum(np.cos(2 * np.pi * 5 * y))
    assert shown.shape == (32, 40)
    peaks = sorted(zip(*np.nonzero(shown > shown.max() / 2), strict=True))
    assert peaks == [(16 - 5, 20), (16 + 5, 20)]
    assert shown.max() == pytest.approx(np.log1p(32 * 40 / 2), rel=1e-6)


def test_the_spectrum_of_equal_colours_is_that_of_one() -> None:
    grey = np.random.default_rng(0).random((12, 15))
    assert np.allclose(spectrum(np.stack([grey] * 3, -1)), spectrum(grey))
    assert np.allclose(spectrum(np.stack([grey] * 2), "CYX"), spectrum(grey))


def test_axes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="do not match an array of 4 dimensions"):
        spectrum(np.zeros((2, 2, 2, 2)))


@pytest.mark.parametrize("shape", [(12, 17), (12, 17, 3)])
def test_arrangements_have_the_same_pixels_in_other_places(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 8, shape).astype(np.uint8)
    arranged = arrangements(image)
    pixels = {name: np.sort(each.reshape(12 * 17, -1), axis=0) for name, each in arranged.items()}
    assert all(np.array_equal(each, pixels["original"]) for each in pixels.values())
    assert np.array_equal(arranged["original"], image)
    brightness = arranged["sorted"].reshape(12 * 17, -1).sum(1, dtype=int)
    assert (np.diff(brightness) >= 0).all()
    assert not np.array_equal(arranged["shuffled"], image)
    # where the pixels were before makes no difference to the sorted image
    assert np.array_equal(arrangements(arranged["shuffled"])["sorted"], arranged["sorted"])


def trained(image: np.ndarray[Any, Any], values: dict[str, Any]) -> list[tuple[float, dict[str, torch.Tensor]]]:
    """Fit every arrangement of an image; return the PSNR in dB and the parameters for each."""
    common = {"diner": {"hidden_features": 16, "lattice_size": 16}}
    recipe = FitRecipe.parse(common).updated(values)
    results = [fit_to(recipe, arranged) for arranged in arrangements(image).values()]
    return [(result.report["psnr_db"], unpack(result).representation.state_dict()) for result in results]


def test_every_arrangement_trains_the_same_network() -> None:
    image = np.random.default_rng(1).integers(0, 60, (24, 30, 1)).repeat(3, -1).astype(np.uint8)
    image[..., 1] = 255 - image[..., 0]
    first, *others = trained(image, {"epochs": 200})
    assert first[0] > 30
    for psnr, parameters in others:
        assert psnr == first[0]
        assert all(torch.equal(parameters[name], value) for name, value in first[1].items())


def test_with_a_key_a_pixel_all_equal_at_first_the_networks_differ_by_rounding_only() -> None:
    image = smooth_colours(24)
    values = {"epochs": 15, "diner": {"key_range": 0.0}, "training": {"unique": False, "searches": 0, "key_steps": 0}}
    first, *others = trained(image, values)
    for psnr, parameters in others:
        assert psnr == pytest.approx(first[0], abs=0.01)
        for name, value in first[1].items():
            if name != "hash_table":
                assert torch.allclose(parameters[name], value, rtol=0, atol=1e-4)
        # the same keys in another order; Adam takes the sign of a vanishing slope for a direction, so not all are
        keys, same = (table["hash_table"] for table in (parameters, first[1]))
        assert float((keys - same).abs().mean()) > 5e-4
        assert float((keys.sort(0).values - same.sort(0).values).abs().mean()) < 5e-5
