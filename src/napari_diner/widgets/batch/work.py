"""A batch in a thread, started and ended by its dock."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence

from napari_diner.execution.batch import Batch
from napari_diner.execution.item_run import Record
from napari_diner.widgets.dock.failure import failure
from napari_diner.widgets.dock.run_worker import REPORT_INTERVAL_S, Controls
from napari_diner.widgets.work import load_torch

Begin = Callable[[], Batch]
Records = Mapping[str, Record]


def drive(begin: Begin, controls: Controls) -> Generator[Records, None, object]:
    """Iterate a batch and yield the records that have changed; return the batch at its end, or a `Failure`."""
    try:
        load_torch()
        batch = begin()
        yield dict(batch.records)
        with batch:
            changed: dict[str, Record] = {}
            reported = time.monotonic()
            for records in batch:
                changed |= by_name(records)
                if changed and time.monotonic() - reported >= REPORT_INTERVAL_S:
                    yield changed
                    changed, reported = {}, time.monotonic()
                if controls.stopped:
                    break
        return batch
    except Exception as error:
        return failure(error, "The batch")


def by_name(records: Sequence[Record]) -> dict[str, Record]:
    """Return records, keyed by the names of their items."""
    return {record.name: record for record in records}
