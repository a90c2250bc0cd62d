"""The inside of a head: tissues painted into a scan, and the label map that goes with them.

One anatomy, two contrasts: what differs between CT and MR is only the table of `Contrast`. Tissues are painted in a
fixed order, each over the ones before, with edges as soft as a voxel is wide.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.phantom.blocks import Blocks, Index
from reid_audit.phantom.broad import Anchors, Eye
from reid_audit.phantom.field import Array, Grid, Points, capsule, ellipsoid, smooth_cut, smooth_union
from reid_audit.phantom.person import Person

LABELS: Mapping[str, int] = MappingProxyType(
    {
        "skin": 1,
        "brain": 2,
        "brainstem": 3,
        "spinal_cord": 4,
        "eye_right": 5,
        "eye_left": 6,
        "parotid_right": 7,
        "parotid_left": 8,
        "mandible": 9,
    }
)
"""Value of each structure in `PhantomScan.labels`; 0 is outside the body. ``"skin"`` is the body without the others."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """What each tissue looks like: HU for CT, arbitrary units (white matter = 1000) for T1-weighted MR."""

    air: float
    skin: float
    fat: float
    muscle: float
    bone: float
    marrow: float
    fluid: float
    grey: float
    white: float
    vitreous: float
    lens: float
    gland: float
    cord: float


CT_HU = Contrast(-1000, 45, -95, 55, 1150, 480, 8, 38, 28, 12, 75, -5, 32)
"""Usual adult values; bone is denser than any soft tissue by far, the parotid is half fat."""

T1 = Contrast(0, 520, 1150, 450, 60, 700, 180, 620, 1000, 150, 420, 760, 900)
"""Order of a T1-weighted gradient echo at 1.5-3 T: fat > white > grey > muscle > fluid > bone."""

MR_CONTRASTS: Mapping[str, Contrast] = MappingProxyType(
    {
        "T1": T1,
        "T2": Contrast(0, 350, 800, 250, 30, 500, 1600, 750, 500, 1700, 200, 600, 550),
        "PD": Contrast(0, 600, 900, 650, 50, 600, 850, 1000, 850, 900, 350, 800, 850),
        "FLAIR": Contrast(0, 320, 250, 300, 30, 200, 120, 900, 700, 120, 150, 450, 650),
    }
)
"""What `make_phantom` can paint: the order of the tissues is that of spin echoes at 1.5-3 T, the numbers are round.

T2 and PD have bright fat, as fast spin echoes show it; in FLAIR both fluid and fat are suppressed, so that skin and
what lies beneath it are a third as bright as the brain.
"""

FDG = Contrast(0, 250, 80, 250, 120, 200, 100, 1000, 450, 80, 80, 350, 300)
"""Order of the uptake of sugar in PET: grey matter > white matter > glands and muscle."""


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Some blocks of a head while a tissue is laid over them; arrays are (blocks, voxels)."""

    blocks: Index
    points: Points
    distance: Array  # to the tissue, mm
    skin: Array  # distance to the skin, mm
    image: Array
    labels: NDArray[np.uint8]
    edge_mm: float

    def lay(
        self, distance: Array, value: Any, *, below_skin_mm: float = 0.0, label: int = 0, over: int | None = None
    ) -> None:
        """Paint `value` where `distance` is negative and the skin is at least `below_skin_mm` away.

        With ``over``, a label, only where that is.
        """
        if below_skin_mm:
            distance = np.maximum(distance, self.skin + np.float32(below_skin_mm))
        if over is not None:
            distance = np.where(self.labels == over, distance, np.float32(9))
        share = distance * np.float32(-1 / self.edge_mm)
        share += np.float32(0.5)
        np.clip(share, 0, 1, out=share)
        share *= value - self.image
        self.image[...] += share
        if label:
            self.labels[distance < 0] = label


class _Painter:
    """Holds the image and the labels of a head by block while tissue after tissue is laid over them."""

    def __init__(self, blocks: Blocks, skin: Array, image: Array, labels: NDArray[np.uint8]) -> None:
        self.blocks, self.skin, self.image, self.labels = blocks, skin, image, labels
        self._edge_mm = _voxel_mm(blocks.grid) * 1.2
        self._reach_mm = blocks.margin_mm + 0.5 * self._edge_mm

    def fill(
        self,
        low_mm: Any,
        high_mm: Any,
        distance: Callable[[Points], Array],
        value: float,
        label: int,
        *,
        deeper_mm: float,
    ) -> None:
        """Give the blocks of a box that lie deeper than this in a tissue one value and label."""
        within = self.blocks.box(low_mm, high_mm)
        deep = within[self._at_centres(distance, within) <= -deeper_mm - self._reach_mm]
        self.image[deep], self.labels[deep] = value, label

    def _at_centres(self, distance: Callable[[Points], Array], blocks: Index) -> Array:
        x, y, z = (p[blocks] for p in self.blocks.centres)
        return distance((x, y, z))

    def near(
        self, low_mm: Any, high_mm: Any, distance: Callable[[Points], Array], *, deepest_mm: float = np.inf
    ) -> Iterator[_Part]:
        """Yield the blocks of a box that a tissue may reach, to be painted.

        Parameters
        ----------
        low_mm, high_mm : (3,) float
            The box, head frame.
        distance : callable
            From points to the distance to the tissue, negative inside.
        deepest_mm : float
            Leave out what lies deeper in the tissue.
        """
        within = self.blocks.box(low_mm, high_mm)
        middle = self._at_centres(distance, within)
        may_reach = (middle < self._reach_mm) & (middle > -deepest_mm - self._reach_mm)
        for part in self.blocks.parts(within[may_reach]):
            points, image, labels = self.blocks.points(part), self.image[part], self.labels[part]
            yield _Part(part, points, distance(points), self.skin[part], image, labels, self._edge_mm)
            self.image[part], self.labels[part] = image, labels


def paint_head(
    person: Person, anchors: Anchors, blocks: Blocks, skin: Array, contrast: Contrast, *, ethmoid: bool = False
) -> tuple[Array, NDArray[np.uint8]]:
    """Return the noise-free image and the label map, both by block.

    Parameters
    ----------
    person : Person
    anchors : Anchors
    blocks : Blocks
    skin : (blocks, voxels) float32
        Distance to the skin in mm, negative inside; needed from `skin_depth_mm` inside to outside it.
    contrast : Contrast
    ethmoid : bool
        Paint the cells of the ethmoid one by one.
    """
    image = _flesh_by_depth(person, blocks.grid, skin, contrast)
    labels = (skin < 0).astype(np.uint8)
    labels *= np.uint8(LABELS["skin"])
    painter = _Painter(blocks, skin, image, labels)
    _paint_neck(painter, person, contrast)
    _paint_braincase(painter, person, contrast)
    _paint_face_bones(painter, person, anchors, contrast)
    _paint_airways(painter, person, anchors, contrast, _ethmoid(anchors) if ethmoid else _ETHMOID)
    for eye in anchors.eyes:
        _paint_eye(painter, eye, contrast)
    return image, labels


def _voxel_mm(grid: Grid) -> float:
    return float(np.linalg.norm(grid.voxel_to_head_mm[:3, :3], axis=0).mean())


def skin_depth_mm(person: Person, grid: Grid) -> tuple[float, float]:
    """Return how far inside and outside the skin its distance matters to the image."""
    voxel_mm = _voxel_mm(grid)
    deepest_mm = max(_fat_end_mm(person) + _FAT_TO_MUSCLE_MM, 8.0 + 0.6 * voxel_mm)  # tissues keep up to 8 mm from it
    return deepest_mm, max(_EDGE_SHARE_OUTSIDE * _EDGE_VOXELS * voxel_mm, 2.0)


_FAT_TO_MUSCLE_MM = 1.2
_EDGE_VOXELS, _EDGE_SHARE_OUTSIDE = 2.4, 0.67


def _fat_end_mm(person: Person) -> float:
    return 2.2 + max(person.fat_thickness, 1.5)


def _flesh_by_depth(person: Person, grid: Grid, skin: Array, contrast: Contrast) -> Array:
    """Air, skin, fat and muscle by depth alone: a table looked up at 1/16 mm."""
    steps = 16
    at = np.arange(-20 * steps, 12 * steps) / steps
    fat_end = -_fat_end_mm(person)
    depths = (fat_end - _FAT_TO_MUSCLE_MM, fat_end, -3.0, -2.0)
    inside = np.interp(at, depths, (contrast.muscle, contrast.fat, contrast.fat, contrast.skin))
    # Straight over some two voxels, like a scanner's blur: a harder edge would show the voxels as ripples on the
    # surface. A third of it lies inside, so that the usual level of CT (-300 HU) is met at distance 0.
    covered = np.clip(_EDGE_SHARE_OUTSIDE - at / (_EDGE_VOXELS * _voxel_mm(grid)), 0, 1)
    table = (contrast.air + covered * (inside - contrast.air)).astype(np.float32)
    image = np.empty_like(skin)
    count = max(1, (1 << 16) // skin.shape[1])
    for start in range(0, len(skin), count):  # so few at once that they stay in the cache
        index = skin[start : start + count] * np.float32(steps)
        index += np.float32(20 * steps)
        np.clip(index, 0, len(at) - 1, out=index)
        np.take(table, index.astype(np.int16), out=image[start : start + count], mode="clip")
    return image


def _paint_braincase(painter: _Painter, person: Person, contrast: Contrast) -> None:
    radii = tuple(r - 12.5 for r in (person.cranium_half_width, person.cranium_half_length, person.cranium_half_height))

    def inner_table(p: Points) -> Array:
        """Distance to the inside of the braincase: 13 mm below the scalp, floor stepping down to the back."""
        vault = ellipsoid(p, (0, -3, 28), radii)
        floor = np.interp(p[1], (-80, -55, -20, 8, 30, 60), (-28, -38, -34, -14, 12, 20)).astype(np.float32)
        return smooth_cut(vault, (p[2] - floor) * np.float32(0.85), 8)

    def skull(p: Points) -> Array:
        return inner_table(p) - np.float32(_SKULL_MM)

    step = np.linalg.norm(painter.blocks.grid.voxel_to_head_mm[:3, :3], axis=0) * (2 * np.pi / 15)
    phases = [np.arange(n, dtype=np.float32) * np.float32(w) for n, w in zip(painter.blocks.shape, step, strict=True)]
    waves = [(np.sin(phase), np.cos(phase)) for phase in phases]
    box = ((-85, -112, -50), (85, 105, 122))
    white_below_mm = 2.0 + 1.1 * 1.5 + 3.5  # fluid, the deepest fold, grey matter
    painter.fill(*box, inner_table, contrast.white, LABELS["brain"], deeper_mm=white_below_mm)
    for part in painter.near(*box, skull, deepest_mm=_SKULL_MM + white_below_mm):
        inner = part.distance + np.float32(_SKULL_MM)
        part.lay(np.maximum(part.distance, np.float32(0.2) - inner), contrast.bone, below_skin_mm=3.0)
        marrow = np.abs(inner - np.float32(3.2)) - np.float32(1.2)
        part.lay(marrow, contrast.marrow, below_skin_mm=5.0)
        part.lay(inner, contrast.fluid, below_skin_mm=5.0)
        # Folds: a gyroid of 15 mm wavelength pushes the surface in and out.
        (si, ci), (sj, cj), (sk, ck) = (
            (s[at], c[at]) for at, (s, c) in zip(painter.blocks.indices(part.blocks), waves, strict=True)
        )
        folds = si * cj + sj * ck + sk * ci
        cortex = inner + np.float32(2.0) + np.float32(1.1) * folds
        part.lay(cortex, contrast.grey)
        part.labels[inner < -1.0] = LABELS["brain"]
        part.lay(cortex + np.float32(3.5), contrast.white)
    for side in (1, -1):
        low, high = (min(0, side * 24), -32, 10), (max(0, side * 24), 42, 46)
        for part in painter.near(low, high, _rod((side * 9, 30, 26), (side * 13, -22, 32), 5.5)):
            part.lay(part.distance, contrast.fluid)
    stem = _rod((0, 0, -4), (0, -28, -52), 13.5, 8)
    for part in painter.near((-18, -50, -66), (18, 14, 4), stem):
        part.lay(part.distance, contrast.white, label=LABELS["brainstem"])
    for part in painter.near((-16, -75, -190), (16, -12, -40), _rod((0, -30, -53), (0, -45, -190), 8.0)):
        part.lay(part.distance, contrast.fluid)
        cord = capsule(part.points, (0, -30, -56), (0, -45, -190), 5.0)
        part.labels[(cord < 0) & (part.labels == LABELS["skin"])] = LABELS["spinal_cord"]
        part.lay(np.maximum(cord, -1 - stem(part.points)), contrast.cord)


_SKULL_MM = 6.5


def _rod(a: Any, b: Any, radius_a: float, radius_b: float | None = None) -> Callable[[Points], Array]:
    return lambda p: capsule(p, a, b, radius_a, radius_b)


def _paint_neck(painter: _Painter, person: Person, contrast: Contrast) -> None:
    def spine(p: Points) -> Array:
        bodies = capsule(p, (0, -14, -52), (0, -28, -190), 13)
        arch = smooth_union(
            capsule(p, (0, -30, -58), (0, -45, -190), 12.5), capsule(p, (0, -48, -60), (0, -64, -190), 4), 5
        )
        arch = np.minimum(arch, capsule((np.abs(p[0]), p[1], p[2]), (20, -22, -58), (18, -34, -190), 6))
        return np.minimum(bodies, arch)

    for part in painter.near((-40, -75, -190), (40, 25, -44), spine):
        _, y, z = part.points
        discs = np.abs(np.mod(z + np.float32(0.14) * y, 17) - np.float32(8.5)) < 2.2
        part.lay(part.distance, np.where(discs, contrast.muscle, contrast.bone), below_skin_mm=4)
        inside = part.distance + np.float32(2.5)
        part.lay(inside, np.where(discs, contrast.muscle, contrast.marrow), below_skin_mm=4)
    for side in (1, -1):
        name = "parotid_right" if side > 0 else "parotid_left"
        x = sorted((side * (person.jaw_half_width - 14), side * (person.face_half_width + 14)))
        gland = partial(ellipsoid, centre=(side * (person.jaw_half_width + 7), -1, -43), radii=(10, 15, 22))
        for part in painter.near((x[0], -24, -72), (x[1], 28, -14), gland):
            part.lay(part.distance, contrast.gland, below_skin_mm=5, label=LABELS[name])


def _paint_face_bones(painter: _Painter, person: Person, anchors: Anchors, contrast: Contrast) -> None:
    w, jaw = person.face_half_width, person.jaw_half_width
    front, mz = person.midface_y, anchors.mouth_z
    menton, gonion = person.menton_z, person.gonion_z

    def skull(p: Points) -> Array:
        q = (np.abs(p[0]), p[1], p[2])
        teeth = smooth_cut(
            ellipsoid(q, (0, front - 18, mz + 9), (27, 22, 13)), ellipsoid(p, (0, 46, mz - 2), (19, 26, 15)), 2
        )
        upper = smooth_union(ellipsoid(q, (24, front - 27, -28), (15, 18, 18)), teeth, 6)
        cheek = capsule(q, (26, front - 14, -22), (w - 14, 46, -24), 7, 6)
        arch = capsule(q, (w - 14, 46, -24), (w - 5, 4, -14), 5, 3.5)
        rim = capsule(q, (w - 21, 58, 16), (w - 20, 58, -20), 4.5)
        root, end = (anchors.sellion_y - 7, person.sellion_z + 8), (anchors.sellion_y - 1, person.sellion_z - 14)
        nasal = capsule(q, (2, *root), (2, *end), 3.5)
        bones = np.minimum(smooth_union(upper, cheek, 6), np.minimum(np.minimum(arch, rim), nasal))
        for eye in anchors.eyes:
            x, y, z = eye.centre_mm
            bones = smooth_cut(bones, ellipsoid(p, (x * 0.93, y - 8, z), (18, 34, 17)), 2)
        return bones

    def mandible(p: Points) -> Array:
        q = (np.abs(p[0]), p[1], p[2])
        body = capsule(q, (9, front - 7, menton + 15), (jaw - 9, 14, gonion + 9), 8.5, 7)
        jaws = np.minimum(ellipsoid(q, (0.0, front - 4, menton + 15), (13, 8.5, 11)), body)
        jaws = np.minimum(jaws, capsule(q, (jaw - 9, 14, gonion + 9), (jaw - 4, 9, -18), 6, 5))
        return np.minimum(jaws, capsule(q, (jaw - 9, 22, gonion + 14), (jaw - 6, 32, -32), 5, 3))

    low, high = (-w - 6, -14, menton - 4), (w + 6, anchors.tip_y, 30)
    for bones, label in ((skull, 0), (mandible, LABELS["mandible"])):
        for part in painter.near(low, high, bones):
            part.lay(part.distance, contrast.bone, below_skin_mm=4.0, label=label)
            part.lay(part.distance + np.float32(3.0), contrast.marrow, below_skin_mm=7.0)


_Ellipsoid = tuple[tuple[float, float, float], tuple[float, float, float]]  # centre, radii

_ETHMOID: _Ellipsoid = ((6.0, 30.0, -7.0), (6.0, 9.0, 7.0))
"""Air cells that end behind the eyes' centres."""


def _ethmoid(anchors: Anchors) -> _Ellipsoid:
    """Return one side's air cells at the size of adults: between the orbits, 24 mm high, to in front of the eyes."""
    eye_y = anchors.eyes[0].centre_mm[1]
    return (7.0, eye_y - 16.0, -1.0), (5.5, 26.0, 12.0)


def _paint_airways(
    painter: _Painter, person: Person, anchors: Anchors, contrast: Contrast, ethmoid: _Ellipsoid
) -> None:
    """Paint nose, throat and sinuses; closed at the nostrils, so that the outer surface has no inner side."""
    front, mz = person.midface_y, anchors.mouth_z

    def cavities(p: Points) -> Array:
        q = (np.abs(p[0]), p[1], p[2])
        nasal = ellipsoid(q, (6, front - 24, -22), (5, 30, 17))
        pharynx = np.minimum(capsule(q, (0, 24, -30), (0, 14, -72), 8.5), capsule(q, (0, 14, -72), (0, 10, -190), 8))
        sinuses = np.minimum(ellipsoid(q, (25, front - 27, -27), (11, 14, 13)), ellipsoid(q, *ethmoid))
        frontal = ellipsoid(q, (9, person.cranium_half_length - 12.5, person.brow_height_z + 8), (8, 3.5, 8))
        return np.minimum(np.minimum(nasal, pharynx), np.minimum(sinuses, frontal))

    for part in painter.near((-46, -2, -190), (46, 100, 40), cavities):
        part.lay(part.distance, contrast.air, below_skin_mm=7.0, over=LABELS["skin"])
    tongue = partial(ellipsoid, centre=(0, 46, mz - 10), radii=(19, 27, 14))
    for part in painter.near((-24, 18, mz - 30), (24, front, mz + 4), tongue):
        part.lay(part.distance, contrast.muscle, below_skin_mm=8, over=LABELS["skin"])


def _paint_eye(painter: _Painter, eye: Eye, contrast: Contrast) -> None:
    (x, y, z), r = eye.centre_mm, eye.radius_mm
    box = ((x - 24, y - 46, z - 22), (x + 24, y + r + 4, z + 22))
    orbit = partial(ellipsoid, centre=(x * 0.93, y - 10, z), radii=(17, 32, 15.5))
    for part in painter.near(*box, orbit):
        part.lay(part.distance, contrast.fat, below_skin_mm=2.5, over=LABELS["skin"])
    for part in painter.near(*box, _rod((x, y - r, z), (x * 0.45, y - 44, z + 2), 2.2)):
        part.lay(part.distance, contrast.muscle)
    label = LABELS["eye_right" if eye.side > 0 else "eye_left"]
    for part in painter.near(*box, _rod((x, y, z), (x, y + 0.01, z), r)):
        part.lay(part.distance, contrast.muscle, below_skin_mm=0.5, label=label)
        part.lay(part.distance + np.float32(1.3), contrast.vitreous, below_skin_mm=1.5)
        part.lay(ellipsoid(part.points, (x, y + 0.55 * r, z), (4.6, 2.2, 4.6)), contrast.lens, below_skin_mm=1.5)
