"""The live plot: quantities to choose from, and one curve for each contender."""

from __future__ import annotations

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from napari_diner.widgets.plots.loss_plot import LossPlot, Point

POINTS = [Point(float(second), {"loss": 10.0**-second, "psnr_db": 10.0 * second}) for second in range(5)]


@pytest.fixture
def plot(qtbot: QtBot) -> LossPlot:
    plot = LossPlot()
    qtbot.addWidget(plot)
    return plot


def curves(plot: LossPlot) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return what is drawn, as it was given."""
    return [(item.xData, item.yData) for item in plot.plot.listDataItems()]


def test_the_preferred_quantity_is_plotted_until_another_is_chosen(plot: LossPlot) -> None:
    plot.prefer("psnr_db")
    plot.extend(POINTS)
    assert curves(plot)[0][1].tolist() == [0, 10, 20, 30, 40]
    assert plot.present.text() == "40.00 dB"
    plot.quantity.setCurrentIndex(plot.quantity.findData("loss"))
    plot.quantity.activated.emit(plot.quantity.currentIndex())
    plot.clear()
    plot.extend(POINTS)
    assert curves(plot)[0][1].tolist() == pytest.approx([1, 0.1, 0.01, 0.001, 0.0001])


def test_each_contender_has_a_curve_and_a_colour(plot: LossPlot) -> None:
    plot.prefer("psnr_db")
    for number, name in enumerate(("diner-siren", "siren")):
        plot.extend([Point(point.seconds, {"psnr_db": number}, name) for point in POINTS])
    (_, first), (_, second) = curves(plot)
    assert set(first) == {0}
    assert set(second) == {1}
    colours = {item.opts["pen"].color().name() for item in plot.plot.listDataItems()}
    assert len(colours) == 2
    assert "diner-siren" in plot.legend.text()
    plot.clear()
    assert plot.plot.listDataItems() == []
    assert not plot.legend.isVisibleTo(plot)


def test_a_quantity_that_comes_late_leaves_a_gap(plot: LossPlot) -> None:
    plot.extend([Point(0.0, {"loss": 1.0}), Point(1.0, {"loss": 1.0, "psnr_db": 3.0}), Point(2.0, {"loss": 0.5})])
    plot.prefer("psnr_db")
    plot.quantity.setCurrentIndex(plot.quantity.findData("psnr_db"))
    seconds, values = curves(plot)[0]
    assert seconds.tolist() == [0, 1]
    assert np.isnan(values[0])
    assert values[1] == 3


def test_a_loss_of_zero_does_not_upset_the_logarithm(plot: LossPlot) -> None:
    plot.extend([Point(0.0, {"loss": 1.0}), Point(1.0, {"loss": 0.0})])
    assert np.isnan(curves(plot)[0][1][1])


def test_a_long_run_stays_quick_to_draw_from_its_first_moment_to_its_last(plot: LossPlot) -> None:
    plot.prefer("psnr_db")
    plot.extend([Point(float(step), {"loss": 1.0, "psnr_db": float(step)}) for step in range(50_001)])
    seconds, values = curves(plot)[0]
    assert 1000 < len(seconds) <= 4001
    np.testing.assert_array_equal(seconds, values)
    assert seconds[0] == 0
    assert seconds[-1] > 49_900


def test_curves_take_the_colour_of_the_theme(plot: LossPlot) -> None:
    plot.extend(POINTS)
    for theme in ("light", "dark"):
        plot.set_theme(theme)
        (item,) = plot.plot.listDataItems()
        background = plot.plot.backgroundBrush().color().lightness()
        assert abs(item.opts["pen"].color().lightness() - background) > 100


def test_single_points_of_stages_are_no_line(plot: LossPlot) -> None:
    stages = [("closed form", 9.0), ("weights", float("nan")), ("weights", float("nan")), ("voxels", 46.0)]
    plot.extend([Point(float(second), {"loss": loss}, stage=stage) for second, (stage, loss) in enumerate(stages)])
    assert not plot.has_line
    plot.extend([Point(5.0, {"loss": 40.0}, stage="voxels")])
    assert plot.has_line


def test_no_line_joins_the_losses_of_two_stages(plot: LossPlot) -> None:
    stages = [("weights", 3.0), ("weights", 2.0), ("voxels", 90.0), ("voxels", 80.0)]
    plot.extend([Point(float(second), {"loss": loss}, stage=stage) for second, (stage, loss) in enumerate(stages)])
    seconds, values = curves(plot)[0]
    assert np.isnan(values).tolist() == [False, False, True, False, False]
    assert seconds.tolist() == [0, 1, 2, 2, 3]


def test_a_curve_ends_with_what_is_kept(plot: LossPlot) -> None:
    plot.prefer("psnr_db")
    plot.conclude(5.0, "psnr_db", 48.5)  # nothing to end
    plot.extend(POINTS)
    plot.conclude(5.0, "psnr_db", 48.5)
    assert curves(plot)[0][1].tolist() == [0, 10, 20, 30, 40, 48.5]
    assert plot.present.text() == "48.50 dB"
