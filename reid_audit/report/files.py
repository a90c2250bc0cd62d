"""Files of a result: written for their owner alone, and read back."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from reid_audit.match import read_scores, write_scores
from reid_audit.records import AuditResult, Comparison, InputError, ScoreTable, prepare_folder, read_json, write_private
from reid_audit.report.comparison import comparison_csv, comparison_to_html, tests_csv
from reid_audit.report.form import RESULT_COMMAND, comparison_to_json, result_to_json
from reid_audit.report.page import result_to_html
from reid_audit.report.tables import Table, tabulate_measures, tabulate_rates, tabulate_scans, tabulate_subjects, to_csv

RESULT_FILE = "result.json"
SCORES_FILE = "comparisons.csv"
TABLES: Mapping[str, Callable[[AuditResult], Table]] = {
    "rates.csv": tabulate_rates,
    "measures.csv": tabulate_measures,
    "subjects.csv": tabulate_subjects,
    "scans.csv": tabulate_scans,
}
REPORT_FILE = "report.html"
COMPARISON_FILE = "comparison.json"


def write_result(result: AuditResult, folder: Path | str, *, overwrite: bool = False) -> Path:
    """Write JSON, the tables and the page into a folder.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        ``folder`` is a file, cannot be made, or holds one and ``overwrite`` is False; or there are no comparisons.
    """
    folder = Path(folder)
    if result.scores is None:
        raise InputError(f"{folder.name}: this result lacks its comparisons; read it by read_result(..., scores=True)")
    prepare_folder(folder, RESULT_FILE, overwrite=overwrite)
    write_private(folder / SCORES_FILE, "")  # private before the first distance is in it; writing keeps the mode
    write_scores(result.scores, folder / SCORES_FILE)
    write_tables(result, folder)
    write_private(folder / REPORT_FILE, result_to_html(result))
    write_private(folder / RESULT_FILE, result_to_json(result))
    return folder / REPORT_FILE


def write_tables(result: AuditResult, folder: Path) -> list[Path]:
    """Write rates, subjects and scans as CSV into a folder that is there."""
    for name, tabulate in TABLES.items():
        write_private(folder / name, to_csv(tabulate(result)))
    return [folder / name for name in TABLES]


def read_result(folder: Path | str, *, scores: bool = False) -> AuditResult:
    """Read the result from a folder that `write_result` wrote, or from its JSON file.

    Parameters
    ----------
    folder : Path or str
    scores : bool
        Read every comparison too, which may take long.

    Raises
    ------
    InputError
        There is none, or it is of another schema version.
    """
    folder = Path(folder)
    path = folder / RESULT_FILE if folder.is_dir() else folder
    result = read_json(path, AuditResult, made_by=RESULT_COMMAND)
    return replace(result, scores=read_result_scores(folder)) if scores else result


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
        ``folder`` is a file, cannot be made, or holds one and ``overwrite`` is False
    """
    prepare_folder(folder, COMPARISON_FILE, overwrite=overwrite)
    write_private(folder / "defacers.csv", comparison_csv(comparison))
    write_private(folder / "tests.csv", tests_csv(comparison.tests))
    write_private(folder / "comparison.html", comparison_to_html(comparison))
    write_private(folder / COMPARISON_FILE, comparison_to_json(comparison))
    return folder / "comparison.html"
