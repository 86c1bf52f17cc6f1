"""Batches: items that are run, unchanged items, and results after a failure or a cancellation."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import napari_diner as nd
from napari_diner.errors import OutputError
from napari_diner.execution import batch
from napari_diner.execution.batch import Batch
from napari_diner.execution.item_run import Record, run_item
from napari_diner.execution.items import Item
from napari_diner.execution.plan import Plan
from napari_diner.execution.sizing import result_bytes
from napari_diner.io.folder import checkpoint_path
from tests.execution.conftest import content, frames, quick, write
from tests.tasks.test_space import USAGE


def states(work: Batch) -> dict[str, str]:
    return {name: record.state for name, record in work.records.items()}


def test_results_are_those_of_single_runs_to_the_last_byte(tree: Path, tmp_path: Path) -> None:
    work = nd.batch({"recipe": quick(), "items": [str(tree / "day1")]}, tmp_path / "out")
    assert states(work) == {"day1/a": "done", "day1/b": "done"}
    single = tmp_path / "single" / "day1" / "b"  # as deep, since recipes name files as seen from their folder
    nd.lensless(tree / "day1" / "b.tif", **quick()).save(single)
    batched = content(tmp_path / "out" / "day1" / "b")
    assert batched.pop("thumbnail.png")
    assert batched == content(single)


def test_failures_stop_nothing_and_are_said(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tree / "day1" / "a.tif").write_bytes((tree / "day1" / "a.tif").read_bytes()[:900])
    write(tree / "day1" / "<b>&.tif", np.full((3, 24, 24), np.nan, np.float32))
    plan = {"recipe": quick(), "items": [str(tree / "day1"), str(tree / "none.tif")]}
    work = nd.batch(plan, out)
    assert states(work) == {"day1/_b_&": "failed", "day1/a": "failed", "day1/b": "done", "data/none": "failed"}
    with (out / "batch.csv").open(encoding="utf-8") as file:
        rows = {row["item"]: row for row in csv.DictReader(file)}
    assert "truncated" in rows["day1/a"]["message"]
    assert rows["data/none"]["message"] == "../data/none.tif does not exist; check the path"
    assert rows["day1/b"]["source"] == "../data/day1/b.tif"
    assert float(rows["day1/b"]["unexplained"]) >= 0
    summary = json.loads((out / "batch.json").read_text())
    assert summary["counts"] == {"failed": 3, "done": 1}
    assert {Path(stray["path"]).name for stray in summary["strays"]} == {"notes.txt", "overview.tif"}
    page = (out / "batch.html").read_text()
    assert "<b>&.tif" not in page
    assert 'src="day1/b/thumbnail.png"' in page
    assert sorted(path.name for path in (out / "day1").iterdir()) == ["b"]


def test_results_that_do_not_fit_the_disk_are_refused_before_the_first(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each alone would fit; those that exist already need no more space."""
    plan = Plan(recipe=quick(save_as="ome-zarr"), items=[str(tree)])
    with Batch(plan, tmp_path / "out") as work:
        each = result_bytes(work.items, work.output) / len(work.items)
        next(record for changed in work for record in changed if record.state == "done")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: USAGE(10**9, 0, int(1.5 * each)))
    with pytest.raises(OutputError, match=r"The results of all items need .* are free on the disk of .*out; free"):
        nd.batch(plan, tmp_path / "out")
    assert not list((tmp_path / "out").glob(".napari-diner-*"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: USAGE(10**9, 0, int(2.5 * each)))
    assert set(states(nd.batch(plan, tmp_path / "out")).values()) == {"done", "unchanged"}


@pytest.mark.parametrize(
    ("count", "recipe"),
    [
        (3, quick()),
        (3, quick(save_as="ome-zarr")),
        (3, quick(solver="diner", start="flat", gradient={"iterations": 2})),
        (3, {"task": "focus", "wavelength_um": 0.5, "pixel_size_um": 1.3, "distances_um": [300, 400, 500],
             "rounds": 1}),
        (2, {"task": "fit", "epochs": 2}),
        (8, {"task": "idt", "wavelength_um": 0.5, "pixel_size_um": 0.2, "na": 0.6, "medium_index": 1.33,
             "slice_count": 3, "ring": {"na": 0.58}, "solver": "tikhonov"}),
    ],
    ids=["lensless", "zarr", "diner", "focus", "fit", "idt"],
)  # fmt: skip
def test_what_is_done_is_left_as_it_is(tmp_path: Path, count: int, recipe: dict[str, object]) -> None:
    stack = write(tmp_path / "stack.tif", frames(count))
    plan, out = {"recipe": recipe, "items": [str(stack)]}, tmp_path / "out"
    assert set(states(nd.batch(plan, out)).values()) == {"done"}
    before = {path: path.stat().st_mtime_ns for path in (out / tmp_path.name / "stack").iterdir()}
    again = nd.batch(plan, out)
    assert set(states(again).values()) == {"unchanged"}, again.records
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_other_data_other_recipes_and_lost_files_are_noticed(tmp_path: Path) -> None:
    stack, out = write(tmp_path / "stack.tif", frames()), tmp_path / "out"
    plan = {"recipe": quick(), "items": [str(stack)]}
    nd.batch(plan, out)
    write(stack, frames(seed=9))
    refused = nd.batch(plan, out)
    assert set(states(refused).values()) == {"failed"}
    assert "exists" in next(iter(refused.records.values())).message
    assert set(states(nd.batch(plan, out, overwrite=True)).values()) == {"done"}
    assert set(states(nd.batch({**plan, "settings": {"seed": 3}}, out, overwrite=True)).values()) == {"done"}
    (out / tmp_path.name / "stack" / "phase.tif").unlink()
    assert set(states(nd.batch({**plan, "settings": {"seed": 3}}, out, overwrite=True)).values()) == {"done"}


def test_a_changed_mask_is_noticed(tree: Path, tmp_path: Path) -> None:
    mask = write(tmp_path / "mask.tif", np.ones((24, 24), np.uint8))
    plan = {"recipe": quick(mask=str(mask)), "items": [str(tree / "day1" / "a.tif")]}
    assert set(states(nd.batch(plan, tmp_path / "out")).values()) == {"done"}
    assert set(states(nd.batch(plan, tmp_path / "out")).values()) == {"unchanged"}
    write(mask, np.eye(24, dtype=np.uint8))
    assert set(states(nd.batch(plan, tmp_path / "out", overwrite=True)).values()) == {"done"}


def test_cancelling_keeps_what_is_finished_and_nothing_else(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    plan = Plan(recipe=quick(), items=[str(tree)])
    with Batch(plan, out) as work:
        for _ in work:
            if work.count("done") and work.count("running"):
                break
    assert states(work) == {"data/day1/a": "done", "data/day1/b": "waiting", "data/day2/cell": "waiting"}
    assert {path.name for path in (out / "data" / "day1").iterdir()} == {"a"}
    assert {path.name for path in out.iterdir()} == {"data", "batch.json", "batch.csv", "batch.html"}
    assert json.loads((out / "batch.json").read_text())["counts"] == {"done": 1, "waiting": 2}
    assert list(states(nd.batch(plan, out)).values()) == ["unchanged", "done", "done"]


def test_what_was_saved_and_not_reported_is_done_whatever_the_clock_says(tree: Path, tmp_path: Path) -> None:
    def silent(items: Sequence[Item], output: Path, overwrite: bool) -> Iterator[Sequence[Record]]:
        for item in items:
            *_, last = run_item(item, output, overwrite=overwrite)
            os.utime(output / item.name / "report.json", (0, 0))  # the clock was moved back
            yield [replace(last, state="running")]

    plan, out = Plan(recipe=quick(), items=[str(tree / "day1")]), tmp_path / "out"
    for then in ("done", "waiting"):  # the second time, nothing is saved
        with Batch(plan, out, executor=silent) as work:
            assert list(work)
        assert states(work) == {"day1/a": then, "day1/b": then}


def test_a_result_that_was_removed_meanwhile_is_not_called_done(tree: Path, tmp_path: Path) -> None:
    plan, out = Plan(recipe={"task": "fit", "epochs": 1}, items=[str(tree / "day1")]), tmp_path / "out"
    with Batch(plan, out) as work:
        for changed in work:
            if changed[0].state == "done" and changed[0].name == "day1/a":
                shutil.rmtree(out / "day1" / "a")
    assert states(work) == {"day1/a": "failed", "day1/b": "done"}
    assert work.records["day1/a"].message.startswith("its result was removed")
    assert states(nd.batch(plan, out)) == {"day1/a": "done", "day1/b": "unchanged"}


def test_an_interrupted_item_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    stack, out = write(tmp_path / "stack.tif", frames()), tmp_path / "out"
    lasting = quick(solver="pixels", start="flat", gradient={"iterations": 30}, checkpoint_seconds=1e-9)
    kept = checkpoint_path(out / "a" / "stack")
    for seed in (0, 1):  # of another recipe, a checkpoint is of no use
        plan = Plan(recipe={**lasting, "seed": seed}, items=[{"source": str(stack), "name": "a"}])
        with Batch(plan, out) as work:
            for changed in work:
                if changed[0].message == "pixels 20/30":
                    break
        assert kept.is_file()
        assert states(work) == {"a/stack": "waiting"}
    whole = nd.batch(plan, tmp_path / "whole")
    assert states(nd.batch(plan, out)) == states(whole) == {"a/stack": "done"}
    assert not kept.exists()
    assert len(json.loads((out / "a" / "stack" / "report.json").read_text())["resumed_after_s"]) == 1
    assert content(out / "a" / "stack") == content(tmp_path / "whole" / "a" / "stack")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow names in Unicode only")
def test_a_name_that_is_not_utf_8_stops_no_other_item(tree: Path, tmp_path: Path) -> None:
    shutil.copy(tree / "day1" / "a.tif", os.fsencode(tree / "day1") + b"/cell\xff.tif")
    (tree / "day2" / "cell" / "frame1.tif").rename(os.fsdecode(os.fsencode(tree) + b"/day2/cell/frame\xff1.tif"))
    out = tmp_path / "out"
    work = nd.batch({"recipe": quick(), "items": [str(tree)]}, out)
    failed = "data/day1/cell_"
    assert states(work) == {"data/day1/a": "done", "data/day1/b": "done", failed: "failed", "data/day2/cell": "done"}
    assert work.records[failed].message.endswith("cell?.tif is not a name in UTF-8; rename the file or folder")
    assert "cell?.tif" in (out / "batch.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("damage", [{"seconds": None, "warnings": 5}, {"seconds": "1", "warnings": None}])
def test_a_report_with_other_values_is_still_that_of_a_result(
    damage: dict[str, object], tree: Path, tmp_path: Path
) -> None:
    plan, out = {"recipe": {"task": "fit", "epochs": 1}, "items": [str(tree / "day1" / "a.tif")]}, tmp_path / "out"
    (name,) = states(nd.batch(plan, out))
    report = out / name / "report.json"
    report.write_text(json.dumps(json.loads(report.read_text()) | damage))
    assert states(nd.batch(plan, out)) == {name: "unchanged"}


def test_a_summary_that_cannot_be_written_stops_no_item(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "_SUMMARY_EVERY_S", 0.0)
    out = tmp_path / "out"
    work = Batch(Plan(recipe=quick(), items=[str(tree / "day1")]), out)
    with pytest.raises(OutputError, match=r"batch\.json cannot be written"), work:
        for _ in work:
            if work.count("done") and (out / "batch.json").is_file():
                (out / "batch.json").unlink()
                write(out / "batch.json" / "mine.tif", np.zeros((3, 24, 24), np.float32))
    assert states(work) == {"day1/a": "done", "day1/b": "done"}


def test_only_the_folder_of_a_batch_is_written_into(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(nd.DinerError, match=r"is not that of a batch \(it has thesis\.txt\)"):
        nd.batch({"recipe": quick(), "items": [str(tree / "day1")]}, out, overwrite=True)
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


def test_an_output_that_is_removed_while_it_is_looked_at_is_no_error_of_the_program(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()

    def looked_at(folder: Path) -> bool:
        # another program removes the folder at this moment
        shutil.rmtree(folder)
        return False

    monkeypatch.setattr(batch, "is_batch", looked_at)
    with pytest.raises(nd.DinerError, match=r"out cannot be written \(No such file or directory\)"):
        nd.batch({"recipe": quick(), "items": [str(tree / "day1")]}, out)
