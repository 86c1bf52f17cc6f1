"""Stalls of the GUI by actions in a dock.

A timer fires every 10 ms in the thread of the screen; the longest time between two of its ticks is the longest stall.
Beside it stands the longest time between two ticks that this thread was computing; the rest it waited for a processor,
for the interpreter's lock or for the screen.
Each dock is tried in a process of its own, in which nothing has been imported before. What napari alone takes for the
same actions, on random images and an empty dock, is measured first: no plugin can do better.

    xvfb-run -a -s "-screen 0 1366x768x24" python benchmarks/gui_stalls.py [napari lensless focus idt fit]

Needs a screen, real or virtual. Times depend on what else the machine is doing, whose load is printed. With
``--stacks 60``, a second thread notes every 5 ms what the first one does, and what it did most is printed for each time
that it computed for more than 60 ms between two ticks.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

TICK_MS = 10
STACK_S = 0.005
INNERMOST = 14
SAMPLES = {"lensless": "lensless_stack", "focus": "lensless_stack", "idt": "cell_recording", "fit": "colour_image"}
DOCKS = {
    "lensless": "Lensless phase retrieval",
    "focus": "Lensless focus",
    "idt": "IDT refractive index",
    "fit": "DINER fit",
}


class Stacks:
    """Notes again and again what this thread is doing."""

    def __init__(self) -> None:
        self._notes: list[tuple[tuple[str, int, str], ...]] = []
        self._thread = threading.get_ident()
        threading.Thread(target=self._note, daemon=True).start()

    def _note(self) -> None:
        while True:
            time.sleep(STACK_S)
            frame = sys._current_frames().get(self._thread)
            calls = []
            while frame is not None:
                code = frame.f_code
                calls.append((code.co_filename, frame.f_lineno, code.co_qualname))
                frame = frame.f_back
            self._notes.append(tuple(calls))

    def take(self) -> list[tuple[tuple[str, int, str], ...]]:
        """Return the notes since the last call, each with the innermost call first."""
        notes, self._notes = self._notes, []
        return notes


class Watch:
    """Measures the longest time between two ticks of a timer.

    Parameters
    ----------
    stacks_ms
        Time of computing from which what was done is printed; never if None.
    """

    def __init__(self, stacks_ms: float | None = None) -> None:
        from qtpy.QtCore import Qt, QTimer

        self.stacks_ms = stacks_ms
        self.stacks = None if stacks_ms is None else Stacks()
        self.reset()
        self.timer = QTimer()
        self.timer.setTimerType(Qt.TimerType.PreciseTimer)
        self.timer.timeout.connect(self.tick)
        self.timer.start(TICK_MS)

    def reset(self) -> None:
        """Begin anew."""
        self.longest = self.computing = 0.0
        self._last, self._computed = time.perf_counter(), time.thread_time()

    def tick(self) -> None:
        """Note the time since the last tick."""
        now, computed = time.perf_counter(), time.thread_time()
        self.longest = max(self.longest, now - self._last)
        self.computing = max(self.computing, computed - self._computed)
        if self.stacks is not None and self.stacks_ms is not None:
            notes = self.stacks.take()
            if 1000 * (computed - self._computed) > self.stacks_ms:
                print(f"    {1000 * (now - self._last):.0f} ms, {1000 * (computed - self._computed):.0f} ms computing")
                for calls, count in Counter(note[:INNERMOST] for note in notes).most_common(3):
                    print(f"      {count} of {len(notes)} notes:")
                    for file, line, name in calls:
                        print(f"        {'/'.join(Path(file).parts[-2:])}:{line} {name}")
        self._last, self._computed = now, computed

    def report(self, name: str, seconds: float) -> None:
        """Print the longest stall."""
        stalls = f"{1000 * self.longest:8.0f} ms ({1000 * self.computing:5.0f} ms computing)"
        print(f"{name:32} {stalls} of {seconds:6.1f} s", flush=True)

    @contextmanager
    def action(self, name: str) -> Iterator[None]:
        """Print the longest stall of an action, and how long the action took."""
        self.reset()
        began = self._last
        yield
        self.tick()
        self.report(name, time.perf_counter() - began)


def wait(condition: Callable[[], bool], least_ms: int = 300) -> None:
    """Process events until a condition holds, and for a moment at least."""
    from qtpy.QtCore import QEventLoop, QTimer

    began = time.perf_counter()
    while not condition() or time.perf_counter() - began < least_ms / 1000:
        loop = QEventLoop()
        QTimer.singleShot(20, loop.quit)
        loop.exec()


def measure(task: str, seconds: float, stacks_ms: float | None = None) -> None:
    """Open a sample and a dock, run, and save the result; `stacks_ms` as for `Watch`."""
    import napari
    from qtpy.QtWidgets import QFileDialog

    viewer = napari.Viewer()
    viewer.window._qt_window.setGeometry(0, 0, 1366, 768)
    wait(lambda: True, 1000)
    watch = Watch(stacks_ms)
    with watch.action(f"{task}: open the sample"):
        viewer.open_sample("napari-diner", SAMPLES[task])
        wait(lambda: True)
    with watch.action(f"{task}: open the dock"):
        _, dock = viewer.window.add_plugin_dock_widget("napari-diner", DOCKS[task])
        wait(lambda: True)
    panel = dock.panel
    dock.advanced.set_values({"max_seconds": seconds})
    with watch.action(f"{task}: start, to the first report"):
        panel.run_button.click()
        wait(lambda: panel.stage.text() not in ("", "Preparing…") or not panel.running)
    began = time.perf_counter()
    watch.reset()

    def finish(outcome: object) -> None:
        watch.tick()
        watch.report(f"{task}: run", time.perf_counter() - began)
        watch.reset()
        dock.show_outcome(outcome)

    panel.completed.disconnect(dock.show_outcome)
    panel.completed.connect(finish)
    wait(lambda: not panel.running)
    # the result is drawn after that, a volume for the first time
    wait(lambda: True, 1500)
    watch.report(f"{task}: end of the run", time.perf_counter() - began)
    with tempfile.TemporaryDirectory() as folder:
        QFileDialog.getExistingDirectory = staticmethod(lambda *_: folder)
        with watch.action(f"{task}: save the results"):
            dock.save_button.click()
            wait(lambda: True)
    viewer.close()


def measure_napari(stacks_ms: float | None = None) -> None:
    """Do without the plugin what every dock does: add layers, show a colour bar, open a dock."""
    import napari
    import numpy as np
    from qtpy.QtWidgets import QWidget

    images = np.random.default_rng(0).random((8, 256, 256), dtype=np.float32)
    viewer = napari.Viewer()
    viewer.window._qt_window.setGeometry(0, 0, 1366, 768)
    wait(lambda: True, 1000)
    watch = Watch(stacks_ms)
    with watch.action("napari: first layer"):
        viewer.add_image(images)
        wait(lambda: True)
    with watch.action("napari: empty dock"):
        viewer.window.add_dock_widget(QWidget(), name="empty")
        wait(lambda: True)
    with watch.action("napari: further layer"):
        layer = viewer.add_image(images[0])
        wait(lambda: True)
    with watch.action("napari: colour bar"):
        layer.colorbar.visible = True
        wait(lambda: True)
    viewer.close()


def main() -> None:
    """Measure the docks that are named, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", default=["napari", *DOCKS], help="default: all")
    parser.add_argument("--seconds", type=float, default=15.0, help="time limit of a run")
    parser.add_argument("--stacks", type=float, help="milliseconds of computing from which to print what was done")
    parser.add_argument("--here", action="store_true", help="measure one dock in this process")
    arguments = parser.parse_args()
    if arguments.here:
        if arguments.tasks[0] == "napari":
            measure_napari(arguments.stacks)
        else:
            measure(arguments.tasks[0], arguments.seconds, arguments.stacks)
        # napari waits for nothing more
        sys.stdout.flush()
        os._exit(0)
    for task in arguments.tasks:
        command = [sys.executable, str(Path(__file__)), task, "--here", "--seconds", str(arguments.seconds)]
        command += [] if arguments.stacks is None else ["--stacks", str(arguments.stacks)]
        print(f"load {os.getloadavg()[0]:.1f}", flush=True)
        with tempfile.TemporaryDirectory() as settings:  # those of the user stay what they are
            subprocess.run(command, check=True, env={**os.environ, "XDG_CONFIG_HOME": settings})


if __name__ == "__main__":
    main()
