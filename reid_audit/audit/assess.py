"""Distances become a result: evidence, verdict, and what concerns the audit as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

from reid_audit.accuracy import (
    assess,
    assign_calibrations,
    calibrate_scores,
    check_fingerprint,
    compare_pairwise,
    find_canaries,
    list_subjects,
    measure_canaries,
    measure_images,
    pool_images,
    split_encoders,
    split_rows,
    to_panels,
)
from reid_audit.attack import BASELINE, find_attack
from reid_audit.audit.settings import software_versions
from reid_audit.audit.side_effects import contain_side_effects
from reid_audit.records import (
    IMAGE_COLUMNS,
    AuditResult,
    Calibration,
    Check,
    CrossedEvidence,
    Decision,
    Distribution,
    Fingerprint,
    Group,
    ImageEvidence,
    Policy,
    ScoreTable,
)
from reid_audit.verdict import adjust_confidence, decide
from reid_audit.work import SerialExecutor, run_all

if TYPE_CHECKING:
    import pandas as pd

HISTOGRAM_BINS = 60


def _distributions(scores: ScoreTable) -> tuple[Distribution, ...]:
    """Bin the distances of every encoder, group, condition and attack; one set of edges for an encoder."""
    rows = []
    for encoder, table in split_encoders(scores).items():
        every = table.frame["distance"].to_numpy(np.float64)
        highest = float(np.nanmax(every)) if np.isfinite(every).any() else 1.0
        edges = np.linspace(0.0, highest or 1.0, HISTOGRAM_BINS + 1)
        columns = ("group", "condition", "attack")
        order = [list(map(str, table.frame[column].astype("category").cat.categories)) for column in columns]
        parts = dict(split_rows(table.frame, columns))
        for key in sorted(parts, key=lambda key: [names.index(name) for names, name in zip(order, key, strict=True)]):
            distances = every[parts[key]]
            counts, _ = np.histogram(distances[~np.isnan(distances)], edges)
            bins = tuple(edges.tolist()), tuple(counts.tolist()), int(np.isnan(distances).sum())
            group, condition, attack = key
            rows.append(Distribution(Group(group), condition, attack, *bins, encoder))
    return tuple(rows)


def _originals_of(scores: ScoreTable) -> ScoreTable:
    frame = scores.frame
    return ScoreTable(frame[frame["group"].isin([Group.SAME.value, Group.DIFFERENT.value])])


def _calibrate(
    originals: ScoreTable, fingerprint: Fingerprint, attack: str, *, seed: int, draws: int, confidence: float
) -> Calibration:
    return calibrate_scores(
        originals, fingerprint=fingerprint, seed=seed, draws=draws, confidence=confidence, attack=attack
    )


def _stands_apart(scores: ScoreTable) -> bool:
    """Whether a table is of no encoder of the run."""
    attacks = scores.frame["attack"].unique()
    return len(attacks) > 0 and all(find_attack(str(attack)).stands_apart for attack in attacks)


def _fingerprint_of(encoder: str, scores: ScoreTable, known: Mapping[str, Fingerprint]) -> Fingerprint:
    """Return what the distances of an attacker that is no encoder's were measured with; else the encoder's name."""
    if not (known and _stands_apart(scores)):
        return Fingerprint(encoder, "", "", "", "", "", "")
    attacks = (find_attack(str(attack)) for attack in scores.frame["attack"].unique())
    versions = ", ".join(f"{attack.name} {attack.version}" for attack in attacks)
    return replace(next(iter(known.values())), encoder=encoder, weights=versions, detector="")


def _without_canaries(scores: ScoreTable) -> ScoreTable:
    """Return the comparisons of the release and of the originals: a canary is no defacer."""
    rows = scores.frame[~find_canaries(scores.frame)]
    if len(rows) == len(scores.frame):
        return scores
    return ScoreTable(rows.assign(condition=rows["condition"].astype("category").cat.remove_unused_categories()))


def _measure_images(scores: ScoreTable, policy: Policy) -> tuple[ImageEvidence, ...]:
    frame = scores.frame
    pairs = len(frame.groupby(list(IMAGE_COLUMNS), observed=True)) if set(IMAGE_COLUMNS) <= set(frame) else 0
    return measure_images(scores, confidence=adjust_confidence(policy.confidence, pairs))


@contain_side_effects()
def assess_scores(
    scores: ScoreTable,
    *,
    source: str,
    fingerprints: Iterable[Fingerprint] = (),
    calibrations: Iterable[Calibration] = (),
    allow_mismatch: bool = False,
    policy: Policy = Policy(),
    findings: Iterable[Check] = (),
    crossed: Sequence[CrossedEvidence] = (),
    strata: pd.DataFrame | None = None,
    non_mated_within: str = "auto",
    seed: int = 0,
    draws: int = 2000,
    executor: Executor | None = None,
) -> AuditResult:
    """Assess a table of distances, wherever they were measured, and decide.

    Parameters
    ----------
    scores : ScoreTable
        Of one encoder or several; each is judged by thresholds of its own.
    source : str
        Name of the table or manifest, for the report.
    fingerprints : iterable of Fingerprint, optional
        What the distances were measured with, one per encoder; nothing but the encoder's name by default.
    calibrations : iterable of Calibration, optional
        Thresholds from another cohort, one per encoder; by default they come from these same and different
        comparisons.
    allow_mismatch : bool
        Use calibrations made under other settings than ``fingerprints``, and write each difference into the result.
    policy : Policy
    findings : iterable of Check
        What does not show in distances; see `check_scans`.
    crossed : sequence of CrossedEvidence
        The aligned attacker's control.
    strata : pandas.DataFrame, optional
        Index = subjects, one column per stratum.
    non_mated_within : str
        Column of ``strata`` within whose values the rules compare people; ``"auto"`` is sex where it is known,
        ``"all"`` is everybody. The numbers of ``evidence`` are of everybody.
    seed, draws : int
        Of the resampling.
    executor : concurrent.futures.Executor, optional
        Where attackers are measured; in this process by default.

    Returns
    -------
    AuditResult
        Without scans: distances do not tell how they came to be.

    Raises
    ------
    InputError
        The table is not a score table, or ``strata`` lack the column.
    CalibrationError
        An encoder has no calibration among those that are given, or one that was made under other settings.
    """
    pooled = pool_images(scores)
    tables = split_encoders(pooled)
    known = {fingerprint.encoder: fingerprint for fingerprint in fingerprints}
    if len(known) == len(tables) == 1:
        known = dict(zip(tables, known.values(), strict=True))
    measured = {name: known.get(name) or _fingerprint_of(name, table, known) for name, table in tables.items()}
    given = tuple(calibrations)
    of_run = [name for name, table in tables.items() if not _stands_apart(table)]
    external = {name: next(iter(c.values())) for name, c in assign_calibrations(given, of_run).items()} if given else {}
    mismatches = tuple(
        f"{name}: {difference}" if len(tables) > 1 else difference
        for name, calibration in external.items()
        if name in known
        for difference in check_fingerprint(calibration, measured[name], allow=allow_mismatch)
    )
    wanted: list[tuple[str, str]] = []  # encoder, and the attacker whose comparisons of originals give thresholds
    with_own: dict[str, None] = {}
    originals = {name: _originals_of(table) for name, table in tables.items()}
    for name, of_encoder in originals.items():
        # Who has comparisons of originals compares them in a way of its own, and needs thresholds of its own.
        own = [str(attack) for attack in of_encoder.frame["attack"].unique()]
        first = own[0] if own and BASELINE.name not in own else BASELINE.name
        at_hand = external[name].attack if name in external else first
        further = [attack for attack in own if attack not in (BASELINE.name, at_hand)]
        with_own |= dict.fromkeys(further)
        wanted += [(name, attack) for attack in (*([] if name in external else [first]), *further)]
    calibrate = partial(_calibrate, seed=seed, draws=draws, confidence=policy.confidence)
    calls = [(originals[name], measured[name], attack) for name, attack in wanted]
    made = run_all(executor or SerialExecutor(), calibrate, calls, lost=calibrate)
    by_encoder = {name: [external[name]] if name in external else [] for name in tables}
    for (name, _), calibration in zip(wanted, made, strict=True):
        by_encoder[name].append(calibration)
    thresholds = [
        replace(calibration, fingerprint=replace(calibration.fingerprint, encoder=name))
        for name, of_attackers in by_encoder.items()
        for calibration in of_attackers
    ]
    notices = list(scores.notes)
    told = []  # one note about thresholds: the terminal shows its first sentence
    if not given:
        told.append(
            "Thresholds were chosen on this cohort's originals, and judged on them. The rates on held-out people stand "
            "beside them."
        )
    if with_own:
        told.append(
            f"Thresholds of {', '.join(with_own)} come from this cohort's originals. They are compared in the same way "
            "as its defaced scans, whose distances the thresholds of the naive attacker would not fit."
        )
    notices += [" ".join(told)] if told else []
    same = scores.frame[scores.frame["group"] == Group.SAME.value]
    if len(same) and (same["probe_session"].astype(str) == same["reference_session"].astype(str)).all():
        notices.append(
            "Nobody has two sessions: two images of one session stand for them, which flatters the attacker and the "
            "control."
        )
    panels = to_panels(pooled.frame, strata, within=non_mated_within)
    released = _without_canaries(pooled)
    evidence = assess(
        released,
        thresholds,
        seed=seed,
        strata=strata,
        confidence=policy.confidence,
        margin=policy.max_linkability,
        threshold=policy.threshold,
        panels=panels,
        executor=executor,
    )
    subjects = list_subjects(released, thresholds)
    tests = [test for name in tables for test in compare_pairwise([each for each in subjects if each.encoder == name])]
    evidence = replace(
        evidence,
        family=(*evidence.family, *tests),
        crossed=tuple(crossed),
        canaries=measure_canaries(panels, confidence=policy.confidence),
        images=_measure_images(scores, policy),
    )
    mismatched = [
        Check("calibration_mismatch", Decision.REVIEW, f"Calibration of other settings: {m}") for m in mismatches
    ]
    return AuditResult(
        cohort=source,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        tool_version=metadata.version("reid-audit"),
        verdict=decide(
            panels, policy, evidence=evidence, findings=[*findings, *mismatched], calibrations=external, seed=seed
        ),
        evidence=evidence,
        calibrations=tuple(first for first, *_ in by_encoder.values()),
        fingerprints=tuple(measured.values()),
        mismatches=mismatches,
        notices=tuple(notices),
        settings={"seed": str(seed)},
        software=software_versions(),
        weights={},
        scans=(),
        pairs=(),
        subjects=subjects,
        distributions=_distributions(released),
        scores=scores,
    )
