"""Locate the face of a scan from its skin alone, by registering the average head to it.

Words
-----
head frame
    Millimetres of the average synthetic head: x to the right, y to the front, z to the top; z = 0 is the height of the
    eyes, y = 0 that of the ear canals. What a defacer says in this frame holds for heads of any size and pose.
face frame
    What carries RAS mm into the head frame: a rotation, a shift and one scale for each axis of the head.
depth
    Signed distance to the skin of the scan itself, in mm: negative inside the head.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError, Skin, Volume

MAX_MISFIT_MM = 5.0
"""Half of the skin lies nearer to the average head than this, or it is no head that can be defaced so."""

_NO_HEAD = ("skull_stripped", "not_a_head", "small_surface", "bone_only", "not_hu")
_POINTS = 1500
_SCALES = (0.7, 1.4)
_SCALE_SPREAD = 0.06  # how far heads differ along one axis: what keeps the three scales together
_GOOD_MISFIT_MM = 2.0  # no other start is tried
_NECK_MM = -125.0  # below it everybody is cut off elsewhere
_CLOSING_MM = 4.0

Slices = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class FaceFrame:
    """How the average head lies on a scan.

    Attributes
    ----------
    ras_to_head_mm : (4, 4) float64
    level : float
        Intensity of the skin.
    misfit_mm : float
        Median distance of the scan's skin from the average head's.
    """

    ras_to_head_mm: NDArray[np.float64]
    level: float
    misfit_mm: float

    def landmarks_ras_mm(self) -> dict[str, NDArray[np.float64]]:
        """Return where the average head has its landmarks, each (3,): to some 5 mm where the scan has its own."""
        from reid_audit.phantom import make_average_head

        head_to_ras = np.linalg.inv(self.ras_to_head_mm)
        landmarks = make_average_head().landmarks_mm
        return {name: head_to_ras[:3, :3] @ point + head_to_ras[:3, 3] for name, point in landmarks.items()}


def parameters_to_matrix(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation vector, shift (mm), logs of the three scales -> (4, 4)."""
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = np.exp(parameters[6:9])[:, None] * Rotation.from_rotvec(parameters[:3]).as_matrix()
    matrix[:3, 3] = parameters[3:6]
    return matrix


def _inside_view(points: NDArray[np.float64], volume: Volume) -> NDArray[np.bool_]:
    """Whether a point is skin, and not the lid where the field of view cuts the head."""
    to_voxel = np.linalg.inv(volume.voxel_to_ras_mm)
    index = points @ to_voxel[:3, :3].T + to_voxel[:3, 3]
    margin = 3.0 / np.asarray(volume.spacing_mm)
    last = np.asarray(volume.intensity.shape) - 1
    inside: NDArray[np.bool_] = ((index > margin) & (index < last - margin)).all(axis=1)
    return inside


def find_face_frame(volume: Volume, *, skin: Skin | None = None) -> FaceFrame:
    """Lay the average head on a scan.

    The points of the skin are moved, turned and scaled until they lie on the average head, by robust least squares on
    its distance field (a rigid registration of surfaces; Fitzgibbon 2003, doi:10.1016/j.imavis.2003.09.004).

    Parameters
    ----------
    volume : Volume
        An original, the face up to 40 degrees off the front of the scanner.
    skin : Skin, optional
        Of the volume; meshed coarsely by default.

    Raises
    ------
    InputError
        Where the scan has no skin, or where what it has does not fit a head.
    """
    from scipy.ndimage import map_coordinates
    from scipy.optimize import least_squares

    from reid_audit.phantom import make_average_head
    from reid_audit.surface import SurfaceSettings, extract_skin

    skin = skin or extract_skin(volume, settings=SurfaceSettings(voxel_mm=2.4, smoothing_mm=1.5))
    unfit = [finding.text for finding in skin.checks if finding.code in _NO_HEAD]
    if unfit:
        raise InputError(f"{volume.source or 'volume'}: no face to find: {unfit[0]}")
    points = skin.vertices_ras_mm.astype(np.float64)
    points = points[_inside_view(points, volume)]
    top = float(np.percentile(points[:, 2], 99.9)) if len(points) else 0.0
    points = points[points[:, 2] > top - 245.0]
    if len(points) < 500:
        raise InputError(f"{volume.source or 'volume'}: too little skin to find a face in; give a whole head")
    points = points[:: max(1, len(points) // _POINTS)]

    average = make_average_head()
    to_voxel = np.linalg.inv(average.voxel_to_head_mm)
    last = np.asarray(average.skin_mm.shape)[:, None] - 1

    def residual(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        matrix = parameters_to_matrix(parameters)
        head = points @ matrix[:3, :3].T + matrix[:3, 3]
        index = to_voxel[:3, :3] @ head.T + to_voxel[:3, 3:]
        near = np.clip(index, 0, last)
        beyond = np.linalg.norm((index - near) * average.voxel_to_head_mm[0, 0], axis=0)
        distance = map_coordinates(average.skin_mm, near, order=1) + beyond
        # The neck is cut anywhere and says nothing; faded out, so that the sum stays smooth.
        weight = np.clip((head[:, 2] - _NECK_MM) / 15.0, 0.0, 1.0)
        # It is the face that is sought: its few points count as much as the many of the braincase.
        weight *= 1.0 + 3.0 * np.clip((head[:, 1] - 50.0) / 20.0, 0.0, 1.0) * np.clip(
            (20.0 - head[:, 2]) / 20.0, 0.0, 1.0
        )
        held = parameters[6:9] * (np.sqrt(len(points) / 30) / _SCALE_SPREAD)
        value: NDArray[np.float64] = np.concatenate([distance * weight, held])
        return value

    upper = points[points[:, 2] > top - 130.0]
    middle = (upper.min(axis=0) + upper.max(axis=0)) / 2
    best = None
    for nod_deg in (0.0, -20.0, 20.0):
        start = np.zeros(9)
        start[0] = np.radians(nod_deg)
        turn = parameters_to_matrix(start)[:3, :3]
        start[3:6] = np.array([0.0, 0.0, 122.0]) - turn @ (middle[0], middle[1], top)
        x_scale = [0.05] * 3 + [3.0] * 3 + [0.03] * 3
        fit = least_squares(
            residual, start, loss="soft_l1", f_scale=3.0, x_scale=x_scale, ftol=1e-4, xtol=1e-4, tr_solver="lsmr"
        )
        if best is None or fit.cost < best.cost:
            best = fit
        if np.median(np.abs(fit.fun[:-3])) < _GOOD_MISFIT_MM:
            break
    assert best is not None  # there are three starts
    misfit_mm = float(np.median(np.abs(best.fun[:-3])))
    scales = np.exp(best.x[6:9])
    if misfit_mm > MAX_MISFIT_MM or scales.min() < _SCALES[0] or scales.max() > _SCALES[1]:
        text = ", ".join(f"{scale:.2f}" for scale in scales)
        raise InputError(
            f"{volume.source or 'volume'}: no head fits its skin (half of it lies {misfit_mm:.1f} mm away, limit "
            f"{MAX_MISFIT_MM:g}; scales {text}); use a defacer that works from a label map"
        )
    return FaceFrame(parameters_to_matrix(best.x), skin.level, misfit_mm)


def head_coordinates(
    frame: FaceFrame, volume: Volume, box: Slices
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return x, y, z in the head frame of the voxels of a box, each (i, j, k) float32."""
    m = (frame.ras_to_head_mm @ volume.voxel_to_ras_mm).astype(np.float32)
    i, j, k = np.ogrid[box]
    i, j, k = (axis.astype(np.float32) for axis in (i, j, k))
    x, y, z = (m[a, 0] * i + (m[a, 1] * j + (m[a, 2] * k + m[a, 3])) for a in range(3))
    return x, y, z


def box_of(frame: FaceFrame, volume: Volume, low_mm: Mapping[str, float], high_mm: Mapping[str, float]) -> Slices:
    """Return the smallest box of voxels that holds a box of the head frame; may be empty.

    Parameters
    ----------
    frame : FaceFrame
    volume : Volume
    low_mm, high_mm : mapping of str to float
        Corners of the box in the head frame, by ``"x"``, ``"y"`` and ``"z"``.
    """
    corners = np.array(
        [[x, y, z, 1.0] for x in (low_mm["x"], high_mm["x"]) for y in (low_mm["y"], high_mm["y"])
         for z in (low_mm["z"], high_mm["z"])]
    )  # fmt: skip
    to_voxel = np.linalg.inv(frame.ras_to_head_mm @ volume.voxel_to_ras_mm)
    index = (corners @ to_voxel.T)[:, :3]
    shape = np.asarray(volume.intensity.shape)
    low = np.clip(np.floor(index.min(axis=0)).astype(int), 0, shape)
    high = np.clip(np.ceil(index.max(axis=0)).astype(int) + 1, 0, shape)
    return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])


def depth_mm(intensity: NDArray[np.float32], spacing_mm: tuple[float, ...], level: float) -> NDArray[np.float32]:
    """Return the signed distance of each voxel to the skin, negative inside.

    Outside is the air that a ball of 4 mm reaches from the front of the array; other air is a cavity of the head.

    Parameters
    ----------
    intensity : (i, j, k) float32
        A whole scan or the part of it around the face.
    spacing_mm : (3,) tuple of float
    level : float
    """
    from scipy.ndimage import distance_transform_edt, label

    tissue, n = label(intensity > level)
    if n > 1:  # bright specks in the air are none
        tissue = tissue == 1 + np.argmax(np.bincount(tissue.ravel())[1:])
    air = tissue == 0
    roomy = distance_transform_edt(air, sampling=spacing_mm) > _CLOSING_MM
    pieces, n = label(roomy)
    if n == 0:
        return np.full(intensity.shape, -np.inf, dtype=np.float32)
    in_front = np.setdiff1d(pieces[:, -1], [0])  # the other sides may cut airways
    if not len(in_front):
        in_front = np.array([1 + np.argmax(np.bincount(pieces.ravel())[1:])])
    outside = np.isin(pieces, in_front)
    outside = (distance_transform_edt(~outside, sampling=spacing_mm) <= _CLOSING_MM) & air
    if outside.all():
        return np.full(intensity.shape, np.inf, dtype=np.float32)
    away = distance_transform_edt(outside, sampling=spacing_mm) - distance_transform_edt(~outside, sampling=spacing_mm)
    # The skin runs between voxels: half a voxel from either.
    half = 0.5 * float(np.mean(spacing_mm))
    depth: NDArray[np.float32] = (away - np.sign(away) * half).astype(np.float32)
    return depth
