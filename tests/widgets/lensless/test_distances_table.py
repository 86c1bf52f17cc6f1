"""The table of distances: typing, pasting, loading, filling, deleting."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QLineEdit

from napari_diner.errors import RecipeError
from napari_diner.widgets.lensless.distances_table import DistancesTable
from tests.kit.docks import answer


@pytest.fixture
def table(qtbot: QtBot) -> DistancesTable:
    table = DistancesTable()
    qtbot.addWidget(table)
    table.set_frames(3)
    table.show()
    return table


@pytest.mark.parametrize(
    "text", ["100\n110.5\n120\n", "100,110.5, 120", "100\t110.5\t120", "z (µm)\n100\n110.5\n1.2e2"]
)
def test_numbers_are_pasted_whatever_separates_them(qtbot: QtBot, table: DistancesTable, text: str) -> None:
    QGuiApplication.clipboard().setText(text)
    with qtbot.waitSignal(table.changed):
        qtbot.keyClick(table.table, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    assert table.value() == (100, 110.5, 120)


def test_pasting_starts_at_the_current_row(table: DistancesTable) -> None:
    table.set_value([1, 2, 3])
    table.table.setCurrentCell(1, 0)
    QGuiApplication.clipboard().setText("20\n30\n40")
    table.paste()
    assert table.value() == (1, 20, 30, 40)


def test_a_clipboard_without_numbers_is_told(qtbot: QtBot, table: DistancesTable) -> None:
    QGuiApplication.clipboard().setText("none here")
    with qtbot.waitSignal(table.failed) as told:
        table.paste()
    assert "clipboard" in str(told.args[0])


def test_filling_gives_one_distance_for_each_frame(table: DistancesTable) -> None:
    table.first.set_value(250)
    table.step.set_value(12.5)
    table.fill()
    assert table.value() == (250, 262.5, 275)


def test_a_distance_counts_before_it_is_confirmed(qtbot: QtBot, table: DistancesTable) -> None:
    table.activateWindow()
    table.table.setFocus()
    table.table.editItem(table.table.item(0, 0))
    qtbot.waitUntil(lambda: isinstance(table.table.focusWidget(), QLineEdit))
    qtbot.keyClicks(table.table.focusWidget(), "123.5")
    assert table.value() == (123.5,)


def test_rows_are_deleted(qtbot: QtBot, table: DistancesTable) -> None:
    table.set_value([1, 2, 3])
    table.table.selectRow(1)
    qtbot.keyClick(table.table, Qt.Key.Key_Delete)
    assert table.value() == (1, 3)
    assert table.table.rowCount() == 3


@pytest.mark.parametrize(
    ("texts", "sentence"), [(["1", "", "3"], "frame 2 is missing"), (["1", "x"], "'x'"), (["1", "-4"], "positive")]
)
def test_what_is_no_distance_is_told(table: DistancesTable, texts: list[str], sentence: str) -> None:
    for row, text in enumerate(texts):
        table.table.item(row, 0).setText(text)
    with pytest.raises(RecipeError, match=sentence):
        table.value()


def test_distances_are_loaded_from_a_file(
    qtbot: QtBot, table: DistancesTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "distances.csv"
    path.write_text("frame;Distance (mm);note\n1;0,1;a\n2;0,11;b\n3;0,12;c\n", encoding="utf-8")
    answer(monkeypatch, "getOpenFileName", (str(path), ""))
    table.choose_file()
    assert table.value() == (100, 110, 120)
    path.write_text("100\nabc\n", encoding="utf-8")
    with qtbot.waitSignal(table.failed) as told:
        table.choose_file()
    assert "distances.csv, line 2: 'abc'" in str(told.args[0])
    assert table.value() == (100, 110, 120)


def test_distances_are_typed_in_any_unit(table: DistancesTable) -> None:
    for row, text in enumerate(["0,95 mm", "960000nm", "970"]):
        table.table.item(row, 0).setText(text)
    assert table.value() == pytest.approx((950, 960, 970))
    assert table.entered() == pytest.approx([950, 960, 970])


def test_a_number_that_may_be_a_thousand_times_larger_is_refused(table: DistancesTable) -> None:
    table.table.item(0, 0).setText("1,120")
    with pytest.raises(RecipeError, match="1,120"):
        table.value()


def test_what_fills_the_table_is_taken_back(qtbot: QtBot, table: DistancesTable) -> None:
    table.set_value([1, 2, 3])
    table.table.item(1, 0).setText("20")
    table.fill()
    table.table.selectRow(0)
    table.delete_selected()
    for before in ((100, 110, 120), (1, 20, 3), (1, 2, 3), (), ()):
        qtbot.keyClick(table.table, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        assert table.value() == before


@pytest.mark.parametrize(("rows", "text"), [([], "1\n2\n3"), ([1], "2")])
def test_distances_are_copied(qtbot: QtBot, table: DistancesTable, rows: list[int], text: str) -> None:
    table.set_value([1, 2, 3])
    for row in rows:
        table.table.selectRow(row)
    qtbot.keyClick(table.table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == text


def test_enter_goes_on_to_the_next_row(qtbot: QtBot, table: DistancesTable) -> None:
    table.activateWindow()
    table.table.setFocus()
    table.table.setCurrentCell(0, 0)
    for number in (100, 110, 120):
        qtbot.keyClick(table.table, Qt.Key.Key_Return)
        qtbot.waitUntil(lambda: isinstance(table.table.focusWidget(), QLineEdit))
        qtbot.keyClicks(table.table.focusWidget(), str(number))
        qtbot.keyClick(table.table.focusWidget(), Qt.Key.Key_Return)
        qtbot.waitUntil(lambda: not isinstance(table.table.focusWidget(), QLineEdit))
    assert table.value() == (100, 110, 120)


def test_numbers_without_buttons_have_room(table: DistancesTable) -> None:
    table.resize(320, 200)
    table.show()
    for editor in (table.first, table.step):
        assert editor.lineEdit().width() > 0.8 * editor.width()
