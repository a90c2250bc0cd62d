"""The page: one file without network, readable without script. The same result gives the same text everywhere."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from reid_audit.records import (
    ORIGINAL,
    AttackEvidence,
    AuditResult,
    Decision,
    DefacingSummary,
    Fingerprint,
    Policy,
    natural_key,
    summarise_defacing,
)
from reid_audit.report.figures import Figure, draw_attack, list_overview
from reid_audit.report.tables import ScanRisk, count_flow, list_risks
from reid_audit.report.words import (
    STATUS_TEXT,
    by_encoder,
    control_at,
    distance_at,
    estimate_text,
    explain_verdict,
    match_at,
    of_strongest,
    p_text,
    percent,
    rank1_text,
    rate_text,
    rivals_text,
    tell_encoders,
    test_text,
)

if TYPE_CHECKING:
    from jinja2 import Environment

_ROWS_WITHOUT_SCRIPT = 100
_MOST_ROWS = 30_000
_MOST_COSTS = 400
_MOST_FOLDED = 12
"""So many attacks get a picture of their own; a page of hundreds is not read, and `report --format figures` has all."""

_COLUMNS = (
    ("subject", "Subject", "text"),
    ("session", "Session", "text"),
    ("condition", "Condition", "text"),
    ("matched", "Matched", "text"),
    ("rank", "Rank", "number"),
    ("distance", "Distance", "number"),
    ("attack", "By attacker", "text"),
    ("outcome", "Outcome", "text"),
    ("findings", "Findings", "text"),
    ("file", "File", "text"),
)


def _tame(value: object) -> object:
    """Show characters that print nothing, or turn the direction of the text after them, as a replacement character."""
    from markupsafe import Markup

    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        return value
    return "".join(c if c.isprintable() or c in "\n\u00a0" else "\N{REPLACEMENT CHARACTER}" for c in value)


@lru_cache(maxsize=1)
def templates() -> Environment:
    """Return the templates, with names and numbers as words; every value is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("reid_audit", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_tame,
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
        "plain": lambda text: text.replace("_", " "),
    }
    environment.globals |= {"isnan": lambda value: value != value}
    return environment


@lru_cache(maxsize=4)
def part(name: str) -> str:
    """Return a style sheet or script of the templates as it is."""
    environment = templates()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def digest_of(script: str) -> str:
    """Return what a content security policy calls an inline script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _cells(risk: ScanRisk) -> list[str]:
    scan = risk.scan
    original = scan.condition == ORIGINAL
    return [
        scan.subject,
        scan.session,
        scan.condition,
        "" if original else "yes" if risk.matched else "no",
        "" if risk.rank != risk.rank else f"{risk.rank:g}",
        "" if risk.distance != risk.distance else f"{risk.distance:.4f}",
        risk.attack,
        STATUS_TEXT[scan.status] + (f": {scan.reason}" if scan.reason else ""),
        "; ".join(finding.text for finding in scan.findings),
        scan.file,
    ]


def _pack(rows: Sequence[Sequence[str]]) -> str:
    """Write the rows as JSON for a script element: every text once, rows as numbers; no ``<`` can end the element."""
    place: dict[str, int] = {}
    numbers = [[place.setdefault(cell, len(place)) for cell in row] for row in rows]
    at = [name for name, _, _ in _COLUMNS].index("condition")
    conditions = sorted({row[at] for row in rows}, key=natural_key)
    packed = {"cells": list(place), "rows": numbers, "conditions": conditions}
    text = json.dumps(packed, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _sorted_attacks(result: AuditResult) -> list[AttackEvidence]:
    """Return the attacks by defacer, the best defacer first, attackers in the order in which they ran."""
    order = list(Decision)

    def rank(name: str) -> tuple[int, float]:
        decision = next(c.decision for c in result.verdict.conditions if c.condition == name)
        bounds = [one.linkability.at_most for one in result.evidence.attacks if one.condition == name]
        return order.index(decision), max((2.0 if b != b else b for b in bounds), default=2.0)

    names = list(dict.fromkeys(one.condition for one in result.evidence.attacks))
    names.sort(key=rank)
    return sorted(result.evidence.attacks, key=lambda one: names.index(one.condition))


def _draw(figure: Figure) -> dict[str, Any]:
    from markupsafe import Markup

    return {"caption": figure.caption, "alt": figure.alt, "svg": Markup(figure.svg())}


def _tell_failures(summary: DefacingSummary) -> str:
    """Say why runs failed: ``"2 timed out, 1 brain cut"``."""
    told = (f"{count} {status.value.replace('_', ' ')}" for status, count in summary.failures)
    return ", ".join(told) or "none failed"


def result_to_html(result: AuditResult) -> str:
    """Write the page of a result.

    One file: no network, readable without script, printable. It holds no portrait, no folder and nothing of a DICOM
    header. The same result gives the same text on every machine with the same matplotlib.

    Parameters
    ----------
    result : AuditResult

    Returns
    -------
    str
        HTML. The scans of very large cohorts are cut after the 30,000 most exposed, and the page says so.
    """
    from markupsafe import Markup

    shown = of_strongest(result)
    attacks = _sorted_attacks(shown)
    risks = list_risks(result)
    rows = [_cells(risk) for risk in risks[:_MOST_ROWS]]
    script = part("scans.js")
    return (
        templates()
        .get_template("report.html")
        .render(
            result=shown,
            parts=by_encoder(result),
            notices=(*tell_encoders(result), *result.notices),
            weights=result.weights,
            reason=explain_verdict(result),
            attacks=attacks,
            overview=[_draw(figure) for figure in list_overview(shown)],
            details=[_draw(draw_attack(shown, attack)) for attack in attacks[:_MOST_FOLDED]],
            flow=count_flow(shown),
            conditions={each.condition: each for each in result.verdict.conditions},
            columns=_COLUMNS,
            rows=rows[:_ROWS_WITHOUT_SCRIPT],
            total=len(risks),
            kept=len(rows),
            packed=Markup(_pack(rows)),
            script=Markup(script),
            script_digest=digest_of(script),
            css=Markup(part("style.css")),
            threshold=result.verdict.policy.threshold,
            distance=distance_at(shown),
            control_at=control_at,
            match_at=match_at,
            rivals_text=rivals_text,
            policy=[(field.name, getattr(result.verdict.policy, field.name)) for field in fields(Policy)],
            fingerprint=[(field.name, getattr(shown.fingerprints[0], field.name)) for field in fields(Fingerprint)],
            runs=summarise_defacing(result.defacing),
            tell_failures=_tell_failures,
            most_costs=_MOST_COSTS,
            Decision=Decision,
        )
    )


def result_to_summary_html(result: AuditResult) -> str:
    """Write verdict, reason and the numbers that carry it as a part of a page: what a notebook shows."""
    return (
        templates()
        .get_template("summary.html")
        .render(
            result=of_strongest(result),
            reason=explain_verdict(result),
            attacks=_sorted_attacks(of_strongest(result)),
            conditions={each.condition: each for each in result.verdict.conditions},
            threshold=result.verdict.policy.threshold,
            control_at=control_at,
            match_at=match_at,
        )
    )
