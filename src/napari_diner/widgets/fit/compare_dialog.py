"""Ask which representations to compare, and for how long."""

from __future__ import annotations

from qtpy.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QFormLayout, QLabel, QVBoxLayout, QWidget

from napari_diner.widgets.forms.number_editors import FloatEditor

REPRESENTATIONS = {
    "diner-siren": "DINER with sine activations, as published",
    "diner-mlp": "DINER with a ReLU network, as published",
    "diner-finer": "DINER with sines of variable period",
    "pe-mlp": "A network of encoded coordinates",
    "siren": "A network of coordinates with sine activations",
    "hash-grid": "The multi-resolution hash grid of InstantNGP",
    "pixels": "No representation: the data themselves",
}
"""What can be compared, and what it is."""
CHOSEN = ("diner-siren", "pe-mlp", "siren", "hash-grid")
"""Those that are chosen at first: DINER and what the paper compares it with."""
SECONDS = 20.0


class CompareDialog(QDialog):
    """Check boxes for the representations, and the time that each of them gets."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Compare representations")
        self.boxes = {name: QCheckBox(name) for name in REPRESENTATIONS}
        self.seconds_editor = FloatEditor(0.1, 1e6, "s")
        self.seconds_editor.set_value(SECONDS)
        self.seconds_editor.setToolTip("Seconds of computing for each representation")
        self.seconds_editor.valueChanged.connect(self._show_total)
        self._total = QLabel()
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel("Fit each of these to the same image for the same time:"))
        for name, box in self.boxes.items():
            box.setToolTip(REPRESENTATIONS[name])
            box.setChecked(name in CHOSEN)
            box.toggled.connect(self._show_total)
            layout.addWidget(box)
        form = QFormLayout()
        form.addRow("Time for each", self.seconds_editor)
        form.addRow("In all", self._total)
        layout.addLayout(form)
        self.answers = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.answers.accepted.connect(self.accept)
        self.answers.rejected.connect(self.reject)
        layout.addWidget(self.answers)
        self._show_total()

    def names(self) -> tuple[str, ...]:
        """Return the representations that are chosen."""
        return tuple(name for name, box in self.boxes.items() if box.isChecked())

    def seconds(self) -> float:
        """Return the time for each."""
        return float(self.seconds_editor.value())

    def _show_total(self) -> None:
        ok = self.answers.button(QDialogButtonBox.StandardButton.Ok)
        assert ok is not None
        ok.setEnabled(bool(self.names()))
        self._total.setText(f"{self.seconds() * len(self.names()):.10g} s")
