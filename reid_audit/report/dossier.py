"""A draft of the papers that a release needs: the fields that reviewers ask for, filled in where the result knows.

What the result does not know is left open and marked. The draft quotes measurements; it makes no claim about the law.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reid_audit.accuracy import list_recognisers
from reid_audit.records import AuditResult, Decision, group_by, summarise_defacing
from reid_audit.report.rows import Row, count_flow, count_scans, find_strongest, list_canaries, list_exposed, list_rows
from reid_audit.report.summary import render_markdown

PUBLIC_LIMIT = 0.09
"""Probability of re-identification that EMA Policy 0070 and Health Canada's PRCI accept in a public release."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The worst upper bound on rank 1 of one defacer, over every attacker and encoder.

    ``at_most`` is NaN where one of them has none: a bound that leaves an attacker out bounds nothing.
    """

    condition: str
    decision: Decision
    who: str
    at_most: float
    gallery: int
    chance: float
    answer: str


def bound_rank1(rows: Sequence[Row]) -> list[Bound]:
    """Hold each defacer's worst upper bound on rank 1 against `PUBLIC_LIMIT`."""
    by_condition = group_by((row for row in rows if row.decision is not None), lambda row: row.condition)
    bounds = []
    for condition, same in by_condition.items():
        worst = max(same, key=lambda row: _last(row.search.rank1_at_most))
        decision, at_most = worst.decision or Decision.INCOMPLETE, worst.search.rank1_at_most
        answer = _compare(at_most, decision)
        bounds.append(
            Bound(condition, decision, worst.who, at_most, worst.search.gallery, worst.search.chance1, answer)
        )
    return bounds


def _last(bound: float) -> float:
    return math.inf if bound != bound else bound


def _compare(at_most: float, decision: Decision) -> str:
    """Say where a bound lies; a small one is no answer where the verdict is not PASS."""
    if at_most != at_most:
        return "not measured"
    if at_most > PUBLIC_LIMIT:
        return f"above {PUBLIC_LIMIT:g}"
    if decision is Decision.PASS:
        return f"within {PUBLIC_LIMIT:g}"
    return f"the number lies within {PUBLIC_LIMIT:g}, and the verdict is {decision.value}: do not rely on it"


def result_to_dossier(result: AuditResult) -> str:
    """Write the draft in Markdown.

    Fields of the anonymisation reports of EMA Policy 0070 and Health Canada's PRCI, the three criteria of WP216, an
    outline for a HIPAA expert determination, claims of DICOM PS3.15, and statements for TCIA and OpenNeuro. It names no
    subject. Labels from the manifest are escaped.
    """
    rows = list_rows(result)
    return render_markdown(
        "dossier.md",
        result,
        recognisers=list_recognisers(result.evidence),
        controls=[row for row in rows if row.decision is None],
        strongest=find_strongest(rows),
        bounds=bound_rank1(rows),
        limit=PUBLIC_LIMIT,
        exposed={condition: len(people) for condition, people in list_exposed(result).items()},
        canaries=[(name, who, value) for name, seen in list_canaries(result).items() for who, value in seen.items()],
        flow=count_flow(result),
        people=max((row.subjects for row in rows), default=0),
        scans=count_scans(result),
        runs=summarise_defacing(result.defacing),
    )
