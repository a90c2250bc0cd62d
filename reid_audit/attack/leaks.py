"""Where on the face a defacer changed something, and where identity is left: of all people at once, never of one.

Words
-----
change
    How far the skin moved at a place, where most of the defaced head and its own original agree best: the median over
    people, mm. Where the skin is gone it is `GONE_MM`.
residual
    What a defaced head and an original differ by at a place, where most of the two faces agree best.
identity
    Between-person over within-person variance of the residual at a place: medians of the squared residuals of other
    people's originals and of one's own. 1 = another person fits as well as the person, nothing is left there.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reid_audit.attack.depth_maps import CELL_MM, Maps, subtract_depth_maps
from reid_audit.attack.occlusion import measure_average_relief
from reid_audit.attack.shape import Shape
from reid_audit.records import ORIGINAL, FaceRecord, LeakMap

FEWEST = 8
"""People: of fewer, a map would say little of the defacer and much of them."""

GONE_MM = 40.0
_OTHERS = 4  # with whom each person is compared
_FLOOR_MM2 = 0.01  # variance below which depth maps measure nothing
_MOST = 100.0
_SMOOTH = 3  # cells


def pick_mapped(records: Sequence[FaceRecord]) -> list[FaceRecord]:
    """Return what `map_leaks` looks at and nothing else, for whoever sends it to a worker: one record per scan."""
    seen = {record.scan.key: record for record in records if record.looks.get(Shape.name)}
    return [replace(record, looks={Shape.name: record.looks[Shape.name]}) for record in seen.values()]


def map_leaks(
    records: Sequence[FaceRecord], occlude: Callable[[], NDArray[np.float64]] | None = None
) -> tuple[LeakMap, ...]:
    """Return a map of each defacer for which there are enough people.

    Parameters
    ----------
    records : sequence of FaceRecord
        Of all scans. Those count that `Shape` has looked at: without any the result is empty.
    occlude : callable, optional
        Tells where a recogniser looks, see `reid_audit.attack.map_occlusion`; asked once, and only where there is a
        map. By default no map says it.

    Returns
    -------
    tuple of LeakMap
        By condition in the order of the records. A person's original of another visit stands for the person, where
        there is one.
    """
    shape, seen = Shape(), {}
    for record in records:
        if looks := record.looks.get(shape.name):
            scan = record.scan
            seen[scan.condition, scan.subject, scan.session] = shape.maps_of(looks)
    conditions = dict.fromkeys(condition for condition, _, _ in seen if condition != ORIGINAL)
    scans = {condition: [key[1:] for key in seen if key[0] == condition] for condition in (ORIGINAL, *conditions)}
    mates: dict[str, Maps] = {}
    same_in_all: list[tuple[tuple[float, ...], ...]] = []
    maps = []
    for condition in conditions:
        probes: dict[str, Maps] = {}
        changes = []
        for subject, session in scans[condition]:
            defaced, before = seen[condition, subject, session], seen.get((ORIGINAL, subject, session))
            others = [key for key in scans[ORIGINAL] if key[0] == subject and key[1] != session]
            after = next(iter(others), (subject, session))
            original = seen.get((ORIGINAL, *after))
            if defaced.size == 0 or original is None or original.size == 0 or subject in probes:
                continue
            probes[subject], mates[subject] = defaced[0], original[0]
            if before is not None and before.size:
                gone = np.isnan(defaced[0]) & np.isfinite(before[0])
                (moved,) = subtract_depth_maps(defaced[:1], before[:1], shape.region, shape.share)
                changes.append(np.where(gone, GONE_MM, np.abs(moved)))
        if len(probes) >= FEWEST:
            if not same_in_all:
                tables = [measure_average_relief(shape), *([] if occlude is None else [occlude()])]
                same_in_all = [_as_rows(table, shape) for table in tables]
            change = _median(np.array(changes)) if changes else np.full(shape.region.shape, np.nan)
            maps.append(
                LeakMap(
                    condition,
                    len(probes),
                    CELL_MM,
                    _as_rows(np.minimum(change, GONE_MM), shape),
                    _as_rows(_measure_identity(probes, mates, shape), shape),
                    *same_in_all,
                )
            )
    return tuple(maps)


def _measure_identity(probes: dict[str, Maps], mates: dict[str, Maps], shape: Shape) -> NDArray[np.float64]:
    subjects = list(probes)
    steps = range(1, min(_OTHERS, len(subjects) - 1) + 1)

    def squares(step: int) -> NDArray[np.float64]:
        references = np.array([mates[subjects[(n + step) % len(subjects)]] for n in range(len(subjects))])
        return np.square(subtract_depth_maps(np.array(list(probes.values())), references, shape.region, shape.share))

    within = _smooth(_median(squares(0)))
    between = _smooth(_median(np.concatenate([squares(step) for step in steps])))
    return np.minimum(between / np.maximum(within, _FLOOR_MM2), _MOST)


def _median(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median over people; NaN where fewer than half of them have a value."""
    known = np.isfinite(maps).sum(axis=0) * 2 >= len(maps)
    filled = np.where(known, maps, 0.0)
    return np.where(known, np.nanmedian(filled, axis=0), np.nan)


def _smooth(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over neighbouring cells that have a value: one cell's variance, of some ten people, is mostly chance."""
    from scipy.ndimage import uniform_filter

    known = np.isfinite(table)
    total = uniform_filter(np.where(known, table, 0.0), _SMOOTH)
    share = uniform_filter(known.astype(float), _SMOOTH)
    return np.where(known, total / np.maximum(share, 1e-9), np.nan)


def _as_rows(table: NDArray[np.float64], shape: Shape) -> tuple[tuple[float, ...], ...]:
    inside = np.where(shape.region, table, np.nan)
    return tuple(tuple(float(round(value, 2)) for value in row) for row in inside)
