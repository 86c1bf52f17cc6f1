"""How good a result is, in words: the first line of every summary. Does not import torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from napari_diner.tasks.preflight import Finding
from napari_diner.tasks.report import Report
from napari_diner.wording import all_but

# part of the unexplained share, beyond noise, up to which it looks like noise
_LIKE_NOISE = 0.2
# unexplained share that is not worth a word
_NEGLIGIBLE = 1e-3


def verdict(
    report: Report,
    signal: str,
    about_result: int,
    findings: Sequence[Finding],
    *,
    of_steps: int = 0,
    is_suspected: bool = False,
    measures_light: bool = True,
) -> str:
    """Return how good a result is: a word, the explained share, what is uncertain, and the warning that matters most.

    Parameters
    ----------
    report
        Figures of the result, with its warnings, the worst first.
    signal
        What it explains, e.g. ``"the signal in the frames"``.
    about_result
        How many of the warnings, the first ones, are about the result instead of its settings and data.
    findings
        The checks before the run.
    of_steps
        How many of those are about solvers that took few steps: no reason for doubt if nothing but noise is left.
    is_suspected
        Whether other settings are known that explain the data much better.
    measures_light
        Whether the data do; a result from others is wrong, however much of them it explains.
    """
    warnings: Sequence[str] = report["warnings"]
    share = float(report.get("unexplained", math.nan))
    # of data without any variation
    words = ["there is no variation to explain" if math.isnan(share) else f"{all_but(share, signal)} is explained"]
    if report.get("unexplained_beyond_noise") is not None and _NEGLIGIBLE < share <= 1 - _NEGLIGIBLE:
        is_noise = is_explained(report) and not is_suspected and measures_light
        words[0] += ", and what is left looks like noise" if is_noise else ", not all of it noise"
    words += [line.sentence for line in findings if line.aspect == "band"]
    if warnings:
        words.append(
            "read the warning" if len(warnings) == 1 else f"read the {len(warnings)} warnings, the worst is first"
        )
    if is_explained(report):
        about_result -= of_steps
    is_doubtful = not measures_light or ((about_result > 0 or is_suspected) and not share < _NEGLIGIBLE)
    return f"{_word(report, is_doubtful)}, {'; '.join(words)}"


def is_explained(figures: Mapping[str, object]) -> bool:
    """Return whether a result leaves nothing but noise, by the shares among its figures."""
    share, beyond = (float(str(figures.get(name, math.nan))) for name in ("unexplained", "unexplained_beyond_noise"))
    return share < _NEGLIGIBLE or beyond < _LIKE_NOISE * share


def _word(report: Report, is_doubtful: bool) -> str:
    if report.get("partial"):
        return "unfinished"
    if is_doubtful:
        return "doubtful"
    return "good with reservations" if report["warnings"] else "good"
