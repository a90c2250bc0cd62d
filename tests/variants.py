"""What hospitals add to a head: teeth that streak, masks, boluses, padding. Made from the volume of a synthetic head.

Each function takes a volume and gives another on the same grid.
"""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from reid_audit.records import Modality


def _with(volume, intensity, **changes):
    return replace(volume, intensity=np.ascontiguousarray(intensity, dtype=np.float32), **changes)


def _ras(volume):
    """RAS mm along each axis of a volume that lies straight."""
    matrix = volume.voxel_to_ras_mm
    return [
        matrix[a, a] * np.arange(n).reshape([-1 if b == a else 1 for b in range(3)]) + matrix[a, 3]
        for a, n in enumerate(volume.intensity.shape)
    ]


def _distance_mm(volume):
    """Distance to the head, mm, 0 inside."""
    head = ndimage.binary_fill_holes(volume.intensity > -300)
    return ndimage.distance_transform_edt(~head, sampling=volume.spacing_mm)


def nose_tip(volume):
    """Voxel index of the foremost tissue."""
    tissue = np.argwhere(volume.intensity > -300)
    return tissue[tissue[:, 1].argmax()]


def with_dental_streaks(volume, *, contrast_hu=500.0, seed=0):
    """Rays from two fillings through whole slices, weaker with distance, as filtered back projection leaves them."""
    rng = np.random.default_rng(seed)
    x, y, _ = _ras(volume)
    i, j, k = nose_tip(volume)
    image = volume.intensity.copy()
    teeth = k - round(45 / volume.spacing_mm[2])
    for side in (-20.0, 20.0):
        dx, dy = x[:, :, 0] - (x[i, 0, 0] + side), y[:, :, 0] - (y[0, j, 0] - 45.0)
        angle, radius = np.arctan2(dy, dx), np.hypot(dx, dy)
        rays = sum(rng.normal() * np.cos(m * angle + rng.uniform(0, 6.3)) for m in range(5, 40, 3)) / 4
        streak = contrast_hu * rays * np.exp(-radius / 35.0)
        for at in range(teeth - 3, teeth + 4):
            image[:, :, at] += streak
            image[:, :, at][radius < 4] = 3071
    return _with(volume, np.clip(image, -1024, 3071))


def with_metal(volume):
    """A plate of 3071 HU just under the skin of the forehead."""
    inside = ndimage.distance_transform_edt(volume.intensity > -300, sampling=volume.spacing_mm)
    k = nose_tip(volume)[2]
    plate = (inside > 3) & (inside < 6)
    plate[:, : volume.intensity.shape[1] // 2] = False
    top = k + round(70 / volume.spacing_mm[2])
    plate[:, :, : top - 10] = False
    plate[:, :, top + 10 :] = False
    return _with(volume, np.where(plate, 3071, volume.intensity))


def with_bolus(volume, *, thickness_mm=10.0):
    """A pad of gel on the left cheek."""
    distance = _distance_mm(volume)
    i, j, k = nose_tip(volume)
    pad = (distance > 0) & (distance < thickness_mm)
    index = np.indices(distance.shape)
    lateral_mm = (index[0] - i) * volume.spacing_mm[0]
    pad &= (lateral_mm < -25) & (lateral_mm > -75) & (index[1] > j - round(75 / volume.spacing_mm[1]))
    pad &= np.abs((index[2] - k) * volume.spacing_mm[2] + 15) < 28
    return _with(volume, np.where(pad, 30, volume.intensity))


def with_mask(volume, *, gap_mm=4.0, thickness_mm=2.5):
    """A thermoplastic shell over the front of the head, strapped to boards at both sides, that touches the nose."""
    distance = _distance_mm(volume)
    i, j, k = nose_tip(volume)
    shell = (distance > gap_mm) & (distance < gap_mm + thickness_mm)
    index = np.indices(distance.shape)
    shell &= index[1] > distance.shape[1] // 2
    tip_mm = np.linalg.norm((index - np.array([i, j, k]).reshape(3, 1, 1, 1)).transpose(1, 2, 3, 0), axis=-1)
    touch = (tip_mm < 4) & (distance < gap_mm + 1)
    return _with(volume, np.where(shell | touch, 50, volume.intensity))


def with_wrapped_nose(volume, *, mm=14.0):
    """MR with too small a field of view: what stands out in front appears behind."""
    front = nose_tip(volume)[1] if volume.modality is Modality.CT else None
    tissue = volume.intensity > np.percentile(volume.intensity, 70)
    front = front or int(np.nonzero(tissue.sum(axis=(0, 2)) > 20)[0].max())
    keep = front - round(mm / volume.spacing_mm[1])
    image = volume.intensity[:, :keep].copy()
    over = volume.intensity[:, keep : keep + 20]
    image[:, : over.shape[1]] = np.maximum(image[:, : over.shape[1]], over)
    return _with(volume, image)


def with_padding(volume, value):
    """A round field of view: all outside of it was never measured."""
    x, y, _ = _ras(volume)
    middle = [(a.max() + a.min()) / 2 for a in (x, y)]
    outside = np.hypot(x - middle[0], y - middle[1]) > 0.52 * max(np.ptp(x), np.ptp(y))
    outside = np.broadcast_to(outside, volume.intensity.shape) & (_distance_mm(volume) > 15)
    return _with(volume, np.where(outside, value, volume.intensity))


def as_uint8(volume):
    """The window from -160 to 240 HU in 256 greys, as a picture viewer exports it."""
    return _with(volume, np.rint(np.clip((volume.intensity + 160) / 400, 0, 1) * 255))
