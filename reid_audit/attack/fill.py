"""Fill what a defacer cut away with an average head.

Words
-----
shape
    The average head as a signed distance, in a frame of its own. It is nobody's: no scan of the person took part.
laid
    The shape moved, turned and scaled onto what is left of a defaced head.
removed
    Air outside the head where the laid shape is deep inside. An untouched head has none, and is left as it is.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import Skin, Volume

_CELL_MM = 6.0
_HEAD_MM = 190.0  # what lies further below the top is neck, which follows no head
_FIT_MM = (12.0, 4.0)  # residual at which a point begins to count as cut away; from coarse to fine
_LARGEST_TURN = 0.6  # radians
_LARGEST_SHIFT_MM = 45.0
_LARGEST_SCALE = 0.18  # log

_COARSE_MM = 3.0
_CLOSING_MM = 6.0  # openings narrower than twice this, nostrils and ears, are no way in
_DEEP_MM = 8.0  # faces differ by less from the average
_SHALLOW_MM = 3.0
_LEAST_CM3 = 3.0
_EDGE_MM = 1.5  # over which the filling goes from air to tissue, on each side of its surface


@dataclass(frozen=True, slots=True, eq=False)
class HeadShape:
    """A head without a person.

    Attributes
    ----------
    distance_mm : (i, j, k) float32
        Signed distance to the skin, negative inside.
    voxel_to_head_mm : (4, 4) float64
        To a frame whose axes are the head's right, front and top.
    """

    distance_mm: NDArray[np.float32]
    voxel_to_head_mm: NDArray[np.float64]

    @property
    def middle_mm(self) -> NDArray[np.float64]:
        """The point that `reid_audit.render.find_frontal_view` aims at, in the frame of the shape: (3,)."""
        inside = np.argwhere(self.distance_mm < 0).astype(np.float64)
        points = inside @ self.voxel_to_head_mm[:3, :3].T + self.voxel_to_head_mm[:3, 3]
        top = points[:, 2].max()
        low, high = (
            points[points[:, 2] > top - 150.0, :2].min(axis=0),
            points[points[:, 2] > top - 150.0, :2].max(axis=0),
        )
        return np.array([*(low + high) / 2, top - 115.0])


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """A shape on a head.

    Attributes
    ----------
    head_to_ras_mm : (4, 4) float64
        From the frame of the shape to RAS mm: rotation, one scale and a shift.
    fitting : float
        Share of the skin's points that lie within 4 mm of the laid shape.
    """

    head_to_ras_mm: NDArray[np.float64]
    fitting: float

    @property
    def scale(self) -> float:
        """Size of the head relative to the shape's."""
        return float(abs(np.linalg.det(self.head_to_ras_mm[:3, :3])) ** (1 / 3))


def _thin(points: NDArray[np.float64]) -> NDArray[np.float64]:
    cells = np.floor(points / _CELL_MM).astype(np.int64)
    cells -= cells.min(axis=0)
    _, first = np.unique((cells[:, 0] * 4096 + cells[:, 1]) * 4096 + cells[:, 2], return_index=True)
    return np.asarray(points[first])


def _geman_mcclure(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Loss of squared residuals that levels off: what was cut away pulls at nothing. Value and two derivatives."""
    return np.array([z / (1 + z), (1 + z) ** -2, -2 * (1 + z) ** -3])


def lay_head(
    skin: Skin, shape: HeadShape, *, axes: NDArray[np.float64], middle_ras_mm: tuple[float, float, float]
) -> Laid:
    """Lay a head onto what is left of a defaced one: rotation, shift and one scale.

    The skin's points are moved to where the shape's distance is smallest, by least squares with a loss that levels off
    (Geman and McClure 1987): points on a cut lie far from the shape, and do not count.

    Parameters
    ----------
    skin : Skin
        Of the defaced head; at least one vertex.
    shape : HeadShape
    axes : (3, 3) float64
        Where to begin: rows are the head's right, front and top in RAS.
    middle_ras_mm : (3,) tuple of float
        Where to begin: the point that stands for `HeadShape.middle_mm`.

    Returns
    -------
    Laid
        Deterministic.
    """
    from scipy.ndimage import map_coordinates
    from scipy.optimize import least_squares
    from scipy.spatial.transform import Rotation

    points = skin.vertices_ras_mm.astype(np.float64)
    height = points @ axes[2]
    points = _thin(points[height > np.percentile(height, 99.9) - _HEAD_MM])
    middle, to_voxel = shape.middle_mm, np.linalg.inv(shape.voxel_to_head_mm)
    start = np.asarray(middle_ras_mm)

    def head_to_ras(move: NDArray[np.float64]) -> NDArray[np.float64]:
        turn = axes.T @ Rotation.from_rotvec(move[:3]).as_matrix() * np.exp(move[6])
        matrix = np.eye(4)
        matrix[:3, :3] = turn
        matrix[:3, 3] = start + move[3:6] - turn @ middle
        return matrix

    def residual(move: NDArray[np.float64]) -> NDArray[np.float64]:
        matrix = to_voxel @ np.linalg.inv(head_to_ras(move))
        at = points @ matrix[:3, :3].T + matrix[:3, 3]
        return np.asarray(map_coordinates(shape.distance_mm, at.T, order=1, mode="nearest") * np.exp(move[6]))

    limit = np.array([*[_LARGEST_TURN] * 3, *[_LARGEST_SHIFT_MM] * 3, _LARGEST_SCALE])
    move = np.zeros(7)
    for scale in _FIT_MM:
        fit = least_squares(
            residual,
            move,
            bounds=(-limit, limit),
            x_scale=[0.02, 0.02, 0.02, 2.0, 2.0, 2.0, 0.02],
            diff_step=1e-3,
            loss=_geman_mcclure,
            f_scale=scale,
            max_nfev=60,
        )
        move = np.clip(fit.x, -0.999 * limit, 0.999 * limit)
    return Laid(head_to_ras(move), float((np.abs(residual(move)) < _FIT_MM[-1]).mean()))


def _distance_on(volume: Volume, shape: HeadShape, laid: Laid, step: tuple[int, int, int]) -> NDArray[np.float32]:
    """Signed distance to the laid shape at every ``step``-th voxel, in mm of the scan."""
    from scipy.ndimage import affine_transform

    matrix = np.linalg.inv(shape.voxel_to_head_mm) @ np.linalg.inv(laid.head_to_ras_mm) @ volume.voxel_to_ras_mm
    size = tuple(-(-n // s) for n, s in zip(volume.intensity.shape, step, strict=True))
    return np.asarray(
        affine_transform(
            shape.distance_mm,
            matrix[:3, :3] * step,
            matrix[:3, 3],
            output_shape=size,
            order=1,
            mode="constant",
            cval=50.0,
        )
        * np.float32(laid.scale)
    )


def _find_removed(
    tissue: NDArray[np.bool_], distance_mm: NDArray[np.float32], spacing_mm: tuple[float, ...]
) -> NDArray[np.bool_]:
    """Where the head was cut away, on a coarse grid; False everywhere for an untouched head."""
    from scipy import ndimage

    def ball(radius_mm: float) -> NDArray[np.bool_]:
        reach = [int(np.ceil(radius_mm / s)) for s in spacing_mm]
        offsets = np.meshgrid(
            *[np.arange(-r, r + 1) * s for r, s in zip(reach, spacing_mm, strict=True)], indexing="ij"
        )
        return np.asarray(sum(o**2 for o in offsets) <= radius_mm**2)

    pad = 1 + int(np.ceil(_CLOSING_MM / min(spacing_mm)))
    # The image goes on as it ends, so that an airway that the field of view cuts open is no way in.
    away_mm = ndimage.distance_transform_edt(~np.pad(tissue, pad, mode="edge"), sampling=spacing_mm)
    wide = away_mm > _CLOSING_MM
    pieces, _ = ndimage.label(wide)
    outer = pieces == pieces[0, 0, 0]
    reached = ndimage.distance_transform_edt(~outer, sampling=spacing_mm) <= _CLOSING_MM
    inner = tuple(slice(pad, -pad) for _ in range(3))
    air = reached[inner] & ~tissue
    core = air & (distance_mm < -_DEEP_MM)
    seen, count = ndimage.label(core)
    least = 1000.0 * _LEAST_CM3 / float(np.prod(spacing_mm))
    large = np.flatnonzero(np.bincount(seen.ravel())[1:] >= least) + 1 if count else np.zeros(0, dtype=int)
    core = np.isin(seen, large)
    if not core.any():
        return np.asarray(core)
    whole = ndimage.binary_propagation(core, mask=air & (distance_mm < -_SHALLOW_MM))
    return np.asarray(ndimage.binary_dilation(whole, ball(_SHALLOW_MM + _COARSE_MM)))


def fill_head(volume: Volume, shape: HeadShape, laid: Laid, *, level: float, air: float) -> Volume:
    """Fill what was cut away from a head with the laid shape.

    Parameters
    ----------
    volume : Volume
        The defaced scan.
    shape, laid : HeadShape, Laid
    level : float
        Intensity of the skin.
    air : float
        Intensity around the head, below the level.

    Returns
    -------
    Volume
        Filled with one intensity above the level; ``volume`` itself where nothing was cut away.
    """
    step = tuple(max(1, round(_COARSE_MM / s)) for s in volume.spacing_mm)
    steps = (step[0], step[1], step[2])
    thin = volume.intensity[:: step[0], :: step[1], :: step[2]]
    spacing = tuple(s * n for s, n in zip(volume.spacing_mm, step, strict=True))
    removed = _find_removed(thin > level, _distance_on(volume, shape, laid, steps), spacing)  # NaN is air
    if not removed.any():
        return volume
    for axis, n in enumerate(step):
        removed = np.repeat(removed, n, axis=axis)
    removed = removed[tuple(slice(0, n) for n in volume.intensity.shape)]
    distance = _distance_on(volume, shape, laid, (1, 1, 1))
    filling = np.float32(level) + np.float32(level - air) * np.clip(-distance / np.float32(_EDGE_MM), -1, 1)
    intensity = np.where(removed, np.fmax(volume.intensity, filling), volume.intensity)
    return replace(volume, intensity=intensity.astype(np.float32))
