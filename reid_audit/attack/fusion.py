"""The mean over attackers and encoders, each in units of its own spread: they err on different people.

Nothing is trained: mean and spread are those of the non-mated comparisons of the same defacer. A scan that is near to
everybody's, as a few originals are to faces that a defacer made alike, is judged by what is usual for it. What
recognisers find counts as one, and so does what is found without them, however many attackers and encoders there are;
the more unusual a comparison is for one of the two, the more it counts.
Attackers that use the person's own original take no part.
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
_EMPHASIS = 1.5  # between 1, best behind blurs, and 2 to 3, best behind a box or an average face
_NON_MATED = (Group.DIFFERENT, Group.DEFACED_DIFFERENT)
_SIDES = tuple((f"probe_{name}", f"reference_{name}") for name in ("subject", "session", "image"))
_SCANS = tuple(column for column in (*SCORE_COLUMNS, *IMAGE_COLUMNS) if column not in ("attack", "encoder", "distance"))


class Fusion(Attack):
    """Adds up what the others measured."""

    name = "fusion"
    sees = Side.BOTH
    joins = True
    selected_by_default = True

    def describe(self) -> str:  # noqa: D102
        return "the mean distance over attackers and encoders, as a share of what is usual for the two scans"

    def join(self, scores: ScoreTable, records: Sequence[FaceRecord]) -> ScoreTable | None:  # noqa: D102
        if self.name in scores.frame["attack"].unique():
            return None  # a table of ours that was read back
        columns = arrange_columns(scores)
        if columns is None or len(columns.parts) < 2:
            return None
        return columns.tabulate(columns.fuse(), attack=self.name)


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

    def fuse(self) -> NDArray[np.float64]:
        """Return one distance per pair of scans, condition by condition."""
        from reid_audit.attack import find_attack

        attacks = [find_attack(attack) for _, attack in self.parts]
        kinds = [(attack.encoder, attack.joins) for attack in attacks]
        condition = self.rows["condition"].to_numpy(dtype=object)
        non_mated = self.rows["group"].isin([group.value for group in _NON_MATED]).to_numpy()
        fused = np.full(len(condition), np.nan)
        for name in np.unique(condition):
            inside = condition == name
            scans = _number_scans(self.rows[inside], of_one_side=name == ORIGINAL)
            relative = [divide_by_usual(column, *scans) for column in self.distances[inside].T]
            fused[inside] = fuse(np.column_stack(relative), non_mated[inside], kinds)
        return fused

    def tabulate(self, distance: NDArray[np.float64], *, attack: str, encoder: str = "") -> ScoreTable:
        """Return a table of other distances of these pairs; the encoder is named after all columns by default."""
        taken = dict.fromkeys(part for encoder, _ in self.parts for part in encoder.split("+"))
        encoder = encoder or "+".join(taken)
        frame = self.rows.assign(attack=attack, encoder=encoder, distance=distance)
        frame = frame.astype({"attack": "category", "encoder": "category"})
        return ScoreTable(frame.loc[:, [name for name in (*SCORE_COLUMNS, *IMAGE_COLUMNS) if name in frame]])


def arrange_columns(scores: ScoreTable, joined: str = "") -> Columns | None:
    """Put the distances of all attackers who search originals, and use none of the person's own, side by side.

    Of those that join what others made only `joined` is among them.

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
        and not attack.without_hint
        and (name == joined or not attack.joins)
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


def _number_scans(rows: pd.DataFrame, *, of_one_side: bool) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the number of each row's probe and of its reference; `of_one_side` = a scan may be either."""
    import pandas as pd

    key = np.zeros(2 * len(rows), np.int64)
    for sides in _SIDES:
        if sides[0] in rows:
            both = pd.api.types.union_categoricals([rows[side].astype("category") for side in sides])
            key = key * len(both.categories) + both.codes
    number = np.asarray(pd.factorize(key)[0], np.intp)
    probes, references = number[: len(rows)], number[len(rows) :]
    return (probes if of_one_side else probes + number.max(initial=0) + 1), references


def divide_by_usual(
    distances: NDArray[np.float64], probes: NDArray[np.intp], references: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return each distance over that which is usual for its two scans.

    Parameters
    ----------
    distances : (n,) float64
        NaN = none.
    probes, references : (n,) int
        Numbers of the two scans.

    Returns
    -------
    (n,) float64
        Usual is the product of the mean distances of both scans over the mean of all. Whose scans they are takes no
        part, so that mated comparisons, where nothing is left, come out as others do. To the distances of each scan
        one of the mean of all is added: a scan that is compared once keeps half of what it tells. 0 stays 0.
    """
    known = np.isfinite(distances)
    mean = float(distances[known].mean()) if known.any() else 0.0
    if mean == 0:
        return distances
    scans = np.concatenate([probes, references])
    counted = np.bincount(scans, np.concatenate([known, known]))
    total = np.bincount(scans, np.tile(np.where(known, distances, 0.0), 2))
    share = (total + mean) / (counted + 1) / mean
    return np.asarray(distances / (share[probes] * share[references]))


def fuse(
    distances: NDArray[np.float64], non_mated: NDArray[np.bool_], kinds: Sequence[object] | None = None
) -> NDArray[np.float64]:
    """Return the mean of the distances, each column less its mean and over its standard deviation, the unusual louder.

    Parameters
    ----------
    distances : (n, k) float64
        NaN = none: the mean is that of the other columns.
    non_mated : (n,) bool
        Comparisons that mean and deviation are taken of.
    kinds : sequence of k values, optional
        Columns of one kind count as one; by default each for itself.

    Returns
    -------
    (n,) float64
        Moved and scaled so that non-mated comparisons have mean 1, and a comparison whose distances are all 0 has 0;
        within [0, 2]. NaN where every column is NaN or tells nothing apart.
    """
    by_kind: dict[object, list[_Standard]] = {}
    for kind, column in zip(range(distances.shape[1]) if kinds is None else kinds, distances.T, strict=True):
        by_kind.setdefault(kind, []).append(_Standard(column, 0.0).in_spreads(non_mated))
    kinds_of_evidence = [_average(columns).in_spreads(non_mated).emphasised() for columns in by_kind.values()]
    whole = _average(kinds_of_evidence).in_spreads(non_mated)
    return np.asarray(np.clip(1.0 - whole.values / whole.zero, 0.0, 2.0))


class _Standard(NamedTuple):
    """A column, and what it has where every distance is 0; NaN where it tells nothing apart."""

    values: NDArray[np.float64]
    zero: float

    def in_spreads(self, non_mated: NDArray[np.bool_]) -> _Standard:
        """Return it less the mean of the non-mated, over their standard deviation."""
        known = self.values[non_mated & np.isfinite(self.values)]
        spread = float(known.std()) if len(known) > 1 else 0.0
        if spread == 0:
            return _Standard(np.full(len(self.values), np.nan), np.nan)
        return _Standard((self.values - known.mean()) / spread, (self.zero - float(known.mean())) / spread)

    def emphasised(self) -> _Standard:
        """Return it with what is unusual told louder: a kind that sees nothing drowns less of what another sees."""
        values, zero = (np.sign(each) * np.abs(each) ** _EMPHASIS for each in (self.values, self.zero))
        return _Standard(values, float(zero))


def _average(columns: Sequence[_Standard]) -> _Standard:
    """Return the mean of those that tell something apart, of each row where they have it."""
    telling = [column for column in columns if np.isfinite(column.zero)]
    if not telling:
        return columns[0]
    table = np.array([column.values for column in telling])
    count = np.isfinite(table).sum(axis=0)
    mean = np.where(count > 0, np.nansum(table, axis=0) / np.maximum(count, 1), np.nan)
    return _Standard(mean, float(np.mean([column.zero for column in telling])))
