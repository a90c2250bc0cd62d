"""Slices through what changed, and through the contours that agree least; private, for they show heads.

Both are pictures of Ammar 2025: maps of the difference in HU, and overlays of the contours of the worst cases.
"""

import io
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError, ScanRef, Volume, write_private
from reid_audit.utility.measures import CaseUtility, Position
from reid_audit.utility.names import pair_names
from reid_audit.utility.structures import Structure, StructureSet, join_boxes, place_mask

PLANES = ("sagittal", "coronal", "axial")
"""Along the first, second and third axis of a volume."""

_AROUND_MM = 25.0


@dataclass(frozen=True, slots=True, eq=False)
class SlicePicture:
    """One slice of a scan before defacing, with what lies over it.

    Attributes
    ----------
    plane : str
        One of `PLANES`.
    original : (a, b) float32
        Along the two other axes, both growing to the right, front or top.
    difference : (a, b) float32
        After minus before.
    spacing_mm : tuple of two float
    structure : str
        Whose contours these are; ``""`` = none.
    dice : float
        Of the whole structure; NaN without contours.
    before, after : (a, b) bool
        Empty arrays without contours.
    """

    plane: str
    original: NDArray[np.float32]
    difference: NDArray[np.float32]
    spacing_mm: tuple[float, float]
    structure: str = ""
    dice: float = math.nan
    before: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), dtype=bool))
    after: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), dtype=bool))


def _slice(volume: NDArray[np.float32], axis: int, index: int) -> NDArray[np.float32]:
    return np.ascontiguousarray(volume.take(index, axis=axis))


def picture_change(original: Volume, defaced: Volume) -> tuple[SlicePicture, ...]:
    """Take a sagittal, a coronal and an axial slice, each where the most changed; none where nothing did."""
    difference = defaced.intensity - original.intensity
    moved = np.abs(difference)
    pictures = []
    for axis, plane in enumerate(PLANES):
        rest = [a for a in range(3) if a != axis]
        index = int(moved.sum(axis=tuple(rest), dtype=np.float64).argmax())
        spacing = original.spacing_mm[rest[0]], original.spacing_mm[rest[1]]
        pictures.append(
            SlicePicture(plane, _slice(original.intensity, axis, index), _slice(difference, axis, index), spacing)
        )
    return tuple(pictures) if moved.any() else ()


def _find_worst(
    before: StructureSet, after: StructureSet, case: CaseUtility
) -> tuple[Structure, Structure | None, float] | None:
    """Find the structure whose Dice is the lowest below 1, but for those that were deleted on purpose."""
    pairs = dict(pair_names(before, after)[0])
    dice = {m.structure: m.value for m in case.measures if m.metric == "dice" and m.position != Position.DELETED.value}
    low = {name: value for name, value in dice.items() if value < 1 and name in before.structures}
    if not low:
        return None
    name = min(low, key=lambda each: low[each])
    return before.structures[name], after.structures.get(pairs.get(name) or ""), low[name]


def picture_contours(
    original: Volume, defaced: Volume, before: StructureSet, after: StructureSet, case: CaseUtility
) -> SlicePicture | None:
    """Take the axial slice on which the contours of the worst structure differ most, cut to its surroundings."""
    worst = _find_worst(before, after, case)
    if worst is None:
        return None
    structure, now, dice = worst
    box = structure.box if now is None else join_boxes(structure.box, now.box)
    apart = (place_mask(structure, box) ^ place_mask(now, box)).sum(axis=(0, 1))
    margin = [math.ceil(_AROUND_MM / s) for s in original.spacing_mm]
    size = original.intensity.shape
    i, j, _ = (slice(max(0, b.start - m), min(n, b.stop + m)) for b, m, n in zip(box, margin, size, strict=True))
    k = box[2].start + int(apart.argmax())
    plane = (i, j, slice(k, k + 1))
    whole = (i, j, box[2])
    masks = [place_mask(each, whole)[:, :, k - box[2].start] for each in (structure, now)]
    image, changed = (v.intensity[plane][:, :, 0] for v in (original, defaced))
    spacing = original.spacing_mm[:2]
    return SlicePicture(PLANES[2], image.copy(), changed - image, spacing, structure.name, dice, *masks)


def _name(scan: ScanRef) -> str:
    return f"{scan.subject}_{scan.visit_stem}_{scan.condition}_pictures.npz"


def write_pictures(pictures: Iterable[SlicePicture], folder: Path, scan: ScanRef) -> None:
    """Write the slices of a scan as one compressed NumPy file, for its owner alone."""
    arrays: dict[str, Any] = {}
    for number, picture in enumerate(pictures):
        for name in SlicePicture.__dataclass_fields__:
            arrays[f"{number}/{name}"] = np.asarray(getattr(picture, name))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_private(folder / _name(scan), buffer.getvalue())


def read_pictures(folder: Path, case: CaseUtility) -> tuple[SlicePicture, ...]:
    """Read what `write_pictures` wrote of a scan; nothing where it wrote nothing.

    Raises
    ------
    InputError
        The file is damaged.
    """
    session, _, image = case.session.partition("/")
    scan = ScanRef(case.subject, session, case.condition, Path(case.file), image=image)
    path = folder / _name(scan)
    if not path.is_file():
        return ()
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
        numbers = sorted({int(key.partition("/")[0]) for key in arrays})
        rows = [[arrays[f"{n}/{name}"] for name in SlicePicture.__dataclass_fields__] for n in numbers]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path.name}: cannot be read; write it anew by `utility --maps`") from error
    return tuple(
        SlicePicture(str(plane), original, difference, (float(a), float(b)), str(structure), float(dice), before, after)
        for plane, original, difference, (a, b), structure, dice, before, after in rows
    )
