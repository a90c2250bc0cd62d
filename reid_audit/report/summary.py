"""A summary in Markdown for a data paper: a methods paragraph, the numbers, and what to cite."""

from reid_audit.records import AuditResult
from reid_audit.report.page import read_templates
from reid_audit.report.rows import explain_verdict, headline, list_rows, tell_threshold
from reid_audit.report.words import join_words

_SPECIAL = set("\\`*_{}[]<>#+!|&~$")


def escape(text: str) -> str:
    """Return a label as Markdown that shows it and does nothing else."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return "".join(f"\\{c}" if c in _SPECIAL else c for c in plain)


def render_markdown(template: str, result: AuditResult, **values: object) -> str:
    """Fill a Markdown template with what every summary tells of a result, and with further values."""
    environment = read_templates().overlay(autoescape=False)
    environment.filters |= {"md": escape, "join_words": join_words}
    return environment.get_template(template).render(
        result=result,
        headline=headline(result),
        reason=explain_verdict(result),
        rows=list_rows(result),
        threshold=result.verdict.policy.threshold,
        distance=tell_threshold(result),
        **values,
    )


def result_to_markdown(result: AuditResult) -> str:
    """Write a summary for a data paper: verdict, methods with the numbers filled in, a table, limits, references.

    It names no subject. Labels from the manifest are escaped.
    """
    return render_markdown("summary.md", result, calibration=result.calibrations[0])
