"""The page: one file without network, readable without script. The same result gives the same text everywhere."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from reid_audit.accuracy import list_recognisers
from reid_audit.attack import find_attack
from reid_audit.records import ORIGINAL, AuditResult, DefacingSummary, Policy, natural_key, summarise_defacing
from reid_audit.report import rows, words
from reid_audit.report.figure import Figure
from reid_audit.report.figures import list_details, list_overview
from reid_audit.report.rows import Row, ScanRisk

if TYPE_CHECKING:
    from jinja2 import Environment

_ROWS_WITHOUT_SCRIPT = 100
_MOST_ROWS = 30_000
_MOST_COSTS = 400
_MOST_DETAILS = 12
"""So many attacks get a picture of their own: the strongest on each defacer, and the naive one, by which the literature
judges. A page of hundreds is not read, and `report --format figures` has all."""

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


def _read_file(name: str) -> str:
    return resources.files("reid_audit").joinpath(f"templates/{name}").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def read_templates() -> Environment:
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
        "percent": words.percent,
        "rate": words.rate_text,
        "estimate": words.estimate_text,
        "rank1": words.rank1_text,
        "test": words.test_text,
        "p": words.p_text,
        "counted": words.counted,
        "mend": words.mend_text,
        "plain": lambda text: text.replace("_", " "),
    }

    environment.globals["describe"] = lambda attack: find_attack(attack).describe()
    environment.globals |= {"isnan": lambda value: value != value, "terms": json.loads(_read_file("terms.json"))}
    return environment


def render_page(template: str, *, figures: Sequence[Figure] = (), **values: Any) -> str:
    """Fill a template of the package, with its style sheet and the figures as SVG."""
    from markupsafe import Markup

    css = Markup(_read_file("style.css"))
    return read_templates().get_template(template).render(css=css, figures=figures, **values)


def _scan_cells(risk: ScanRisk) -> list[str]:
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
        words.STATUS_TEXT[scan.status] + (f": {scan.reason}" if scan.reason else ""),
        "; ".join(finding.text for finding in scan.findings),
        scan.file,
    ]


def _pack(table: Sequence[Sequence[str]]) -> str:
    """Write the rows as JSON for a script element: every text once, rows as numbers; no ``<`` can end the element."""
    place: dict[str, int] = {}
    numbers = [[place.setdefault(cell, len(place)) for cell in row] for row in table]
    at = [name for name, _, _ in _COLUMNS].index("condition")
    conditions = sorted({row[at] for row in table}, key=natural_key)
    text = json.dumps({"cells": list(place), "rows": numbers, "conditions": conditions}, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _tell_failures(summary: DefacingSummary) -> str:
    """Say why runs failed: ``"2 timed out, 1 brain cut"``."""
    told = (f"{count} {status.value.replace('_', ' ')}" for status, count in summary.failures)
    return ", ".join(told) or "none failed"


def _numbers(result: AuditResult) -> dict[str, Any]:
    """Return what the page and a notebook show first: verdict, reason, and a row for each control and defacer."""
    every, recognisers = rows.list_rows(result), list_recognisers(result.evidence)
    return {
        "result": result,
        "headline": rows.headline(result),
        "reason": rows.explain_verdict(result),
        "notices": rows.list_notices(result),
        "rows": every,
        "controls": [row for row in every if row.decision is None and find_attack(row.attack).judged],
        "recognised": [row for row in every if row.decision is None and row.encoder in recognisers],
        "strongest": rows.find_strongest(every),
        "exposed": rows.list_exposed(result),
        "threshold": result.verdict.policy.threshold,
        "distance": rows.tell_threshold(result),
    }


def _arrange(every: Sequence[Row]) -> dict[str, dict[str, Row]]:
    """Arrange the attackers by defacers."""
    matrix: dict[str, dict[str, Row]] = {}
    for row in every:
        if row.decision is not None:
            matrix.setdefault(row.who, {})[row.condition] = row
    return matrix


def result_to_html(result: AuditResult) -> str:
    """Write the page of a result.

    One file: no network, readable without script, printable. It holds no portrait, no folder and nothing of a DICOM
    header. The same result gives the same text on every machine with the same matplotlib.

    Returns
    -------
    str
        HTML. The scans of very large cohorts are cut after the 30,000 most exposed, and the page says so.
    """
    from markupsafe import Markup

    numbers = _numbers(result)
    strongest = numbers["strongest"].values()
    drawn = (row for row in numbers["rows"] if row.decision and (row in strongest or find_attack(row.attack).baseline))
    attacks = sorted(drawn, key=lambda row: row not in strongest)
    risks = rows.list_risks(result)
    scans = [_scan_cells(risk) for risk in risks[:_MOST_ROWS]]
    script = _read_file("scans.js")
    return render_page(
        "report.html",
        figures=list(list_overview(result)),
        details=list(list_details(result, attacks[:_MOST_DETAILS])),
        canaries=rows.list_canaries(result),
        matrix=_arrange(numbers["rows"]),
        measured=[row for row in numbers["rows"] if row.measures is not None],
        checks=rows.list_checks(result),
        blocks=rows.list_blocks(result),
        several=len(list_recognisers(result.evidence)) > 1,
        flow=rows.count_flow(result),
        columns=_COLUMNS,
        scans=scans[:_ROWS_WITHOUT_SCRIPT],
        total=len(risks),
        kept=len(scans),
        packed=Markup(_pack(scans)),
        script=Markup(script),
        script_digest="sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        compare_attackers=rows.compare_attackers,
        policy=[(field.name, getattr(result.verdict.policy, field.name)) for field in fields(Policy)],
        fingerprints=[asdict(fingerprint) for fingerprint in result.fingerprints],
        runs=summarise_defacing(result.defacing),
        tell_failures=_tell_failures,
        most_costs=_MOST_COSTS,
        **numbers,
    )


def result_to_summary_html(result: AuditResult) -> str:
    """Write verdict, reason and the numbers that carry it as a part of a page: what a notebook shows."""
    return render_page("summary.html", **_numbers(result))
