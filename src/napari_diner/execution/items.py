"""The items of a batch: the recordings that match a plan, each with its recipe and folder. Does not import torch."""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import glob
import itertools
import math
import os
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from napari_diner.errors import DinerError, InputError, OutputError, RecipeError, quoted
from napari_diner.execution.plan import Entry, Plan, safe_name
from napari_diner.io.axes import parse_selection, view_of
from napari_diner.io.folder import REPORT
from napari_diner.io.formats import FORMATS, IMAGE_SUFFIXES, format_of, probe_file
from napari_diner.io.ome_zarr import is_zarr
from napari_diner.io.parts import SEPARATOR, split_part
from napari_diner.io.search import check_extent, fixed_part, matches
from napari_diner.settings import Values, is_storable
from napari_diner.tasks.recipe import Recipe, absolute_path, input_files, merge
from napari_diner.tasks.task import AnyTask

SUMMARIES = ("batch.json", "batch.csv", "batch.html")
"""Files about the whole batch, next to the folders of the items."""
PREVIEWS = "previews"
"""Folder next to them for previews of arriving recordings."""
MOST_ITEMS = 100_000
_READABLE = frozenset(suffix for format_ in FORMATS for suffix in format_.suffixes)


@dataclass(frozen=True)
class Item:
    """One recording of a batch."""

    name: str
    """Its folder, relative to the output folder, with slashes."""
    source: str
    """File, folder or ``file::name``."""
    recipe: Recipe
    """All settings, including the source."""
    problem: str = ""
    """Reason why it cannot be run, if known in advance; empty otherwise."""

    def folder(self, output: Path) -> Path:
        """Return the folder for its results.

        Raises
        ------
        OutputError
            If a link leads out of the output folder.
        """
        folder = output / self.name
        if not Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(output)):
            raise OutputError(f"The folder {folder} leads out of {output}; remove the link")
        return folder


@dataclass(frozen=True)
class Stray:
    """A file or folder that is not an item."""

    path: str
    """Path."""
    reason: str
    """Reason, without a full stop."""


@dataclass(frozen=True)
class Inventory:
    """Everything that matches a plan."""

    items: tuple[Item, ...]
    """Recordings, in the order of the plan."""
    strays: tuple[Stray, ...] = ()
    """Other files and folders in the same places."""


@dataclass(frozen=True)
class _Place:
    """The source of an item, before it has a recipe."""

    path: Path
    source: str
    stem: str
    """Its name without a suffix, relative to the folder of the results of its entry."""
    entry: Entry
    point: Mapping[str, int]
    """Position along the axes of `Entry.over`."""
    label: str = ""
    """The same, as the name of a folder."""
    problem: str = ""

    def name(self, suffix: bool) -> str:
        """Return the name of its item, with the suffix of the file if another name differs only by the suffix."""
        stem = self.stem + (self.path.suffix if suffix else "")
        return "/".join(safe_name(part) for part in (*stem.split("/"), *filter(None, [self.label])))


def items_of(plan: Plan, output: Path, *, is_growing: bool = False) -> Inventory:
    """Return the items of a plan, and the other files in the same places.

    Parameters
    ----------
    plan
        The plan.
    output
        The output folder; its contents are not items.
    is_growing
        Whether recordings are still arriving: an entry may match nothing yet, and names that collide get a checksum.

    Raises
    ------
    RecipeError
        If a recipe is wrong, settings name data, an override fits no item, or two items would have the same folder.
    InputError
        If an entry matches nothing.
    """
    task, values = plan.base()
    if any(task.source_field in changes for changes in plan.changes()):
        raise RecipeError(f"Settings of the plan name data as {task.source_field}; name them under items")
    values = merge(values, {task.source_field: None})
    places: list[_Place] = []
    strays: dict[str, Stray] = {}
    for entry in plan.items:
        recipe = plan.recipe_for(task, values, entry.source, entry.settings)
        twice = [axis for axis in entry.over if axis in parse_selection(getattr(recipe, "select", ""))]
        if twice:
            raise RecipeError(f"over and select of {quoted(entry.source)} both choose along {twice[0]}; remove one")
        used = set(map(os.path.realpath, input_files(recipe)))
        search = _Search(entry, plan.folder, output, used, getattr(recipe, "axes", ""))
        places_of_entry = search.places()
        if not places_of_entry and not is_growing:
            raise InputError(f"No recordings match {entry.source}; check the plan")
        places += places_of_entry
        strays |= {stray.path: stray for stray in search.strays}
        if len(places) > MOST_ITEMS:
            raise InputError(f"The plan matches more than {MOST_ITEMS:,} items; divide it")
    unique = {(place.source, *place.point.items()): place for place in places}  # the last entry takes precedence
    names = _names(list(unique.values()), is_growing)
    fitting: Counter[str] = Counter()
    items = []
    for name, place in zip(names, unique.values(), strict=True):
        changes = place.entry.settings
        for pattern, more in plan.overrides.items():
            if fnmatch.fnmatchcase(name, pattern):
                fitting[pattern] += 1
                changes = merge(changes, more)
        items.append(_item(plan, task, values, name, place, changes))
    for pattern in plan.overrides:
        if not fitting[pattern]:
            raise RecipeError(f"No item of the plan has a name like {quoted(pattern)}; the first is {quoted(names[0])}")
    taken = {str(place.path) for place in places}
    return Inventory(tuple(items), tuple(stray for path, stray in strays.items() if path not in taken))


def _item(plan: Plan, task: AnyTask, values: Values, name: str, place: _Place, changes: Mapping[str, object]) -> Item:
    """Return an item with its validated recipe."""
    problem, source = place.problem, place.source
    if not is_storable(source):
        source = source.encode(errors="replace").decode()
        problem = f"{source} is not a name in UTF-8; rename the file or folder"
    own: dict[str, object] = {task.source_field: source, "input_sha256": ""}
    if place.point:
        chosen = [f"{axis}={at}" for axis, at in place.point.items()]
        select = merge(values, changes).get("select")
        own["select"] = ", ".join([*([select] if isinstance(select, str) and select.strip() else []), *chosen])
    recipe = plan.recipe_for(task, values, name, merge(changes, own))
    return Item(name, source, recipe, problem)


def _names(places: Sequence[_Place], is_growing: bool) -> list[str]:
    """Return a unique name for each item; none is a folder that contains another.

    Raises
    ------
    RecipeError
        If two items cannot be given different names.
    """
    plain = [place.name(suffix=False) for place in places]
    clashing = _clashing(plain)
    names = [place.name(name in clashing) for place, name in zip(places, plain, strict=True)]
    clashing = _clashing(names)
    if clashing and is_growing:
        marks = (f"~{zlib.crc32(place.source.encode(errors='surrogateescape')):08x}" for place in places)
        names = [name + mark if name in clashing else name for name, mark in zip(names, marks, strict=True)]
    elif clashing:
        one, *others = (place.source for place, name in zip(places, names, strict=True) if name in clashing)
        what = f"{quoted(one)} and {quoted(others[0])}" if others else quoted(one)
        raise RecipeError(f"The results of {what} would be in the same folder; give their entries a name")
    return names


def _clashing(names: Sequence[str]) -> set[str]:
    """Return the names that collide with others, or with folders around them, ignoring case."""
    folded = Counter(name.casefold() for name in names)
    around = {str(parent) for name in folded for parent in PurePosixPath(name).parents} | {*SUMMARIES, PREVIEWS}
    return {name for name in names if folded[name.casefold()] > 1 or name.casefold() in around}


class _Search:
    """The search for the items of one entry."""

    def __init__(self, entry: Entry, folder: Path, output: Path, used: set[str], axes: str) -> None:
        self.entry, self.folder, self.output, self.used, self.axes = entry, folder, output.resolve(), used, axes
        self.strays: list[Stray] = []
        self.part = ""

    def places(self) -> list[_Place]:
        """Return the sources of the items."""
        source = absolute_path(self.entry.source, self.folder)
        path = Path(source)
        if not path.exists():
            source, self.part = split_part(source)
            path = Path(source)
        if _is_folder(path):
            check_extent(path)
            chosen, base = list(self._in_tree(path)), path
        elif not path.exists() and glob.has_magic(source):
            chosen, base = list(self._matching(source)), fixed_part(source)[0]
        else:
            chosen, base = [path], path.parent
        return [place for path in chosen for place in self._points(path, base)]

    def _matching(self, pattern: str) -> Iterator[Path]:
        """Yield what a pattern matches: files, and folders of frames."""
        for path in matches(pattern):
            if _is_folder(path):
                if self.entry.each != "file" and self._is_open(path) and any(map(_is_image, path.iterdir())):
                    yield path
            elif self.entry.each != "folder" and self._is_open(path.parent) and self._is_recording(path):
                yield path

    def _in_tree(self, folder: Path) -> Iterator[Path]:
        """Yield the stacks, and the folders of single images, in a folder and the folders in it."""
        if not self._is_open(folder):
            return
        try:
            entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        except OSError as error:  # it may also have been removed since it was listed
            self._leave(folder, f"it cannot be read ({error.strerror})")
            return
        folders = {path for path in entries if _is_folder(path)}
        files = [path for path in entries if path not in folders and self._is_recording(path)]
        images = [path for path in files if _is_image(path)]
        # a damaged image is a frame if there are no stacks, and is reported when the folder is read
        counts = {path: _axes_count(path) if self.entry.each == "auto" else 0 for path in images}
        single = [path for path, count in counts.items() if count == 2]
        together = self.entry.each == "folder" or (bool(single) and max(counts.values()) == 2)
        if together and images:
            yield folder
        for path in files:
            if self.entry.each == "folder" and path not in images:
                self._leave(path, "it is not a single image, and each item is a folder of single images")
            elif together and path in images:
                continue
            elif path in single:
                self._leave(path, "it is a single image next to stacks; to run it, set each to file")
            else:
                yield path
        for path in entries:
            if path in folders and not path.is_symlink():
                yield from self._in_tree(path)

    def _is_open(self, folder: Path) -> bool:
        """Whether a folder may contain recordings; results do not."""
        if (folder / REPORT).is_file():
            self._leave(folder, "it contains results of napari-diner")
            return False
        return folder.resolve() != self.output and self.output not in folder.resolve().parents

    def _is_recording(self, path: Path) -> bool:
        """Whether a file is a recording by its name or first bytes; others are strays unless the recipe uses them."""
        if path.name.startswith("."):
            return False
        with contextlib.suppress(OSError):  # a link to where nobody may look
            if self.used and os.path.realpath(path) in self.used:
                return False
        if path.suffix.lower() in _READABLE:
            return True
        try:
            format_of(path)
        except InputError:
            self._leave(path, "its format is not supported")
            return False
        return True

    def _leave(self, path: Path, reason: str) -> None:
        self.strays.append(Stray(str(path), reason))

    def _points(self, path: Path, base: Path) -> Iterator[_Place]:
        """Yield the items in a file: all of it, or each point along some axes."""
        inside = path.relative_to(base) if path != base else Path(path.name)
        if self.entry.name:
            inside = Path(self.entry.name) / inside
        elif path.is_relative_to(self.folder) and path != self.folder:
            inside = path.relative_to(self.folder)
        elif path != base:
            inside = Path(base.name) / inside
        stem = inside.as_posix() if _is_folder(path) else inside.with_suffix("").as_posix()
        stem = stem.removesuffix(".ome") + ("-" + self.part.replace("/", "-") if self.part else "")
        source = str(path) + (f"{SEPARATOR}{self.part}" if self.part else "")
        whole = _Place(path, source, stem, self.entry, {})
        try:
            yield from self._along_axes(whole) if self.entry.over else [whole]
        except DinerError as error:
            yield replace(whole, problem=str(error))

    def _along_axes(self, whole: _Place) -> Iterator[_Place]:
        """Yield the points along the axes of `Entry.over`.

        Raises
        ------
        InputError
            If the array lacks an axis.
        """
        view = view_of(probe_file(whole.source), whole.source, self.axes)
        sizes = {axis: size for axis, size in zip(view.axes, view.shape, strict=True) if axis in self.entry.over}
        if not sizes:
            missing = " or ".join(self.entry.over)
            raise InputError(f"{whole.source} has no axis {missing} with several points; correct over in the plan")
        if math.prod(sizes.values()) > MOST_ITEMS:
            raise InputError(f"{whole.source} has more than {MOST_ITEMS:,} points along {', '.join(sizes)}; divide it")
        for point in itertools.product(*map(range, sizes.values())):
            at = dict(zip(sizes, point, strict=True))
            label = "-".join(f"{axis}{place:0{len(str(sizes[axis] - 1))}}" for axis, place in at.items())
            yield replace(whole, point=at, label=label)


def _is_folder(path: Path) -> bool:
    """Whether a path is a folder, and no recording in Zarr."""
    return os.path.isdir(path) and not is_zarr(path)  # noqa: PTH112 (raises nothing where it may not look)


def _is_image(path: Path) -> bool:
    """Whether a file can be one frame of several."""
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and not path.name.startswith(".")


def _axes_count(path: Path) -> int:
    """Return the number of axes of an image, without that of colours; 0 if it is damaged."""
    try:
        stat = path.stat()
    except OSError:
        return 0
    return _axes_read(path, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=MOST_ITEMS)
def _axes_read(path: Path, size: int, changed_ns: int) -> int:
    # a watched folder is searched repeatedly
    try:
        return len(view_of(probe_file(path), str(path)).axes.removesuffix("S"))
    except DinerError:
        return 0
