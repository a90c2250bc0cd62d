"""Tells a result: JSON first; the CSV and the HTML page are views of it and compute nothing.

Default output holds no portrait, no vector, no path with folders and no DICOM identifier. The subjects' labels are
those of the manifest; files are written for their owner alone (mode 0600).
"""

from __future__ import annotations

import csv
import io
import math
import os
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from . import plots
from .records import (
    AttackEvidence,
    AuditResult,
    ControlEvidence,
    Decision,
    Estimate,
    Evidence,
    Group,
    InputError,
    MatchRates,
    Rate,
    ScoreTable,
    SearchRates,
    Status,
    TestResult,
)

if TYPE_CHECKING:
    from jinja2 import Environment

RESULT_FILE = "result.json"
SCORES_FILE = "comparisons.csv"
SCANS_FILE = "scans.csv"
REPORT_FILE = "report.html"

STATUS_TEXT = {
    Status.OK: "face found",
    Status.MANY_FACES: "several faces found, the largest central one kept",
    Status.LOW_CONFIDENCE: "face found with low confidence",
    Status.NO_FACE: "no face found",
    Status.UNREADABLE: "not readable",
    Status.OTHER_GRID: "not on its original's grid",
    Status.NO_SKIN: "no skin surface",
    Status.RENDER_FAILED: "not portrayed",
    Status.BACKEND_ERROR: "the recogniser failed",
}


# --- numbers as text ---


def percent(value: float, digits: int = 1) -> str:
    """Write a proportion as a percentage; ``"not measured"`` for NaN."""
    return "not measured" if value != value else f"{100 * value:.{digits}f} %"


def rate_text(rate: Rate) -> str:
    """Write a rate with its counts and interval: ``"3 of 70, 4.3 % (0.9 to 12.0 %)"``."""
    if rate.value != rate.value:
        return "not measured"
    interval = f"{100 * rate.low:.1f} to {percent(rate.high)}" if rate.low == rate.low else "no interval"
    return f"{rate.successes} of {rate.trials}, {percent(rate.value)} ({interval})"


def estimate_text(estimate: Estimate, digits: int = 3) -> str:
    """Write an estimate with its interval: ``"0.862 (0.801 to 0.907)"``."""
    if estimate.value != estimate.value:
        return f"not measured{f': {estimate.reason}' if estimate.reason else ''}"
    if estimate.low != estimate.low:
        return f"{estimate.value:.{digits}f} (no interval{f': {estimate.reason}' if estimate.reason else ''})"
    return f"{estimate.value:.{digits}f} ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"


def rank1_text(search: SearchRates) -> str:
    """Write rank-1 with what guessing would reach."""
    if search.rank1.value != search.rank1.value:
        return f"not measured{f': {search.reason}' if search.reason else ''}"
    return f"{rate_text(search.rank1)}; chance {percent(search.chance1)}"


def rivals_text(evidence: Evidence, condition: str) -> list[tuple[str, str]]:
    """Write what the attackers on one defacer say about each other, as names with their values.

    The strongest for each measure, what the original's geometry gives away, and the crossed control.
    """
    lines = []
    for worst in evidence.worst:
        if worst.condition == condition and len(worst.tried) > 1:
            of = f"the most of {len(worst.tried)} attackers, with the interval of one"
            lines.append(("worst: people matched", f"{worst.match_attack}: {rate_text(worst.match)}; {of}"))
            first = f"{rate_text(worst.rank1)}; chance {percent(worst.chance1)}"
            lines.append(("worst: own person first", f"{worst.rank1_attack}: {first}; {of}"))
            link = estimate_text(worst.linkability)
            lines.append(("worst: AUC own/other", f"{worst.linkability_attack}: {link}; {of}"))
    for leak in evidence.leaks:
        if leak.condition == condition:
            gap = f"own person first {estimate_text(leak.rank1)}, AUC {estimate_text(leak.linkability)}"
            lines.append(("aligned minus registered", gap))
    for crossed in evidence.crossed:
        if crossed.condition == condition:
            chance = percent(crossed.chance)
            pixels = f"first {rate_text(crossed.pixels_first)}, AUC {estimate_text(crossed.pixels_auc)}"
            marks = f"first {rate_text(crossed.landmarks_first)}, AUC {estimate_text(crossed.landmarks_auc)}"
            lines.append(("crossed: pixels' owner", f"{pixels}; chance {chance}"))
            lines.append(("crossed: landmarks' owner", f"{marks}; chance {chance}"))
    return lines


def p_text(p: float) -> str:
    """Write a p-value to four digits."""
    return "not measured" if p != p else f"{p:.4g}"


def test_text(test: TestResult) -> str:
    """Write a test with n, statistic, p and effect."""
    if test.p != test.p:
        return f"not measured{f': {test.reason}' if test.reason else ''}"
    n = " and ".join(str(count) for count in test.n)
    effect = f", {test.effect_name} {test.effect:.3f}" if test.effect == test.effect else ""
    return f"n = {n}, statistic {test.statistic:.6g}, p = {p_text(test.p)} ({test.method}){effect}"


# --- the policy's threshold, which a cohort may not offer ---

_UNMEASURED = Rate(math.nan, math.nan, math.nan, 0, 0, 0, method="not measured")


def distance_at(result: AuditResult) -> float:
    """Return the distance of the policy's threshold; NaN where the cohort offers none."""
    name = result.verdict.policy.threshold
    return next((t.distance for t in result.calibration.thresholds if t.name == name), math.nan)


def control_at(control: ControlEvidence, name: str) -> tuple[Rate, Rate]:
    """Return TMR and FMR of originals at a threshold; rates without trials where the cohort does not offer it."""
    return next(((tmr, fmr) for known, tmr, fmr in control.rates if known == name), (_UNMEASURED, _UNMEASURED))


def match_at(attack: AttackEvidence, name: str) -> MatchRates:
    """Return the match rates at a threshold; rates without trials where the cohort does not offer it."""
    for match in attack.matches:
        if match.threshold == name:
            return match
    none = _UNMEASURED
    reason = "the cohort offers no such threshold"
    return MatchRates(name, math.nan, none, none, none, none, none, none, reason=reason)


# --- JSON ---


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[AuditResult]:
    return TypeAdapter(AuditResult)


def result_to_json(result: AuditResult) -> str:
    """Write a result as JSON text; NaN becomes null. The same result gives the same text."""
    return _adapter().dump_json(result, indent=1).decode() + "\n"


def result_from_json(text: str) -> AuditResult:
    """Read what `result_to_json` wrote.

    Raises
    ------
    InputError
        Where the text is not a result, or one of another schema version.
    """
    try:
        return _adapter().validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{RESULT_FILE} is not a result of this version: {place}: {first['msg']}") from error


# --- files ---


def write_private(path: Path, text: str) -> None:
    """Write a text file that only its owner may read, by way of a temporary neighbour."""
    temporary = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    temporary.replace(path)


def prepare_folder(folder: Path, *, overwrite: bool = False) -> None:
    """Make the folder for a result, and refuse one that holds a result already.

    Raises
    ------
    InputError
        Where ``folder`` is a file, cannot be made, or holds a result and ``overwrite`` is False.
    """
    if (folder / RESULT_FILE).exists() and not overwrite:
        raise InputError(f"{folder.name} holds a result already; give another folder or --overwrite")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder.name} cannot be made into a folder for the result: {error.strerror}") from error


def scans_csv(result: AuditResult) -> str:
    """List every scan with what became of it."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["subject", "session", "condition", "file", "status", "reason", "confidence", "level", "findings", "seconds"]
    )
    for row in result.scans:
        writer.writerow(
            [
                row.subject,
                row.session,
                row.condition,
                row.file,
                row.status.value,
                row.reason,
                _blank(row.confidence),
                _blank(row.level),
                "; ".join(finding.code for finding in row.findings),
                f"{row.seconds:.3f}",
            ]
        )
    return buffer.getvalue()


def _blank(value: float) -> str:
    return "" if value != value else f"{value:.6g}"


def write_result(result: AuditResult, scores: ScoreTable, folder: Path, *, overwrite: bool = False) -> Path:
    """Write JSON, the two tables and the page into a folder.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        See `prepare_folder`.
    """
    from .match import write_scores

    prepare_folder(folder, overwrite=overwrite)
    write_private(folder / SCORES_FILE, "")  # private before the first distance is in it; writing keeps the mode
    write_scores(scores, folder / SCORES_FILE)
    write_private(folder / SCANS_FILE, scans_csv(result))
    write_private(folder / REPORT_FILE, result_to_html(result))
    write_private(folder / RESULT_FILE, result_to_json(result))
    return folder / REPORT_FILE


# --- the page ---


@lru_cache(maxsize=1)
def _templates() -> Environment:
    from jinja2 import DictLoader, Environment, StrictUndefined

    text = resources.files("reid_audit").joinpath("templates/report.html").read_text(encoding="utf-8")
    environment = Environment(
        loader=DictLoader({"report.html": text}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "rate": rate_text,
        "estimate": estimate_text,
        "rank1": rank1_text,
        "test": test_text,
        "p": p_text,
    }
    return environment


def _figures(result: AuditResult, attack: AttackEvidence) -> str:
    """Draw the distances of one attack beside its before-and-after plot."""
    threshold = distance_at(result)
    marked = None if threshold != threshold else threshold
    shown = [each for each in result.distributions if each.condition == "original"]
    shown += [
        each
        for each in result.distributions
        if (each.condition, each.attack) == (attack.condition, attack.attack)
        and each.group in (attack.group, Group.DEFACED_DIFFERENT)
    ]
    people = [p for p in result.people if (p.condition, p.attack) == (attack.condition, attack.attack)]
    figure, (left, right) = plots.new_figure(2)
    plots.draw_distributions(left, shown, threshold=marked)
    plots.draw_pairs(right, people, threshold=marked)
    return plots.to_svg(figure)


def _flow(result: AuditResult) -> list[dict[str, Any]]:
    """Count the scans of each condition by what became of them."""
    conditions = list(dict.fromkeys(row.condition for row in result.scans))
    rows = []
    for condition in conditions:
        statuses = [row.status for row in result.scans if row.condition == condition]
        counts = [(STATUS_TEXT[status], statuses.count(status)) for status in Status if status in statuses]
        rows.append({"condition": condition, "total": len(statuses), "counts": counts})
    return rows


def result_to_html(result: AuditResult) -> str:
    """Write the page: one file, no network, no script. The same result gives the same text on every machine."""
    from markupsafe import Markup

    order = [each.condition for each in result.verdict.conditions]
    figures = {
        (attack.condition, attack.attack): Markup(_figures(result, attack)) for attack in result.evidence.attacks
    }
    return (
        _templates()
        .get_template("report.html")
        .render(
            result=result,
            attacks=sorted(result.evidence.attacks, key=lambda attack: order.index(attack.condition)),
            figures=figures,
            flow=_flow(result),
            conditions={each.condition: each for each in result.verdict.conditions},
            status_text=STATUS_TEXT,
            threshold=result.verdict.policy.threshold,
            distance=distance_at(result),
            control_at=control_at,
            match_at=match_at,
            rivals_text=rivals_text,
            Decision=Decision,
        )
    )
