"""Views of a volume: in three dimensions, slice by slice, as a surface, and as a rotating movie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import napari
import numpy as np
import numpy.typing as npt
from napari.components import Camera, ViewerModel
from napari.layers import Image, Layer, Surface

from napari_diner.errors import InputError, OutputError
from napari_diner.widgets.layers.layer_metadata import DISPLAY_ONLY
from napari_diner.widgets.layers.placement import Placement
from napari_diner.widgets.layers.world import in_world
from napari_diner.widgets.work import breathe

FROM_ABOVE, FROM_THE_SIDE = 0.45, 0.55
"""Initial position of the camera above the axis and to its side, relative to its distance along the axis."""
MARGIN = 0.04
"""Fraction of the canvas left free at each edge."""
MOVIE_FRAMES, MOVIE_SECONDS = 60, 5.0
MOVIE_SIDE = 640
"""Pixels of a movie's longer side."""
SURFACE_VOXELS = 8_000_000
"""Surfaces of volumes with more voxels are drawn from every other voxel."""

Vector = npt.NDArray[np.float64]
Volume = npt.NDArray[np.float32]
Faces = npt.NDArray[np.int32]


def show_in_3d(viewer: napari.Viewer, layer: Layer, turn: bool = True) -> None:
    """Show only one layer, in three dimensions, fitted to the canvas, with scale bar and axes.

    Parameters
    ----------
    viewer, layer
        The viewer, and one of its layers.
    turn
        Whether to move the camera above the volume and to its side instead of keeping its angles.
    """
    _alone(viewer, layer)
    breathe()
    viewer.dims.ndisplay = 3
    breathe()
    if isinstance(layer, Image):
        layer.rendering = "mip"
        # otherwise the transparent box of voxels would hide the lines behind it
        layer.blending = "translucent_no_depth"
        # the medium is transparent, so lines show the extent of the volume
        layer.bounding_box.visible = True
        layer.bounding_box.points = False
        layer.bounding_box.line_color = "gray"
    breathe()
    overlays = getattr(getattr(viewer, "canvas", None), "overlays", viewer)
    overlays.scale_bar.visible = True
    overlays.axes.visible = True
    if turn:
        camera = camera_of(viewer)
        camera.angles = (0.0, 0.0, 0.0)
        forward, up = (np.asarray(way, dtype=float) for way in (camera.view_direction, camera.up_direction))
        side = np.cross(forward, up)
        camera.set_view_direction(tuple(forward - FROM_ABOVE * up + FROM_THE_SIDE * side), tuple(up))
    fill_canvas(viewer, [layer])


def show_slices(viewer: napari.Viewer, layer: Image) -> None:
    """Show only one volume, slice by slice, at the slice with the highest contrast."""
    _alone(viewer, layer)
    viewer.dims.ndisplay = 2
    data = np.asarray(layer.data)
    contrast = np.abs(data - np.float32(layer.contrast_limits[0])).sum((-2, -1))
    best = np.unravel_index(int(contrast.argmax()), contrast.shape)
    point = Placement.of(layer).to_world(np.array([*best, 0, 0], float)) * in_world(viewer, layer)
    for axis, place in enumerate(point[:-2].tolist(), start=viewer.dims.ndim - layer.ndim):
        viewer.dims.set_point(axis, place)
    fill_canvas(viewer, [layer])


def fill_canvas(viewer: ViewerModel, layers: Sequence[Layer]) -> None:
    """Move and zoom the camera so that the box around layers fits the canvas, keeping its angles.

    napari's own method includes hidden layers.
    """
    camera = camera_of(viewer)
    in_space = viewer.dims.ndisplay == 3
    shown = 3 if in_space else 2
    # from outer edge to outer edge
    boxes = np.stack([(layer._extent_world_augmented * in_world(viewer, layer))[:, -shown:] for layer in layers])
    low, high = boxes[:, 0].min(0), boxes[:, 1].max(0)
    middle, extents = (low + high) / 2, high - low
    if in_space:
        forward, up = (np.asarray(way, dtype=float) for way in (camera.view_direction, camera.up_direction))
        extents = np.array([np.abs(way) @ extents for way in (up, np.cross(forward, up))])
    size = getattr(getattr(viewer, "canvas", None), "size", None) or viewer._canvas_size
    camera.center = tuple(middle)
    camera.zoom = (1 - 2 * MARGIN) * min(
        float(pixels) / max(float(extent), 1e-9) for pixels, extent in zip(size, extents, strict=True)
    )


def camera_of(viewer: ViewerModel) -> Camera:
    """Return a viewer's camera, which moved in napari 0.9."""
    return getattr(viewer, "scene", viewer).camera


def surface_level(data: Volume) -> float:
    """Return the value at which a surface separates an object from the medium, by Otsu's method."""
    from skimage.filters import threshold_otsu

    # near 1.33, single precision has too few numbers for the histogram of a volume that is almost empty
    return float(threshold_otsu(data[:: 1 + data.size // 2_000_000].astype(np.float64)))


def isosurface(volume: Volume, level: float) -> tuple[Vector, Faces]:
    """Return the surface on which a volume has a value, by marching cubes.

    Parameters
    ----------
    volume
        (Z, Y, X).
    level
        The value.

    Returns
    -------
    vertices, faces
        (V, 3), in voxels; and (F, 3).

    Raises
    ------
    InputError
        If the volume does not have the value.
    """
    from skimage.measure import marching_cubes

    low, high = float(volume.min()), float(volume.max())
    if not low < level < high:
        raise InputError(f"No surface has the index {level:.4f}; choose one between {low:.4f} and {high:.4f}")
    step = 1 if volume.size <= SURFACE_VOXELS else 2
    # closed where an object touches the border
    vertices, faces, *_ = marching_cubes(np.pad(volume, 1, constant_values=low), level, step_size=step)
    return vertices.astype(np.float64) - 1, faces


def surface_layer(layer: Image, vertices: Vector, faces: Faces, level: float) -> Surface:
    """Return a layer with a surface of another layer's volume."""
    return Surface(
        (vertices, faces, np.ones(len(vertices), np.float32)),
        name=f"{layer.name} = {level:.4f}",
        colormap="gray",
        contrast_limits=(0, 1),
        shading="smooth",
        **Placement.of(layer).arguments(),
        metadata=DISPLAY_ONLY,
    )


def record_turn(viewer: napari.Viewer, path: Path, after_each: Callable[[int, int], None] | None = None) -> None:
    """Rotate the view once about the vertical of the screen, and write it as an animated GIF.

    Parameters
    ----------
    viewer
        The viewer, in three dimensions.
    path
        The file.
    after_each
        Called after each picture with its number, from 1, and their total number.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    from PIL import Image as Picture
    from scipy.spatial.transform import Rotation

    camera = camera_of(viewer)
    before = tuple(camera.angles)
    forward, up = (np.asarray(way, dtype=float) for way in (camera.view_direction, camera.up_direction))
    pictures: list[Picture.Image] = []
    try:
        for number in range(MOVIE_FRAMES):
            turn = Rotation.from_rotvec(2 * np.pi * number / MOVIE_FRAMES * up)
            camera.set_view_direction(tuple(turn.apply(forward)), tuple(up))
            picture = Picture.fromarray(viewer.screenshot(canvas_only=True, flash=False)).convert("RGB")
            picture.thumbnail((MOVIE_SIDE, MOVIE_SIDE))
            # the canvas may change its size slightly with the text beside it
            pictures.append(picture.resize(pictures[0].size) if pictures else picture)
            if after_each is not None:
                after_each(number + 1, MOVIE_FRAMES)
    finally:
        camera.angles = before
    # one palette for all pictures, or colours would flicker
    palette = pictures[0].quantize(256)
    first, *others = (picture.quantize(palette=palette) for picture in pictures)
    draft = path.with_name(f".{path.name}.part")
    try:
        first.save(
            draft, "GIF", save_all=True, append_images=others, duration=1000 * MOVIE_SECONDS / MOVIE_FRAMES, loop=0
        )
        draft.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror or error}); choose another place") from None
    finally:
        draft.unlink(missing_ok=True)


def _alone(viewer: napari.Viewer, layer: Layer) -> None:
    for other in viewer.layers:
        other.visible = other is layer
    viewer.layers.selection.active = layer
    getattr(viewer, "canvas", viewer).grid.enabled = False
