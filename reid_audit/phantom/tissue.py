"""The inside of a head: tissues painted into a scan, and the label map that goes with them.

One anatomy, two contrasts: what differs between CT and MR is only the table of `Contrast`. Tissues are painted in a
fixed order, each over the ones before, with edges as soft as a voxel is wide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.phantom.broad import Anchors, Eye
from reid_audit.phantom.field import Array, Box, Grid, Points, Slab, capsule, ellipsoid, smooth_cut, smooth_union
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


class _Painter:
    """Holds the image and the labels of a slab while tissue after tissue is laid over them."""

    def __init__(self, slab: Slab, skin: Array, image: Array, labels: NDArray[np.uint8]) -> None:
        self.slab, self.skin, self.image, self.labels = slab, skin, image, labels
        self.edge_mm = float(np.linalg.norm(slab.grid.voxel_to_head_mm[:3, :3], axis=0).mean()) * 1.2

    def lay(self, box: Box, distance: Array, value: Any, *, below_skin_mm: float = 0.0, label: int = 0) -> None:
        """Paint `value` where `distance` is negative and the skin is at least `below_skin_mm` away."""
        if below_skin_mm:
            distance = np.maximum(distance, self.skin[box] + np.float32(below_skin_mm))
        share = np.clip(np.float32(0.5) - distance * np.float32(1 / self.edge_mm), 0, 1)
        patch = self.image[box]
        patch += share * (value - patch)
        if label:
            self.labels[box][distance < 0] = label


def paint_head(
    person: Person, anchors: Anchors, grid: Grid, skin: Array, contrast: Contrast, *, ethmoid: bool = False
) -> tuple[Array, NDArray[np.uint8]]:
    """Return the noise-free image and the label map, both (i, j, k).

    Parameters
    ----------
    person : Person
    anchors : Anchors
    grid : Grid
    skin : (i, j, k) float32
        Distance to the skin in mm, negative inside.
    contrast : Contrast
    ethmoid : bool
        Paint the cells of the ethmoid one by one.
    """
    image = _flesh_by_depth(person, grid, skin, contrast)
    labels = (skin < 0).astype(np.uint8) * np.uint8(LABELS["skin"])
    for slab in grid.slabs(_inner_table(person, grid.points(*grid.coarse_indices()))):
        painter = _Painter(slab, skin[slab.span], image[slab.span], labels[slab.span])
        _paint_neck(painter, person, contrast)
        _paint_braincase(painter, contrast)
        _paint_face_bones(painter, person, anchors, contrast)
        _paint_airways(painter, person, anchors, contrast, _ethmoid(anchors) if ethmoid else _ETHMOID)
        for eye in anchors.eyes:
            _paint_eye(painter, eye, contrast)
    return image, labels


def _flesh_by_depth(person: Person, grid: Grid, skin: Array, contrast: Contrast) -> Array:
    """Air, skin, fat and muscle by depth alone: a table looked up at 1/16 mm."""
    steps = 16
    voxel_mm = float(np.linalg.norm(grid.voxel_to_head_mm[:3, :3], axis=0).mean())
    at = np.arange(-20 * steps, 12 * steps) / steps
    fat_end = -(2.2 + max(person.fat_thickness, 1.5))
    depths = (fat_end - 1.2, fat_end, -3.0, -2.0)
    inside = np.interp(at, depths, (contrast.muscle, contrast.fat, contrast.fat, contrast.skin))
    # Straight over some two voxels, like a scanner's blur: a harder edge would show the voxels as ripples on the
    # surface. A third of it lies inside, so that the usual level of CT (-300 HU) is met at distance 0.
    table = contrast.air + np.clip(0.67 - at / (2.4 * voxel_mm), 0, 1) * (inside - contrast.air)
    index = np.clip((skin + np.float32(20)) * np.float32(steps), 0, len(at) - 1).astype(np.int16)
    image: Array = table.astype(np.float32)[index]
    return image


def _inner_table(person: Person, p: Points) -> Array:
    """Distance to the inside of the braincase: 13 mm below the scalp, floor stepping down to the back."""
    radii = tuple(r - 12.5 for r in (person.cranium_half_width, person.cranium_half_length, person.cranium_half_height))
    vault = ellipsoid(p, (0, -3, 28), radii)
    floor = np.interp(p[1], (-80, -55, -20, 8, 30, 60), (-28, -38, -34, -14, 12, 20)).astype(np.float32)
    return smooth_cut(vault, (p[2] - floor) * np.float32(0.85), 8)


def _paint_braincase(painter: _Painter, contrast: Contrast) -> None:
    slab = painter.slab
    box = slab.box((-85, -112, -50), (85, 105, 122))
    inner = slab.field[box]
    skull = np.maximum(inner - np.float32(6.5), np.float32(0.2) - inner)
    painter.lay(box, skull, contrast.bone, below_skin_mm=3.0)
    marrow = np.abs(inner - np.float32(3.2)) - np.float32(1.2)
    painter.lay(box, marrow, contrast.marrow, below_skin_mm=5.0)
    painter.lay(box, inner, contrast.fluid, below_skin_mm=5.0)
    # Folds: a gyroid of 15 mm wavelength pushes the surface in and out.
    i, j, k = (np.arange(s.start, s.stop, dtype=np.float32) for s in box)
    i += slab.span.start
    step = np.linalg.norm(slab.grid.voxel_to_head_mm[:3, :3], axis=0) * (2 * np.pi / 15)
    waves = [(np.sin(v * np.float32(w)), np.cos(v * np.float32(w))) for v, w in zip((i, j, k), step, strict=True)]
    (si, ci), (sj, cj), (sk, ck) = waves
    folds = si[:, None, None] * (cj[:, None] * np.float32(1))[None]
    folds = folds + sj[None, :, None] * ck[None, None, :] + sk[None, None, :] * ci[:, None, None]
    cortex = inner + np.float32(2.0) + np.float32(1.1) * folds
    brain = LABELS["brain"]
    painter.lay(box, cortex, contrast.grey)
    painter.labels[box][inner < -1.0] = brain
    painter.lay(box, cortex + np.float32(3.5), contrast.white)
    for side in (1, -1):
        small = slab.box((min(0, side * 24), -32, 10), (max(0, side * 24), 42, 46))
        p = slab.box_points(small)
        painter.lay(small, capsule(p, (side * 9, 30, 26), (side * 13, -22, 32), 5.5), contrast.fluid)
    small = slab.box((-18, -50, -66), (18, 14, 4))
    stem = capsule(slab.box_points(small), (0, 0, -4), (0, -28, -52), 13.5, 8)
    painter.lay(small, stem, contrast.white, label=LABELS["brainstem"])
    box = slab.box((-16, -75, -190), (16, -12, -40))
    p = slab.box_points(box)
    painter.lay(box, capsule(p, (0, -30, -53), (0, -45, -190), 8.0), contrast.fluid)
    cord = capsule(p, (0, -30, -56), (0, -45, -190), 5.0)
    painter.labels[box][(cord < 0) & (painter.labels[box] == LABELS["skin"])] = LABELS["spinal_cord"]
    painter.lay(box, np.maximum(cord, -1 - capsule(p, (0, 0, -4), (0, -28, -52), 13.5, 8)), contrast.cord)


def _paint_neck(painter: _Painter, person: Person, contrast: Contrast) -> None:
    slab = painter.slab
    box = slab.box((-40, -75, -190), (40, 25, -44))
    p = slab.box_points(box)
    sides: Array = np.abs(p[0])
    spine = capsule(p, (0, -14, -52), (0, -28, -190), 13)
    arch = smooth_union(
        capsule(p, (0, -30, -58), (0, -45, -190), 12.5), capsule(p, (0, -48, -60), (0, -64, -190), 4), 5
    )
    arch = np.minimum(arch, capsule((sides, p[1], p[2]), (20, -22, -58), (18, -34, -190), 6))
    discs = np.abs(np.mod(p[2] + np.float32(0.14) * p[1], 17) - np.float32(8.5)) < 2.2
    painter.lay(box, np.minimum(spine, arch), np.where(discs, contrast.muscle, contrast.bone), below_skin_mm=4)
    painter.lay(
        box,
        np.minimum(spine, arch) + np.float32(2.5),
        np.where(discs, contrast.muscle, contrast.marrow),
        below_skin_mm=4,
    )
    for side in (1, -1):
        name = "parotid_right" if side > 0 else "parotid_left"
        x = sorted((side * (person.jaw_half_width - 14), side * (person.face_half_width + 14)))
        box = slab.box((x[0], -24, -72), (x[1], 28, -14))
        p = slab.box_points(box)
        gland = ellipsoid(p, (side * (person.jaw_half_width + 7), -1, -43), (10, 15, 22))
        painter.lay(box, gland, contrast.gland, below_skin_mm=5, label=LABELS[name])


def _paint_face_bones(painter: _Painter, person: Person, anchors: Anchors, contrast: Contrast) -> None:
    slab = painter.slab
    w, jaw = person.face_half_width, person.jaw_half_width
    box = slab.box((-w - 6, -14, person.menton_z - 4), (w + 6, anchors.tip_y, 30))
    p = slab.box_points(box)
    side_x: Array = np.abs(p[0])
    q = (side_x, p[1], p[2])
    front, mz = person.midface_y, anchors.mouth_z
    teeth = smooth_cut(
        ellipsoid(q, (0, front - 18, mz + 9), (27, 22, 13)), ellipsoid(p, (0, 46, mz - 2), (19, 26, 15)), 2
    )
    upper = smooth_union(ellipsoid(q, (24, front - 27, -28), (15, 18, 18)), teeth, 6)
    cheek = capsule(q, (26, front - 14, -22), (w - 14, 46, -24), 7, 6)
    arch = capsule(q, (w - 14, 46, -24), (w - 5, 4, -14), 5, 3.5)
    rim = capsule(q, (w - 21, 58, 16), (w - 20, 58, -20), 4.5)
    nasal = capsule(
        q, (2, anchors.sellion_y - 7, person.sellion_z + 8), (2, anchors.sellion_y - 1, person.sellion_z - 14), 3.5
    )
    bones = np.minimum(smooth_union(upper, cheek, 6), np.minimum(np.minimum(arch, rim), nasal))
    for eye in anchors.eyes:
        x, y, z = eye.centre_mm
        bones = smooth_cut(bones, ellipsoid(p, (x * 0.93, y - 8, z), (18, 34, 17)), 2)
    menton, gonion = person.menton_z, person.gonion_z
    middle = (0.0, front - 4, menton + 15)
    body = capsule(q, (9, front - 7, menton + 15), (jaw - 9, 14, gonion + 9), 8.5, 7)
    jaws = np.minimum(ellipsoid(q, middle, (13, 8.5, 11)), body)
    jaws = np.minimum(jaws, capsule(q, (jaw - 9, 14, gonion + 9), (jaw - 4, 9, -18), 6, 5))
    jaws = np.minimum(jaws, capsule(q, (jaw - 9, 22, gonion + 14), (jaw - 6, 32, -32), 5, 3))
    for distance, label in ((bones, 0), (jaws.astype(np.float32), LABELS["mandible"])):
        painter.lay(box, distance, contrast.bone, below_skin_mm=4.0, label=label)
        painter.lay(box, distance + np.float32(3.0), contrast.marrow, below_skin_mm=7.0)


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
    slab, front, mz = painter.slab, person.midface_y, anchors.mouth_z
    box = slab.box((-46, -2, -190), (46, 100, 40))
    p = slab.box_points(box)
    q = (np.abs(p[0]), p[1], p[2])
    nasal = ellipsoid(q, (6, front - 24, -22), (5, 30, 17))
    pharynx = np.minimum(capsule(q, (0, 24, -30), (0, 14, -72), 8.5), capsule(q, (0, 14, -72), (0, 10, -190), 8))
    sinuses = np.minimum(ellipsoid(q, (25, front - 27, -27), (11, 14, 13)), ellipsoid(q, *ethmoid))
    frontal = ellipsoid(q, (9, person.cranium_half_length - 12.5, person.brow_height_z + 8), (8, 3.5, 8))
    cavities = np.minimum(np.minimum(nasal, pharynx), np.minimum(sinuses, frontal))
    free = painter.labels[box] == LABELS["skin"]
    painter.lay(box, np.where(free, cavities, np.float32(9)), contrast.air, below_skin_mm=7.0)
    tongue = slab.box((-24, 18, mz - 30), (24, front, mz + 4))
    if painter.image[tongue].size:
        d = ellipsoid(slab.box_points(tongue), (0, 46, mz - 10), (19, 27, 14))
        free = painter.labels[tongue] == LABELS["skin"]
        painter.lay(tongue, np.where(free, d, np.float32(9)), contrast.muscle, below_skin_mm=8)


def _paint_eye(painter: _Painter, eye: Eye, contrast: Contrast) -> None:
    slab, (x, y, z), r = painter.slab, eye.centre_mm, eye.radius_mm
    box = slab.box((x - 24, y - 46, z - 22), (x + 24, y + r + 4, z + 22))
    p = slab.box_points(box)
    orbit = ellipsoid(p, (x * 0.93, y - 10, z), (17, 32, 15.5))
    free = painter.labels[box] == LABELS["skin"]
    painter.lay(box, np.where(free, orbit, np.float32(9)), contrast.fat, below_skin_mm=2.5)
    painter.lay(box, capsule(p, (x, y - r, z), (x * 0.45, y - 44, z + 2), 2.2), contrast.muscle)
    ball = capsule(p, (x, y, z), (x, y + 0.01, z), r)
    name = "eye_right" if eye.side > 0 else "eye_left"
    painter.lay(box, ball, contrast.muscle, below_skin_mm=0.5, label=LABELS[name])
    painter.lay(box, ball + np.float32(1.3), contrast.vitreous, below_skin_mm=1.5)
    painter.lay(box, ellipsoid(p, (x, y + 0.55 * r, z), (4.6, 2.2, 4.6)), contrast.lens, below_skin_mm=1.5)
