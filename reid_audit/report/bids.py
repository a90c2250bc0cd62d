"""Tables of a result as a small BIDS derivative: TSV with a JSON beside each that says what its columns mean."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from reid_audit.records import ORIGINAL, AttackEvidence, AuditResult, ControlEvidence, Rate, natural_key, write_private
from reid_audit.report.tables import PEOPLE_COLUMNS, SCAN_COLUMNS, list_risks, people_rows, scan_rows
from reid_audit.report.words import control_at, match_at

BIDS_VERSION = "1.10.0"

_MEANING = {
    "subject": "Label of the person in the manifest",
    "session": "Label of the visit",
    "condition": "'original', or the name of the defacer",
    "file": "Name of the file, without folders",
    "status": "How far the scan came",
    "reason": "One sentence where the status is not ok",
    "confidence": "The detector's own score",
    "skin_level": "Intensity of the skin's isosurface, in the scan's own units",
    "findings": "Codes of what was noticed",
    "seconds": "Wall time",
    "attack": "The attacker",
    "encoder": "The network whose vectors were compared; n/a where the table names none",
    "rank": "Best rank of the person's own original after defacing; 1 = found first",
    "distance": "Smallest cosine distance to the person's own original after defacing",
    "matched": "Whether any attacker matched it at the Youden threshold",
    "distance_before": "Smallest cosine distance of the person's own originals",
    "distance_after": "Smallest cosine distance to the person's own original after defacing",
    "rank_before": "Best rank of the person's own original before defacing",
    "rank_after": "Best rank of the person's own original after defacing",
    "matched_before": "Whether the person matched at the Youden threshold before defacing",
    "matched_after": "Whether the person matched at the Youden threshold after defacing",
    "unacquired": "Defaced scans that gave no vector",
    "participant_id": "The person, by a label that BIDS allows",
    "source_label": "Label of the person in the manifest",
    "matched_by_any": "Defacers after which any attacker still matched the person at the Youden threshold",
    "found_first_by_any": "Defacers after which any attacker still found the person first",
    "measure": "What was measured",
    "value": "The observed share, or the estimate",
    "low": "Lower end of the two-sided interval",
    "high": "Upper end of the two-sided interval",
    "successes": "How many",
    "trials": "Of how many",
    "subjects": "People behind them",
    "method": "How the interval was made",
}
_UNITS = {"seconds": "s"}


def _clean(value: object) -> str:
    """Write a value for a TSV: ``n/a`` where there is none, no tab and no line break inside."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return "n/a"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return "".join(c if c.isprintable() else " " for c in text)


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> tuple[str, str]:
    lines = ["\t".join(columns), *("\t".join(_clean(value) for value in row) for row in rows)]
    meaning = {
        name: {"Description": _MEANING[name]} | ({"Units": _UNITS[name]} if name in _UNITS else {}) for name in columns
    }
    return "\n".join(lines) + "\n", json.dumps(meaning, indent=2) + "\n"


def _labels(subjects: Iterable[str]) -> Mapping[str, str]:
    """Give everybody a label of letters and digits; two people never share one."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for subject in subjects:
        stem = "".join(c for c in subject.removeprefix("sub-") if c.isascii() and c.isalnum())[:60] or "x"
        label, again = stem, 1
        while label in taken:
            again += 1
            label = f"{stem}x{again}"
        taken.add(label)
        found[subject] = f"sub-{label}"
    return found


def _rates(result: AuditResult) -> list[tuple[object, ...]]:
    threshold = result.verdict.policy.threshold
    rows: list[tuple[object, ...]] = []

    def add(condition: str, part: ControlEvidence | AttackEvidence, measure: str, rate: Rate) -> None:
        counts = (rate.successes, rate.trials, rate.subjects) if rate.trials else (None, None, None)
        where = (condition, part.attack, part.encoder, measure)
        rows.append((*where, rate.value, rate.low, rate.high, *counts, rate.method))

    for control in result.evidence.controls:
        own, non_mated = control_at(control, threshold)
        add(ORIGINAL, control, f"own person matched at {threshold}", own)
        add(ORIGINAL, control, f"strangers matched at {threshold}", non_mated)
        add(ORIGINAL, control, "own person found first", control.search.rank1)
        add(ORIGINAL, control, "no vector", control.fta)
        auc = control.auc
        rows.append(
            (
                ORIGINAL,
                control.attack,
                control.encoder,
                "AUC",
                auc.value,
                auc.low,
                auc.high,
                None,
                None,
                auc.subjects,
                auc.method,
            )
        )
    for one in result.evidence.attacks:
        match = match_at(one, threshold)
        add(one.condition, one, f"own person matched at {threshold}", match.counted)
        add(one.condition, one, f"strangers matched at {threshold}", match.non_mated)
        add(one.condition, one, "own person found first", one.search.rank1)
        add(one.condition, one, "no vector", one.fta)
        auc = one.linkability
        rows.append(
            (
                *(one.condition, one.attack, one.encoder, "linkability (AUC)", auc.value, auc.low, auc.high),
                *(None, None, auc.subjects, auc.method),
            )
        )
    return rows


def format_bids(result: AuditResult) -> dict[str, str]:
    """Write a result as the files of a BIDS derivative.

    ``reid_participants`` has a row per person; ``reid_rates``, ``reid_people`` and ``reid_scans`` are long tables. Each
    TSV has its JSON. BIDS knows no such tables, and asks a ``participants.tsv`` to have images beside it, so
    ``.bidsignore`` names them.

    Returns
    -------
    dict of str to str
        File name to text.
    """
    risks = list_risks(result)
    subjects = sorted({risk.scan.subject for risk in risks} | {p.subject for p in result.subjects}, key=natural_key)
    labels = _labels(subjects)
    matched: dict[str, list[str]] = {}
    first: dict[str, list[str]] = {}
    for person in result.subjects:
        for wanted, table in ((person.matched_after, matched), (person.rank_after == 1, first)):
            known = table.setdefault(person.subject, [])
            if wanted and person.condition not in known:
                known.append(person.condition)
    columns = ("participant_id", "source_label", "matched_by_any", "found_first_by_any")
    people = [
        (labels[s], s, ", ".join(matched[s]) or "none", ", ".join(first[s]) or "none")
        if s in matched
        else (labels[s], s, None, None)
        for s in subjects
    ]
    measured = (
        "condition",
        "attack",
        "encoder",
        "measure",
        "value",
        "low",
        "high",
        "successes",
        "trials",
        "subjects",
        "method",
    )
    tables = {
        "reid_participants": _table(columns, people),
        "reid_rates": _table(measured, _rates(result)),
        "reid_people": _table(PEOPLE_COLUMNS, people_rows(result)),
        "reid_scans": _table(SCAN_COLUMNS, scan_rows(result)),
    }
    description = {
        "Name": "Re-identification audit of defaced head scans",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "reid-audit", "Version": result.tool_version}],
    }
    files = {
        "dataset_description.json": json.dumps(description, indent=2) + "\n",
        "README": (
            f"Verdict of reid-audit {result.tool_version} on {_clean(result.cohort)}: "
            f"{result.verdict.decision.value}.\n"
            "The tables are personal: for the data steward, not for publication.\n"
        ),
        ".bidsignore": "reid_*\n",
    }
    for name, (text, meaning) in tables.items():
        files |= {f"{name}.tsv": text, f"{name}.json": meaning}
    return files


def write_bids(result: AuditResult, folder: Path) -> list[Path]:
    """Write `format_bids` into a folder that is there, each file for its owner alone."""
    written = []
    for name, text in format_bids(result).items():
        write_private(folder / name, text)
        written.append(folder / name)
    return written
