"""The dialog to choose representations and the time for a comparison."""

from __future__ import annotations

from qtpy.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QFormLayout, QLabel, QVBoxLayout, QWidget

from napari_diner.errors import RecipeError
from napari_diner.representations.registry import representations
from napari_diner.tasks.task import AnyTask
from napari_diner.widgets.forms.controls import WrappedLabel
from napari_diner.widgets.forms.number_editor import NumberEditor

SECONDS = 20.0


class CompareDialog(QDialog):
    """Check boxes for the representations, and the time for each.

    Parameters
    ----------
    parent
        The dock.
    task
        The task, whose contenders are offered; those of its demonstration are checked.
    """

    def __init__(self, parent: QWidget, task: AnyTask) -> None:
        super().__init__(parent)
        self.setWindowTitle("Compare representations")
        self.boxes = {name: QCheckBox(name) for name in task.contenders}
        chosen = () if task.demo is None else task.demo.contenders
        self.seconds_editor = NumberEditor(0.1, 1e6, "s", title="Time for each")
        self.seconds_editor.set_value(SECONDS)
        self.seconds_editor.setToolTip("Seconds of computing for each representation")
        self.seconds_editor.valueChanged.connect(self._show_total)
        self.total = WrappedLabel()
        self.seconds_editor.refused.connect(self._on_refused)
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel("Fit each of these to the same image, for the same time:"))
        for name, box in self.boxes.items():
            entry = representations().get(str(task.contenders[name].get("representation")))
            box.setToolTip("" if entry is None else entry.summary)
            box.setChecked(name in chosen)
            box.toggled.connect(self._show_total)
            layout.addWidget(box)
        form = QFormLayout()
        form.addRow("Time for each", self.seconds_editor)
        form.addRow("Total", self.total)
        layout.addLayout(form)
        self.answers = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.answers.accepted.connect(self.accept)
        self.answers.rejected.connect(self.reject)
        layout.addWidget(self.answers)
        self._show_total()

    def names(self) -> tuple[str, ...]:
        """Return the chosen representations."""
        return tuple(name for name, box in self.boxes.items() if box.isChecked())

    def seconds(self) -> float:
        """Return the time for each."""
        return self.seconds_editor.value() or SECONDS

    def accept(self) -> None:
        """Close the dialog, unless the time was rejected."""
        try:
            self.seconds_editor.check_typed()
        except RecipeError as error:
            self._on_refused(str(error))
            return
        super().accept()

    def _on_refused(self, message: str) -> None:
        """Show why the typed time is rejected, or the total if it no longer is."""
        if message:
            self.total.setText(message)
        else:
            self._show_total()

    def _show_total(self) -> None:
        ok = self.answers.button(QDialogButtonBox.StandardButton.Ok)
        if ok is not None:
            ok.setEnabled(bool(self.names()))
        self.total.setText(f"{self.seconds() * len(self.names()):.10g} s")
