"""What a defacer does to vectors, learned on other people and undone.

From the defaced and original scans of other people of the same release a linear map is learned; see
`reid_audit.attack.cross_fit`. No comparison has a part of anybody in it who was learned from. An attacker who has
scans of his own, and the defacer, does the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

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
    """Maps vectors of defaced scans to those of originals, over all encoders and attackers together."""

    name = "learned"
    sees = Side.BOTH
    joins = True
    fewest_people = 16

    def describe(self) -> str:  # noqa: D102
        return (
            "a linear map from defaced to original vectors of all encoders, learned on other people; "
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
                p, r = _find(scans, rows, "probe"), _find(originals, rows, "reference")
                distance[inside] = np.where((p < 0) | (r < 0), np.nan, table[p, r])
        if not run.any():
            return None
        ran = columns._replace(rows=columns.rows[run], distances=columns.distances[run])
        return ran.tabulate(distance[run], attack=self.name, encoder="+".join(encoders))


class LearnedFusion(Attack):
    """Adds what was learned to what the others measured, as one kind more; nothing without `Learned` before it."""

    name = "learned-fusion"
    family = Learned.name
    sees = Side.BOTH
    joins = True
    fewest_people = Learned.fewest_people

    def describe(self) -> str:  # noqa: D102
        return f"the fusion, with what {self.family} finds beside what recognisers and depth find"

    def join(self, scores: ScoreTable, records: Sequence[FaceRecord]) -> ScoreTable | None:  # noqa: D102
        attack, condition = scores.frame["attack"], scores.frame["condition"]
        if self.name in attack.unique() or self.family not in attack.unique():
            return None
        learned = scores.frame[condition.isin(condition[attack == self.family].unique())]
        columns = arrange_columns(ScoreTable(learned), self.family)
        return None if columns is None else columns.tabulate(columns.fuse(), attack=self.name)


def _gather(
    records: Sequence[FaceRecord], condition: str, looks: Sequence[tuple[str, Attack]]
) -> Mapping[_Scan, NDArray[np.float64]]:
    """Return a vector per scan of a condition: that of every look, one after the other.

    A look that saw nothing has the mean of the others' vectors. A scan that none saw is left out.
    """
    parts = []
    for encoder, attack in looks:
        faces = {
            (record.scan.subject, record.scan.session, record.scan.image): average_faces(attack.looks_of(record))
            for record in records
            if record.scan.condition == condition and record.face.encoder == encoder
        }
        parts.append({scan: face.vector for scan, face in faces.items() if face.vector is not None})
    means = [np.mean(list(part.values()), axis=0) for part in parts if part]
    scans = sorted({scan for part in parts for scan in part}, key=lambda scan: tuple(map(natural_key, scan)))
    seen = [part for part in parts if part]
    return {
        scan: np.concatenate([part.get(scan, mean) for part, mean in zip(seen, means, strict=True)], dtype=np.float64)
        for scan in scans
    }


def _compare(
    scans: Mapping[_Scan, NDArray[np.float64]], originals: Mapping[_Scan, NDArray[np.float64]], fewest: int
) -> NDArray[np.float64] | None:
    """Return the distance of every scan from every original; None where too few people have both."""
    code = {subject: k for k, subject in enumerate(dict.fromkeys(scan[0] for scan in (*originals, *scans)))}
    by_person = group_by(originals, lambda scan: scan[0])
    if len({scan[0] for scan in scans} & set(by_person)) < fewest:
        return None
    length = len(next(iter(originals.values())))
    targets = np.full((len(scans), length), np.nan)
    for k, scan in enumerate(scans):
        own = by_person.get(scan[0], [])
        others = [each for each in own if each[1:] != scan[1:]] or own
        if others:
            targets[k] = np.mean([originals[each] for each in others], axis=0)
    probes, references = (
        Sides(np.array(list(side.values())), np.array([code[scan[0]] for scan in side])) for side in (scans, originals)
    )
    return learn_distances(probes, targets, references, rng=np.random.default_rng(_SEED))


def _find(scans: Mapping[_Scan, object], rows: pd.DataFrame, side: str) -> NDArray[np.intp]:
    """Return the place of each row's scan among the scans; -1 = not there."""
    import pandas as pd

    image = rows[f"{side}_image"] if IMAGE_COLUMNS[0] in rows else pd.Series("", index=rows.index)
    wanted = pd.MultiIndex.from_arrays(
        [rows[f"{side}_subject"].astype(str), rows[f"{side}_session"].astype(str), image.astype(str)]
    )
    return np.asarray(pd.MultiIndex.from_tuples(list(scans)).get_indexer(wanted))
