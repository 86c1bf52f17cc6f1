"""Synthetic images, videos and volumes with smooth and sharp, coarse and fine structure."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_diner.device import check_memory
from napari_diner.simulate.fit.settings import ImageSimulation, VideoSimulation, VolumeSimulation

Image = npt.NDArray[np.float32]
Digital = npt.NDArray[np.uint8 | np.uint16]

_PAN_PX = (0.31, 0.83)
"""Motion of the scene of a video, up and to the left, per frame."""
_RESOLUTION_UM = (0.45, 0.15, 0.15)
"""Standard deviations along Z, Y, X of the blur of a high-aperture light microscope."""
_OFFSET, _PHOTONS = 100.0, 4000.0
"""Dark level of the camera, and photon count at the brightest place, of a volume."""


def simulate_image(settings: ImageSimulation) -> Digital:
    """Generate an image with coarse and fine structure, sharp edges and smooth gradients: (Y, X, 3), or (Y, X) if grey.

    Discs, ellipses and squares of all sizes overlap, as in the dead-leaves model of natural images, on a slowly varying
    background. Some are shaded, some striped with periods down to three pixels, some rough.

    Raises
    ------
    OutOfMemoryError
        If it does not fit in memory.
    """
    shape = (settings.height_px, settings.width_px)
    check_memory(80 * shape[0] * shape[1], f"Drawing {shape[0]}×{shape[1]} pixels")
    scene = _scene(shape, np.random.default_rng(settings.seed))
    if not settings.colours:
        # luminance of Rec. 709
        scene = scene @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    return _digital(scene, settings.bits)


def simulate_video(settings: VideoSimulation) -> npt.NDArray[np.uint8]:
    """Generate a video, (T, Y, X, 3): the camera pans over a scene, and balls fly past in front of it.

    Raises
    ------
    OutOfMemoryError
        If it does not fit in memory.
    """
    frames, height, width = settings.frames, settings.height_px, settings.width_px
    size = [length + math.ceil(step * frames) + 4 for length, step in zip((height, width), _PAN_PX, strict=True)]
    check_memory(
        3 * frames * height * width + 80 * size[0] * size[1], f"Drawing {frames} frames of {height}×{width} pixels"
    )
    random = np.random.default_rng(settings.seed)
    scene = _scene((size[0], size[1]), random)
    balls = [_Ball(random, height, width, frames) for _ in range(3)]
    video = np.empty((frames, height, width, 3), np.uint8)
    for number in range(frames):
        whole, part = zip(*(divmod(step * number, 1) for step in _PAN_PX), strict=True)
        y, x = (int(place) for place in whole)
        window = scene[y : y + height + 3, x : x + width + 3]
        # a cubic spline shifts the grain by fractions of a pixel without blurring it
        moved = ndimage.shift(window, [-part[0], -part[1], 0], order=3, mode="reflect")[:height, :width]
        for ball in balls:
            ball.draw(moved, number)
        video[number] = _digital(moved, 8)
    return video


def simulate_volume(settings: VolumeSimulation) -> npt.NDArray[np.uint16]:
    """Generate a fluorescent specimen, (Z, Y, X), as recorded by a confocal microscope.

    Lengths are in micrometres, and the blur is wider along Z than along Y and X. Values are photon counts with Poisson
    noise plus the offset of the camera.

    Raises
    ------
    OutOfMemoryError
        If it does not fit in memory.
    """
    shape = (settings.slices, settings.height_px, settings.width_px)
    check_memory(28 * math.prod(shape), "Drawing {}×{}×{} voxels".format(*shape))
    random = np.random.default_rng(settings.seed)
    spacing = np.array([settings.z_step_um, settings.pixel_size_um, settings.pixel_size_um])
    density = np.zeros(shape, np.float32)
    extent = np.array(shape) * spacing
    for _ in range(_count(extent, 400.0, 3)):
        _add_ellipsoid(density, spacing, extent, random, radius_um=(1.5, 3.5), brightness=(0.15, 0.4))
    for _ in range(_count(extent, 30.0, 12)):
        _add_ellipsoid(density, spacing, extent, random, radius_um=(0.2, 0.6), brightness=(0.5, 1.0))
    for _ in range(_count(extent, 120.0, 4)):
        _add_filament(density, spacing, extent, random)
    blurred = ndimage.gaussian_filter(density, np.array(_RESOLUTION_UM) / spacing, mode="nearest")
    photons = _PHOTONS * blurred / max(float(blurred.max()), 1e-6) + 20
    counts: npt.NDArray[np.uint16] = (random.poisson(photons) + _OFFSET).clip(0, 65535).astype(np.uint16)
    return counts


def _digital(scene: Image, bits: int) -> Digital:
    """Return a brightness of 0 to 1 as integers."""
    most = 2**bits - 1
    return np.asarray(np.rint(np.clip(scene, 0, 1) * most), np.uint8 if bits == 8 else np.uint16)


def _scene(shape: tuple[int, int], random: np.random.Generator) -> Image:
    """Return colours of about 0 to 1, (Y, X, 3)."""
    scene = _background(shape, random)
    side = min(shape)
    largest = max(4.0, 0.22 * side)
    # the smallest grow with the image, so that their number does not
    smallest = min(max(2.5, side / 200), largest / 1.5)
    each = 2 * math.pi * smallest**2 * math.log(largest / smallest)
    count = max(8, round(1.3 * shape[0] * shape[1] / each))
    # every octave of size covers the same area: the density of radii falls with their third power
    parts = random.uniform(0, 1 - (smallest / largest) ** 2, count)
    radii = np.sort(smallest / np.sqrt(1 - parts))[::-1]
    grain = _grain(shape, random)
    # few materials in all degrees of brightness, as in nature
    palette = random.uniform(0.25, 1.0, (5, 3)).astype(np.float32)
    for radius in radii:
        _add_leaf(scene, grain, float(radius), palette[random.integers(len(palette))], random)
    # noise, which no smooth function of position explains
    scene *= 1 + random.normal(0, 0.01, (*shape, 1)).astype(np.float32)
    return scene


def _background(shape: tuple[int, int], random: np.random.Generator) -> Image:
    y, x = (np.linspace(0, 1, size, dtype=np.float32) for size in shape)
    light = np.full(shape, 0.55, np.float32)
    for frequency_y, frequency_x in ((0, 1), (1, 0), (1, 1), (2, 1), (1, 3)):
        phase, strength = random.uniform(0, 2 * np.pi), random.uniform(-0.12, 0.12)
        wave = np.cos(np.pi * (frequency_y * y[:, None] + frequency_x * x[None, :]) + phase)
        light += (strength * wave).astype(np.float32)
    first, second = random.uniform(0.5, 1.0, (2, 3)).astype(np.float32)
    across = (0.5 * (y[:, None] + x[None, :]))[..., None]
    scene: Image = light[..., None] * (first + (second - first) * across)
    return scene


def _grain(shape: tuple[int, int], random: np.random.Generator) -> Image:
    """Return noise at a few fine scales with a standard deviation of one, (Y, X)."""
    noise = random.standard_normal(shape, np.float32)
    total = 0.6 * noise
    for sigma in (1.0, 2.5):
        smooth = ndimage.gaussian_filter(random.standard_normal(shape, np.float32), sigma, mode="wrap")
        total += smooth / max(float(smooth.std()), 1e-6)
    return np.asarray(total / max(float(total.std()), 1e-6))


def _add_leaf(scene: Image, grain: Image, radius: float, colour: Image, random: np.random.Generator) -> None:
    """Draw a shape on top of the scene; its edge is one pixel wide."""
    height, width = grain.shape
    centre = random.uniform(0, height), random.uniform(0, width)
    reach = radius * math.sqrt(2) + 1
    rows, columns = (
        slice(max(0, math.floor(place - reach)), min(size, math.ceil(place + reach) + 1))
        for place, size in zip(centre, (height, width), strict=True)
    )
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(centre[0])
    x = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - np.float32(centre[1])
    tilt = random.uniform(0, np.pi)
    along, beside = math.cos(tilt) * x + math.sin(tilt) * y, math.cos(tilt) * y - math.sin(tilt) * x
    beside = beside / np.float32(random.uniform(0.5, 1.0))
    square = random.uniform() < 0.35
    distance = np.maximum(np.abs(along), np.abs(beside)) if square else np.hypot(along, beside)
    inside = np.clip(radius - distance + 0.5, 0, 1)[..., None]
    light = random.uniform(0.25, 1.0) + random.uniform(-0.3, 0.3) * along / np.float32(radius)
    kind = random.uniform()
    if kind < 0.3:
        period = random.uniform(3, max(4.0, radius / 2))
        light = light + 0.18 * np.sin(2 * np.pi / period * beside)
    elif kind < 0.6:
        light = light + random.uniform(0.03, 0.15) * grain[rows, columns]
    paint = light.astype(np.float32)[..., None] * colour
    scene[rows, columns] += inside * (paint - scene[rows, columns])


class _Ball:
    """A shaded, striped ball that crosses a video."""

    def __init__(self, random: np.random.Generator, height: int, width: int, frames: int) -> None:
        self.radius = random.uniform(0.06, 0.14) * min(height, width)
        self.start = random.uniform((0.2 * height, 0), (0.8 * height, 0.4 * width))
        far = random.uniform(0.3, 0.6) * width
        self.step = np.array([random.uniform(-0.15, 0.15) * height, far]) / max(frames - 1, 1)
        self.colour = random.uniform(0.3, 1, 3).astype(np.float32)
        self.period = max(3.0, self.radius / 3)

    def draw(self, frame: Image, number: int) -> None:
        """Draw the ball at its position in a frame, (Y, X, 3)."""
        centre = self.start + number * self.step
        y, x = np.ogrid[: frame.shape[0], : frame.shape[1]]
        y, x = (y - centre[0]).astype(np.float32), (x - centre[1]).astype(np.float32)
        distance = np.hypot(y, x)
        inside = np.clip(self.radius - distance + 0.5, 0, 1)[..., None]
        height = np.sqrt(np.clip(1 - (distance / self.radius) ** 2, 0, 1))
        light = (0.35 + 0.65 * height) * (0.85 + 0.15 * np.sin(2 * np.pi / self.period * (x + y)))
        frame += inside * (light[..., None].astype(np.float32) * self.colour - frame)


def _count(extent_um: npt.NDArray[np.float64], volume_um3: float, least: int) -> int:
    """Return the number of objects, within bounds, if each has so much room."""
    return int(np.clip(np.prod(extent_um) / volume_um3, least, 3000))


def _add_ellipsoid(
    density: Image,
    spacing: npt.NDArray[np.float64],
    extent: npt.NDArray[np.float64],
    random: np.random.Generator,
    *,
    radius_um: tuple[float, float],
    brightness: tuple[float, float],
) -> None:
    """Add an ellipsoid that is brightest at its centre."""
    centre, radii = random.uniform(0, extent), random.uniform(*radius_um, 3)
    box, lines = [], []
    for place, radius, step, size in zip(centre, radii, spacing, density.shape, strict=True):
        start, stop = max(0, math.floor((place - radius) / step)), min(size, math.ceil((place + radius) / step) + 1)
        box.append(slice(start, stop))
        lines.append(((np.arange(start, stop) * step - place) / radius) ** 2)
    z, y, x = np.ix_(*lines)
    density[tuple(box)] += random.uniform(*brightness) * np.sqrt(np.clip(1 - z - y - x, 0, 1)).astype(np.float32)


def _add_filament(
    density: Image, spacing: npt.NDArray[np.float64], extent: npt.NDArray[np.float64], random: np.random.Generator
) -> None:
    """Add a slowly turning filament, as a chain of points a third of a pixel apart."""
    step = spacing[1:].min() / 3
    count = int(min(random.uniform(0.5, 1.5) * extent[1:].max() / step, 20000))
    turning = np.cumsum(random.normal(0, math.sqrt(step) * 0.3, count))
    angle = random.uniform(0, 2 * np.pi) + turning
    rise = random.uniform(-0.15, 0.15) * np.ones(count)
    path = np.cumsum(np.stack([rise, np.sin(angle), np.cos(angle)], -1) * step, 0)
    path += random.uniform(0, extent) - path[count // 2]
    voxels = np.floor(path / spacing).astype(np.int64)
    voxels = voxels[((voxels >= 0) & (voxels < density.shape)).all(1)]
    # each point has a third of the brightness of a voxel that the filament fills
    np.add.at(density, tuple(voxels.T), np.float32(random.uniform(0.6, 1.4) / 3))
