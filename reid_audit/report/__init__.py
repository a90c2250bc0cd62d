"""Tells a result: JSON first; tables, figures, pages and summaries are views of it and compute nothing.

Default output holds no portrait, no vector, no path with folders and no DICOM identifier. The subjects' labels are
those of the manifest; files are written for their owner alone (mode 0600). What all views show stands in
`reid_audit.report.rows`, numbers as text in `reid_audit.report.words`.
"""

from reid_audit.report.bids import write_bids
from reid_audit.report.bob import write_bob
from reid_audit.report.dossier import result_to_dossier
from reid_audit.report.figures import write_figures
from reid_audit.report.files import (
    COMPARISON_FILE,
    RESULT_FILE,
    SCORES_FILE,
    read_result,
    read_result_scores,
    write_comparison,
    write_result,
    write_tables,
)
from reid_audit.report.form import format_schema, result_to_json
from reid_audit.report.junit import Case, cases_to_junit, result_to_junit
from reid_audit.report.page import result_to_html
from reid_audit.report.summary import result_to_markdown
from reid_audit.report.tables import Table
from reid_audit.report.views import Picture, Plots

__all__ = [
    "COMPARISON_FILE",
    "RESULT_FILE",
    "SCORES_FILE",
    "Case",
    "Picture",
    "Plots",
    "Table",
    "cases_to_junit",
    "format_schema",
    "read_result",
    "read_result_scores",
    "result_to_dossier",
    "result_to_html",
    "result_to_json",
    "result_to_junit",
    "result_to_markdown",
    "write_bids",
    "write_bob",
    "write_comparison",
    "write_figures",
    "write_result",
    "write_tables",
]
