"""Items on the workers of a Dask cluster: a temporary one on this machine, or one that is already running."""

from __future__ import annotations

import logging
import queue
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_diner.errors import RecipeError, one_line
from napari_diner.execution.batch import Changes, Executor, one_after_the_other
from napari_diner.execution.item_run import Record, run_item
from napari_diner.execution.items import Item
from napari_diner.execution.sizing import fitting_workers
from napari_diner.io.folder import REPORT

if TYPE_CHECKING:
    from distributed import Client, Future

_REPORTED_EVERY_S = 0.5
_LOOKED_EVERY_S = 0.2
_SEEN_WITHIN_S = 10.0
_DEATHS = 2
"""Deaths of workers after which an item is given up; deaths caused by other items do not count."""
_LOOPBACK = "127.0.0.1:0"
"""A free port that only this machine can reach."""
_RECORD = "record"
_CARD = "GPU"
"""Resource with which workers announce a graphics card."""


def executor(workers: int | None = 1, threads: int | None = None, scheduler: str = "") -> Executor:
    """Return the executor of a batch.

    Parameters
    ----------
    workers
        Processes on this machine; with one, items run in this process, one after the other. As many as fit the
        processors and the memory if None.
    threads
        Threads of each worker of this machine; 1 if None.
    scheduler
        Address of a Dask scheduler whose workers are used instead. They must see the files under the same names.

    Raises
    ------
    RecipeError
        If more than one process is asked for, or a scheduler, and Dask's ``distributed`` is not installed.
    """
    if workers is not None and workers < 1:
        raise RecipeError(f"{{field}} = {workers} cannot be used: it should be 1 or more", "workers")
    if threads is not None and threads < 1:
        raise RecipeError(f"{{field}} = {threads} cannot be used: it should be 1 or more", "threads")
    if not scheduler and (workers == 1 or (workers is None and not _is_installed())):
        return one_after_the_other
    if not _is_installed():
        raise RecipeError(
            "{field} needs another library; pip install 'napari-diner[cluster]', or run one item after the other with "
            "{field:workers} 1",
            "scheduler" if scheduler else "workers",
        )
    if scheduler:
        return partial(_on_cluster, partial(_connected, scheduler))
    return partial(_on_this_machine, workers, threads or 1)


def _is_installed() -> bool:
    from importlib.util import find_spec

    return find_spec("distributed") is not None


def _on_this_machine(
    workers: int | None, threads: int, items: Sequence[Item], output: Path, overwrite: bool
) -> Changes:
    count = fitting_workers(items, threads) if workers is None else min(workers, len(items))
    if count == 1:
        yield from one_after_the_other(items, output, overwrite)
    else:
        yield from _on_cluster(partial(_local, count, threads), items, output, overwrite)


@contextmanager
def _local(count: int, threads: int) -> Iterator[Client]:
    """Start a cluster that only this machine can reach; close it at the end of the block.

    Raises
    ------
    RecipeError
        If its processes cannot be started.
    """
    import dask
    from distributed import Client, LocalCluster

    settings = {
        "distributed.scheduler.allowed-failures": _DEATHS - 1,
        # an item that waits for a worker is not the cause of its death
        "distributed.scheduler.worker-saturation": 1.0,
    }
    variables = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
    with dask.config.set(settings), ExitStack() as stack:
        with _deaf_to_interrupts(), _started():
            cluster = LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address=_LOOPBACK,
                worker_dashboard_address=_LOOPBACK,
                memory_limit=0,  # each run checks its own need of memory
                silence_logs=logging.CRITICAL + 1,
                env=variables,
            )
        stack.enter_context(cluster)
        yield stack.enter_context(Client(cluster, set_as_default=False))


@contextmanager
def _started() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, OSError) as error:
        raise RecipeError(
            f"The processes for {{field}} cannot be started ({one_line(str(error), 200)}); let {{field}} be 1, or "
            "put the call in a script under if __name__ == '__main__'",
            "workers",
        ) from None


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Shield processes that the block or its threads start from Ctrl-C and the end of their terminal."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """Connect to a scheduler for the duration of the block.

    Raises
    ------
    RecipeError
        If it cannot be reached, or needs certificates that Dask's configuration does not name.
    """
    from distributed import Client, Security

    if address.startswith("tls://") and Security().get_connection_args("client").get("ssl_context") is None:
        # a client without them fails only when it is collected, after a minute
        raise RecipeError(
            f"The scheduler at {{field}} = {address} needs certificates; name them in distributed.comm.tls of Dask's "
            "configuration: ca-file, and client.cert",
            "scheduler",
        )
    logging.getLogger("distributed").setLevel(logging.CRITICAL + 1)
    try:
        client = Client(address, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        reason = one_line(str(error), 200)
        raise RecipeError(
            f"The scheduler at {{field}} = {address} cannot be reached ({reason}); start one with 'dask scheduler'",
            "scheduler",
        ) from None
    with client:
        yield client


def _on_cluster(connect: Callable[[], Any], items: Sequence[Item], output: Path, overwrite: bool) -> Changes:
    """Run items on the workers of a cluster; an item whose worker dies is run again by another."""
    records: queue.SimpleQueue[Record] = queue.SimpleQueue()
    topic = f"napari-diner-{uuid.uuid4().hex}"
    with connect() as client:
        from distributed import Event

        client.subscribe_topic(topic, lambda event: records.put(_record(event[1][_RECORD])))
        has_cards = _has_cards(client)
        futures = []
        for number, item in enumerate(items):
            resources = {_CARD: 1} if has_cards and item.recipe.device == "cuda" else None
            key = f"{topic}-{number}"
            futures.append(
                client.submit(_work, item, output, overwrite, topic, key=key, pure=False, resources=resources)
            )
        for item, future in zip(items, futures, strict=True):
            future.add_done_callback(partial(_hand_over, item, records))
        left = {item.name for item in items}
        try:
            while left:
                changed = [_checked(record, output) for record in _waited_for(records) if record.name in left]
                left -= {record.name for record in changed if record.is_over}
                yield changed
        finally:
            if left:
                Event(topic, client).set()
                client.cancel(futures, force=True)


def _work(item: Item, output: Path, overwrite: bool, topic: str) -> Record:
    """Run an item on a worker, report its progress, and cancel it if the batch ends."""
    from distributed import Event, get_worker

    logging.getLogger("tifffile").addHandler(logging.NullHandler())  # our own errors report it
    worker, reported_at = get_worker(), 0.0
    record = Record(item.name, item.source)
    for record in run_item(item, output, overwrite=overwrite):
        if not record.is_over and time.monotonic() - reported_at >= _REPORTED_EVERY_S:
            worker.log_event(topic, {_RECORD: asdict(record)})
            if reported_at and Event(topic).is_set():
                break
            reported_at = time.monotonic()
    return record


def _hand_over(item: Item, records: queue.SimpleQueue[Record], future: Future[Record]) -> None:
    """Pass the final record of an item to the batch."""
    if future.cancelled():
        return
    try:
        records.put(future.result())
    except Exception as error:
        message = f"its worker failed ({type(error).__name__}: {one_line(str(error), 200)})"
        if type(error).__name__ == "KilledWorker":
            message = f"{_DEATHS} workers died while running it; it may need more memory than is available"
        records.put(Record(item.name, item.source, "failed", message))


def _waited_for(records: queue.SimpleQueue[Record]) -> Iterator[Record]:
    """Yield the records received so far, after waiting a moment for the first."""
    try:
        yield records.get(timeout=_LOOKED_EVERY_S)
        while True:
            yield records.get_nowait()
    except queue.Empty:
        return


def _record(values: dict[str, Any]) -> Record:
    return Record(**{**values, "warnings": tuple(values["warnings"])})


def _checked(record: Record, output: Path) -> Record:
    """Return a record, or that of a failure if this machine cannot see the result."""
    report = output / record.name / REPORT
    until = time.monotonic() + _SEEN_WITHIN_S  # files from other machines may appear with a delay
    while record.state in ("done", "unchanged") and not report.is_file():
        if time.monotonic() > until:
            message = (
                f"its worker saved the result in {report.parent}, which this machine cannot see; choose a shared folder"
            )
            return Record(record.name, record.source, "failed", message)
        time.sleep(_LOOKED_EVERY_S)
    return record


def _has_cards(client: Client) -> bool:
    """Return whether workers announce graphics cards; each item then gets one of its own."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return any(_CARD in worker["resources"] for worker in workers)
