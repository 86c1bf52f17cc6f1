"""Patterns match what those of Python match, and a search ends where there is too much or links lead in circles."""

from __future__ import annotations

import glob
import sys
from pathlib import Path

import pytest

from napari_diner.errors import InputError
from napari_diner.io import search
from napari_diner.io.files import find_files
from napari_diner.io.search import check_extent, matches


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a1.tif", "b.png", "one/a2.tif", "one/two/a3.tif", "one/.hidden/a4.tif", ".h.tif", "one/[x].tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    "pattern",
    ["*", "*.tif", ".*", "**", "**/*.tif", "one/**", "*/two/../*", "*/*", "o?e/**/a[0-3].tif", "no*/x", "b.png/*",
     "one/[[]x].tif", "**/two/*", "*/a2.tif"],
)  # fmt: skip
def test_patterns_match_what_those_of_python_match(pattern: str, tree: Path) -> None:
    expected = {Path(path) for path in glob.glob(str(tree / pattern), recursive=True)}  # noqa: PTH207
    found = matches(str(tree / pattern))
    assert set(found) == expected
    assert len(found) == len(expected)


def test_zarr_is_not_searched(tree: Path) -> None:
    (tree / "c.zarr" / "0").mkdir(parents=True)
    (tree / "c.zarr" / "zarr.json").touch()
    assert {path.name for path in matches(str(tree / "**"))} >= {"c.zarr", "a3.tif"}
    assert tree / "c.zarr" / "0" not in matches(str(tree / "**"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lets few users make links")
def test_links_in_circles_are_followed_once(tree: Path) -> None:
    for name in ("up", "again"):
        (tree / "one" / name).symlink_to(tree)
    assert len(find_files(tree / "**" / "*.tif")) == 4


def test_a_search_without_end_is_refused(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MOST_SEARCHED", 5)
    with pytest.raises(InputError, match=r"more than 5 files and folders .* name a smaller folder"):
        check_extent(tree)
    with pytest.raises(InputError, match="name a smaller folder"):
        matches(str(tree / "**" / "*.png"))
    assert matches(str(tree / "one" / "t*" / "*")) == [tree / "one" / "two" / "a3.tif"]
