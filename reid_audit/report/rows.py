"""What all views show, taken from a result: a row per attacker and condition, exposed subjects, rules, scans."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from reid_audit.accuracy import list_recognisers
from reid_audit.attack import find_attack
from reid_audit.records import (
    ORIGINAL,
    AttackEvidence,
    AuditResult,
    Canary,
    Check,
    ControlEvidence,
    CrossedEvidence,
    Decision,
    Estimate,
    Evidence,
    LeakGap,
    Measures,
    Rate,
    ScanRow,
    SearchRates,
    Status,
    SubjectEvidence,
    group_by,
    natural_key,
)
from reid_audit.report.words import STATUS_TEXT, counted, estimate_text, join_words, percent, rate_text

_UNMEASURED = Rate(math.nan, math.nan, math.nan, 0, 0, 0, method="not measured")
_NOT_READ = (Status.UNREADABLE,)
_NOT_RENDERED = (*_NOT_READ, Status.OTHER_GRID, Status.NO_SKIN, Status.RENDER_FAILED)
_ACQUIRED = (Status.OK, Status.MANY_FACES, Status.LOW_CONFIDENCE)


# --- attackers ---


@dataclass(frozen=True, slots=True)
class Row:
    """What one attacker reaches with one encoder on one condition, at the policy's threshold.

    Attributes
    ----------
    condition : str
        ``"original"`` for the control.
    who : str
        The attacker; of several encoders, with its encoder.
    mated, non_mated : Rate
        TMR and FMR over comparisons; a scan without a vector does not match.
    linkability : Estimate
        AUC of mated against non-mated distances; for the control, of the originals.
    fta : Rate
        Scans without a vector.
    decision : Decision or None
        On the defacer; None for the control.
    measures : Measures or None
        None for the control.
    distance : float
        Below it the attacker says match; NaN for the control, and where no threshold is offered.
    """

    condition: str
    attack: str
    encoder: str
    who: str
    subjects: int
    mated: Rate
    non_mated: Rate
    search: SearchRates
    linkability: Estimate
    fta: Rate
    decision: Decision | None
    measures: Measures | None = None
    distance: float = math.nan


def name_attacker(result: AuditResult, record: AttackEvidence | Canary | ControlEvidence | SubjectEvidence) -> str:
    """Name an attacker; of several encoders, with its encoder. One without an encoder, such as shape, has one name."""
    if find_attack(record.attack).stands_apart or len(list_recognisers(result.evidence)) < 2:
        return record.attack
    return f"{record.attack}, {record.encoder}"


def list_rows(result: AuditResult) -> list[Row]:
    """List the control of each encoder, then the attackers by defacer, the best defacer first."""
    name, evidence = result.verdict.policy.threshold, result.evidence
    decisions = {verdict.condition: verdict.decision for verdict in result.verdict.conditions}
    every: list[ControlEvidence | AttackEvidence] = [*evidence.controls, *evidence.attacks]
    rows = []
    for record in every:
        if isinstance(record, ControlEvidence):
            condition, linkability = ORIGINAL, record.auc
            rates, distances = {threshold: pair for threshold, *pair in record.rates}, {}
        else:
            condition, linkability = record.condition, record.shown_linkability
            rates = {match.threshold: [match.counted, match.non_mated] for match in record.matches}
            distances = {match.threshold: match.distance for match in record.matches}
        mated, non_mated = rates.get(name, [_UNMEASURED] * 2)
        who = condition, record.attack, record.encoder, name_attacker(result, record), record.subjects
        reached = mated, non_mated, record.search, linkability, record.fta
        measures = record.measures if isinstance(record, AttackEvidence) else None
        rows.append(Row(*who, *reached, decisions.get(condition), measures, distances.get(name, math.nan)))
    severity = list(Decision)

    def order(row: Row) -> tuple[int, float, str]:
        same = [each for each in rows if each.condition == row.condition and find_attack(each.attack).judged]
        bounds = [each.linkability.at_most for each in same]
        worst = max((2.0 if bound != bound else bound for bound in bounds), default=2.0)
        return -1 if row.decision is None else severity.index(row.decision), worst, row.condition

    return sorted(rows, key=order)


def find_strongest(rows: Iterable[Row]) -> dict[str, Row]:
    """Return for each defacer the attacker that links most, of those judged: by linkability, then by rank 1."""

    def strength(row: Row) -> tuple[float, float]:
        values = row.linkability.value, row.search.rank1.value
        return values[0] if values[0] == values[0] else -1.0, values[1] if values[1] == values[1] else -1.0

    strongest: dict[str, Row] = {}
    for row in rows:
        if (row.decision is not None and find_attack(row.attack).judged) and (
            row.condition not in strongest or strength(row) > strength(strongest[row.condition])
        ):
            strongest[row.condition] = row
    return strongest


def list_canaries(result: AuditResult) -> dict[str, dict[str, Estimate]]:
    """Return what each attacker that is judged links of each weak defacing; the ends are one-sided bounds."""
    canaries: dict[str, dict[str, Estimate]] = {}
    for canary in (each for each in result.evidence.canaries if find_attack(each.attack).judged):
        bounds = canary.linkability
        shown = replace(bounds, low=bounds.at_least, high=bounds.at_most)
        canaries.setdefault(canary.condition, {})[name_attacker(result, canary)] = shown
    return canaries


def chance_of(rows: Iterable[Row]) -> float:
    """Return what guessing would reach at rank 1, in the smallest gallery; 0 where nobody was searched for."""
    return max((row.search.chance1 for row in rows if row.search.chance1 == row.search.chance1), default=0.0)


def tell_threshold(result: AuditResult) -> str:
    """Write below which distance there is a match, by encoder where there are several; empty where none offers it."""
    name, told = result.verdict.policy.threshold, []
    recognisers = list_recognisers(result.evidence)
    for encoder, calibration in zip(result.encoders, result.calibrations, strict=False):
        distance = calibration.distance_at(name)
        whose = f" for {encoder}" if len(recognisers) > 1 else ""
        if encoder in recognisers and distance == distance:
            told.append(f"{distance:.4f}{whose}")
    return join_words(told) if told else ""


def compare_attackers(evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    """Say on each defacer what the controls of the attackers show: (defacer and encoder, name, value)."""

    def where(record: LeakGap | CrossedEvidence) -> str:
        return f"{record.condition}, {record.encoder}" if len(list_recognisers(evidence)) > 1 else record.condition

    for leak in evidence.leaks:
        gap = f"rank 1 {estimate_text(leak.rank1)}, linkability {estimate_text(leak.linkability)}"
        yield where(leak), "aligned minus registered", gap
    for crossed in evidence.crossed:
        chance = percent(crossed.chance)
        pixels = f"first {rate_text(crossed.pixels_first)}, AUC {estimate_text(crossed.pixels_auc)}"
        marks = f"first {rate_text(crossed.landmarks_first)}, AUC {estimate_text(crossed.landmarks_auc)}"
        yield where(crossed), "crossed: owner of the pixels", f"{pixels}; chance {chance}"
        yield where(crossed), "crossed: owner of the landmarks", f"{marks}; chance {chance}"


# --- rules ---


def list_checks(result: AuditResult) -> list[tuple[str, Check]]:
    """List every rule that was applied with the defacer that it concerns (``"all"``), the gravest first.

    Of equally grave ones those on the attacker that links most stand first.
    """
    verdict, severity, strongest = result.verdict, list(Decision), find_strongest(list_rows(result))
    checks = [(check.condition or "all", check) for check in verdict.checks]
    checks += [(each.condition, check) for each in verdict.conditions for check in each.checks]

    def order(item: tuple[str, Check]) -> tuple[int, bool]:
        concerns, check = item
        row = strongest.get(concerns)
        is_strongest = row is not None and check.attack == row.attack and check.encoder in ("", row.encoder)
        return -severity.index(check.decision), not is_strongest

    return sorted(checks, key=order)


def list_blocks(result: AuditResult) -> dict[str, list[Check]]:
    """Return the rules that were not met by the defacer that they concern, the gravest first."""
    blocks: dict[str, list[Check]] = {}
    for concerns, check in list_checks(result):
        if check.decision is not Decision.PASS:
            blocks.setdefault(concerns, []).append(check)
    return blocks


def headline(result: AuditResult) -> str:
    """Return the decision, and behind it that the policy asks for less than the default where it does."""
    looser = any(check.name == "policy_looser" for check in result.verdict.checks)
    return result.verdict.decision.value + (" under a policy looser than the default" if looser else "")


def explain_verdict(result: AuditResult) -> str:
    """Give the reason of the verdict in one sentence: the rule that decided, or what held where all were met."""
    verdict = result.verdict
    checks = list_checks(result)
    if verdict.decision is Decision.PASS:
        subjects = min((attack.subjects for attack in result.evidence.attacks), default=0)
        return (
            f"Every one of {len(checks)} rules held for {counted(len(verdict.conditions), 'defacer')}, with "
            f"{subjects} subjects compared: the attackers recognise the originals, and the upper bounds of what they "
            "still link after defacing lie within the policy's limits."
        )
    reasons = [(concerns, check) for concerns, check in checks if check.decision is verdict.decision]
    if not reasons:
        return "A rule was not met; see the rules below."
    concerns, check = reasons[0]
    more = f" ({counted(len(reasons) - 1, 'further reason')} below.)" if len(reasons) > 1 else ""
    return (check.text if concerns == "all" else f"{concerns}, {check.text}") + more


def list_notices(result: AuditResult) -> list[str]:
    """List what a reader must know: whose the verdict is of several encoders, fallbacks, other settings."""
    k, deciders = len(list_recognisers(result.evidence)), join_words(list(result.verdict.encoders))
    several = [f"The verdict is the worst over {k} encoders: that of {deciders}."] if k > 1 else []
    other = [f"The calibration was made under other settings, and the user allowed it: {m}" for m in result.mismatches]
    return [*several, *result.notices, *_tell_review(result), *other]


def _tell_review(result: AuditResult) -> list[str]:
    """Say who looked at scans and what they saw; nothing where nobody did."""
    if result.review is None:
        return []
    counts = Counter(reading.answer.value for reading in result.review.readings)
    seen = join_words([f"{count} times {answer}" for answer, count in counts.items()])
    return [f"{join_words(list(result.review.readers))} looked at scans and said {seen}; the verdict counts it."]


# --- subjects and scans ---


def list_exposed(result: AuditResult) -> dict[str, dict[str, list[str]]]:
    """Return for each defacer the subjects whom a rule names or an attacker both finds first and matches, with why."""
    exposed: dict[str, dict[str, list[str]]] = {each.condition: {} for each in result.verdict.conditions}
    for concerns, check in list_checks(result):
        for subject in check.subjects if check.decision is not Decision.PASS else ():
            exposed.setdefault(concerns, {}).setdefault(subject, []).append(check.name.replace("_", " "))
    for record in result.subjects:
        if record.rank_after == 1 and record.matched_after:
            why = f"found first and matched by {name_attacker(result, record)}"
            exposed.setdefault(record.condition, {}).setdefault(record.subject, []).append(why)
    return exposed


@dataclass(frozen=True, slots=True)
class ScanRisk:
    """A scan with how its subject is found by the attacker that finds it best. NaN = not compared, or an original.

    ``attack`` names the attacker with the best rank, then the smallest distance; ``matched`` says whether any attacker
    matched at the Youden threshold. Ranks and distances are the best over a subject's scans of that defacer.
    """

    scan: ScanRow
    attack: str = ""
    rank: float = math.nan
    distance: float = math.nan
    matched: bool = False


def _last_if_nan(value: float) -> float:
    return math.inf if value != value else value


def list_risks(result: AuditResult) -> list[ScanRisk]:
    """List every scan, the most exposed first: matched, then by rank, then by distance; originals last.

    Of several encoders each scan shows what the one that finds it best found.
    A result of distances alone has no scans: then there is a row per subject and defacer.
    """
    subjects = group_by(result.subjects, lambda record: (record.subject, record.condition))
    scans: dict[tuple[str, ...], dict[str, ScanRow]] = {}
    for scan in result.scans:
        scans.setdefault((scan.subject, scan.session, scan.condition, scan.file), {})[scan.encoder] = scan
    if not scans:
        for subject, condition in subjects:
            row = ScanRow(subject, "", condition, "", Status.OK, "", math.nan, math.nan, (), 0.0)
            scans[subject, "", condition, ""] = {"": row}
    risks = []
    for (subject, _, condition, _), by_encoder in scans.items():
        scan = next(iter(by_encoder.values()))
        records = subjects.get((subject, condition), [])
        if not records:
            risks.append(ScanRisk(scan))
            continue
        easiest = min(records, key=lambda r: (_last_if_nan(r.rank_after), _last_if_nan(r.distance_after)))
        who = "" if math.isnan(easiest.distance_after) else name_attacker(result, easiest)
        matched = any(record.matched_after for record in records)
        scan = by_encoder.get(easiest.encoder, scan)
        risks.append(ScanRisk(scan, who, easiest.rank_after, easiest.distance_after, matched))

    def order(risk: ScanRisk) -> tuple[object, ...]:
        scan = risk.scan
        who = natural_key(scan.condition), natural_key(scan.subject), natural_key(scan.session)
        nearness = _last_if_nan(risk.rank), _last_if_nan(risk.distance)
        return (scan.condition == ORIGINAL, not risk.matched, *nearness, *who)

    return sorted(risks, key=order)


@dataclass(frozen=True, slots=True)
class Flow:
    """How many scans of one condition came how far; ``excluded`` says why the others did not."""

    condition: str
    listed: int
    read: int
    rendered: int
    acquired: int
    subjects: int
    excluded: tuple[tuple[str, int], ...]
    noted: tuple[tuple[str, int], ...]


def count_scans(result: AuditResult) -> int:
    """Count the scans: a row of ``result.scans`` per scan and encoder."""
    return len({(scan.subject, scan.session, scan.condition, scan.file) for scan in result.scans})


def count_flow(result: AuditResult) -> list[Flow]:
    """Follow the scans of each condition from the manifest to the comparisons, under the naive attacker."""
    compared: dict[str, int] = {}
    for row in list_rows(result):
        compared[row.condition] = max(row.subjects, compared.get(row.condition, 0))
    several = len({scan.encoder for scan in result.scans}) > 1
    flows = []
    for condition, encoder in dict.fromkeys((scan.condition, scan.encoder) for scan in result.scans):
        scans = [scan for scan in result.scans if (scan.condition, scan.encoder) == (condition, encoder)]
        acquired = [scan for scan in scans if scan.status in _ACQUIRED]
        lost = Counter(STATUS_TEXT[scan.status] for scan in scans if scan.status not in _ACQUIRED)
        noted = Counter(STATUS_TEXT[scan.status] for scan in acquired if scan.status is not Status.OK)
        for scan in scans:
            noted.update({finding.code.replace("_", " ") for finding in scan.findings if finding.severity != "info"})
        flows.append(
            Flow(
                f"{condition}, {encoder}" if several else condition,
                len(scans),
                sum(scan.status not in _NOT_READ for scan in scans),
                sum(scan.status not in _NOT_RENDERED for scan in scans),
                len(acquired),
                compared.get(condition, 0),
                tuple(lost.items()),
                tuple(sorted(noted.items())),
            )
        )
    return flows
