"""What a defacer does to vectors, learned on other people and undone.

From the defaced and original scans of other people of the same release is learned what a defaced vector lacks of the
original's; see `reid_audit.attack.cross_fit`. No comparison has a part of anybody in it who was learned from. An
attacker who has scans of his own, and the defacer, does the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_audit.attack.base import Attack, Side
from reid_audit.attack.cross_fit import Sides, learn_distances
from reid_audit.attack.fusion import arrange_columns
from reid_audit.attack.multiview import average_faces
from reid_audit.records import IMAGE_COLUMNS, ORIGINAL, FaceRecord, ScoreTable, group_by, natural_key

if TYPE_CHECKING:
    import pandas as pd

_SEED = 0  # of the partitions into folds

_Scan = tuple[str, str, str]
"""Subject, session and image."""


class Learned(Attack):
    """Corrects the mean vector over attackers towards the original's, over all encoders together."""

    name = "learned"
    sees = Side.BOTH
    joins = True
    selected_by_default = fails_unrequired = True
    fewest_people = 8

    def describe(self) -> str:  # noqa: D102
        return (
            "a linear correction of defaced vectors towards originals, over all encoders, learned on other people; "
            f"needs {self.fewest_people} of them"
        )

    def join(self, scores: ScoreTable, records: Sequence[FaceRecord]) -> ScoreTable | None:  # noqa: D102
        from reid_audit.attack import BASELINE, find_attack

        columns = None if self.name in scores.frame["attack"].unique() else arrange_columns(scores)
        if columns is None or not records:
            return None
        looks = [part for part in columns.parts if not find_attack(part[1]).encoder]
        encoders = list(dict.fromkeys(encoder for encoder, _ in looks))
        originals = _gather(records, ORIGINAL, [(encoder, BASELINE) for encoder in encoders])
        condition = columns.rows["condition"].to_numpy(dtype=object)
        distance, run = np.full(len(condition), np.nan), np.zeros(len(condition), bool)
        for name in np.unique(condition):
            scans = _gather(records, str(name), [(encoder, find_attack(attack)) for encoder, attack in looks])
            table = _compare(scans, originals, self.fewest_people)
            if table is not None:
                run |= (inside := condition == name)
                rows = columns.rows[inside]
                p, r = _find(scans.names, rows, "probe"), _find(originals.names, rows, "reference")
                distance[inside] = np.where((p < 0) | (r < 0), np.nan, table[p, r])
        if not run.any():
            return None
        ran = columns._replace(rows=columns.rows[run], distances=columns.distances[run])
        return ran.tabulate(distance[run], attack=self.name, encoder="+".join(encoders))


class LearnedFusion(Attack):
    """The fusion with what was learned in the place of the recognisers; nothing without `Learned` before it."""

    name = "learned-fusion"
    family = Learned.name
    sees = Side.BOTH
    joins = True
    selected_by_default = True
    fewest_people = Learned.fewest_people

    def describe(self) -> str:  # noqa: D102
        return f"the fusion, with what {self.family} finds in the place of what recognisers find"

    def join(self, scores: ScoreTable, records: Sequence[FaceRecord]) -> ScoreTable | None:  # noqa: D102
        from reid_audit.attack import find_attack

        attack, condition = scores.frame["attack"], scores.frame["condition"]
        if self.name in attack.unique() or self.family not in attack.unique():
            return None
        taken = [name for name in map(str, attack.unique()) if name == self.family or find_attack(name).encoder]
        ran = condition.isin(condition[attack == self.family].unique())
        columns = arrange_columns(ScoreTable(scores.frame[ran & attack.isin(taken)]), self.family)
        return None if columns is None else columns.tabulate(columns.fuse(), attack=self.name)


class _Scans(NamedTuple):
    """Scans of one condition, and their vectors by encoder.

    Attributes
    ----------
    names : list of n tuples
    looks : mapping of str to list of (n, d) float64
        Per encoder what each of its looks saw; an encoder that saw no scan is not there.
    """

    names: list[_Scan]
    looks: Mapping[str, list[NDArray[np.float64]]]


def _gather(records: Sequence[FaceRecord], condition: str, looks: Sequence[tuple[str, Attack]]) -> _Scans:
    """Return the scans of a condition that any look saw.

    A scan that a look did not see has the mean of the others' vectors there.
    """
    parts: dict[str, list[dict[_Scan, NDArray[np.float32]]]] = {}
    for encoder, attack in looks:
        faces = {
            (record.scan.subject, record.scan.session, record.scan.image): average_faces(attack.looks_of(record))
            for record in records
            if record.scan.condition == condition and record.face.encoder == encoder
        }
        if part := {scan: face.vector for scan, face in faces.items() if face.vector is not None}:
            parts.setdefault(encoder, []).append(part)
    seen = {scan for of_encoder in parts.values() for part in of_encoder for scan in part}
    names = sorted(seen, key=lambda scan: tuple(map(natural_key, scan)))
    return _Scans(names, {encoder: [_stack(part, names) for part in each] for encoder, each in parts.items()})


def _stack(part: Mapping[_Scan, NDArray[np.float32]], names: Sequence[_Scan]) -> NDArray[np.float64]:
    mean = np.mean(list(part.values()), axis=0)
    return np.array([part.get(scan, mean) for scan in names], np.float64)


def _compare(scans: _Scans, originals: _Scans, fewest: int) -> NDArray[np.float64] | None:
    """Return the distance of every scan from every original; None where too few people have both."""
    code = {subject: k for k, subject in enumerate(dict.fromkeys(s[0] for s in (*originals.names, *scans.names)))}
    by_person = group_by(range(len(originals.names)), lambda k: originals.names[k][0])
    if len({scan[0] for scan in scans.names} & set(by_person)) < fewest:
        return None
    both = [encoder for encoder in originals.looks if encoder in scans.looks]
    vectors, references = (
        np.concatenate([np.mean(side.looks[encoder], axis=0) for encoder in both], axis=1)
        for side in (scans, originals)
    )
    targets = np.full(vectors.shape, np.nan)
    for k, scan in enumerate(scans.names):
        own = by_person.get(scan[0], [])
        others = [j for j in own if originals.names[j][1:] != scan[1:]] or own
        if others:
            targets[k] = references[others].mean(axis=0)
    people = [np.array([code[scan[0]] for scan in side.names]) for side in (scans, originals)]
    return learn_distances(
        Sides(vectors, people[0]),
        np.concatenate([look for encoder in both for look in scans.looks[encoder]], axis=1),
        targets,
        Sides(references, people[1]),
        rng=np.random.default_rng(_SEED),
    )


def _find(scans: Sequence[_Scan], rows: pd.DataFrame, side: str) -> NDArray[np.intp]:
    """Return the place of each row's scan among the scans; -1 = not there."""
    import pandas as pd

    image = rows[f"{side}_image"] if IMAGE_COLUMNS[0] in rows else pd.Series("", index=rows.index)
    wanted = pd.MultiIndex.from_arrays(
        [rows[f"{side}_subject"].astype(str), rows[f"{side}_session"].astype(str), image.astype(str)]
    )
    return np.asarray(pd.MultiIndex.from_tuples(scans).get_indexer(wanted))
