"""The hash encoding: levels, interpolation, hashing, gradients."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from napari_diner.errors import RecipeError
from napari_diner.representations.coordinates import coordinates
from napari_diner.representations.hash_grid import HashEncoding, HashGrid, matched_table_size
from napari_diner.representations.settings import HashGridSettings, NetworkSettings


def build(shape: tuple[int, ...], **settings: Any) -> HashEncoding:
    torch.manual_seed(0)
    values = {"log2_table_size": 12, "base_resolution": 4, "growth": 2.0, "levels": 4} | settings
    return HashEncoding(shape, HashGridSettings(**values))


def points(count: int, axes: int) -> torch.Tensor:
    return torch.rand(count, axes, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_levels_grow_and_end_at_the_resolution_of_the_data() -> None:
    encoding = build((40, 100), levels=16, growth=1.5)
    assert encoding.resolutions == [
        (4, 4), (6, 6), (9, 9), (13, 13), (20, 20), (30, 30), (40, 45), (40, 68), (40, 100),
    ]  # fmt: skip
    assert encoding.features == 9 * 2


def test_the_next_power_of_two_above_the_samples_needs_no_hashing() -> None:
    encoding = build((30, 50), levels=16, log2_table_size=11)
    assert encoding.dense_levels == len(encoding.resolutions)
    assert len(encoding.table) == sum(height * width for height, width in encoding.resolutions)


@pytest.mark.parametrize(("shape", "width"), [((300, 400), 2), ((300, 400), 3), ((20, 90, 70), 3)])
def test_the_matched_table_has_nearest_to_the_numbers_of_a_hash_table(shape: tuple[int, ...], width: int) -> None:
    numbers = math.prod(shape) * width
    size = matched_table_size(shape, HashGridSettings(), numbers)
    sizes = [
        HashEncoding(shape, HashGridSettings(log2_table_size=log2_size)).table.numel()
        for log2_size in (size - 1, size, size + 1)
    ]
    departures = [abs(math.log(found / numbers)) for found in sizes]
    assert departures[1] == min(departures) < math.log(1.5)


@pytest.mark.parametrize("shape", [(33,), (20, 33), (9, 12, 17)])
def test_levels_that_fit_are_interpolated_between_their_points(shape: tuple[int, ...]) -> None:
    encoding = build(shape, log2_table_size=13).double()
    assert encoding.dense_levels == len(encoding.resolutions) > 1
    x = points(50, len(shape))
    found = encoding(x)
    start = 0
    for level, resolution in enumerate(encoding.resolutions):
        size = torch.Size(resolution).numel()
        grid = encoding.table[start : start + size].T.reshape(1, 2, *resolution)
        start += size
        # PyTorch's own interpolation, which names the last axis first and has no 1D form
        place = x.flip(1)
        if len(shape) == 1:
            grid, place = grid[:, :, None], F.pad(place, (0, 1))
        place = place.reshape(1, *[1] * (max(len(shape), 2) - 1), 50, -1)
        expected = F.grid_sample(grid, place, align_corners=True, padding_mode="border").reshape(2, 50).T
        assert torch.allclose(found[:, 2 * level : 2 * level + 2], expected, atol=1e-12)


def test_the_finest_level_gives_each_sample_an_entry_of_its_own() -> None:
    shape = (7, 11)
    encoding = build(shape, base_resolution=16, levels=1).double()
    x = coordinates(torch.arange(77), shape).double()
    assert torch.allclose(encoding(x), encoding.table, atol=1e-9)


def test_a_level_that_just_fits_its_table_has_no_shared_entries() -> None:
    encoding = build((16, 16), base_resolution=16, levels=1, log2_table_size=8)
    entries, weights = encoding.corners(coordinates(torch.arange(256), (16, 16)))
    nearest = entries[:, 0].gather(1, weights[:, 0].argmax(1, keepdim=True))
    assert torch.equal(nearest[:, 0], torch.arange(256))


@pytest.mark.parametrize("shape", [(300,), (30, 40), (12, 10, 14), (5, 6, 7, 8)])
def test_weights_add_up_to_one_and_entries_are_of_their_level(shape: tuple[int, ...]) -> None:
    encoding = build(shape, log2_table_size=8)
    entries, weights = encoding.corners(points(200, len(shape)))
    assert entries.shape == weights.shape == (200, len(encoding.resolutions), 2 ** len(shape))
    assert torch.allclose(weights.sum(2), torch.ones(200, len(encoding.resolutions), dtype=torch.float64))
    assert float(weights.min()) >= 0
    ends = [*encoding.offsets[1:].tolist(), len(encoding.table)]
    for level, (start, end) in enumerate(zip(encoding.offsets.tolist(), ends, strict=True)):
        assert int(entries[:, level].min()) >= start and int(entries[:, level].max()) < end


def test_levels_that_do_not_fit_are_hashed_as_published() -> None:
    encoding = build((100, 120, 90), base_resolution=64, levels=1, log2_table_size=10)
    assert encoding.dense_levels == 0 and len(encoding.table) == 1024
    point = (17, 40, 63)
    x = torch.tensor([[2 * p / 63 - 1 + 1e-9 for p in point]], dtype=torch.float64)
    entries, weights = encoding.corners(x)
    hashed = ((17 * 1) ^ (40 * 2654435761) ^ (63 * 805459861)) % 1024
    # the last of the points on an axis belongs to the cell before it
    assert int(entries[0, 0, int(weights[0, 0].argmax())]) == hashed


def test_hashed_levels_spread_over_the_whole_table_and_are_continuous() -> None:
    encoding = build((200, 200), base_resolution=200, levels=1, log2_table_size=10).double()
    entries, _ = encoding.corners(points(5000, 2))
    counts = torch.bincount(entries.flatten(), minlength=1024)
    assert int((counts == 0).sum()) == 0 and int(counts.max()) < 10 * 5000 * 4 / 1024
    # across a border between cells, where other corners take over
    border = torch.tensor([[2 * 57 / 199 - 1, 0.123]], dtype=torch.float64)
    step = torch.tensor([[1e-9, 0.0]], dtype=torch.float64)
    assert torch.allclose(encoding(border - step), encoding(border + step), atol=1e-9)


def test_beyond_the_border_the_features_are_those_of_the_border() -> None:
    encoding = build((20, 30))
    inside = torch.tensor([[1.0, -1.0], [0.2, 1.0]])
    assert torch.equal(encoding(inside * 1.0), encoding(torch.tensor([[1.5, -7.0], [0.2, 1.2]])))


@pytest.mark.parametrize("shape", [(40,), (20, 24), (6, 7, 8)])
def test_gradients_are_the_slopes(shape: tuple[int, ...]) -> None:
    encoding = build(shape, log2_table_size=8, levels=3).double()
    x = points(6, len(shape)).requires_grad_()
    encoding.table.data.mul_(1e4)

    def features(table: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(encoding, {"table": table}, (x,))

    assert torch.autograd.gradcheck(features, (encoding.table.detach()[:].requires_grad_(), x), atol=1e-6)


def test_the_table_starts_uniformly_within_a_ten_thousandth() -> None:
    table = build((100, 100), levels=6).table.detach()
    assert 0.99e-4 < float(table.abs().max()) <= 1e-4
    assert float(table.std()) == pytest.approx(1e-4 / 3**0.5, rel=0.03)


def test_parameters_are_tables_and_network() -> None:
    grid = HashGrid((32, 32), 3, NetworkSettings(), HashGridSettings(log2_table_size=8, base_resolution=8, growth=2))
    tables = (8 * 8 + 16 * 16 + 256) * 2  # 8, 16, and 32 that is hashed to 256
    assert grid.parameter_count() == tables + (6 * 64 + 64) + (64 * 64 + 64) + (64 * 3 + 3)


def test_it_learns_what_its_finest_level_can_hold() -> None:
    torch.manual_seed(0)
    target = torch.rand(24, 32, 1)
    settings = HashGridSettings(log2_table_size=10, base_resolution=8, growth=2.0, levels=3)
    grid = HashGrid((24, 32), 1, NetworkSettings(hidden_features=32), settings)
    optimizer = torch.optim.Adam(grid.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        loss = (grid.sample(torch.arange(768)) - target.reshape(768, 1)).square().mean()
        loss.backward()
        optimizer.step()
    # noise of variance 1/12, which a smooth function of the coordinates could not follow
    assert float(loss.detach()) < 1e-3


@pytest.mark.parametrize(("shape", "size"), [((2, 2, 2, 2, 2), 10), ((4, 4), None)])
def test_what_cannot_be_built_is_refused(shape: tuple[int, ...], size: int | None) -> None:
    with pytest.raises((ValueError, RecipeError), match=r"axes|size"):
        HashEncoding(shape, HashGridSettings(log2_table_size=size))
