"""Summary of a batch: a table, a JSON document, and a page with pictures."""

from __future__ import annotations

import csv
import functools
import html
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import napari_diner
from napari_diner.errors import InputError
from napari_diner.execution.item_run import THUMBNAIL, Record
from napari_diner.execution.items import PREVIEWS, SUMMARIES, Stray
from napari_diner.io.folder import replaced
from napari_diner.io.texts import read_json
from napari_diner.tasks.saving import to_json
from napari_diner.tasks.sharing import seen
from napari_diner.wording import percent

FORMAT = "napari-diner batch"
_COLUMNS = ("item", "state", "message", "seconds", "warnings", "source")
_AGAIN = '<meta http-equiv="refresh" content="10">'
_STYLE = """
body { font-family: system-ui, sans-serif; margin: 2em; color: #222; background: #fff }
table { border-collapse: collapse } th, td { padding: .3em .8em; text-align: left; vertical-align: top }
tr { border-bottom: 1px solid #ddd } td.number { text-align: right; font-variant-numeric: tabular-nums }
img { image-rendering: auto; max-height: 128px } .failed { color: #b00020 } .warning { color: #8a5a00 }
"""


def is_batch(folder: Path) -> bool:
    """Return whether a folder is the output folder of a batch."""
    try:
        values = read_json(folder / SUMMARIES[0])
    except InputError:
        return False
    return isinstance(values, dict) and values.get("format") == FORMAT


def write_summary(folder: Path, records: Sequence[Record], strays: Sequence[Stray], *, is_over: bool = True) -> None:
    """Write ``batch.json``, ``batch.csv`` and ``batch.html`` into the output folder of a batch.

    Browsers reload the page until the batch has ended.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    # files are named as in the results: relative to this folder, without folders of the user's machine
    records = [_shared(record, folder) for record in records]
    strays = [replace(stray, path=seen(stray.path, folder)) for stray in strays]
    texts = (_json(records, strays), _table(records), _page(folder, records, strays, is_over))
    for name, text in zip(SUMMARIES, texts, strict=True):
        replaced(folder / name, functools.partial(Path.write_text, data=text, encoding="utf-8", errors="replace"))


def _shared(record: Record, folder: Path) -> Record:
    source = seen(record.source, folder)
    return replace(record, source=source, message=record.message.replace(record.source, source))


def counted(records: Sequence[Record]) -> str:
    """Return in words how many items are in each state, e.g. ``"38 done, 2 failed"``."""
    counts = Counter(record.state for record in records)
    return ", ".join(f"{count} {state}" for state, count in counts.items()) or "no items"


def _json(records: Sequence[Record], strays: Sequence[Stray]) -> str:
    return to_json(
        {
            "format": FORMAT,
            "version": napari_diner.__version__,
            "counts": Counter(record.state for record in records),
            "items": [
                {
                    "item": record.name,
                    "state": record.state,
                    "message": record.message,
                    "seconds": record.seconds,
                    "warnings": record.warnings,
                    "source": record.source,
                    "figures": record.figures,
                }
                for record in records
            ],
            "strays": [vars(stray) for stray in strays],
        }
    )


def _figures(records: Sequence[Record]) -> list[str]:
    """Return the names of all figures of the items."""
    names = dict.fromkeys(name for record in records for name in record.figures)
    return [name for name in names if name not in _COLUMNS]


def _table(records: Sequence[Record]) -> str:
    figures = _figures(records)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([*_COLUMNS, *figures])
    for record in records:
        own = [record.name, record.state, record.message, f"{record.seconds:.3f}", "; ".join(record.warnings)]
        rows.writerow([*own, record.source, *(record.figures.get(name, "") for name in figures)])
    return text.getvalue()


def _page(folder: Path, records: Sequence[Record], strays: Sequence[Stray], is_over: bool) -> str:
    """Return the report as HTML, with everything that comes from files escaped."""
    figures = _figures(records)
    headings = ["", "item", "state", "seconds", *(name.replace("_", " ") for name in figures), "remarks"]
    head = "".join(f"<th>{html.escape(text)}</th>" for text in headings)
    body = "\n".join(_row(folder, record, figures) for record in records)
    others = "".join(f"<li>{html.escape(stray.path)}: {html.escape(stray.reason)}</li>" for stray in strays)
    beside = f"<h2>Files that are not items</h2><ul>{others}</ul>" if others else ""
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">{"" if is_over else _AGAIN}'
        f"<title>{html.escape(folder.name)}</title>"
        f"<style>{_STYLE}</style></head><body><h1>{html.escape(folder.name)}</h1><p>{counted(records)}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>{beside}</body></html>\n"
    )


def _row(folder: Path, record: Record, figures: Sequence[str]) -> str:
    link, has_result = quote(record.name), record.state in ("done", "unchanged")
    picture = f"{link}/{THUMBNAIL}" if has_result else ""
    if not has_result and (folder / PREVIEWS / f"{record.name}.png").is_file():
        picture = f"{PREVIEWS}/{link}.png"
    name = html.escape(record.name)
    image = f'<img loading="lazy" alt="" src="{picture}">' if picture else ""
    cells = [image, f'<a href="{link}/">{name}</a>' if has_result else name]
    remarks = [f'<div class="failed">{html.escape(record.message)}</div>'] if record.message else []
    remarks += [f'<div class="warning">{html.escape(warning)}</div>' for warning in record.warnings]
    numbers = [f"{record.seconds:.1f}" if record.seconds else "", *(_number(record.figures, name) for name in figures)]
    return (
        "<tr>"
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + f'<td class="{record.state}">{record.state}</td>'
        + "".join(f'<td class="number">{html.escape(number)}</td>' for number in numbers)
        + f"<td>{''.join(remarks)}</td></tr>"
    )


def _number(figures: Mapping[str, float | int | str], name: str) -> str:
    value = figures.get(name, "")
    if isinstance(value, float):
        return percent(value) if name.startswith("unexplained") else f"{value:.4g}"
    return str(value)
