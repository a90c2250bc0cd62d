"""What hospitals add to a head: teeth that streak, masks, boluses, padding. Made from the volume of a synthetic head.

Each function takes a volume and gives another on the same grid.
"""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from reid_audit.records import Modality
from reid_audit.surface import find_level


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


def _air(volume):
    """What the corner of a scan holds: mean and spread."""
    corner = volume.intensity[:6, -6:, -6:]
    return float(corner.mean()), float(corner.std())


def _tissue(volume):
    """A value that flesh has."""
    return 40.0 if volume.modality is Modality.CT else float(np.median(volume.intensity[find_head(volume)]))


def find_head(volume):
    """The largest piece of tissue without its cavities."""
    labels, n = ndimage.label(volume.intensity > find_level(volume))
    largest = labels == np.bincount(labels.ravel())[1:].argmax() + 1 if n else labels > 0
    near = ndimage.binary_closing(np.pad(largest, 4), iterations=3)[4:-4, 4:-4, 4:-4] | largest
    return ndimage.binary_fill_holes(near)


def with_room(volume, mm, *, seed=0):
    """A larger field of view at both sides, in front and above: room for what lies beside the head."""
    n = [round(mm / s) for s in volume.spacing_mm]
    mean, sd = _air(volume)
    image = np.pad(volume.intensity, [(n[0], n[0]), (n[1], n[1]), (0, n[2])], constant_values=np.nan)
    fresh = np.isnan(image)
    noise = mean + sd * np.random.default_rng(seed).standard_normal(int(fresh.sum()))
    image[fresh] = noise if volume.modality is Modality.CT else np.abs(noise)
    matrix = volume.voxel_to_ras_mm.copy()
    matrix[:3, 3] -= matrix[:3, :3] @ [n[0], n[1], 0]
    return _with(volume, image, voxel_to_ras_mm=matrix)


def _lay(volume, inside, value):
    """Fill what is not head; thin things keep their grey where the voxels are large."""
    return _with(volume, np.where(inside & ~find_head(volume), value, volume.intensity))


def _ears(volume):
    """RAS mm of the outermost tissue of the right half and of the left one, at the height of the ears."""
    head, tip = find_head(volume), nose_tip_of(volume)
    x, y, z = (axis.ravel() for axis in _ras(volume))
    near = head & (np.abs(_ras(volume)[2] - tip[2] + 5) < 30)
    across = np.nonzero(near.sum(axis=(1, 2)) > 5)[0]
    ends = []
    for i in (across[-1], across[0]):
        j, k = np.argwhere(near[i]).mean(axis=0).round().astype(int)
        ends.append(np.array([x[i], y[j], z[k]]))
    return ends


def nose_tip_of(volume):
    """RAS mm of the foremost point of the head, CT or MR."""
    inside = np.argwhere(find_head(volume))
    return np.array([axis.ravel()[i] for axis, i in zip(_ras(volume), inside[inside[:, 1].argmax()], strict=True)])


def with_headphones(volume, *, share=0.3):
    """Two cups with cushions on the ears and a band above the head; `share` of tissue is what MR shows of them."""
    volume = with_room(volume, 28)
    x, y, z = _ras(volume)
    ct = volume.modality is Modality.CT
    plastic, foam = (90.0, -900.0) if ct else (share * _tissue(volume), 0.5 * share * _tissue(volume))
    right, left = _ears(volume)
    image = volume
    middle = (right + left) / 2
    half = (right[0] - left[0]) / 2
    for ear, out in ((right, 1), (left, -1)):
        along = out * (x - ear[0])
        radius = np.hypot(y - ear[1], z - ear[2])
        cup = (along > -12) & (along < 26) & (radius < 40)
        shell = cup & ((along > 23) | (radius > 37))
        cushion = (along > -12) & (along < 4) & (radius > 24) & (radius < 40)
        image = _lay(image, cup, foam)
        image = _lay(image, shell | cushion, plastic)
    head = find_head(volume)
    top = z.ravel()[np.nonzero(head.any(axis=(0, 1)))[0].max()]
    reach_x, reach_z = half + 22, top + 14 - middle[2]
    bow = np.hypot((x - middle[0]) / reach_x, (z - middle[2]) / reach_z)
    band = (np.abs(bow - 1) * min(reach_x, reach_z) < 2) & (np.abs(y - middle[1]) < 15) & (z > middle[2] + 30)
    return _lay(image, band, plastic)


def with_coil(volume, *, share=0.3, gap_mm=12.0):
    """Eight faint rods around the head and a ring above them, which touch nothing."""
    volume = with_room(volume, 28)
    x, y, z = _ras(volume)
    inside = np.argwhere(find_head(volume))
    low, high = (
        np.array([axis.ravel()[i] for axis, i in zip(_ras(volume), ends, strict=True)])
        for ends in (inside.min(axis=0), inside.max(axis=0))
    )
    middle, half = (low + high) / 2, (high - low) / 2 + gap_mm
    rods = np.zeros(volume.intensity.shape, dtype=bool)
    for angle in np.linspace(0, 2 * np.pi, 8, endpoint=False) + np.pi / 8:
        rods |= np.hypot(x - middle[0] - half[0] * np.cos(angle), y - middle[1] - half[1] * np.sin(angle)) < 5
    rods &= z > high[2] - 180
    ring = np.abs(np.hypot((x - middle[0]) / half[0], (y - middle[1]) / half[1]) - 1) * half[0] < 4
    return _lay(volume, rods | (ring & (z > high[2] - 12)), share * _tissue(volume))


def with_hands(volume, *, gap_mm=0.0, thickness_mm=18.0, sides=(1, -1)):
    """A hand at each cheek, its fingers beside the temple, laid on the skin or a gap away from it."""
    volume = with_room(volume, 28)
    x, y, z = _ras(volume)
    distance = ndimage.distance_transform_edt(~find_head(volume), sampling=volume.spacing_mm)
    tip = nose_tip_of(volume)
    along = y - (tip[1] - 75)
    palm = (np.abs(along) < 36) & (z > tip[2] - 55) & (z < tip[2] + 5)
    fingers = (np.abs(along) < 36) & (np.abs(np.mod(along, 18) - 9) < 7) & (z >= tip[2] + 5) & (z < tip[2] + 70)
    beside = np.logical_or.reduce([side * (x - tip[0]) > 25 for side in sides])
    hand = (palm | fingers) & beside & (distance >= gap_mm) & (distance < gap_mm + thickness_mm)
    return _lay(volume, hand, _tissue(volume))


def with_islands(volume, *, n=120, seed=0):
    """Loose blobs of tissue's grey all around the head, none of which touches it."""
    volume = with_room(volume, 30)
    rng = np.random.default_rng(seed)
    seeds = np.zeros(volume.intensity.shape, dtype=bool)
    distance = ndimage.distance_transform_edt(~find_head(volume), sampling=volume.spacing_mm)
    places = np.argwhere(distance > 12)
    seeds[tuple(rng.choice(places, n, replace=False).T)] = True
    blobs = ndimage.distance_transform_edt(~seeds, sampling=volume.spacing_mm) < 5
    return _lay(volume, blobs, _tissue(volume))


def with_thick_headrest(volume, *, thickness_mm=15.0):
    """A block of dense rubber, hollowed for the back of the head, which lies on it."""
    n = round(40 / volume.spacing_mm[1])
    matrix = volume.voxel_to_ras_mm.copy()
    matrix[:3, 3] -= matrix[:3, :3] @ [0, n, 0]
    mean, _ = _air(volume)
    image = np.pad(volume.intensity, [(0, 0), (n, 0), (0, 0)], constant_values=mean)
    volume = _with(volume, image, voxel_to_ras_mm=matrix)
    x, y, z = _ras(volume)
    head = find_head(volume)
    tip = nose_tip_of(volume)
    near = head & (np.abs(z - tip[2] - 15) < 60)
    j = np.nonzero(near.any(axis=(0, 2)))[0].min()
    back = y.ravel()[j]
    middle = x.ravel()[round(np.argwhere(near[:, j])[:, 0].mean())]
    cup = back + 3 + 0.0055 * (x - middle) ** 2
    block = (y < cup) & (y > cup - thickness_mm) & (np.abs(x - middle) < 75) & (np.abs(z - tip[2] - 15) < 70)
    return _lay(volume, block, _tissue(volume))


def with_thick_slices(volume, mm):
    """Slices of this thickness, one beside the other, each the mean of what it holds."""
    n = round(mm / volume.spacing_mm[2])
    whole = volume.intensity.shape[2] // n * n
    image = volume.intensity[:, :, :whole].reshape(*volume.intensity.shape[:2], -1, n).mean(axis=3)
    matrix = volume.voxel_to_ras_mm.copy()
    matrix[:3, 3] += matrix[:3, 2] * (n - 1) / 2
    matrix[:3, 2] *= n
    return _with(volume, image, voxel_to_ras_mm=matrix)


def with_gantry_tilt(volume):
    """Slices of an oblique volume as a tilted gantry takes them: each one starts straight above the one below it."""
    m = volume.voxel_to_ras_mm
    rows, step = m[:3, 1] / np.linalg.norm(m[:3, 1]), m[:3, 2]
    along = np.array([0.0, 0.0, step @ step / step[2]])  # the table moves along the body, to the next slice's plane
    per_slice = (along - step) @ rows / volume.spacing_mm[1]  # how many rows further each slice starts
    n = volume.intensity.shape[2]
    first = -min(0.0, per_slice * (n - 1))
    extra = int(np.ceil(abs(per_slice) * (n - 1)))
    shape = (volume.intensity.shape[0], volume.intensity.shape[1] + extra, n)
    affine = np.eye(4)
    affine[1, 2], affine[1, 3] = per_slice, first - extra
    air, _ = _air(volume)
    image = ndimage.affine_transform(
        volume.intensity, affine[:3, :3], affine[:3, 3], output_shape=shape, order=1, cval=air
    )
    return _with(volume, image, voxel_to_ras_mm=m @ affine)
