"""Assignment of directions of illumination to frames.

A list of directions may be rotated, mirrored, reordered, or start at another frame. Under the linear model, the volume
is integrated out in closed form, so that no volume is needed to compare them: with C = (M M* + α)⁻¹, frame i differs
from its prediction by the others by ``(C y)_i / C_ii`` at each frequency (Allen's PRESS, Technometrics 16, 125 (1974)).
Lists that are permutations of each other share C. A few hundred frequencies suffice.

One ambiguity remains. Rotating all directions by 180° and mirroring the volume along z leaves H_im unchanged and
negates H_re, so that rotated directions explain the same frames by a mirrored volume of the opposite contrast, with the
same absorption; only its position differs, if the slices are not centred on the focus. Prior knowledge has to decide:
most samples are denser than their medium, and their dense parts are few. The sign of the contrast is therefore taken
from the skewness of what the closed form gives; its mean is invisible, as H_re(0) = 0.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_diner.physics.idt.geometry import VolumeGeometry
from napari_diner.physics.idt.illumination import Illumination, Source, ring
from napari_diner.physics.idt.transfer import Dispersion, born_amplitude, source_blur
from napari_diner.solvers.calibration.contrast_sign import sign_of
from napari_diner.solvers.calibration.cross_prediction import predicted
from napari_diner.solvers.calibration.field_spectrum import FieldSpectrum
from napari_diner.solvers.calibration.found_contrast import FoundContrast
from napari_diner.solvers.calibration.frame_orders import frame_orders, starts

Vector = npt.NDArray[np.float64]

_COMPLEX = torch.complex64

COARSE_DEG = 7.5
"""First angles of a ring are tried in steps no larger than this."""
_MOST_NUMBERS, _FEWEST = 2**19, 60  # numbers N²K of the covariances at all frequencies, and the fewest frequencies
# number of slices sufficient to distinguish directions, unless a volume needs more to be sampled; and the most
_SLICES, _MOST_SLICES = 16, 64
# α relative to the mean response
_ALPHAS: tuple[float, ...] = (1e-3, 1e-2, 1e-1)
_SAME_NA = 1e-6  # directions closer than this count as equal
_EVEN = 0.2  # tolerance of evenly spaced directions on a ring, in units of their spacing
# a list is correct if no other predicts better by so many standard errors, and by this part of the error
_SURE = 3.0
_WORTHWHILE = 0.25
# unexplained share above which single scattering does not describe the sample, and below which it does so well
_STRONG_RMS, _WEAK_RMS = 0.1, 0.03
# least agreement of index and absorption that tells the sign, and largest error of prediction at which it does: below
# −0.19 for no right directions of samples of known sign, and below −0.4 only if errors are above 0.7
_AGREEING, _PREDICTED = 0.4, 0.6

_TURNS = {
    "as given": ((1, 0), (0, 1)),
    "turned by 90°": ((0, 1), (-1, 0)),
    "turned by 180°": ((-1, 0), (0, -1)),
    "turned by 270°": ((0, -1), (1, 0)),
    "y reversed": ((-1, 0), (0, 1)),
    "x reversed": ((1, 0), (0, -1)),
    "y and x exchanged": ((0, 1), (1, 0)),
    "y and x exchanged and reversed": ((0, -1), (-1, 0)),
}
"""Matrices on (NA_y, NA_x) of all rotations by right angles and mirror images."""


@dataclass(frozen=True)
class Arrangement:
    """An assignment of directions to frames."""

    name: str
    """Name, relative to the list in the recipe."""
    illumination: Illumination
    """The sources of each frame."""
    missing: tuple[Source, ...] = ()
    """The sources of a missing frame, if they complete the pattern."""
    first_angle_deg: float | None = None
    """For an evenly spaced ring from +x towards +y, the angle of its first direction."""

    @property
    def frames(self) -> tuple[tuple[Source, ...], ...]:
        """Sources of all frames, that of a missing one at the end."""
        return (*self.illumination.frames, *((self.missing,) if self.missing else ()))


@dataclass(frozen=True, eq=False)  # arrays have no equality
class Judged:
    """Score of an arrangement."""

    arrangement: Arrangement
    squares: Vector
    """Mean square difference between each frame and its prediction by all others, relative to the signal, (N,)."""
    unexplained_rms: float
    """Root mean square difference per pixel, relative to the background, at the frequencies that are compared."""
    contrast: FoundContrast
    """The contrast of the sample, which takes longer than all else and is rarely needed."""

    @property
    def skewness(self) -> float:
        """Skewness of the contrast; negative if the index of the dense parts of the sample is below the medium's."""
        return self.contrast.skewness

    @property
    def error(self) -> float:
        """Root mean square difference of all frames, relative to the signal."""
        return math.sqrt(float(self.squares.mean()))

    def is_better_than(self, other: Judged, standard_errors: float = _SURE) -> bool:
        """Whether it predicts better by a worthwhile amount, and by more than so many standard errors."""
        if self.squares.mean() > (1 - _WORTHWHILE) * other.squares.mean():
            return False
        gain = np.log(other.squares / self.squares)
        return bool(gain.mean() > standard_errors * gain.std(ddof=1) / math.sqrt(len(gain)))

    @property
    def sign(self) -> int:
        """Sign of the contrast, 1 or −1; 0 if it is uncertain, or single scattering does not describe the sample."""
        return sign_of(self.skewness) if self.unexplained_rms < _STRONG_RMS else 0

    @property
    def sign_by_absorption(self) -> int:
        """Sign of the contrast if what absorbs is denser than its surroundings; 0 if it is uncertain."""
        if self.unexplained_rms > _STRONG_RMS or self.error > _PREDICTED or abs(self.contrast.agreement) < _AGREEING:
            return 0
        return int(math.copysign(1, self.contrast.agreement))


def arrangements(original: Illumination) -> list[Arrangement]:
    """Return all arrangements of a list of directions, the original first, without duplicates.

    They are rotations by right angles, mirror images, and other orders, such as the reversed one. For an evenly spaced
    ring they are all first angles, in both senses, and a missing frame.
    """
    sense = _sense_of_ring(original)
    ways = [Arrangement("as given", original)]
    if sense:
        ways += _rings(original, sense)
    else:
        for order, places in frame_orders(len(original)).items():
            frames = Illumination(tuple(original.frames[place] for place in places))
            ways += [Arrangement(order + name, _turned(frames, matrix)) for name, matrix in _TURNS.items()]
        for name, places in starts(len(original)).items():
            ways.append(Arrangement(name, Illumination(tuple(original.frames[place] for place in places))))
    return unlisted(ways, [])


def unlisted(ways: Sequence[Arrangement], listed: Sequence[Arrangement]) -> list[Arrangement]:
    """Return arrangements with other directions than those that are listed, without duplicates."""
    unique: dict[tuple[bytes, ...], Arrangement] = {}
    for way in ways:
        unique.setdefault(_keys(way.illumination), way)
    known = {_keys(way.illumination) for way in listed}
    return [way for key, way in unique.items() if key not in known]


def nearby(best: Arrangement, step_deg: float) -> list[Arrangement]:
    """Return the two rings whose first angles differ by a step from that of a ring; empty if it is not a ring."""
    sense = _sense_of_ring(best.illumination)
    if not sense or best.missing:
        return []
    first = _first_angle_deg(best.illumination)
    return [_ring(best.illumination, sense, first + turn) for turn in (-step_deg, step_deg)]


def opposite(way: Arrangement) -> list[Arrangement]:
    """Return an arrangement with all directions rotated by 180°; None if a frame is missing."""
    if way.missing:
        return []
    sense = _sense_of_ring(way.illumination)
    if sense:
        return [_ring(way.illumination, sense, _first_angle_deg(way.illumination) + 180)]
    return [Arrangement(f"{way.name}, turned by 180°", way.illumination.opposite())]


def _rings(original: Illumination, sense: int) -> list[Arrangement]:
    count, first = len(original), _first_angle_deg(original)
    parts = math.ceil(360 / count / COARSE_DEG)
    ways = []
    for direction in (sense, -sense):
        for place in range(count * parts):
            turn = 360 * place / (count * parts)
            ways.append(_ring(original, direction, first + turn))
            if direction == sense and turn in (90, 180, 270):
                ways[-1] = replace(ways[-1], name=f"turned by {turn:g}°: {ways[-1].name}")
    na = float(np.hypot(*original.apertures.T).mean())
    longer = _circle(na, count + 1, first, sense)
    for lost in range(1, count + 1):
        name = f"frame {lost + 1} of {count + 1} is missing"
        ways.append(Arrangement(name, Illumination(longer[:lost] + longer[lost + 1 :]), missing=longer[lost]))
    return ways


def _ring(like: Illumination, sense: int, first_angle_deg: float) -> Arrangement:
    angle = round(first_angle_deg % 360, 6) % 360
    frames = _circle(float(np.hypot(*like.apertures.T).mean()), len(like), angle, sense)
    name = f"first angle {angle:g}°, {'clockwise' if sense > 0 else 'anticlockwise'}"
    return Arrangement(name, Illumination(frames), first_angle_deg=angle if sense > 0 else None)


def _circle(na: float, count: int, first_deg: float, sense: int) -> tuple[tuple[Source, ...], ...]:
    """Return directions evenly spaced on a circle, from +x towards +y (1) or the other way (−1)."""
    frames = ring(na, count, offset_deg=sense * first_deg).frames
    return frames if sense > 0 else _turned(Illumination(frames), _TURNS["y reversed"]).frames


def _first_angle_deg(illumination: Illumination) -> float:
    return round(math.degrees(math.atan2(*illumination.apertures[0])), 6)


def _sense_of_ring(illumination: Illumination) -> int:
    """Return 1 for directions evenly spaced on a circle from +x towards +y, −1 the other way, 0 for others."""
    apertures = illumination.apertures
    count = len(illumination)
    if len(apertures) != count or count < 3:
        return 0
    radius = np.hypot(*apertures.T)
    if np.ptp(radius) > _EVEN * 2 * np.pi / count * radius.mean():
        return 0
    steps = np.diff(np.unwrap(np.arctan2(*apertures.T)))
    even = np.copysign(2 * np.pi / count, steps.mean())
    return int(np.sign(even)) if np.abs(steps - even).max() < _EVEN * abs(even) else 0


def _turned(illumination: Illumination, matrix: Sequence[Sequence[int]]) -> Illumination:
    (a, b), (c, d) = matrix
    return Illumination(
        tuple(
            tuple(Source(a * s.na_y + b * s.na_x, c * s.na_y + d * s.na_x, s.weight) for s in frame)
            for frame in illumination.frames
        )
    )


@functools.lru_cache(maxsize=4096)  # many lists have the same frames
def _key(frame: tuple[Source, ...]) -> bytes:
    # adding zero makes −0 a 0
    return (np.round(np.array(frame) / _SAME_NA) + 0.0).tobytes()


def _keys(illumination: Illumination) -> tuple[bytes, ...]:
    return tuple(_key(frame) for frame in illumination.frames)


class ArrangementTest:
    """Judge arrangements by how well each frame is predicted by all others.

    Parameters
    ----------
    geometry
        The volume and the objective; the field may be a part of the recording.
    data
        g = I / I_background − 1, real, (N, Y, X); or its spectrum.
    dispersion
        As in `BornModel`.
    frequencies
        Number of frequencies to compare: half of them the lowest, which also give the sign of the contrast,
        the others the strongest; fewer if there are many frames.
    periods
        Frequencies with fewer periods across the field are left out, and with them most of what edges leave.
    source_na
        As in `FrameSpectra`.
    alike
        A test of the same data whose frequencies are compared instead, also those that do not pass the objective:
        errors at different frequencies say nothing about which geometry is right.
    """

    def __init__(
        self,
        geometry: VolumeGeometry,
        data: Tensor | FieldSpectrum,
        dispersion: Dispersion = "exact",
        frequencies: int = 400,
        periods: float = 0.0,
        source_na: float = 0.0,
        alike: ArrangementTest | None = None,
    ) -> None:
        self.geometry, self.dispersion, self._source_na = _with_other_slices(geometry), dispersion, source_na
        self._z, self._alphas = torch.from_numpy(self.geometry.slice_positions_um), _ALPHAS
        field = data if isinstance(data, FieldSpectrum) else FieldSpectrum(data)
        self._is_cut = field.is_cut
        self._choose_frequencies(field, frequencies, periods, alike)

    @property
    def is_rich(self) -> bool:
        """Whether at least half of the frequencies that are asked for, or allowed for many frames, can be compared."""
        return len(self._fy) >= self._wanted // 2

    def rough(self) -> ArrangementTest:
        """Return a test that is faster, and sufficient to find the best of many geometries."""
        other = copy.copy(self)
        other._alphas = _ALPHAS[1:2]
        return other

    def of_frames(self, numbers: Sequence[int], opposite: int | None = None) -> ArrangementTest:
        """Return the test of some of the frames, one of which, by its place among these, is taken for a negative."""
        other = copy.copy(self)
        other._data = self._data[:, list(numbers)]
        if opposite is not None:
            other._data[:, opposite] *= -1
        other._energy = float((other._data.abs().square() * self._shares[:, None]).sum()) / len(numbers) + 1e-30
        return other

    @torch.no_grad()
    def judge(self, ways: Sequence[Arrangement]) -> list[Judged]:
        """Judge arrangements; in the same order."""
        # permuted lists have the same responses, in another order
        sets: dict[tuple[bytes, ...], list[int]] = {}
        for number, way in enumerate(ways):
            sets.setdefault(tuple(sorted(map(_key, way.frames))), []).append(number)
        judged: dict[int, Judged] = {}
        for numbers in sets.values():
            answers = self._judged([ways[number] for number in numbers])
            judged |= dict(zip(numbers, answers, strict=True))
        return [judged[number] for number in range(len(ways))]

    def _judged(self, ways: Sequence[Arrangement]) -> list[Judged]:
        """Judge arrangements with the same set of sources."""
        frames = ways[0].frames
        place_of = {_key(frame): place for place, frame in enumerate(frames)}
        count, matrix = self._data.shape[1], self._matrix(frames)
        data = torch.zeros(len(self._fy), len(frames), len(ways), dtype=matrix.dtype)
        places = [[place_of[_key(frame)] for frame in way.frames] for way in ways]
        for number, where in enumerate(places):
            data[:, where[:count], number] = self._data
        missing = [where[count] for where in places] if ways[0].missing else None
        products = matrix @ matrix.mH
        scale = float(products.diagonal(dim1=1, dim2=2).real.mean()) + 1e-12
        eye = torch.eye(len(frames), dtype=products.dtype)
        errors = np.full((len(ways), count), np.inf)
        best = torch.zeros(len(ways), len(self._fy), len(frames), dtype=_COMPLEX)
        for alpha in self._alphas:
            inverse = torch.cholesky_inverse(torch.linalg.cholesky(products + alpha * scale * eye))
            differences, solved = predicted(inverse, data, missing)
            squares = (
                torch.einsum("knw,k->wn", differences.abs().square(), self._shares).double().numpy() / self._energy
            )
            for number, where in enumerate(places):
                if squares[number, where[:count]].sum() < errors[number].sum():
                    errors[number], best[number] = squares[number, where[:count]], solved[..., number]
        signal_rms = math.sqrt(self._energy) / (self.geometry.shape[1] * self.geometry.shape[2])
        unexplained = signal_rms * np.sqrt(errors.mean(1))
        return [
            Judged(way, squares, rms, self._contrast(matrix, solved, rms < _WEAK_RMS))
            for way, squares, rms, solved in zip(ways, errors, unexplained.tolist(), best, strict=True)
        ]

    def _contrast(self, matrix: Tensor, solved: Tensor, is_weak: bool) -> FoundContrast:
        shape = self.geometry.shape[1], self.geometry.shape[2]
        return FoundContrast(matrix, solved, self._places, self._low, shape, is_weak, self._is_cut)

    def _matrix(self, frames: Sequence[tuple[Source, ...]]) -> Tensor:
        """Return the matrix of each frequency, (K, N, 2Z): H_re of all slices, then H_im."""
        matrix = torch.zeros(len(self._fy), len(frames), 2, len(self._z), dtype=_COMPLEX)
        places = torch.tensor([place for place, frame in enumerate(frames) for _ in frame])
        weights = torch.tensor([one.weight / sum(each.weight for each in frame) for frame in frames for one in frame])
        rows = torch.tensor([(one.na_y, one.na_x) for frame in frames for one in frame], dtype=torch.float64)
        direction = rows[:, 0], rows[:, 1]
        for sign in (1, -1):
            fy, fx = sign * self._fy[:, None], sign * self._fx[:, None]
            a, delta, pupil = born_amplitude(fy, fx, direction, self.geometry, self.dispersion)
            angle = (sign * (pupil[..., None] - 2 * math.pi * delta[..., None] * self._z)).float()
            response = (weights * a.float())[..., None] * torch.complex(-sign * angle.sin(), sign * angle.cos())
            if self._source_na:
                response *= source_blur(fy, fx, direction, self.geometry, self._source_na, self._z).float()
            matrix[:, :, 0].index_add_(1, places, response)
            matrix[:, :, 1].index_add_(1, places, 1j * sign * response)
        return matrix.flatten(2)

    def _choose_frequencies(
        self, field: FieldSpectrum, most: int, periods: float, alike: ArrangementTest | None
    ) -> None:
        geometry, pixel_um = self.geometry, self.geometry.pixel_size_um
        self._wanted = most
        if alike is None:
            self._wanted = most = max(_FEWEST, min(most, _MOST_NUMBERS // field.frames**2))
            lowest = periods / min(geometry.shape[1:])
            self._places, self._low = field.chosen(most, lowest, 2 * geometry.cutoff * pixel_um)
        else:
            self._places, self._low = alike._places, alike._low
        self._fy, self._fx = field.frequencies(self._places, pixel_um)
        self._data = field.at(self._places).to(_COMPLEX)
        """Spectrum of the frames, (K, N): first the lowest frequencies."""
        self._shares = torch.where(self._fx == 0, 1.0, 2.0)
        self._energy = float((self._data.abs().square() * self._shares[:, None]).sum()) / field.frames + 1e-30


def _with_other_slices(geometry: VolumeGeometry) -> VolumeGeometry:
    """Return the same volume in fewer slices, which are thicker; or in more, if it has too few to be sampled."""
    planes, rows, columns = geometry.shape
    height = geometry.slice_spacing_um * planes
    deepest = geometry.medium_frequency - math.sqrt(geometry.medium_frequency**2 - geometry.cutoff**2)
    slices = max(min(planes, _SLICES), min(math.ceil(2 * height * deepest), _MOST_SLICES))
    spacing = height / slices
    first = float(geometry.slice_positions_um[0]) + (spacing - geometry.slice_spacing_um) / 2
    return replace(geometry, shape=(slices, rows, columns), slice_spacing_um=spacing, first_slice_um=first)
