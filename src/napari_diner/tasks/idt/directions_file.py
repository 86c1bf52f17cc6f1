"""Files with the directions of the illumination."""

from __future__ import annotations

import re
from pathlib import Path

from napari_diner.errors import InputError, quoted
from napari_diner.io.places import expanded
from napari_diner.io.tables import read_table
from napari_diner.io.texts import read_json

_OTHER_DIRECTIONS = {"angle", "deg", "degree", "degrees", "mrad", "percent", "rad", "radian", "radians"}
"""Words in titles of columns with angles or fractions rather than numerical apertures."""
_MOST = 20_000


def read_illuminations(path: Path) -> list[object]:
    """Read directions from a JSON list, or from a CSV table with columns NA_y and NA_x.

    A CSV table may have a column ``frame`` (sources of one frame share its number) and a column ``weight``.

    Raises
    ------
    InputError
        If the file cannot be read or does not contain directions.
    """
    if path.suffix.lower() == ".json":
        values = read_json(expanded(path))
        if not isinstance(values, list):
            raise InputError(f"{path} does not contain a list; write [[NA_y, NA_x], ...]")
        if len(values) > _MOST:
            raise InputError(f"{path} holds more than {_MOST:,} directions; choose another file")
        return values
    table = read_table(path).in_order(2, repeated=True)
    if not (table.has("NA_y") and table.has("NA_x")):
        raise InputError(
            f"{path} has no columns NA_y and NA_x; give each direction as numerical apertures, n·sin(angle), "
            "in columns with these titles"
        )
    for name in ("NA_y", "NA_x"):
        _check_na(path, *table.title(name))
    weights = table.column("weight", missing=1.0) if table.has("weight") else [1.0] * len(table.rows)
    numbers = table.frames()
    frames = table.texts("frame") if table.has("frame") else [""] * len(table.rows)
    if numbers is not None:
        frames = [str(number) for number in numbers]
    sources: dict[str, list[list[float]]] = {}
    for row, source in enumerate(zip(table.column("NA_y"), table.column("NA_x"), weights, strict=True)):
        sources.setdefault(frames[row] or f"row {row}", []).append(list(source))
    return [group[0][:2] if len(group) == 1 else group for group in sources.values()]


def _check_na(path: Path, title: str, unit: str) -> None:
    """Check that the title of a column of directions does not announce angles or spatial frequencies."""
    words = [word for word in re.split(r"[\W_]+", title.lower()) if word in _OTHER_DIRECTIONS]
    other = (unit if unit.strip("-− 1").lower() not in ("", "na") else "") or "".join(words[:1])
    if other:
        raise InputError(
            f"{path} has a column {title} in {quoted(other)}, but directions are numerical apertures without a unit, "
            "n·sin(angle); convert them, and remove the unit from the title"
        )
