"""Tells a result: JSON first; tables, figures, pages and summaries are views of it and compute nothing.

Default output holds no portrait, no vector, no path with folders and no DICOM identifier. The subjects' labels are
those of the manifest; files are written for their owner alone (mode 0600).
"""

from reid_audit.report.bids import format_bids, write_bids
from reid_audit.report.bob import format_bob, write_bob
from reid_audit.report.comparison_page import comparison_to_html
from reid_audit.report.comparison_tables import tests_csv
from reid_audit.report.figures import list_figures, write_figures
from reid_audit.report.files import (
    COMPARISON_FILE,
    PEOPLE_FILE,
    REPORT_FILE,
    RESULT_FILE,
    SCANS_FILE,
    SCORES_FILE,
    read_result,
    read_result_scores,
    write_comparison,
    write_result,
)
from reid_audit.report.form import (
    comparison_to_json,
    format_schema,
    published_schema,
    result_from_json,
    result_schema,
    result_to_json,
)
from reid_audit.report.page import result_to_html, result_to_summary_html
from reid_audit.report.summary import result_to_markdown
from reid_audit.report.tables import (
    PEOPLE_COLUMNS,
    SCAN_COLUMNS,
    count_flow,
    list_risks,
    people_csv,
    scan_rows,
    scans_csv,
)
from reid_audit.report.words import (
    STATUS_TEXT,
    by_encoder,
    control_at,
    distance_at,
    estimate_text,
    explain_verdict,
    match_at,
    name_attacker,
    of_strongest,
    p_text,
    percent,
    rank1_text,
    rate_text,
    rivals_text,
    tell_encoders,
    test_text,
)

__all__ = [
    "COMPARISON_FILE",
    "PEOPLE_COLUMNS",
    "PEOPLE_FILE",
    "REPORT_FILE",
    "RESULT_FILE",
    "SCANS_FILE",
    "SCAN_COLUMNS",
    "SCORES_FILE",
    "STATUS_TEXT",
    "by_encoder",
    "comparison_to_html",
    "comparison_to_json",
    "control_at",
    "count_flow",
    "distance_at",
    "estimate_text",
    "explain_verdict",
    "format_bids",
    "format_bob",
    "format_schema",
    "list_figures",
    "list_risks",
    "match_at",
    "name_attacker",
    "of_strongest",
    "p_text",
    "people_csv",
    "percent",
    "published_schema",
    "rank1_text",
    "rate_text",
    "read_result",
    "read_result_scores",
    "result_from_json",
    "result_schema",
    "result_to_html",
    "result_to_json",
    "result_to_markdown",
    "result_to_summary_html",
    "rivals_text",
    "scan_rows",
    "scans_csv",
    "tell_encoders",
    "test_text",
    "tests_csv",
    "write_bids",
    "write_bob",
    "write_comparison",
    "write_figures",
    "write_result",
]
