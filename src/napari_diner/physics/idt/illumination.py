"""Directions of illumination. Does not import torch."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_diner.errors import RecipeError
from napari_diner.wording import digits

EDGE = 1e-9
"""Tolerated relative rounding error of a direction exactly at the edge of the pupil."""

_NEARLY_FULL, _SMALL, _ROUNDED = 0.9, 0.1, 0.005
"""Parts of the NA that directions up to its edge, and any others, fill; and tolerated excess of rounded ones."""


class Source(NamedTuple):
    """A plane wave that illuminates the sample."""

    na_y: float
    """Numerical aperture along y: λ times the transverse frequency, the sine of the angle in air."""
    na_x: float
    """Numerical aperture along x."""
    weight: float = 1.0
    """Background intensity, relative to the other sources of the same frame."""

    @property
    def na(self) -> float:
        """Numerical aperture of the direction, √(NA_y² + NA_x²)."""
        return math.hypot(self.na_y, self.na_x)


@dataclass(frozen=True)
class Illumination:
    """The light sources of each frame; a multiplexed frame has several, mutually incoherent ones.

    Raises
    ------
    RecipeError
        If there is no frame, a frame has no source, a number is not finite, or a weight is not positive.
    """

    frames: tuple[tuple[Source, ...], ...]

    def __post_init__(self) -> None:
        if not self.frames:
            raise RecipeError("There is no illumination; give a direction [NA_y, NA_x] for each frame", "illuminations")
        for number, frame in enumerate(self.frames, 1):
            if not frame:
                raise RecipeError(
                    f"Frame {number} has no light source; give it a direction [NA_y, NA_x]", "illuminations"
                )
            for source in frame:
                if not all(math.isfinite(value) for value in source):
                    raise RecipeError(
                        f"The illumination of frame {number} is not finite; correct {list(source)}", "illuminations"
                    )
                if source.weight <= 0:
                    raise RecipeError(
                        f"The illumination of frame {number} has the weight {source.weight:g}; it must be above zero",
                        "illuminations",
                    )

    @classmethod
    def of(cls, directions: Iterable[Sequence[float] | Sequence[Sequence[float]]]) -> Illumination:
        """Build an illumination from lists.

        Parameters
        ----------
        directions
            For each frame a direction ``[NA_y, NA_x]``, or a list of several with optional weights,
            ``[[NA_y, NA_x, weight], ...]``.

        Raises
        ------
        RecipeError
            If an entry is neither of these.
        """
        return cls(tuple(_sources(frame, number) for number, frame in enumerate(directions, 1)))

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def apertures(self) -> NDArray[np.float64]:
        """(NA_y, NA_x) of all S sources, frame by frame, (S, 2)."""
        return np.array([(source.na_y, source.na_x) for frame in self.frames for source in frame])

    @property
    def weights(self) -> NDArray[np.float64]:
        """Share of each source in the background intensity of its frame, (S,)."""
        shares = []
        for frame in self.frames:
            total = sum(source.weight for source in frame)
            shares += [source.weight / total for source in frame]
        return np.array(shares)

    @property
    def frame_of_source(self) -> NDArray[np.int64]:
        """Index of the frame of each source, (S,)."""
        return np.repeat(np.arange(len(self.frames), dtype=np.int64), [len(frame) for frame in self.frames])

    def without(self, frames: Collection[int]) -> Illumination:
        """Return the illumination without some frames, which are numbered from zero."""
        return Illumination(tuple(sources for number, sources in enumerate(self.frames) if number not in frames))

    def opposite(self) -> Illumination:
        """Return the sources rotated by 180° about the optical axis."""
        return Illumination(
            tuple(tuple(Source(-s.na_y, -s.na_x, s.weight) for s in frame) for frame in self.frames),
        )

    def dark_field(self, na: float) -> tuple[int, ...]:
        """Return the frames, counted from zero, whose light all comes from outside an objective's aperture."""
        return tuple(
            number for number, frame in enumerate(self.frames) if all(_is_outside(source, na) for source in frame)
        )

    def check(
        self, na: float, medium_index: float, *, with_dark_field: bool = False, field: str = "illuminations"
    ) -> None:
        """Check that each direction is possible, and that it passes the objective unless dark field is wanted.

        Parameters
        ----------
        na
            Numerical aperture of the objective.
        medium_index
            Refractive index n0 of the medium around the sample.
        with_dark_field
            Whether all sources of a frame may be outside the aperture.
        field
            Key of the setting that gives the directions.

        Raises
        ------
        RecipeError
            If one is not.
        """
        largest = max(source.na for frame in self.frames for source in frame)
        hint = _if_angle(largest, na)
        for number, frame in enumerate(self.frames, 1):
            for source in frame:
                if source.na >= medium_index:
                    raise RecipeError(
                        f"The illumination of frame {number} has an NA of {digits(source.na, 4)}, which is impossible "
                        f"in a medium of index {medium_index:g}; check {{field}} and {{field:medium_index}}{hint}",
                        field,
                    )
        beyond = [n for n, frame in enumerate(self.frames, 1) if any(_is_outside(source, na) for source in frame)]
        dark = {number + 1 for number in self.dark_field(na)}
        if with_dark_field:
            mixed = [number for number in beyond if number not in dark]
            if mixed:
                raise RecipeError(
                    f"The light of frame {mixed[0]} comes from inside and from outside the objective's NA of {na:g}, "
                    "which no model describes; leave such frames out with {field:leave_out} "
                    f"{','.join(map(str, mixed))}, or correct {{field}} or {{field:na}}{hint}",
                    field,
                )
        elif beyond:
            what = f"The illuminations of {len(beyond)} frames have an NA of up to {digits(largest, 4)}"
            if len(beyond) == 1:
                what = f"The illumination of frame {beyond[0]} has an NA of {digits(largest, 4)}"
            cure = "correct {field} or {field:na}"
            if len(beyond) < len(self.frames):
                listed = ",".join(map(str, beyond))
                if dark == {*beyond}:
                    cure = f"for dark field, set {{field:dark_field}} to use or to leave_out; otherwise {cure}"
                else:
                    cure = f"leave such frames out with {{field:leave_out}} {listed}, or {cure}"
            raise RecipeError(f"{what}, outside the objective's NA of {na:g}; {cure}{hint}", field)


def _is_outside(source: Source, na: float) -> bool:
    return source.na > na * (1 + EDGE)


def _if_angle(size: float, na: float) -> str:
    """Return advice if the largest direction is an angle whose sine lies within an aperture, otherwise nothing."""
    for unit, angle, least in (("radians", size, _NEARLY_FULL * na), ("degrees", math.radians(size), _SMALL * na)):
        if angle <= math.pi / 2 and least <= math.sin(angle) <= na * (1 + _ROUNDED):
            sine = digits(math.sin(angle), 3)
            return f" (if {digits(size, 4)} is an angle in {unit}, give its sine in air, {sine}, instead)"
    return ""


def ring(na: float, count: int, *, offset_deg: float = 0.0) -> Illumination:
    """Return an annular illumination: directions evenly spaced on a circle, one per frame.

    Parameters
    ----------
    na
        Numerical aperture of the circle.
    count
        Number of frames.
    offset_deg
        Angle of the first direction from +x towards +y; the others follow in this sense.
    """
    angles = np.deg2rad(offset_deg) + 2 * np.pi * np.arange(count) / max(count, 1)
    return Illumination(tuple((Source(float(na * np.sin(a)), float(na * np.cos(a))),) for a in angles))


def _sources(frame: Sequence[float] | Sequence[Sequence[float]], number: int) -> tuple[Source, ...]:
    try:
        entries = [np.asarray(entry, dtype=np.float64) for entry in frame]
    except (TypeError, ValueError):
        entries = [np.empty(0)]
    if len(entries) == 2 and all(entry.ndim == 0 for entry in entries):
        entries = [np.array(entries)]
    if any(entry.shape not in ((2,), (3,)) for entry in entries):
        is_unit = len(entries) == 3 and abs(math.hypot(*(float(entry.sum()) for entry in entries)) - 1) < _ROUNDED
        hint = "; of a unit vector, these are the components along y and x times the medium index" if is_unit else ""
        raise RecipeError(
            f"The illumination of frame {number} is {frame}; give [NA_y, NA_x], or a list of [NA_y, NA_x, weight] for "
            f"a frame with several sources{hint}",
            "illuminations",
        )
    return tuple(Source(*entry.tolist()) for entry in entries)
