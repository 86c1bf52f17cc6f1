"""Malformed files and strange option values are either refused in one sentence or used.

The full measurement is ``python -m tests.hostile``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tifffile
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from napari_diner.errors import DinerError, RecipeError, quoted
from napari_diner.io.texts import parse_yaml
from napari_diner.settings import Values
from napari_diner.tasks.registry import task as registered
from tests.hostile.__main__ import Counts, Worker, measure
from tests.hostile.bombs import recipe_bombs, structure_bombs
from tests.hostile.doors import arguments_for
from tests.hostile.files import STACK, mutants
from tests.hostile.values import VALUES, commands, keys

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes and sockets are made as POSIX has them")

BOMB = "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """Another process to go through doors, as starting one takes longer than most commands."""
    worker = Worker()
    yield worker
    worker.stop()


def held(items: list[list[str]], folder: Path, worker: Worker) -> Counts:
    """Go through the doors in another process, and hold that nothing failed."""
    counts = measure(items, folder / "output", worker)
    assert not counts.failed, "\n".join(counts.failed)
    return counts


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, STACK, photometric="minisblack")
    return path


def test_damaged_files_of_all_kinds(stack: Path, tmp_path: Path, worker: Worker) -> None:
    paths = mutants(tmp_path / "damaged", 80, seed=1)
    counts = held([arguments_for(path, stack)[number % 2 - 1] for number, path in enumerate(paths)], tmp_path, worker)
    assert counts.held["exit 2"] > 40


def test_files_that_were_built_to_exhaust(stack: Path, tmp_path: Path, worker: Worker) -> None:
    paths = [*recipe_bombs(tmp_path / "recipes"), *structure_bombs(tmp_path / "files")]
    counts = held([arguments_for(path, stack)[0] for path in paths], tmp_path, worker)
    assert counts.held["exit 2"] > 40


def test_strange_option_values(stack: Path, tmp_path: Path, worker: Worker) -> None:
    held(list(commands(str(stack), 60, seed=1)), tmp_path, worker)


@seed(0)
@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.sampled_from(keys()), st.sampled_from(VALUES) | st.text(max_size=20) | st.floats() | st.booleans() | st.none()
)
def test_every_field_takes_a_value_or_refuses_it_in_one_sentence(field: tuple[str, str], value: object) -> None:
    task, key = field
    values: Values = {key.rpartition(".")[2]: value}
    for section in reversed(key.split(".")[:-1]):
        values = {section: values}
    try:
        registered(task).recipe_type.parse(values)
    except DinerError as error:
        assert len(error.message) < 1000
        assert not re.search(r"[\x00-\x1f\x7f]", error.message)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\na: 2\n", "'a' occurs twice"),
        ("[" * 100, "nested too deeply"),
        ("a: &a [1]\nb: *b\n", "'b' is undefined"),
        ("a: &a [*a]\n", "'a' is undefined, or refers to itself"),
        ("a: !!python/name:os.system\n", "not valid YAML at line 1"),
        (BOMB, "holds more than"),
    ],
)
def test_what_a_recipe_may_not_be(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_yaml(text)


def test_numbers_have_the_base_ten_or_say_so() -> None:
    """YAML 1.1 reads 1:30 as 90 and 010 as 8."""
    values = {"a": "1:30", "b": "010", "c": 16, "d": 0.5, "e": -3, "f": "1:30.5", "g": 0, "h": 10}
    assert parse_yaml("{a: 1:30, b: 010, c: 0x10, d: 0.5, e: -3, f: 1:30.5, g: 0, h: 1_0}") == values


def test_aliases_of_moderate_size_are_read() -> None:
    assert parse_yaml("a: &a [1, 2]\nb: *a\n") == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    "value", ["x" * 10**6, "a\x07\nb", [[[[[1] * 100] * 100] * 100]], 10**5000, {"a": "x" * 1000}], ids=type
)
def test_messages_quote_at_most_one_line(value: object) -> None:
    text = quoted(value)
    assert len(text) <= 80
    assert text.isprintable()


def test_a_long_name_does_not_fill_the_message() -> None:
    with pytest.raises(RecipeError) as caught:
        registered("x" * 100_000)
    assert len(caught.value.message) < 500
