"""Safe reading of text files: regular files of limited size, and no YAML or JSON that expands excessively."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from pathlib import Path

import yaml

from napari_diner.errors import InputError, quoted

LONGEST_TEXT = 2**20
"""Bytes of the longest recipe or report."""
_MOST_NODES = 100_000
_DEEPEST = 20
# the loader written in C is an order of magnitude faster
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _StrictLoader(_Loader):  # type: ignore[misc,valid-type]
    """Reads plain values, and rejects duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        """Return a mapping with unique keys."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        if len({*keys}) < len(keys):
            raise ValueError(f"the key {quoted(next(key for key in keys if keys.count(key) > 1))} occurs twice")
        values: dict[object, object] = super().construct_mapping(node, deep)
        return values


def _construct_number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> object:
    """Return a number; what YAML 1.1 reads with a base of 60 or 8, as 1:30 or 010, stays a text as in YAML 1.2."""
    if ":" in node.value or re.match(r"[-+]?0[0-7_]+$", node.value):
        return node.value
    return yaml.SafeLoader.yaml_constructors[node.tag](loader, node)


for _kind in ("int", "float"):
    _StrictLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", _construct_number)


def read_bytes(path: Path, longest: int = LONGEST_TEXT) -> bytes:
    """Return the content of a regular file of limited length.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is a folder, a device or a pipe, or too long.
    """
    # do not wait for the other end of a pipe
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(number, "rb") as file:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not an ordinary file")
        if status.st_size > longest:
            raise ValueError(f"it has more than {longest / 2**20:g} MiB")
        content = file.read(longest)
        if content is None:  # it would have to be waited for, as some files of the kernel
            raise ValueError("it is not an ordinary file")
        return content


def read_text(path: Path) -> str:
    """Return the text of a file as spreadsheets and editors write it.

    Raises
    ------
    InputError
        If it cannot be read as text.
    """
    try:
        content = read_bytes(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}); check the path") from None
    except ValueError as error:
        raise InputError(f"{path} cannot be read as a table: {error}; name a table of numbers") from None
    # spreadsheets save text as UTF-8, as UTF-16, or in the code page of Windows
    for encoding in ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252"):
        with contextlib.suppress(UnicodeDecodeError):
            text = content.decode(encoding)
            if not re.search(r"[\x00-\x08\x0e-\x1f]", text):
                return text
    raise InputError(f"{path} cannot be read as text; save the table as CSV")


def parse_yaml(text: str) -> object:
    """Return the value of a YAML text.

    Raises
    ------
    ValueError
        If it is not valid YAML, has a duplicate key, is nested too deeply, or expands too much by its aliases.
    """
    try:
        _check_size(text)
        return yaml.load(text, _StrictLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError("it is not valid YAML" + (f" at line {mark.line + 1}" if mark is not None else "")) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_json(path: Path, longest: int = LONGEST_TEXT) -> object:
    """Return the value in a JSON file of limited length.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        return json.loads(read_bytes(path, longest).decode("utf-8-sig"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the path") from None
    except RecursionError:
        raise InputError(f"{path} cannot be read (it is nested too deeply); save it again") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); save it again") from None


def _check_size(text: str) -> None:
    """Check depth and expanded size of a YAML text, without building anything."""
    sizes: dict[str, int] = {}
    opened: list[tuple[str | None, int]] = [(None, 0)]
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, 1))
            if len(opened) > _DEEPEST:
                raise ValueError("it is nested too deeply")
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = opened.pop()
        elif isinstance(event, yaml.ScalarEvent):
            anchor, size = event.anchor, 1
        elif isinstance(event, yaml.AliasEvent):
            anchor, size = None, sizes.get(str(event.anchor), 0)
            if not size:
                raise ValueError(f"the alias {quoted(str(event.anchor))} is undefined, or refers to itself")
        else:
            continue
        if anchor is not None:
            sizes[anchor] = size
        around, before = opened[-1]
        opened[-1] = around, before + size
        if before + size > _MOST_NODES:
            raise ValueError(f"it holds more than {_MOST_NODES} values")
