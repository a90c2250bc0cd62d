"""Tables of a result as a small BIDS derivative: TSV with a JSON beside each that says what its columns mean."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from reid_audit.records import AuditResult, describe_dataset, natural_key, write_private
from reid_audit.report.rows import headline, list_risks
from reid_audit.report.tables import Table, cell, tabulate_rates, tabulate_scans, tabulate_subjects

_PARTICIPANT_COLUMNS = {
    "participant_id": "The subject, by a label that BIDS allows",
    "source_label": "Label of the subject in the manifest",
    "matched_by_any": "Defacers after which any attacker still matched the subject at the Youden threshold",
    "found_first_by_any": "Defacers after which any attacker still found the subject first",
}


def _clean(value: object) -> str:
    """Write a value for a TSV: ``n/a`` where there is none, no tab and no line break inside."""
    return "".join(c if c.isprintable() else " " for c in cell(value)) or "n/a"


def format_tsv(table: Table) -> tuple[str, str]:
    """Write a table as BIDS has it: the TSV, and the JSON that says what its columns mean."""
    lines = ["\t".join(table.columns), *("\t".join(map(_clean, row)) for row in table.rows)]
    meaning = {name: {"Description": text} for name, text in table.columns.items()}
    return "\n".join(lines) + "\n", json.dumps(meaning, indent=2) + "\n"


def _label(subjects: Iterable[str]) -> Mapping[str, str]:
    """Give every subject a label of letters and digits; two subjects never share one."""
    labels: dict[str, str] = {}
    for subject in subjects:
        stem = "".join(c for c in subject.removeprefix("sub-") if c.isascii() and c.isalnum())[:60] or "x"
        label, again = f"sub-{stem}", 1
        while label in labels.values():
            again += 1
            label = f"sub-{stem}x{again}"
        labels[subject] = label
    return labels


def _tabulate_participants(result: AuditResult) -> Table:
    matched: dict[str, dict[str, None]] = {}
    first: dict[str, dict[str, None]] = {}
    for record in result.subjects:
        for holds, table in ((record.matched_after, matched), (record.rank_after == 1, first)):
            table.setdefault(record.subject, {}).update({record.condition: None} if holds else {})
    subjects = sorted({risk.scan.subject for risk in list_risks(result)} | set(matched), key=natural_key)
    rows = [
        (
            label,
            subject,
            *(", ".join(table[subject]) or "none" if subject in table else None for table in (matched, first)),
        )
        for subject, label in _label(subjects).items()
    ]
    return Table(_PARTICIPANT_COLUMNS, rows)


def format_bids(result: AuditResult) -> dict[str, str]:
    """Write a result as the files of a BIDS derivative.

    ``reid_participants`` has a row per subject; ``reid_rates``, ``reid_subjects`` and ``reid_scans`` are long tables.
    Each TSV has its JSON. BIDS knows no such tables, and asks a ``participants.tsv`` to have images beside it, so
    ``.bidsignore`` names them.

    Returns
    -------
    dict of str to str
        File name to text.
    """
    tables = {
        "reid_participants": _tabulate_participants(result),
        "reid_rates": tabulate_rates(result),
        "reid_subjects": tabulate_subjects(result),
        "reid_scans": tabulate_scans(result),
    }
    made_by = [{"Name": "reid-audit", "Version": result.tool_version}]
    files = {
        "dataset_description.json": describe_dataset(
            "Re-identification audit of defaced head scans", "derivative", GeneratedBy=made_by
        ),
        "README": (
            f"Verdict of reid-audit {result.tool_version} on {_clean(result.cohort)}: "
            f"{headline(result)}.\n"
            "The tables are personal: for the data steward, not for publication.\n"
        ),
        ".bidsignore": "reid_*\n",
    }
    for name, table in tables.items():
        files[f"{name}.tsv"], files[f"{name}.json"] = format_tsv(table)
    return files


def write_bids(result: AuditResult, folder: Path) -> list[Path]:
    """Write `format_bids` into a folder that is there, each file for its owner alone."""
    written = []
    for name, text in format_bids(result).items():
        write_private(folder / name, text)
        written.append(folder / name)
    return written
