"""The mean over attackers and encoders, each in units of its own spread: they err on different people.

Nothing is trained: mean and spread are those of the non-mated comparisons of the same defacer. Attackers that use the
person's own original take no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_audit.attack.base import Attack, Gallery, Side
from reid_audit.records import IMAGE_COLUMNS, ORIGINAL, SCORE_COLUMNS, FaceRecord, Group, ScoreTable

if TYPE_CHECKING:
    import pandas as pd

_GROUPS = (Group.SAME, Group.DIFFERENT, Group.DEFACED_SAME, Group.DEFACED_DIFFERENT, Group.DEFACED_SAME_SCAN)
_NON_MATED = (Group.DIFFERENT, Group.DEFACED_DIFFERENT)
_SCANS = tuple(column for column in (*SCORE_COLUMNS, *IMAGE_COLUMNS) if column not in ("attack", "encoder", "distance"))


class Fusion(Attack):
    """Adds up what the others measured."""

    name = "fusion"
    sees = Side.BOTH
    joins = True
    selected_by_default = True

    def describe(self) -> str:  # noqa: D102
        return "the mean distance over attackers and encoders, each in units of its own spread"

    def join(self, scores: ScoreTable, records: Sequence[FaceRecord]) -> ScoreTable | None:  # noqa: D102
        if self.name in scores.frame["attack"].unique():
            return None  # a table of ours that was read back
        columns = arrange_columns(scores)
        if columns is None or len(columns.parts) < 2:
            return None
        condition = columns.rows["condition"].to_numpy(dtype=object)
        non_mated = columns.rows["group"].isin([group.value for group in _NON_MATED]).to_numpy()
        distance = np.full(len(condition), np.nan)
        for name in np.unique(condition):
            inside = condition == name
            distance[inside] = fuse(columns.distances[inside], non_mated[inside])
        encoder = "+".join(dict.fromkeys(encoder for encoder, _ in columns.parts))
        return columns.tabulate(distance, attack=self.name, encoder=encoder)


class Columns(NamedTuple):
    """Distances of the same pairs of scans side by side.

    Attributes
    ----------
    rows : pandas.DataFrame
        Group, condition, subjects and sessions of each comparison.
    distances : (n, k) float64
        NaN = none.
    parts : tuple of (str, str)
        Encoder and attacker of each column.
    """

    rows: pd.DataFrame
    distances: NDArray[np.float64]
    parts: tuple[tuple[str, str], ...]

    def tabulate(self, distance: NDArray[np.float64], *, attack: str, encoder: str) -> ScoreTable:
        """Return a table of other distances of these pairs."""
        frame = self.rows.assign(attack=attack, encoder=encoder, distance=distance)
        frame = frame.astype({"attack": "category", "encoder": "category"})
        return ScoreTable(frame.loc[:, [name for name in (*SCORE_COLUMNS, *IMAGE_COLUMNS) if name in frame]])


def arrange_columns(scores: ScoreTable) -> Columns | None:
    """Put the distances of all attackers who search originals, and use none of the person's own, side by side.

    Comparisons of originals of an attacker that leaves them as they are, are those of the baseline of its encoder.
    Rows that name no subject are left out. None where nothing is left.
    """
    import pandas as pd

    from reid_audit.attack import BASELINE, find_attack

    frame = scores.frame
    fit = [
        name
        for name in map(str, frame["attack"].unique())
        if (attack := find_attack(name)).judged
        and attack.gallery is Gallery.ORIGINALS
        and not (attack.without_hint or attack.joins)
    ]
    named = frame["probe_subject"].notna() & frame["reference_subject"].notna()
    wanted = named & frame["attack"].isin(fit) & frame["group"].isin([group.value for group in _GROUPS])
    frame = frame[wanted]
    if frame.empty:
        return None
    key = np.zeros(len(frame), np.int64)
    for column in (name for name in _SCANS if name in frame):
        codes, values = pd.factorize(frame[column])
        key = key * len(values) + codes
    _, first, place = np.unique(key, return_index=True, return_inverse=True)
    (encoder_of, encoders), (attack_of, names) = (pd.factorize(frame[column]) for column in ("encoder", "attack"))
    which, pairs = pd.factorize(encoder_of * len(names) + attack_of)
    parts = tuple((str(encoders[pair // len(names)]), str(names[pair % len(names)])) for pair in pairs)
    number = {part: k for k, part in enumerate(parts)}
    distances = np.full((len(first), len(parts)), np.nan)
    distances[place, which] = frame["distance"]
    rows = frame.iloc[first].reset_index(drop=True)
    original = (rows["condition"] == ORIGINAL).to_numpy()
    own = {parts[k] for k in np.unique(which[(frame["condition"] == ORIGINAL).to_numpy()])}
    for k, part in enumerate(parts):
        baseline = number.get((part[0], BASELINE.name))
        if part not in own and baseline is not None:
            distances[original, k] = distances[original, baseline]
    return Columns(rows, distances, parts)


def fuse(distances: NDArray[np.float64], non_mated: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean of the distances, each column less its mean and over its standard deviation.

    Parameters
    ----------
    distances : (n, k) float64
        NaN = none: the mean is that of the other columns.
    non_mated : (n,) bool
        Comparisons that mean and deviation are taken of.

    Returns
    -------
    (n,) float64
        Moved and scaled so that non-mated comparisons have mean 1, and a comparison whose distances are all 0 has 0;
        within [0, 2]. NaN where every column is NaN or tells nothing apart.
    """
    z, origin = [], []
    for column in distances.T:
        known = column[non_mated & np.isfinite(column)]
        spread = float(known.std()) if len(known) > 1 else 0.0
        if spread > 0:
            z.append((column - known.mean()) / spread)
            origin.append(known.mean() / spread)
    if not z:
        return np.full(len(distances), np.nan)
    table = np.array(z)
    count = np.isfinite(table).sum(axis=0)
    mean = np.where(count > 0, np.nansum(table, axis=0) / np.maximum(count, 1), np.nan)
    return np.asarray(np.clip(1.0 + mean / np.mean(origin), 0.0, 2.0))
