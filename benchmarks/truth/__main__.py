"""Against a truth of others: FDTD and Mie fields, a measured cell, and the phantom of another package.

    python -m benchmarks.truth --data FOLDER -o results                    # 15 of the 180 views
    python -m benchmarks.truth --data FOLDER --views 180 -o results
    python -m benchmarks.truth --data FOLDER --others SUBMISSIONS -o results

FOLDER holds the files listed in sets.py; sets whose file is missing are skipped, with a line that says so. Every run
writes the inputs, ``inputs/NAME.npz``. A submission is a folder of SUBMISSIONS with a file NAME.npy for any of them:

    fdtd.npy              complex fields of the views in inputs/fdtd.npz, (V, Y, X)
    mie.npy               complex field, (Y, X)
    hl60.npy              phase in rad, (Y, X)
    phantom_0.3.npy       n − n0, (Z, Y, X); and phantom_1.5.npy

and, optionally, seconds.json with the seconds of each. Its name is that of the folder.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from output import table, write
from truth import forward, inverse, sets, waveorder_models

Score = Callable[[Any], Mapping[str, float]]
PHASES_RAD = (0.3, 1.5)
SETS = ("fdtd", "mie", "hl60", "phantom")


def submission(path: Path, shape: tuple[int, ...], kind: str) -> np.ndarray[Any, Any]:
    """Return a submitted array.

    Parameters
    ----------
    path
        NumPy file.
    shape
        The shape that the set needs.
    kind
        ``"complex"`` for fields, ``"real"`` for phases and indices.

    Raises
    ------
    SystemExit
        If it is no such array.
    """
    try:
        answer = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path} is no NumPy file: {error}") from error
    expected = "×".join(str(size) for size in shape)
    if answer.shape != shape:
        raise SystemExit(f"{path} has the shape {'×'.join(str(size) for size in answer.shape)}; submit {expected}")
    if answer.dtype.kind not in ("c" if kind == "complex" else "fiu"):
        raise SystemExit(f"{path} holds values of the type {answer.dtype}; submit {kind} numbers")
    if not np.isfinite(answer).all():
        raise SystemExit(f"{path} holds values that are not finite")
    return answer


def compared(
    name: str,
    methods: Mapping[str, Callable[[], Any]],
    score: Score,
    others: Path | None = None,
    shape: tuple[int, ...] = (),
    kind: str = "real",
) -> list[dict[str, Any]]:
    """Return a row for each of our methods and for each submission to a set, which has a shape and a kind."""
    submitted = []
    for folder in sorted(others.iterdir()) if others is not None else ():
        if (path := folder / f"{name}.npy").is_file():
            clock = folder / "seconds.json"
            seconds = json.loads(clock.read_text()).get(name) if clock.is_file() else None
            answer = submission(path, shape, kind)
            submitted.append({"set": name, "method": folder.name, "seconds": seconds, **score(answer)})
    rows = []
    for method, compute in methods.items():
        began = time.perf_counter()
        answer = compute()
        rows.append({"set": name, "method": method, "seconds": time.perf_counter() - began, **score(answer)})
    return rows + submitted


def closest(
    name: str, method: str, solve: Callable[[float], Any], weights: Sequence[float], score: Score
) -> dict[str, Any]:
    """Return the row of the weight that comes closest to the truth, for a method that has no rule for its weight."""
    methods = {f"{method}, weight {weight:g}": partial(solve, weight) for weight in weights}
    return min(compared(name, methods, score), key=lambda row: row["error"])


def _fdtd(folder: Path, inputs: Path, count: int, others: Path | None) -> list[dict[str, Any]]:
    data = sets.Fdtd(folder)
    numbers = np.unique(np.linspace(0, 180, count, endpoint=False).astype(int))
    views = [data.view(int(number)) for number in numbers]
    np.savez_compressed(
        inputs / "fdtd.npz", contrast=data.contrast.astype(np.float32), angles_deg=numbers * data.step_deg
    )

    def score(fields: Any) -> dict[str, Any]:
        errors = [forward.error(field, view) for field, view in zip(fields, views, strict=True)]
        by_angle = {f"{data.step_deg * number:g}": error for number, error in zip(numbers, errors, strict=True)}
        return {"error": float(np.mean(errors)), "worst": max(errors), "best": min(errors), "by_angle": by_angle}

    methods = {
        name: (lambda model=model: [model(view) for view in views]) for name, model in forward.MODELS.items()
    }  # fmt: skip
    ripple = float(np.mean([view.ripple for view in views]))
    return [
        *compared("fdtd", methods, score, others, (len(views), *views[0].field.shape), "complex"),
        {"set": "fdtd", "method": "ripple at the edges", "error": ripple},
    ]


def _mie(folder: Path, inputs: Path, count: int, others: Path | None) -> list[dict[str, Any]]:
    case = sets.mie(folder)
    np.savez_compressed(inputs / "mie.npz", contrast=case.contrast.astype(np.float32), voxel_um=case.voxel_um)
    methods = {name: (lambda model=model: model(case)) for name, model in forward.MODELS.items()}
    rows = compared(
        "mie", methods, lambda field: {"error": forward.error(field, case)}, others, case.field.shape, "complex"
    )
    return [*rows, {"set": "mie", "method": "ripple at the edges", "error": case.ripple}]


def _hl60(folder: Path, inputs: Path, count: int, others: Path | None) -> list[dict[str, Any]]:
    stack = sets.hl60(folder)
    np.savez_compressed(inputs / "hl60.npz", frames=stack.frames, distances_um=stack.distances_um)
    methods = {name: (lambda phase=phase: phase(stack)) for name, phase in inverse.PHASES.items()}

    def score(phase: Any) -> dict[str, float]:
        return {"error": inverse.phase_error(phase, stack)}

    rows = compared("hl60", methods, score, others, stack.field.shape)
    if waveorder_models.IS_INSTALLED:
        solve = partial(waveorder_models.phase, stack)
        rows.append(closest("hl60", "waveorder", solve, waveorder_models.PHASE_WEIGHTS, score))
    return rows


def _phantom(folder: Path, inputs: Path, count: int, others: Path | None) -> list[dict[str, Any]]:
    density, voxel = sets.phantom(folder)
    rows = []
    for peak in PHASES_RAD:
        frames, truth = inverse.intensities(density, voxel, peak)
        name = f"phantom_{peak:g}"
        np.savez_compressed(inputs / f"{name}.npz", frames=frames, voxel_um=(2 * voxel[0], voxel[1]))
        methods = {
            key: (lambda solve=solve: solve(frames, voxel, len(truth)))  # noqa: B023
            for key, solve in inverse.INDICES.items()
        }

        def score(index: Any, truth: Any = truth) -> dict[str, float]:
            return dict(zip(("error", "correlation"), inverse.index_error(index, truth), strict=True))

        solve = partial(inverse.slice_by_slice, frames, voxel, len(truth))
        rows += compared(name, methods, score, others, truth.shape)
        rows.append(closest(name, "slice by slice", solve, inverse.WEIGHTS, score))
        if waveorder_models.IS_INSTALLED:
            solve = partial(waveorder_models.index, frames, voxel, len(truth))
            rows.append(closest(name, "waveorder, slice by slice", solve, waveorder_models.INDEX_WEIGHTS, score))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the files of sets.py")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--views", type=int, default=15, help="views of the FDTD set, up to 180")
    parser.add_argument("--others", type=Path, help="folder of submissions")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for truth.txt and truth.json")
    given = parser.parse_args()
    inputs = given.output / "inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    skipped: dict[str, str] = {}
    for name in given.sets:
        if not (given.data / sets.FILES[name]).is_file():
            skipped[name] = f"{sets.FILES[name]} is not in {given.data}"
            continue
        compare = {"fdtd": _fdtd, "mie": _mie, "hl60": _hl60, "phantom": _phantom}[name]
        rows += compare(given.data, inputs, given.views, given.others)
    if not waveorder_models.IS_INSTALLED:
        skipped["waveorder"] = "not installed"
    columns = ("error", "best", "worst", "correlation", "seconds")
    cells = [[row["set"], row["method"], *(row.get(column, "") for column in columns)] for row in rows]
    text = table(["", "", *columns], cells)
    text += "".join(f"\nskipped: {name}: {reason}" for name, reason in skipped.items())
    write(given.output, "truth", text, {"seed": sets.SEED, "rows": rows, "skipped": skipped})


if __name__ == "__main__":
    main()
