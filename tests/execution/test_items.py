"""Recordings that match a plan, and their names."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import pytest
import tifffile

from napari_diner.errors import DinerError, OutputError, RecipeError
from napari_diner.execution.items import Inventory, items_of
from napari_diner.execution.plan import Plan
from tests.execution.conftest import frames, quick, write


def inventory(folder: Path, *items: object, recipe: object = None, **more: object) -> Inventory:
    plan = folder / "plan.yaml"
    plan.write_text(str({"recipe": quick() if recipe is None else recipe, "items": list(items), **more}))
    return items_of(Plan.load(plan), folder / "out")


def names(found: Inventory) -> list[str]:
    return [item.name for item in found.items]


def test_a_tree_gives_stacks_and_folders_of_frames_and_tells_what_is_left(tree: Path) -> None:
    found = inventory(tree, ".")
    assert names(found) == ["day1/a", "day1/b", "day2/cell"]
    strays = {Path(stray.path).name: stray.reason for stray in found.strays}
    assert strays.keys() == {"notes.txt", "overview.tif", "plan.yaml"}
    assert "single image next to stacks" in strays["overview.tif"]


def test_results_and_the_files_that_recipes_use_are_no_items(tree: Path) -> None:
    write(tree / "day1" / "dark.tif", frames()[0] // 100)
    (tree / "old").mkdir()
    write(tree / "old" / "phase.tif", frames())
    (tree / "old" / "report.json").write_text("{}")
    write(tree / "out" / "new.tif", frames())
    entry = {"source": ".", "settings": {"preprocess": {"dark": "day1/dark.tif"}}}
    found = inventory(tree, entry)
    assert names(found) == ["day1/a", "day1/b", "day2/cell"]
    assert {Path(stray.path).name for stray in found.strays} == {"notes.txt", "overview.tif", "plan.yaml", "old"}
    assert {item.recipe.preprocess.dark for item in found.items} == {str(tree / "day1" / "dark.tif")}  # type: ignore[attr-defined]


def test_a_glob_matches_files_and_folders(tree: Path) -> None:
    assert names(inventory(tree, "day?/[ac]*")) == ["day1/a", "day2/cell"]
    assert names(inventory(tree, {"source": "day1/*", "each": "file"})) == ["day1/a", "day1/b", "day1/overview"]
    with pytest.raises(DinerError, match=re.escape("No recordings match day3/*.tif")):
        inventory(tree, "day3/*.tif")


def test_positions_and_times_are_items(tmp_path: Path) -> None:
    movie = frames(12).reshape(4, 3, 24, 24)
    tifffile.imwrite(tmp_path / "movie.ome.tif", movie, metadata={"axes": "TZYX"})
    found = inventory(tmp_path, {"source": "movie.ome.tif", "over": "TP"}, recipe=quick(select="C=0"))
    assert names(found) == [f"movie/T{time}" for time in range(4)]
    assert found.items[3].recipe.select == "C=0, T=3"  # type: ignore[attr-defined]
    lacking = inventory(tmp_path, {"source": "movie.ome.tif", "over": "P"}).items
    assert [item.problem.split(" has ")[1] for item in lacking] == [
        "no axis P with several points; correct over in the plan"
    ]


@pytest.mark.parametrize("select", ["T=1", "C=0, T=all"])
def test_an_axis_is_chosen_once(tree: Path, select: str) -> None:
    with pytest.raises(RecipeError, match="over and select of 'day1' both choose along T; remove one"):
        inventory(tree, {"source": "day1", "over": "PT"}, recipe=quick(select=select))


def test_each_item_has_its_settings(tree: Path) -> None:
    found = inventory(
        tree,
        {"source": "day1/?.tif", "settings": {"seed": 4, "gauss_newton": {"cg_steps": 3}}},
        "day2/cell",
        settings={"wavelength_um": 0.6},
        overrides={"day1/b": {"gauss_newton": {"iterations": 7}}, "day*": {"max_seconds": 9}},
    )
    a, b, cell = (item.recipe.model_dump() for item in found.items)
    assert (a["seed"], b["seed"], cell["seed"]) == (4, 4, 0)
    assert [recipe["gauss_newton"]["iterations"] for recipe in (a, b)] == [1, 7]
    assert [recipe["gauss_newton"]["cg_steps"] for recipe in (a, b, cell)] == [3, 3, 2]
    assert {recipe["wavelength_um"] for recipe in (a, b, cell)} == {0.6}
    assert {recipe["max_seconds"] for recipe in (a, b, cell)} == {9}


def test_names_differ_even_where_case_does_not_count(tree: Path) -> None:
    write(tree / "day1" / "A.tiff", frames(seed=5))
    write(tree / "day1" / "a" / "c.tif", frames(seed=6))
    found = inventory(tree, "day1/*.tif*", "day1/a/c.tif")
    assert names(found) == ["day1/A.tiff", "day1/a.tif", "day1/b", "day1/overview", "day1/a/c"]
    write(tree / "day1" / "A.tif", frames(seed=6))
    with pytest.raises(RecipeError, match="would be in the same folder"):
        inventory(tree, "day1/*.tif*")


def test_names_that_collide_while_recordings_arrive_get_a_checksum(tree: Path) -> None:
    write(tree / "day1" / "A.tif", frames(seed=6))
    plan = Plan(recipe=quick(), items=[{"source": str(tree / "day1"), "each": "file"}])
    both = names(items_of(plan, tree / "out", is_growing=True))
    assert len({name.casefold() for name in both}) == 4
    (tree / "day1" / "b.tif").unlink()
    assert both[:2] == names(items_of(plan, tree / "out", is_growing=True))[:2]
    assert re.fullmatch(r"day1/A\.tif~[0-9a-f]{8}", both[0])


def test_a_recording_has_one_name_whatever_the_path_to_it(tree: Path) -> None:
    assert names(inventory(tree, "day1/a.tif", "day2/../day1/a.tif", "./day1/a.tif")) == ["day1/a"]
    assert names(inventory(tree / "day2", "../day1/?.tif")) == ["day1/a", "day1/b"]


@pytest.mark.parametrize("damaged", [b"", b"II*\0", b"no image"])
def test_a_damaged_frame_is_one_of_its_folder(damaged: bytes, tree: Path) -> None:
    (tree / "day2" / "cell" / "frame7.tif").write_bytes(damaged)
    assert names(inventory(tree, "day2")) == ["day2/cell"]
    (tree / "day1" / "c.tif").write_bytes(damaged)
    assert names(inventory(tree, "day1")) == ["day1/a", "day1/b", "day1/c"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lets few users make links")
def test_links_to_themselves_are_no_recordings(tree: Path) -> None:
    for name in ("loop", "loop.tif"):
        (tree / "day1" / name).symlink_to(name)
    found = inventory(tree, "day1/?.tif", {"source": "day1", "each": "file"})
    assert names(found) == ["day1/a", "day1/b", "day1/loop", "day1/overview"]
    assert "loop" in {Path(stray.path).name for stray in found.strays}


def test_thousands_of_recordings_are_found_in_no_time(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"r{number}.tif").write_bytes(b"II*\0")
    start = time.process_time()
    assert len(inventory(tmp_path, {"source": ".", "each": "file"}).items) == 1000
    assert time.process_time() - start < 5  # a comparison of each name with all others takes longer


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/../../x", "C:/x", "\\\\host\\x", ".napari-diner-x", "a:b"])
def test_nothing_is_written_outside(tree: Path, name: str) -> None:
    with pytest.raises(RecipeError, match=r"plan\.yaml: items\.name = .* inside the output folder"):
        inventory(tree, {"source": "day1", "name": name})


def test_links_lead_nowhere_else(tree: Path) -> None:
    (tree / "out").mkdir()
    (tree / "out" / "day1").symlink_to(tree / "day1", target_is_directory=True)
    for item in inventory(tree, "day1/a.tif").items:
        with pytest.raises(OutputError, match="leads out of"):
            item.folder(tree / "out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"overides": {}}, "The plan has no key 'overides'; did you mean 'overrides'?"),
        ({"overrides": {"day7/*": {"seed": 1}}}, "No item of the plan has a name like 'day7/*'; the first is 'day1/a'"),
        ({"settings": {"wavelength": 1}}, "The recipe has no key 'wavelength'; did you mean 'wavelength_um'?"),
        ({"overrides": {"day1/a": {"seed": -1}}}, "The recipe of 'day1/a' in the plan: seed = -1 cannot be used"),
        ({"recipe": {"wavelength_um": 1}}, "The recipe of the plan names no task"),
        ({"recipe": "there/is/none.yaml"}, "none.yaml cannot be read"),
        ({"items": []}, "items = [] cannot be used: list at least one"),
        ({"items": 3}, "items = 3 cannot be used: list at least one"),
        ({"settings": {"stack": "b.tif"}}, "Settings of the plan name data as stack"),
        ({"overrides": {"*": {"stack": "b.tif"}}}, "Settings of the plan name data as stack"),
        ({"items": [{"source": "day1", "over": "TX"}]}, "items.over = 'TX' cannot be used"),
    ],
)
def test_a_wrong_plan_is_explained(tree: Path, change: dict[str, object], message: str) -> None:
    plan = tree / "plan.yaml"
    plan.write_text(str({"recipe": quick(), "items": ["day1/?.tif"], **change}))
    with pytest.raises(RecipeError, match=re.escape(message)):
        items_of(Plan.load(plan), tree / "out")
