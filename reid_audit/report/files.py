"""Files of a result: written for their owner alone, and read back."""

from __future__ import annotations

import os
from pathlib import Path

from reid_audit.match import read_scores, write_scores
from reid_audit.records import AuditResult, Comparison, InputError, ScoreTable
from reid_audit.report.comparison_page import comparison_to_html
from reid_audit.report.comparison_tables import comparison_csv, tests_csv
from reid_audit.report.form import comparison_to_json, result_from_json, result_to_json
from reid_audit.report.page import result_to_html
from reid_audit.report.tables import people_csv, scans_csv

RESULT_FILE = "result.json"
SCORES_FILE = "comparisons.csv"
SCANS_FILE = "scans.csv"
PEOPLE_FILE = "people.csv"
REPORT_FILE = "report.html"
COMPARISON_FILE = "comparison.json"


def write_private(path: Path, text: str) -> None:
    """Write a text file that only its owner may read, by way of a temporary neighbour."""
    temporary = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    temporary.replace(path)


def prepare_folder(folder: Path, *, overwrite: bool = False, marker: str = RESULT_FILE) -> None:
    """Make the folder for a result, and refuse one that holds a result already.

    Parameters
    ----------
    folder : Path
    overwrite : bool
    marker : str
        The file by which a result is known.

    Raises
    ------
    InputError
        Where ``folder`` is a file, cannot be made, or holds a result and ``overwrite`` is False.
    """
    if (folder / marker).exists() and not overwrite:
        raise InputError(f"{folder.name} holds a result already; give another folder or --overwrite")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder.name} cannot be made into a folder for the result: {error.strerror}") from error


def write_result(result: AuditResult, scores: ScoreTable, folder: Path, *, overwrite: bool = False) -> Path:
    """Write JSON, the three tables and the page into a folder.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        See `prepare_folder`.
    """
    prepare_folder(folder, overwrite=overwrite)
    write_private(folder / SCORES_FILE, "")  # private before the first distance is in it; writing keeps the mode
    write_scores(scores, folder / SCORES_FILE)
    write_private(folder / SCANS_FILE, scans_csv(result))
    write_private(folder / PEOPLE_FILE, people_csv(result))
    write_private(folder / REPORT_FILE, result_to_html(result))
    write_private(folder / RESULT_FILE, result_to_json(result))
    return folder / REPORT_FILE


def _text_of(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        name = f"{path.parent.name}/{path.name}"
        raise InputError(f"{name} cannot be read ({error.strerror}); give a folder that {what} wrote") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not UTF-8 text") from error


def read_result(folder: Path) -> AuditResult:
    """Read the result from a folder that `write_result` wrote, or from its JSON file.

    Raises
    ------
    InputError
        There is none, or it is of another schema version.
    """
    path = folder / RESULT_FILE if folder.is_dir() else folder
    return result_from_json(_text_of(path, "`score` or `stats`"), source=f"{path.parent.name}/{path.name}")


def read_result_scores(folder: Path) -> ScoreTable:
    """Read every comparison from a folder that `write_result` wrote.

    Raises
    ------
    InputError
        There is none.
    """
    return read_scores((folder if folder.is_dir() else folder.parent) / SCORES_FILE)


def write_comparison(comparison: Comparison, folder: Path, *, overwrite: bool = False) -> Path:
    """Write JSON, two tables and the page of a comparison into a folder.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        See `prepare_folder`.
    """
    prepare_folder(folder, overwrite=overwrite, marker=COMPARISON_FILE)
    write_private(folder / "defacers.csv", comparison_csv(comparison))
    write_private(folder / "tests.csv", tests_csv(comparison.tests))
    write_private(folder / "comparison.html", comparison_to_html(comparison))
    write_private(folder / COMPARISON_FILE, comparison_to_json(comparison))
    return folder / "comparison.html"
