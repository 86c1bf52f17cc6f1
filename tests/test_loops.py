"""Compiled loops are stored, and what happens to their files does not matter."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_diner.loops import compiled


def twice(value: float) -> float:
    return 2 * value


@pytest.mark.parametrize("damage", [b"", b"\x9cnothing that can be loaded"], ids=["empty", "noise"])
def test_a_damaged_cache_costs_no_run(damage: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numba = pytest.importorskip("numba", reason="the compiled loops need numba")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert compiled(twice)(1.5) == 3
    files = list(tmp_path.rglob("*.nb?"))
    assert len(files) == 2
    for file in files:
        file.write_bytes(damage)
    assert compiled(twice)(1.5) == 3
    # it has been written again
    loaded = compiled(twice)
    assert loaded(1.5) == 3 and sum(loaded.stats.cache_hits.values()) == 1
