"""One scan of a synthetic head: grid and pose around the shape, scanner effects on the image."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_audit.phantom.artefacts import add_streaks, blur
from reid_audit.phantom.blocks import Blocks
from reid_audit.phantom.broad import Anchors, find_anchors, place_landmarks
from reid_audit.phantom.field import WARP_SIGMA_MM, Array, Grid
from reid_audit.phantom.person import MAX_VARIETY, Person, Visit, draw_head, still_visit
from reid_audit.phantom.skin import skin_distance
from reid_audit.phantom.tissue import CT_HU, FDG, MR_CONTRASTS, Contrast, paint_head, skin_depth_mm
from reid_audit.records import InputError, Modality, Volume

_PIVOT_MM = np.array([0.0, 0.0, -30.0])  # the head nods about the neck's upper end, roughly
_MARGIN_MM = 7.0
_CT_NOISE_HU = 9.0
_PET_FWHM_MM, _PET_NOISE = 4.5, 2.0
_MR_NOISE = 18.0  # in units of `MR_CONTRASTS`


@dataclass(frozen=True, slots=True, eq=False)
class PhantomScan:
    """A synthetic scan and what is where in it.

    Attributes
    ----------
    volume : Volume
        CT in HU (whole numbers), or MR in arbitrary units.
    labels : (i, j, k) uint8
        Values of `LABELS` on the grid of the volume; 0 outside the body. The couch and the headrest have no label.
    identity, visit : int
    landmarks_ras_mm : mapping of str to (3,) float64
        Where the skin of each of `PARTS` is, right to about 2 mm.
    """

    volume: Volume
    labels: NDArray[np.uint8]
    identity: int
    visit: int
    landmarks_ras_mm: Mapping[str, NDArray[np.float64]]


def make_phantom(
    identity: int,
    visit: int = 1,
    *,
    modality: Modality = Modality.CT,
    contrast: str = "T1",
    seed: int = 0,
    couch: bool = False,
    headrest: bool = False,
    spacing_mm: float | None = None,
    pose_sd_deg: float = 3.0,
    shift_sd_mm: float = 3.0,
    oblique_deg: float = 0.0,
    variety: float | None = None,
    ethmoid: bool = False,
    difficulty: str = "easy",
) -> PhantomScan:
    """Make one scan of one synthetic person.

    Parameters
    ----------
    identity, visit : int
        Not negative. The same (seed, identity) is the same person, the same (seed, identity, visit) the same scan.
    modality : Modality
    contrast : {"T1", "T2", "PD", "FLAIR"}
        How MR weights the tissues; CT and PET (FDG) have one contrast.
    seed : int
        Not negative; another seed is another population.
    couch, headrest : bool
        Whether a table top, or the cup in which the head lies, is in the field of view. Both are denser than the skin
        level of CT; MR shows neither.
    spacing_mm : float or None
        Edge of isotropic voxels, 0.5 to 6. None: 1.15-1.3 mm in plane and 1.2-1.8 mm slices (MR 1.2), by visit.
    pose_sd_deg, shift_sd_mm : float
        Standard deviation of the head's rotation about each axis and of its shift along each; drawn within 2.2 of them.
    oblique_deg : float
        Tilt of the slices about the x axis, -40 to 40. The head stays where it is.
    variety : float or None
        How far people are from the average one, 0 (all are it) to 1.5, in units of what surveys of heads tell: a
        caricature of the same person. Faces differ in more ways than the traits of these have, so that at 1 people
        look more alike to a recogniser than those of real heads; at 1.5 they are as far apart (``--variety`` of
        ``examples/compare_encoders.py`` measures it). None: as `difficulty` has it, 1 for ``"easy"``.
    ethmoid : bool
        Whether the air cells between the eyes have the size of adults'. Otherwise they end behind the eyes' centres,
        and who cuts a head there lays open 1 cm2 of air. With them it is 3 to 4 cm2, in real heads about 4: what a
        detector takes for eyes and nose in a face that was cut off depends on it.
    difficulty : {"easy", "typical", "hard"}
        How alike people are and how much a visit changes a face and its scan, see `DIFFICULTIES`.

    Raises
    ------
    InputError
        An argument is out of its range.
    """
    for name, value in (("identity", identity), ("visit", visit), ("seed", seed)):
        if value < 0:
            raise InputError(f"{name} must not be negative; got {value}.")
    _check_range("spacing_mm", spacing_mm, 0.5, 6)
    _check_range("pose_sd_deg", pose_sd_deg, 0, 30)
    _check_range("shift_sd_mm", shift_sd_mm, 0, 30)
    _check_range("oblique_deg", oblique_deg, -40, 40)
    _check_range("variety", variety, 0, MAX_VARIETY)
    if contrast not in MR_CONTRASTS:
        raise InputError(f"contrast must be one of {', '.join(MR_CONTRASTS)}; got {contrast!r}.")
    person, at_visit = draw_head(
        seed,
        identity,
        visit,
        modality=modality,
        spacing_mm=spacing_mm,
        pose_sd_deg=pose_sd_deg,
        shift_sd_mm=shift_sd_mm,
        variety=variety,
        difficulty=difficulty,
    )
    anchors = find_anchors(person, at_visit)
    ct = modality is Modality.CT
    rig = (couch and ct, (headrest or at_visit.change.headrest) and ct)
    grid, voxel_to_ras_mm = _place(person, at_visit, anchors, oblique_deg, *rig)
    blocks = Blocks(grid)
    inside_mm, outside_mm = skin_depth_mm(person, grid)
    skin = skin_distance(person, at_visit, anchors, blocks, inside_mm=inside_mm, outside_mm=outside_mm)
    pet = modality is Modality.PET
    tissues = CT_HU if ct else FDG if pet else MR_CONTRASTS[contrast]
    painted = paint_head(person, anchors, blocks, skin, tissues, ethmoid=ethmoid)
    image, labels = (blocks.to_volume(each) for each in painted)
    if any(rig):
        _add_rig(image, blocks.to_volume(skin), voxel_to_ras_mm, *rig)
    if at_visit.change.streaks and ct:
        add_streaks(image, voxel_to_ras_mm, head_to_ras(person, at_visit), anchors, seed=at_visit.noise_seed)
    if at_visit.change.blur_mm:
        image = blur(image, at_visit.spacing_mm, at_visit.change.blur_mm)
    rng = np.random.default_rng(at_visit.noise_seed)
    if pet:
        image = _as_pet(image, at_visit, rng, voxel_to_ras_mm)
    else:
        image = _as_ct(image, at_visit, rng) if ct else _as_mr(image, at_visit, rng, voxel_to_ras_mm)
    source = f"phantom_{seed}_{identity}_{visit}"
    volume, landmarks = Volume(image, voxel_to_ras_mm, modality, source), _locate_landmarks(person, at_visit, anchors)
    return PhantomScan(volume, labels, identity, visit, landmarks)


def _locate_landmarks(person: Person, visit: Visit, anchors: Anchors) -> dict[str, NDArray[np.float64]]:
    matrix = head_to_ras(person, visit)
    points_ras_mm = {}
    for name, point in place_landmarks(person, anchors).items():
        # The warp moves the frame under the shape: what it carries to `point` came from there, minus the shift.
        away = (point - person.warp_centres_mm) / WARP_SIGMA_MM
        point = point - np.exp(-0.5 * (away**2).sum(axis=1)) @ person.warp_shifts_mm
        points_ras_mm[name] = matrix[:3, :3] @ point + matrix[:3, 3]
    return points_ras_mm


class PaintedHead(NamedTuple):
    """A head without noise on somebody's grid: intensity, distance to the skin (mm, negative inside) and labels."""

    intensity: NDArray[np.float32]
    skin_mm: NDArray[np.float32]
    labels: NDArray[np.uint8]


def paint_person(
    person: Person, shape: tuple[int, int, int], voxel_to_head_mm: NDArray[np.float64], contrast: Contrast
) -> PaintedHead:
    """Paint a person on any grid, e.g. that of a scan into which the head is to be laid.

    Parameters
    ----------
    person : Person
    shape : (3,) tuple of int
    voxel_to_head_mm : (4, 4) float64
        To the person's own head frame: `Person.size` is not applied.
    contrast : Contrast
    """
    still = still_visit()
    anchors = find_anchors(person, still)
    blocks = Blocks(Grid(shape, voxel_to_head_mm, person.warp_centres_mm, person.warp_shifts_mm))
    skin_mm = skin_distance(person, still, anchors, blocks)
    intensity, labels = paint_head(person, anchors, blocks, skin_mm, contrast)
    return PaintedHead(*(blocks.to_volume(each) for each in (intensity, skin_mm, labels)))


def _check_range(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise InputError(f"{name} must lie between {low} and {high}; got {value}.")


def _rotation(angles_deg: tuple[float, float, float]) -> NDArray[np.float64]:
    from scipy.spatial.transform import Rotation

    matrix: NDArray[np.float64] = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    return matrix


def head_to_ras(person: Person, visit: Visit) -> NDArray[np.float64]:
    """Return the (4, 4) matrix from the head frame to RAS mm of one visit: size, rotation about the pivot, shift."""
    matrix = np.eye(4)
    matrix[:3, :3] = _rotation(visit.rotation_deg) * person.size
    matrix[:3, 3] = _PIVOT_MM - matrix[:3, :3] @ _PIVOT_MM + visit.shift_mm
    return matrix


def _place(
    person: Person, visit: Visit, anchors: Anchors, oblique_deg: float, couch: bool, headrest: bool
) -> tuple[Grid, NDArray[np.float64]]:
    """Return the grid in the head frame and its affine in the scanner, with a field of view that holds the head."""
    to_ras = head_to_ras(person, visit)
    ear = anchors.ear_x + 20
    back, top = -3 - person.cranium_half_length, 28 + person.cranium_half_height
    reach = np.array(
        [(s * ear, -22, z) for s in (1, -1) for z in (-45, 25)]
        + [(s * 40, y, top) for s in (1, -1) for y in (-40, 30)]
        + [(s * 40, back, z) for s in (1, -1) for z in (10, 50)]
        + [(s * 10, anchors.tip_y, anchors.tip_z) for s in (1, -1)]
        + [(s * 20, person.midface_y, person.menton_z - 14) for s in (1, -1)]
    )
    if oblique_deg:  # along tilted axes the forehead may lie further out than the nose, and the nape than the occiput
        front = person.cranium_half_length + 5
        further = [(s * 35, front, 55) for s in (1, -1)] + [(s * 45, back, -60) for s in (1, -1)]
        reach = np.concatenate([reach, further])
    ras = reach @ to_ras[:3, :3].T + to_ras[:3, 3]
    tilt = _rotation((oblique_deg, 0.0, 0.0))
    along = ras @ tilt  # coordinates along the axes of the slices
    low, high = along.min(axis=0) - _MARGIN_MM, along.max(axis=0) + _MARGIN_MM
    spacing = np.asarray(visit.spacing_mm)
    n = np.ceil((high - low) / spacing).astype(int) + 1
    behind = int(np.ceil((45 if couch else 20 if headrest else 0) / spacing[1]))
    low[1], n[1] = low[1] - behind * spacing[1], n[1] + behind  # the head keeps its voxels
    voxel_to_ras = np.eye(4)
    voxel_to_ras[:3, :3] = tilt * spacing
    voxel_to_ras[:3, 3] = tilt @ low
    voxel_to_head = np.linalg.inv(to_ras) @ voxel_to_ras
    shape = (int(n[0]), int(n[1]), int(n[2]))
    return Grid(shape, voxel_to_head, person.warp_centres_mm, person.warp_shifts_mm), voxel_to_ras


def _add_rig(image: Array, skin: Array, voxel_to_ras_mm: NDArray[np.float64], couch: bool, headrest: bool) -> None:
    """Lay the table top and the headrest into the image, wherever the body is not. Fixed to the scanner."""
    i, j, k = (np.arange(n, dtype=np.float32) for n in image.shape)
    m = voxel_to_ras_mm.astype(np.float32)
    x, y, z = (
        m[a, 0] * i[:, None, None] + m[a, 1] * j[None, :, None] + m[a, 2] * k[None, None, :] + m[a, 3] for a in range(3)
    )
    back = float(y[(skin < 0) & (np.abs(z - 15) < 75)].min())  # of the head, not of the shoulders
    away = np.clip(skin * np.float32(0.8), 0, 1)  # the body keeps its own voxels

    def lay(distance: Array, value: float) -> None:
        share = np.clip(np.float32(0.5) - distance, 0, 1) * away
        image[...] += share * (np.float32(value) - image)

    if headrest:
        cup = back - 0.8 + np.float32(0.0055) * x * x  # the head lies in it: they touch
        length = np.abs(z - 15) - 75
        foam = np.maximum(np.abs(y - cup + 7) - 9, np.maximum(np.abs(x) - 82, length))
        lay(foam, -930.0)
        lay(np.maximum(np.abs(y - cup) - 1.7, np.maximum(np.abs(x) - 82, length)), 60.0)
    if couch:
        top = back - 24 + np.float32(0.0006) * x * x
        lay(np.abs(y - top + 14) - 14, -920.0)
        lay(np.abs(y - top) - 1.3, 0.0)


def _as_ct(image: Array, visit: Visit, rng: np.random.Generator) -> Array:
    sd = np.float32(_CT_NOISE_HU * visit.noise)
    noisy = np.empty_like(image)
    for plane, noise in zip(image, noisy, strict=True):  # a plane stays in the cache
        rng.standard_normal(out=noise, dtype=np.float32)
        noise *= sd
        noise += plane
        np.rint(noise, out=noise)
        np.clip(noise, -1024, 3071, out=noise)
    return noisy


def _as_pet(image: Array, visit: Visit, rng: np.random.Generator, voxel_to_ras_mm: NDArray[np.float64]) -> Array:
    """Blur of the detectors, and noise that grows with the root of the counts."""
    from scipy.ndimage import gaussian_filter

    spacing = np.linalg.norm(voxel_to_ras_mm[:3, :3], axis=0)
    blurred: Array = gaussian_filter(image, _PET_FWHM_MM / 2.355 / spacing)
    noise = rng.standard_normal(image.shape, dtype=np.float32) * np.sqrt(np.maximum(blurred, 0) * _PET_NOISE)
    return np.asarray(np.maximum(blurred + noise * np.float32(visit.noise), 0), dtype=np.float32)


def _as_mr(image: Array, visit: Visit, rng: np.random.Generator, voxel_to_ras_mm: NDArray[np.float64]) -> Array:
    """Coil gain, Rician noise (Gudbjartsson & Patz 1995, doi:10.1002/mrm.1910340618) and an arbitrary scale.

    The gain is written into `image`.
    """
    spacing = np.linalg.norm(voxel_to_ras_mm[:3, :3], axis=0)
    for axis, (slope, step) in enumerate(zip(visit.bias, spacing, strict=True)):
        n = image.shape[axis]
        at = (np.arange(n) - n / 2) * step / 100
        gain = np.exp(slope * at - 0.06 * at**2).astype(np.float32)
        image *= gain.reshape([-1 if a == axis else 1 for a in range(3)])
    sd = np.float32(_MR_NOISE * visit.noise)
    magnitude: Array = rng.standard_normal(image.shape, dtype=np.float32)
    magnitude *= sd
    magnitude += image
    for real in magnitude:  # a plane stays in the cache
        imaginary = rng.standard_normal(real.shape, dtype=np.float32)
        imaginary *= sd
        real *= real
        real += imaginary * imaginary
        np.sqrt(real, out=real)
    magnitude *= np.float32(visit.scale)
    return magnitude
