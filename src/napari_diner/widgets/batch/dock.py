"""The dock that runs a plan: a line for each recording, which opens as layers when it is done."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from napari.qt.threading import create_worker
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtGui import QBrush, QColor
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QHeaderView,
    QLineEdit,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_diner.errors import DinerError
from napari_diner.execution.batch import Batch
from napari_diner.execution.cluster import executor
from napari_diner.execution.item_run import Record
from napari_diner.execution.items import PREVIEWS
from napari_diner.execution.plan import Plan
from napari_diner.execution.watch import FolderWatch
from napari_diner.io.arrays import NamedArray
from napari_diner.io.places import expanded
from napari_diner.widgets.batch.work import Begin, Records, drive
from napari_diner.widgets.dock.disposal import RemovalFilter
from napari_diner.widgets.dock.failure import Failure
from napari_diner.widgets.dock.run_worker import Controls, RunWorker
from napari_diner.widgets.forms.controls import WrappedLabel, button, row, wrap_tooltips
from napari_diner.widgets.layers.preview_layers import PreviewLayers
from napari_diner.widgets.layers.result_layers import ResultLayers
from napari_diner.widgets.work import Titled, wait_for

_COLUMNS = ("Recording", "State", "Message")
_COLOURS = {"done": "#2e9e4f", "unchanged": "#2e9e4f", "failed": "#d04545"}


class BatchDock(QWidget):
    """Runs a plan, shows the progress of each recording, and opens results.

    Parameters
    ----------
    napari_viewer
        The viewer that results open in.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.batch: Batch | None = None
        """The most recently finished batch."""
        self._output = Path()
        self._records: dict[str, Record] = {}
        self._rows: dict[str, int] = {}
        self._controls = Controls()
        self._worker: RunWorker | None = None
        self._watches = False
        self._previews: dict[str, PreviewLayers] = {}
        self._build()
        self.removal = RemovalFilter(self)
        self.removal.removed.connect(self._on_removed)

    @property
    def running(self) -> bool:
        """Whether a batch is running."""
        return self._worker is not None

    def run(self) -> None:
        """Start the batch with the settings shown."""
        if self.running:
            return
        watched = self.watched.text().strip()
        plan, output = self.plan.text().strip(), self.output.text().strip()
        if not plan or not output:
            noun = "recipe" if watched else "plan"
            self.status.say(f"Choose a {noun} and a folder for the results", warning=True)
            return
        self._output = expanded(output).absolute()
        self._watches = bool(watched)
        begin: Begin
        if watched:
            begin = functools.partial(
                FolderWatch.of, Path(watched), Path(plan), self._output, overwrite=self.overwrite.isChecked()
            )
        else:
            begin = functools.partial(_begin, plan, self._output, self.overwrite.isChecked(), self.processes.value())
        self._controls = Controls()
        work = Titled("Batch", drive)
        self._worker = create_worker(work, begin, self._controls, _worker_class=RunWorker, _start_thread=False)
        self._worker.yielded.connect(self._on_records)
        self._worker.returned.connect(self._on_end)
        self._records, self._rows = {}, {}
        self.table.setRowCount(0)
        self.status.say("Looking for recordings…")
        self._enable()
        self._worker.start()

    def cancel(self) -> None:
        """End the batch or the watch; finished results are kept."""
        self._controls.stop()
        self.status.say("Ending…")

    def open_item(self, name: str) -> None:
        """Show the result of an item as layers."""
        if self._records[name].state not in ("done", "unchanged"):
            return
        try:
            from napari_diner.tasks.saving import load

            result = wait_for(f"Opening {name}", functools.partial(load, self._output / name))
        except DinerError as error:
            self.status.say(str(error), warning=True)
            return
        for layer in ResultLayers(self.viewer).finish(result):
            layer.name = f"{name} {layer.name}"

    def _build(self) -> None:
        self.plan, self.output, self.watched = QLineEdit(), QLineEdit(), QLineEdit()
        # as long as the fields are wide; the rest is in the tooltips
        self.plan.setPlaceholderText("plan or recipe (.yaml)")
        self.plan.setToolTip("A plan with many recordings; or the recipe for all recordings that arrive in a folder")
        self.watched.setPlaceholderText("folder, or empty")
        self.watched.setToolTip("Folder where recordings arrive; empty for the recordings that a plan lists")
        self.output.setPlaceholderText("folder")
        self.output.setToolTip("A new folder, or that of an earlier batch, whose complete results are kept")
        self.processes = QSpinBox()
        self.processes.setRange(1, os.cpu_count() or 1)
        self.processes.setToolTip("Recordings to compute at the same time; more than one needs the extra cluster")
        self.overwrite = QCheckBox("Replace results of other data or other recipes")
        form = QFormLayout()
        form.addRow("Plan", _with_browser(self.plan, "Choose a plan (YAML)", self._pick_plan))
        form.addRow("Watch", _with_browser(self.watched, "Choose a folder where recordings arrive", self._pick_watched))
        form.addRow("Results", _with_browser(self.output, "Choose the folder for the results", self._pick_output))
        form.addRow("Processes", self.processes)
        self.run_button = button("Run", "Run all recordings of the plan that are not complete yet", self.run)
        self.cancel_button = button("Cancel", "End the batch; finished recordings are kept", self.cancel)
        self.table = QTableWidget(0, len(_COLUMNS))
        self.table.setHorizontalHeaderLabels(list(_COLUMNS))
        self.table.setToolTip("Double-click a finished recording to open its result")
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.setWordWrap(False)
        if (lines := self.table.verticalHeader()) is not None:
            lines.hide()
        if (header := self.table.horizontalHeader()) is not None:
            header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
            header.setStretchLastSection(True)
        self.table.cellDoubleClicked.connect(self._on_double_click)
        self.status = WrappedLabel(2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(form)
        layout.addWidget(self.overwrite)
        layout.addLayout(row(self.run_button, self.cancel_button))
        layout.addWidget(self.table, 1)
        layout.addWidget(self.status)
        self.setMinimumWidth(320)
        wrap_tooltips(self)
        self._enable()

    def _enable(self) -> None:
        for widget in (self.run_button, self.plan, self.watched, self.output, self.processes, self.overwrite):
            widget.setEnabled(not self.running)
        self.cancel_button.setEnabled(self.running)

    def _pick_plan(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a plan", "", "Plan (*.yaml *.yml);;All files (*)")
        if path:
            self.plan.setText(path)
            if not self.output.text():
                self.output.setText(str(Path(path).with_name(f"{Path(path).stem}-results")))

    def _pick_watched(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder where recordings arrive")
        if folder:
            self.watched.setText(folder)

    def _show_arrival(self, record: Record) -> None:
        """Show the preview of a recording in a watched folder, then its result; the newest is on top."""
        if record.state == "done":
            if record.name in self._previews:
                self._previews.pop(record.name).discard()
            self.open_item(record.name)
        elif record.state == "waiting" and record.message:
            picture = self._output / PREVIEWS / f"{record.name}.png"
            if picture.is_file():
                layers = self._previews.setdefault(record.name, PreviewLayers(self.viewer, " (preview)"))
                layers.show(
                    [NamedArray(record.name, np.asarray(Image.open(picture).convert("RGB")), "YXS", (1.0, 1.0, 1.0))]
                )

    def _pick_output(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder for the results")
        if folder:
            self.output.setText(folder)

    def _on_records(self, records: Records) -> None:
        before = dict(self._records)
        self._records |= records
        for name, record in records.items():
            if self._watches and record != before.get(name):
                self._show_arrival(record)
            if name not in self._rows:
                self._rows[name] = self.table.rowCount()
                self.table.insertRow(self._rows[name])
                for column in range(len(_COLUMNS)):
                    self.table.setItem(self._rows[name], column, QTableWidgetItem())
            message = record.message or (f"{record.seconds:.1f} s" if record.is_over else "")
            for column, text in enumerate((name, record.state, message)):
                item = self.table.item(self._rows[name], column)
                if item is not None:
                    item.setText(text)
                    item.setToolTip(text)
                    colour = _COLOURS.get(record.state) if column == 1 else None
                    item.setForeground(QBrush(QColor(colour)) if colour else QBrush())
        over = sum(record.is_over for record in self._records.values())
        if self.running and not self._controls.stopped:
            self.status.say(f"{over} of {len(self._records)} recordings")

    def _on_end(self, outcome: object) -> None:
        self._worker = None
        self._enable()
        if isinstance(outcome, Failure):
            self.status.say(str(outcome.error), warning=True)
        elif isinstance(outcome, Batch):
            self.batch = outcome
            self._on_records(outcome.records)
            words = [f"{outcome.counted()}, in {outcome.output}"]
            words += [f"{', '.join(names[:3])}: {text}" for text, names in outcome.warnings.items()]
            self.status.say("\n".join(words), warning=bool(outcome.warnings or outcome.count("failed")))

    def _on_double_click(self, line: int, column: int) -> None:
        name = next(name for name, place in self._rows.items() if place == line)
        self.open_item(name)

    def _on_removed(self) -> None:
        self._controls.abandon()


def _begin(plan: str, output: Path, overwrite: bool, workers: int) -> Batch:
    return Batch(Plan.load(plan), output, overwrite=overwrite, executor=executor(workers))


def _with_browser(edit: QLineEdit, tip: str, slot: Callable[[], object]) -> QWidget:
    """Return a line edit for a path, with a button beside it."""
    holder = QWidget()
    pick = button("…", tip, slot)
    pick.setMaximumWidth(30)
    layout = row(edit, pick, stretch=edit)
    holder.setLayout(layout)
    edit.setMinimumHeight(pick.sizeHint().height())
    edit.setAlignment(Qt.AlignmentFlag.AlignLeft)
    return holder
