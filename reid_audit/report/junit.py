"""A gate's answer as JUnit XML, which every CI server shows: a case for each rule or image.

Three states: met, FAIL (a ``failure``), and what asks for a human (an ``error`` of the type REVIEW or INCOMPLETE). None
is ever told as skipped: servers show that as green.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree

from reid_audit.records import AuditResult, Decision, group_by
from reid_audit.report.rows import explain_verdict, list_checks

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a gate: what was asked of whom, what came of it, and the sentence for it."""

    suite: str
    name: str
    decision: Decision
    text: str


def cases_to_junit(name: str, cases: Iterable[Case]) -> str:
    """Return cases as JUnit XML, grouped into suites.

    Parameters
    ----------
    name : str
        Of the whole, such as the cohort's.
    cases : iterable of Case
    """
    suites = group_by(cases, lambda case: case.suite)
    every = [case for members in suites.values() for case in members]
    root = ElementTree.Element("testsuites", {"name": _clean(name), **_count(every)})
    for suite, members in suites.items():
        group = ElementTree.SubElement(root, "testsuite", {"name": _clean(suite), **_count(members)})
        for case in members:
            line = ElementTree.SubElement(group, "testcase", classname=_clean(suite), name=_clean(case.name))
            if case.decision is not Decision.PASS:
                kind = "failure" if case.decision is Decision.FAIL else "error"
                told = ElementTree.SubElement(line, kind, type=case.decision.value, message=_clean(case.text))
                told.text = _clean(case.text)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def result_to_junit(result: AuditResult) -> str:
    """Return a result as JUnit XML: a suite for each defacer, a case for each rule, and one for the verdict."""
    cases = [
        Case(concerns, ", ".join(filter(None, (check.name, check.attack, check.encoder))), check.decision, check.text)
        for concerns, check in list_checks(result)
    ]
    verdict = Case("verdict", "verdict", result.verdict.decision, explain_verdict(result))
    return cases_to_junit(result.cohort, [*cases, verdict])


def _clean(text: str) -> str:
    """Replace what XML cannot hold, such as a control character in a label."""
    return _NOT_XML.sub("\ufffd", text)


def _count(cases: list[Case]) -> dict[str, str]:
    decisions = [case.decision for case in cases]
    failures = decisions.count(Decision.FAIL)
    errors = len(decisions) - failures - decisions.count(Decision.PASS)
    return {"tests": str(len(decisions)), "failures": str(failures), "errors": str(errors), "skipped": "0"}
