"""A result that is there already, told otherwise: `report`."""

import shutil
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from reid_audit.cli.options import OverwriteOption, ReviewOption
from reid_audit.cli.words import out
from reid_audit.records import AuditResult, InputError, prepare_empty_folder, prepare_file, write_private
from reid_audit.report import (
    SCORES_FILE,
    format_schema,
    read_result,
    read_result_scores,
    result_to_dossier,
    result_to_html,
    result_to_json,
    result_to_junit,
    result_to_markdown,
    write_bids,
    write_bob,
    write_figures,
    write_tables,
)
from reid_audit.report.papers import say_papers
from reid_audit.review import read_review
from reid_audit.verdict import fold_review


class Form(StrEnum):
    """What a result can be written as."""

    HTML = "html"
    MARKDOWN = "md"
    DOSSIER = "dossier"
    JSON = "json"
    JUNIT = "junit"
    CSV = "csv"
    BIDS = "bids"
    BOB = "bob"
    BOB5 = "bob5"
    FIGURES = "figures"
    PAPERS = "papers"
    SCHEMA = "schema"


_MARKS = {
    Form.HTML: b"<!doctype html>",
    Form.MARKDOWN: b"#",
    Form.DOSSIER: b"# Dossier",
    Form.JSON: b'"cohort"',
    Form.JUNIT: b"<testsuites",
}
_ONE_FILE = {
    Form.HTML: "report.html",
    Form.MARKDOWN: "summary.md",
    Form.DOSSIER: "dossier.md",
    Form.JSON: "result.json",
    Form.JUNIT: "junit.xml",
    Form.SCHEMA: "",
}


def _read(result: Path, review: Path | None) -> AuditResult:
    read = read_result(result)
    return read if review is None else fold_review(read, read_review(review))


def _write_file(form: Form, result: Path, output: Path, *, review: Path | None, overwrite: bool) -> None:
    if output.is_dir():
        raise InputError(f"--output {output.name} is a folder; --format {form.value} writes one file")
    prepare_file(output, mark=_MARKS[form], overwrite=overwrite)
    read = _read(result, review)
    texts = {
        Form.HTML: result_to_html,
        Form.MARKDOWN: result_to_markdown,
        Form.DOSSIER: result_to_dossier,
        Form.JSON: result_to_json,
        Form.JUNIT: result_to_junit,
    }
    write_private(output, texts[form](read))
    out.say(f"{escape(str(output))}")


def _write_folder(form: Form, result: Path, output: Path, *, review: Path | None, overwrite: bool) -> None:
    prepare_empty_folder(output, overwrite=overwrite)
    if form in (Form.BOB, Form.BOB5):
        written = write_bob(read_result_scores(result), output, columns=5 if form is Form.BOB5 else 4)
    elif form is Form.BIDS:
        written = write_bids(_read(result, review), output)
    elif form is Form.FIGURES:
        written = write_figures(_read(result, review), output)
    else:
        written = write_tables(_read(result, review), output)
        scores = (result if result.is_dir() else result.parent) / SCORES_FILE
        if scores.is_file():
            write_private(output / scores.name, "")
            shutil.copyfile(scores, output / scores.name)
            written.append(output / scores.name)
    out.say(f"{len(written)} files in {escape(str(output))}")


def report(
    result: Annotated[Path, typer.Argument(help="Folder that `score` or `stats` wrote, or its result.json.")],
    form: Annotated[
        Form,
        typer.Option(
            "--format",
            help="html: the page. md: a summary for a data paper. dossier: a draft of what agencies, experts and "
            "repositories ask for, gaps marked. json, csv. junit: the rules, for CI servers. bids: TSV + JSON. "
            "bob, bob5: score files of 4 or 5 columns. figures: SVG + PNG. papers: tables of O'Sullivan-Steben 2025 "
            "and Molchanova 2023, on standard output. schema: the JSON schema of a result, on standard output.",
        ),
    ] = Form.HTML,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File (html, md, json, junit) or folder (the others).")
    ] = None,
    review: ReviewOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Write a result that is there already in another form; nothing is measured anew.

    Example: [bold]reid-audit report result --format md -o summary.md[/]
    """
    if form is Form.SCHEMA:
        out.out(format_schema(), end="")
        return
    if form is Form.PAPERS:
        has_scores = ((result if result.is_dir() else result.parent) / SCORES_FILE).is_file()
        out.out(say_papers(read_result(result, scores=has_scores)), end="")
    elif form in _ONE_FILE:
        _write_file(form, result, output or Path(_ONE_FILE[form]), review=review, overwrite=overwrite)
    else:
        _write_folder(form, result, output or Path(f"{form.value}"), review=review, overwrite=overwrite)
