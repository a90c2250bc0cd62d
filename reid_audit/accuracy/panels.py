"""A ScoreTable as squares of people: one panel per encoder, condition and attacker, and the originals beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reid_audit.accuracy.columns import GROUPS, Rows, codes_of, number_visits, split_rows
from reid_audit.accuracy.images import pool_images
from reid_audit.attack import BASELINE
from reid_audit.records import CANARY, Estimate, Group, InputError, ScoreTable, natural_key
from reid_audit.stats.residuals import Bounded, Floats, alike, linkability, percentiles, residuals

if TYPE_CHECKING:
    import pandas as pd

AUTO, ALL = "auto", "all"
_MOST = 0.8
"""Share of people whose sex must be known for comparisons within one's own sex."""


@dataclass(frozen=True, eq=False)
class Panel:
    """Distances of defaced scans to originals, as one attacker with one encoder sees them.

    Attributes
    ----------
    distance : (v, v, n, n) float64
        [a, b, i, j]: defaced scan of person i, visit a, to original of person j, visit b. NaN = none.
    there : (v, n) bool
        The table has rows of that defaced scan, with or without a distance.
    same_scan : (v, n) float64
        Distances of defaced scans to the very original that they were made from; NaN = none.
    group : (n,) int, optional
        A group per person (sex) within which people are compared; -1 where it is not known.
    """

    encoder: str
    condition: str
    attack: str
    subjects: tuple[str, ...]
    distance: Floats
    there: NDArray[np.bool_]
    same_scan: Floats
    group: NDArray[np.intp] | None = None

    @property
    def is_canary(self) -> bool:
        """Whether the condition is a test of the attacker."""
        return self.condition.startswith(CANARY)

    @cached_property
    def made(self) -> NDArray[np.intp]:
        """Positions of the people with a scan here: of canaries often a sample."""
        return np.flatnonzero(self.there.any(axis=0))

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """(v, n): defaced scans with any distance."""
        return np.asarray(np.isfinite(self.distance).any(axis=(1, 3)))

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Visits (defaced, original) with non-mated comparisons; of other visits wherever there are any."""
        n = len(self.subjects)
        off = np.isfinite(self.distance) & ~np.eye(n, dtype=bool)
        usable = [(int(a), int(b)) for a, b in np.argwhere(off.any(axis=(2, 3)))]
        return tuple([p for p in usable if p[0] != p[1]] or usable)

    @property
    def blocks(self) -> Floats:
        """(b, n, n) distances of `pairs`; a copy, which of a large cohort is not kept."""
        n = len(self.subjects)
        return np.array([self.distance[a, b] for a, b in self.pairs]).reshape(-1, n, n)

    @cached_property
    def residual(self) -> Floats:
        """(b, n, n) residuals of `blocks`."""
        return residuals(self.blocks, self.group)

    @property
    def percentile(self) -> Floats:
        """(b, n, n) percentiles of `residual`, not kept either."""
        return percentiles(self.residual)

    @cached_property
    def mated(self) -> Floats:
        """(b, n) mate percentiles."""
        return np.array(np.diagonal(self.percentile, axis1=1, axis2=2))  # a view would keep all of them

    @cached_property
    def farther(self) -> Floats:
        """(b, n): share of each search's non-mated comparisons that lie farther than the mate, ties half."""
        count = (np.isfinite(self.residual) & ~np.eye(len(self.subjects), dtype=bool)).sum(axis=2)
        return np.asarray((self.mated * (count + 1) - 0.5) / np.maximum(count, 1))

    @cached_property
    def found_first(self) -> NDArray[np.bool_]:
        """(b, n): the mate lies before everybody else, ties in the attacker's favour."""
        n = len(self.subjects)
        mate = np.diagonal(self.residual, axis1=1, axis2=2)
        others = np.where(np.eye(n, dtype=bool) | np.isnan(self.residual), np.inf, self.residual).min(axis=2)
        return np.asarray((mate <= others) & np.isfinite(others), dtype=bool)

    @cached_property
    def rivals(self) -> NDArray[np.bool_]:
        """(n, n): the non-mated pairs that mates are compared with, within a group where there are groups."""
        rivals: NDArray[np.bool_] = np.asarray(~np.eye(len(self.subjects), dtype=bool))
        if self.group is not None:
            rivals &= alike(self.group) != 0
        return rivals

    @cached_property
    def beside(self) -> Floats:
        """(v, n): share of other people's originals farther than the very original of a scan; 0 without a vector.

        NaN where the scan was not made or not compared with anybody else's originals.
        """
        n = len(self.subjects)
        share = np.full(self.there.shape, np.nan)
        for a in range(len(share)):
            rivals = [self.distance[p, q] for p, q in self.pairs if p == a]
            if rivals:
                off = np.where(np.eye(n, dtype=bool), np.inf, np.nan_to_num(np.min(rivals, axis=0), nan=np.inf))
                known = np.isfinite(off).sum(axis=1)
                farther = (np.isfinite(off) & (off > self.same_scan[a][:, None])).sum(axis=1)
                share[a] = np.where(known > 0, farther / np.maximum(known, 1), 0.0)
        return np.where(self.there, share, np.nan)

    def linkability(self, *, confidence: float) -> Bounded:
        """Probability that the mate is nearer than another (AUC), with one-sided bounds; see `stats.residuals`."""
        bound = linkability(self.mated, confidence=confidence)
        # The estimate cannot reach 1, least of all among few people: never tell less than the comparisons show.
        observed = float(np.nan_to_num(self.farther, nan=0.5).mean()) if self.farther.size else math.nan
        return bound._replace(value=max(bound.value, observed), at_most=max(bound.at_most, observed))

    def among_nearest(self, share: float) -> NDArray[np.bool_]:
        """(b, n): the mate lies among the nearest ``share`` of all non-mated residuals of its block."""
        mate = np.diagonal(self.residual, axis1=1, axis2=2)
        rivals = self.residual[:, self.rivals]
        known = np.isfinite(rivals).any(axis=1)
        limit = np.full(len(rivals), np.nan)  # a block without a distance has no near mates
        limit[known] = np.nanquantile(rivals[known], share, axis=1)
        return np.asarray(mate < limit[:, None])

    @cached_property
    def chance_first(self) -> float:
        """Share of searches that guessing puts first: 1 / n."""
        return 1 / max(len(self.subjects), 1)


@dataclass(frozen=True, eq=False)
class Originals:
    """Comparisons of originals with one encoder, as one attacker sees them.

    Attributes
    ----------
    mated : (v, v, n) float64
        [a, b, i]: visit a of person i to visit b. NaN = none.
    non_mated : (k,) float64
        With or without people's names. NaN = one of the two scans has no vector.
    between : (n, n) float64
        The same where people have names, symmetric; NaN = none, and on the diagonal.
    scans, unseen : int
        Scans of originals in the table, and those without any distance.
    """

    encoder: str
    subjects: tuple[str, ...]
    mated: Floats
    non_mated: Floats
    between: Floats
    scans: int
    unseen: int

    @cached_property
    def typical_mated(self) -> float:
        """Median distance of two visits of one person; NaN without."""
        return float(np.nanmedian(self.mated)) if np.isfinite(self.mated).any() else float("nan")

    @cached_property
    def percentile(self) -> Floats:
        """(b, n) mate percentiles of pairs of visits among the person's non-mated comparisons; NaN where unknown."""
        n = len(self.subjects)
        every = self.mated.reshape(-1, n)
        blocks = np.repeat(self.between[None], len(every), axis=0)
        blocks[:, np.arange(n), np.arange(n)] = every
        known = np.isfinite(every).any(axis=1)
        return np.diagonal(percentiles(blocks[known]), axis1=1, axis2=2)


@dataclass(frozen=True, eq=False)
class Panels:
    """All that the rules read.

    Attributes
    ----------
    originals : dict of str to Originals
        By encoder, as the attacker sees them that treats originals as they are.
    strata : pandas.DataFrame
        Columns such as sex or site, indexed by subject.
    own : dict of (str, str) to Originals
        By encoder and attacker, of attackers with distances of their own.
    """

    panels: tuple[Panel, ...]
    originals: dict[str, Originals]
    strata: pd.DataFrame = field(default_factory=lambda: _by_subject(None, ()))
    own: dict[tuple[str, str], Originals] = field(default_factory=dict)

    def originals_of(self, panel: Panel) -> Originals:
        """Return the comparisons of originals whose distances those of ``panel`` may be compared with."""
        return self.own.get((panel.encoder, panel.attack), self.originals[panel.encoder])

    def mated_distance(self, panel: Panel, share: float) -> float:
        """Return within which distance this share of the visits of one person lie; without visits, of canary scans."""
        mated = self.originals_of(panel).mated
        canaries = [c.same_scan for c in self.canaries(panel) if np.isfinite(c.same_scan).any()]
        if np.isfinite(mated).any():
            return float(np.nanquantile(mated, share))
        return min((float(np.nanquantile(same, share)) for same in canaries), default=float("nan"))

    def canaries(self, panel: Panel) -> list[Panel]:
        """Return the panels that test the attacker and encoder of ``panel``."""
        return [p for p in self.panels if p.is_canary and (p.attack, p.encoder) == (panel.attack, panel.encoder)]

    def conditions(self) -> Iterator[tuple[str, list[Panel]]]:
        """Yield each judged condition with the panels of its attackers."""
        for name in dict.fromkeys(p.condition for p in self.panels if not p.is_canary):
            yield name, [p for p in self.panels if p.condition == name]


def to_estimate(bound: Bounded, *, confidence: float) -> Estimate:
    """Return a linkability with its one-sided bounds as a record."""
    return Estimate(
        bound.value,
        at_least=bound.at_least,
        at_most=bound.at_most,
        subjects=bound.subjects,
        confidence=confidence,
        method="normal scores of ranks, one-sided bounds between subjects",
    )


def to_panels(frame: pd.DataFrame, strata: pd.DataFrame | None = None, *, within: str = AUTO) -> Panels:
    """Arrange the rows of a ScoreTable.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns of `reid_audit.records.SCORE_COLUMNS`; without ``encoder`` there is one.
    strata : pandas.DataFrame, optional
        Indexed by subject.
    within : str
        Column of ``strata`` within whose values people are compared; ``"auto"`` is sex where it is known of most,
        ``"all"`` compares with everybody.

    Raises
    ------
    InputError
        There is no such column.
    """
    frame = pool_images(ScoreTable(frame)).frame
    if "encoder" not in frame:
        frame = frame.assign(encoder="")
    named = (frame["probe_subject"].notna() & frame["reference_subject"].notna()).to_numpy()
    of_people = frame if named.all() else frame[named]

    def labels(what: str) -> list[str]:
        values = (of_people[f"{side}_{what}"].unique() for side in ("probe", "reference"))
        return sorted({str(value) for column in values for value in column}, key=natural_key)

    subjects, sessions = tuple(labels("subject")), labels("session")
    code, place = ({name: k for k, name in enumerate(part)} for part in (subjects, sessions))
    table = Rows(
        codes_of(frame["group"], {group.value: k for k, group in enumerate(GROUPS)}).astype(np.int8),
        codes_of(frame["probe_subject"], code),
        np.maximum(codes_of(frame["probe_session"], place), 0),
        codes_of(frame["reference_subject"], code),
        np.maximum(codes_of(frame["reference_session"], place), 0),
        frame["distance"].to_numpy(dtype=np.float64),
    )
    number = number_visits(table if named.all() else table.take(named), len(subjects), len(sessions))
    v, n = int(number.max(initial=0)) + 1, len(subjects)
    known = _by_subject(strata, subjects)
    group = _group_people(known, within)
    panels, originals = [], {}
    own: dict[tuple[str, str], Originals] = {}
    more: dict[str, list[Floats]] = {}
    parts: dict[str, dict[str, list[Rows]]] = {}
    for (encoder, attack, condition), where in split_rows(frame, ("encoder", "attack", "condition")):
        rows = table.take(where)
        has_names = named[where]
        if not has_names.all():
            more.setdefault(encoder, []).append(rows.take(~has_names).of_group(Group.DIFFERENT).distance)
            rows = rows.take(has_names)
        rows = rows._replace(a=number[rows.i, rows.a], b=number[rows.j, rows.b])
        of_originals = [rows.of_group(wanted) for wanted in (Group.SAME, Group.DIFFERENT)]
        of_encoder = parts.setdefault(encoder, {})
        if any(len(some.i) for some in of_originals):
            of_encoder.setdefault(attack, []).extend(of_originals)
        mated, non_mated, same = (
            rows.of_group(wanted) for wanted in (Group.DEFACED_SAME, Group.DEFACED_DIFFERENT, Group.DEFACED_SAME_SCAN)
        )
        if not any(len(some.i) for some in (mated, non_mated, same)):
            continue
        distance, same_scan = np.full((v, v, n, n), np.nan), np.full((v, n), np.nan)
        there = np.zeros((v, n), dtype=bool)
        # Where two images of one session are compared, they stand for visits: the very scan does not.
        for some in (same, mated, non_mated):
            distance[some.a, some.b, some.i, some.j] = some.distance
            there[some.a, some.i] = True
        same_scan[same.a, same.i] = same.distance
        panels.append(Panel(encoder, condition, attack, subjects, distance, there, same_scan, group))
    for encoder, by_attack in parts.items():
        nameless = np.concatenate([np.zeros(0), *more.get(encoder, [])])
        of_attack = {attack: _originals(encoder, subjects, some, v, nameless) for attack, some in by_attack.items()}
        nothing = _originals(encoder, subjects, [], v, nameless)
        originals[encoder] = of_attack.get(BASELINE.name, next(iter(of_attack.values()), nothing))
        own |= {(encoder, attack): part for attack, part in of_attack.items()}
    return Panels(tuple(panels), originals, known, own)


def _by_subject(strata: pd.DataFrame | None, subjects: tuple[str, ...]) -> pd.DataFrame:
    """Return what is known of the subjects, with missing values where nothing or an empty text is given."""
    if strata is None:
        import pandas as pd

        return pd.DataFrame(index=list(subjects))
    known = strata.set_axis(strata.index.astype(str)).reindex(list(subjects))
    return known.mask(known.isin(["", "nan"]))


def check_within(strata: pd.DataFrame, within: str) -> None:
    """Check that there is a column of that name, if it names one; see `to_panels`. InputError lists those there are."""
    if within not in (AUTO, ALL, *strata):
        known = ", ".join(map(str, strata)) or "none"
        raise InputError(f"non-mated comparisons within {within!r}: there is no such column; there are: {known}")


def _group_people(strata: pd.DataFrame, within: str) -> NDArray[np.intp] | None:
    """Return a number per value of a column, -1 where it is not known; None without a column or with one value."""
    check_within(strata, within)
    sexes = [c for c in strata if str(c).lower() in ("sex", "gender") and strata[c].notna().mean() > _MOST]
    wanted = {AUTO: sexes[:1], ALL: []}.get(within, [within])
    if not wanted or strata[wanted[0]].nunique() < 2:
        return None
    return np.asarray(strata[wanted[0]].astype("category").cat.codes, dtype=np.intp)


def _originals(encoder: str, subjects: tuple[str, ...], parts: Sequence[Rows], v: int, more: Floats) -> Originals:
    n = len(subjects)
    mated, between = np.full((v, v, n), np.nan), np.full((n, n), np.nan)
    there, seen = np.zeros((v, n), dtype=bool), np.zeros((v, n), dtype=bool)
    distances = []
    for rows in parts:
        same, other = rows.of_group(Group.SAME), rows.of_group(Group.DIFFERENT)
        mated[same.a, same.b, same.i] = same.distance
        between[other.i, other.j] = between[other.j, other.i] = other.distance
        distances.append(other.distance)
        judged = rows.take(~np.isnan(rows.distance))
        for some, where in ((rows, there), (judged, seen)):
            where[some.a, some.i] = where[some.b, some.j] = True
    np.fill_diagonal(between, np.nan)
    scans = int(there.sum())
    every = np.concatenate([np.zeros(0), *distances, more])
    return Originals(encoder, subjects, mated, every, between, scans, scans - int(seen.sum()))
