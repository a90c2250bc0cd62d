"""What a result is told as: JSON and its schema, tables, figures, score files, BIDS, Markdown, and the page as text."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reid_audit import AuditResult, Decision, InputError, assess_scores, read_result, write_result
from reid_audit.cli import main
from reid_audit.cli.words import say_result
from reid_audit.records import Check, Estimate, Rate, ScoreTable, SearchRates, Status
from reid_audit.report import format_schema, result_to_html, result_to_json, result_to_markdown, write_figures
from reid_audit.report.bids import format_bids
from reid_audit.report.bob import format_bob
from reid_audit.report.figures import list_figures
from reid_audit.report.form import published_schema, result_from_json, result_schema
from reid_audit.report.rows import count_flow, explain_verdict, find_strongest, list_checks, list_risks, list_rows
from reid_audit.report.tables import tabulate_scans, to_csv
from reid_audit.testing import make_result, make_scores

HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(2)>",
    "\u202egnp.exe\u05d0\u05d1\u05d2",
    "x" * 300,
    "=1+1",
    "a b\tc",
    "{{ 7 * 7 }}",
    "$\\frac{1}{0}$_",
    "</script><!--",
    "p%20q",
)


@pytest.fixture(scope="module")
def told() -> tuple[AuditResult, ScoreTable]:
    """Thirty people, three defacers, two attackers, with the cost of defacing."""
    return make_result(cost=True)


@pytest.fixture(scope="module")
def hostile() -> tuple[AuditResult, ScoreTable]:
    """People, defacers and attackers with names that somebody chose to break a page."""
    people = [*HOSTILE, *(f"p{i}" for i in range(10))]
    return make_result(people, dict.fromkeys(HOSTILE[:4], 1.0), draws=20, source="<b>manifest</b>.csv")


def test_the_page_says_what_protection_cost_and_how_defacers_ran(told: tuple[AuditResult, ScoreTable]) -> None:
    html = result_to_html(told[0])
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert "What the protection cost" in text
    assert re.search(r"dice brain elsewhere 0\.9 0\.8 to 1 20 1", text)  # mean, interval, cases, without a number
    assert "1 failed" in text
    for heading in ("What the protection cost", "How the defacers ran"):
        assert heading not in result_to_html(replace(told[0], utility=(), defacing=()))


@pytest.fixture(scope="module")
def nothing() -> AuditResult:
    """A result that holds no number at all."""
    result, scores = make_result(4, {"cut": 1.0}, draws=0)
    frame = scores.frame.assign(distance=math.nan)
    from reid_audit import assess_scores

    empty = assess_scores(ScoreTable(frame), source="empty.csv", draws=0)
    lost = tuple(replace(row, status=Status.NO_FACE, reason="none was there") for row in result.scans)
    return replace(empty, scans=lost)


def test_the_linkability_that_is_shown_is_the_number_that_the_rules_judge(told: tuple[AuditResult, ScoreTable]) -> None:
    rows = {(row.condition, row.attack): row.linkability for row in list_rows(told[0])}
    judged = [check for _, check in list_checks(told[0]) if check.name == "linkability"]
    assert len(judged) >= 6
    for check in judged:
        shown = rows[check.condition, check.attack]
        assert check.value == shown.value
        assert check.bound in (shown.at_least, shown.at_most)
        assert shown.low <= shown.at_least <= shown.at_most <= shown.high
    attack = told[0].evidence.attacks[0]
    assert replace(attack, judged_linkability=None).shown_linkability == attack.linkability  # a result of 0.1


# --- JSON ---


def test_json_and_back_is_equal(told: tuple[AuditResult, ScoreTable], nothing: AuditResult) -> None:
    for result in (told[0], nothing):
        text = result_to_json(result)
        again = result_from_json(text)
        assert result_to_json(again) == text
        assert again.verdict.decision is result.verdict.decision


def test_the_published_schema_is_that_of_the_record_and_holds(
    told: tuple[AuditResult, ScoreTable], nothing: AuditResult
) -> None:
    from jsonschema import Draft202012Validator, ValidationError

    assert published_schema() == format_schema(), "run: reid-audit report - --format schema"
    schema = result_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for result in (told[0], nothing):
        validator.validate(json.loads(result_to_json(result)))
    broken = json.loads(result_to_json(told[0]))
    broken["verdict"]["decision"] = "FINE"
    with pytest.raises(ValidationError):
        validator.validate(broken)
    broken = json.loads(result_to_json(told[0])) | {"schema_version": 3}
    with pytest.raises(ValidationError):
        validator.validate(broken)


def test_another_version_is_refused(told: tuple[AuditResult, ScoreTable]) -> None:
    other = json.loads(result_to_json(told[0])) | {"schema_version": 99}
    with pytest.raises(InputError, match="schema version 99"):
        result_from_json(json.dumps(other))
    with pytest.raises(InputError, match="make it anew with `reid-audit score`"):
        result_from_json('{"verdict": 1}')


# --- the page as text ---

_PAGE = """
import sys
from pathlib import Path
from reid_audit.report import read_result, result_to_html
sys.stdout.buffer.write(result_to_html(read_result(Path(sys.argv[1]))).encode())
"""


@pytest.mark.slow
def test_the_page_of_a_json_is_the_same_wherever_it_is_made(
    told: tuple[AuditResult, ScoreTable], tmp_path: Path
) -> None:
    page = write_result(told[0], tmp_path / "here")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "matplotlibrc").write_text("font.size: 20\naxes.facecolor: red\nsvg.fonttype: path\n")
    elsewhere = os.environ | {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    made = subprocess.run(
        [sys.executable, "-c", _PAGE, str(tmp_path / "here" / "result.json")],
        capture_output=True,
        cwd=tmp_path / "there",
        env=elsewhere,
        check=True,
    )
    assert made.stdout == page.read_bytes()


def test_the_page_tells_all_in_order(told: tuple[AuditResult, ScoreTable]) -> None:
    result, _ = told
    html = result_to_html(result)
    places = [html.index(f'id="{name}"') for name in ("verdict", "evidence", "matrix", "blocks", "figures")]
    places += [html.index(f'id="{name}"') for name in ("flow", "scans", "strata", "rules", "settings", "limits")]
    assert places == sorted(places)
    for attack in result.evidence.attacks:
        counted = attack.match("youden").counted
        assert f"{counted.successes} of {counted.trials}" in html
    assert "chance 3.3" in html
    for text in (
        *result.settings.values(),
        *result.weights["toy"].values(),
        result.fingerprints[0].weights,
        "max match rate",
    ):
        assert text in html
    names = [figure.name for figure in list_figures(result)]
    drawn = [name for name in names if f">{name}</text>" in html]  # each is named in its picture
    assert html.count("<figure>") == html.count('role="img" aria-label="') == len(drawn)
    own = [name for name in names if name.startswith("distances")]
    strongest = [f"distances, {row.condition}, {row.who}" for row in find_strongest(list_rows(result)).values()]
    assert drawn == [name for name in names if name not in own or "naive" in name or name in strongest]
    assert not re.search(r"(?:src|href)=\"(?!#)", html)
    assert "url(http" not in html


def test_a_page_without_any_number_says_so(nothing: AuditResult) -> None:
    html = result_to_html(nothing)
    assert "INCOMPLETE" in html
    assert "not measured" in html
    assert "<figure>" not in html  # no empty panels
    assert not re.search(r"\bnan\b", html, re.IGNORECASE)


def test_the_reason_is_one_sentence(told: tuple[AuditResult, ScoreTable]) -> None:
    result, _ = told
    assert result.verdict.decision is Decision.FAIL
    assert "own original is nearer than another person" in explain_verdict(result)
    passed, _ = make_result(60, {"wipe": 60.0}, faceless=0.0, draws=0, seed=5)
    if passed.verdict.decision is Decision.PASS:
        assert explain_verdict(passed).startswith("Every one of")


def test_what_was_found_on_one_defacers_scans_is_told_of_it_wherever_results_are_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scores, _ = make_scores(24, {"none": 0.0, "wipe": 60.0}, attacks=("naive",))
    actual = [
        Check("original_in_release", Decision.FAIL, "1 of 24 scans equals its original.", condition="wipe"),
        Check("unseen_scans", Decision.INCOMPLETE, "2 of 24 scans were not seen.", condition="none"),
        Check("original_in_release", Decision.FAIL, "1 of 1 scans equals its original.", condition="lost"),
    ]
    result = assess_scores(scores, source="x.csv", findings=actual, draws=0)
    assert [each.decision for each in result.verdict.conditions] == [Decision.FAIL, Decision.FAIL]
    assert result_to_json(result_from_json(result_to_json(result))) == result_to_json(result)
    rows = re.findall(r'<th scope="row"><bdi>(\w+)</bdi></th>.*?data-label="Why">(.*?)</td>', result_to_html(result))
    assert {(check.condition, check.text) for check in actual} <= set(rows)
    say_result(result)
    said = " ".join(capsys.readouterr().out.split())
    assert "FAIL wipe: 1 of 24 scans equals its original." in said
    assert "FAIL lost: 1 of 1 scans equals its original." in said
    assert "2 of 24 scans were not seen." not in said  # of each defacer only the gravest
    say_result(result, verbosity=1)
    assert "INCOMPLETE none: 2 of 24 scans were not seen." in " ".join(capsys.readouterr().out.split())


def test_the_most_exposed_scans_come_first(
    told: tuple[AuditResult, ScoreTable], capsys: pytest.CaptureFixture[str]
) -> None:
    result, _ = told
    slow = replace(result, scans=tuple(replace(scan, seconds=n) for n, scan in enumerate(result.scans[:3], 1)))
    say_result(slow, verbosity=1)
    assert "\n2.0 s a scan (median)\n" in capsys.readouterr().out
    risks = list_risks(result)
    assert len(risks) == len(result.scans)
    assert risks[0].matched
    assert risks[-1].scan.condition == "original"
    defaced = [risk for risk in risks if risk.scan.condition != "original"]
    exposed = [(not risk.matched, math.inf if math.isnan(risk.rank) else risk.rank) for risk in defaced]
    assert exposed == sorted(exposed)
    faceless = next(risk for risk in defaced if risk.scan.status is Status.NO_FACE)
    assert faceless.attack == "registered"  # the naive attacker saw nothing; the page must not call that safe
    table = list(csv.DictReader(io.StringIO(to_csv(tabulate_scans(result)))))
    assert [row["matched"] for row in table[:3]] == ["true"] * 3


def test_the_flow_counts_every_scan(told: tuple[AuditResult, ScoreTable], nothing: AuditResult) -> None:
    for result in (told[0], nothing):
        for flow in count_flow(result):
            assert flow.listed == flow.acquired + sum(count for _, count in flow.excluded)
            assert flow.listed >= flow.read >= flow.rendered >= flow.acquired
        assert sum(flow.listed for flow in count_flow(result)) == len(result.scans)


# --- hostile names ---


def test_hostile_names_stay_text(hostile: tuple[AuditResult, ScoreTable]) -> None:
    result, scores = hostile
    html = result_to_html(result)
    assert html.count("<script") == html.count("</script") == 2
    assert "<img" not in html
    assert "\u202e" not in html  # it would turn the text after it around
    assert "&lt;script&gt;alert(1)" in html
    assert "49" not in re.findall(r"<bdi>([^<]*)</bdi>", html)
    data = re.search(r'id="scan-data">(.*?)</script>', html, re.DOTALL)
    assert data is not None
    assert set(HOSTILE) <= set(json.loads(data[1])["cells"])
    markdown = result_to_markdown(result)
    assert "<script>" not in markdown
    assert "\\<script\\>" in markdown
    for name, text in format_bob(scores).items():
        assert "/" not in name
        assert all(len(line.split(" ")) == 4 for line in text.splitlines())
    files = format_bids(result)
    rows = files["reid_participants.tsv"].splitlines()
    labels = [row.split("\t")[0] for row in rows[1:]]
    assert len(set(labels)) == len(labels) == len(HOSTILE) + 10
    assert all(re.fullmatch(r"sub-[0-9A-Za-z]+", label) for label in labels)
    assert {len(row.split("\t")) for row in rows} == {4}
    assert "'=1+1" in to_csv(tabulate_scans(result))


# --- what no output holds ---


@pytest.mark.slow
def test_no_default_output_holds_a_folder_a_portrait_or_a_dicom_identifier(
    told: tuple[AuditResult, ScoreTable], tmp_path: Path
) -> None:
    write_result(told[0], tmp_path / "result")
    for form in ("html", "md", "json", "csv", "bids", "bob", "bob5", "figures"):
        assert main(["report", str(tmp_path / "result"), "--format", form, "-o", str(tmp_path / f"out.{form}")]) == 0
    assert main(["compare", str(tmp_path / "result"), "-o", str(tmp_path / "comparison")]) == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 40
    forbidden = (str(tmp_path), "/data/private", os.path.expanduser("~") + "/", os.getcwd())
    for path in files:
        content = path.read_bytes()
        if path.suffix == ".png":
            assert path.parent.name == "out.figures"
            continue
        text = content.decode("utf-8")
        for word in forbidden:
            assert word not in text, (path.name, word)
        assert not re.search(r"PatientName|PatientID|SeriesInstanceUID|\b1\.2\.840\.", text), path.name
        assert not re.search(r"<image|data:image|<img", text), path.name
        if path.parent.name != "out.figures":
            assert os.stat(path).st_mode & 0o077 == 0, path.name


# --- figures ---


@pytest.mark.slow
def test_every_figure_is_drawn_with_and_without_data(
    told: tuple[AuditResult, ScoreTable], nothing: AuditResult, tmp_path: Path
) -> None:
    written = write_figures(told[0], tmp_path)
    assert len(written) == 2 * (6 + len(told[0].evidence.attacks))
    assert written[0].name == "01-linkability-by-attacker.svg"
    assert all(path.stat().st_size > 2000 for path in written)
    assert written[1].read_bytes().startswith(b"\x89PNG")
    assert list(list_figures(nothing)) == []


def test_figures_are_themed_and_the_same_each_time(told: tuple[AuditResult, ScoreTable]) -> None:
    first, again = (next(iter(list_figures(told[0]))).svg() for _ in range(2))
    assert first == again
    assert "var(--ink)" in first
    assert "#1b1f24" not in first


def test_figures_that_follow_the_first_are_as_if_laid_out_themselves(told: tuple[AuditResult, ScoreTable]) -> None:
    first, second = [figure for figure in list_figures(told[0]) if figure.places is not None][:2]
    assert first.places is second.places == {}
    assert first.svg() != second.svg()
    assert first.places
    assert second.svg() == replace(second, places=None).svg()


def test_distances_of_an_attacker_with_a_measure_of_its_own_have_axes_of_their_own() -> None:
    result, _ = make_result(12, {"cut": 0.5}, attacks=("naive", "learned"))
    figures = {figure.name: figure for figure in list_figures(result)}
    naive, learned = figures["distances, cut, naive"], figures["distances, cut, learned"]
    assert naive.places is not learned.places
    named = [[axes.get_xlabel() or axes.get_ylabel() for axes in figure.make().axes] for figure in (naive, learned)]
    assert named == [
        ["cosine distance", "cosine distance to the other session"],
        ["distance by learned", "distance by learned to the other session"],
    ]


def test_a_bland_altman_plot_names_its_limits() -> None:
    from reid_audit import plots

    figure, (axes, empty) = plots.new_figure(2)
    plots.draw_bland_altman(axes, [1.0, 2.0, 3.0, math.nan], [1.5, 2.0, 3.1, 4.0], unit="cm3")
    plots.draw_bland_altman(empty, [1.0], [math.nan])
    svg = plots.to_svg(figure)
    assert re.search(r' d="[^"]*\.\d\d[^\d]', svg)
    assert not re.search(r' d="[^"]*\.\d{3}', svg)  # outlines to a hundredth of a point: a page is a quarter smaller
    assert "bias 0.2 cm3" in svg
    assert "(1 more without a value)" in svg
    assert "too few" in svg
    with pytest.raises(ValueError, match="zip"):
        plots.draw_bland_altman(axes, [1.0], [])


# --- other forms ---


@pytest.mark.parametrize("columns", [4, 5])
def test_score_files_give_back_every_comparison(told: tuple[AuditResult, ScoreTable], columns: int) -> None:
    result, scores = told
    files = format_bob(scores, columns=columns)
    lines = [line.split(" ") for text in files.values() for line in text.splitlines()]
    assert len(lines) == len(scores.frame)
    assert {len(line) for line in lines} == {columns}
    own, non_mated = [], []
    for line in (line.split(" ") for line in files["defaced-blur-naive.scores"].splitlines()):
        (own if line[0] == line[-3] else non_mated).append(float(line[-1]))
    threshold = result.calibrations[0].threshold("youden").distance
    match = result.evidence.attack("blur").match("youden")
    assert sum(-score < threshold for score in own) == match.counted.successes
    assert (len(own), len(non_mated)) == (match.counted.trials, match.non_mated.trials)
    with pytest.raises(ValueError, match="4 or 5"):
        format_bob(scores, columns=3)


def test_scores_without_names_never_make_two_people_one() -> None:
    _, scores = make_result(4, {"cut": 1.0}, draws=0)
    frame = scores.frame.copy()
    for column in ("probe_subject", "reference_subject"):
        frame[column] = frame[column].where(frame["group"] == "none")
    lines = [line.split() for line in format_bob(ScoreTable(frame))["originals-naive.scores"].splitlines()]
    own = sum(line[0] == line[1] for line in lines)
    assert own == (frame["group"] == "same").sum()


def test_bids_tables_have_a_meaning_for_each_column(told: tuple[AuditResult, ScoreTable]) -> None:
    files = format_bids(told[0])
    assert json.loads(files["dataset_description.json"])["DatasetType"] == "derivative"
    for name, text in files.items():
        if name.endswith(".tsv"):
            header, *rows = text.splitlines()
            assert list(json.loads(files[name.replace(".tsv", ".json")])) == header.split("\t")
            assert {row.count("\t") for row in rows} == {header.count("\t")}
            assert "nan" not in text.split()


@pytest.mark.slow
def test_the_official_validator_takes_the_derivative(told: tuple[AuditResult, ScoreTable], tmp_path: Path) -> None:
    import shutil

    validator = Path(sys.executable).with_name("bids-validator-deno")
    actual = str(validator) if validator.exists() else shutil.which("bids-validator-deno")
    if actual is None:
        pytest.skip("the official BIDS validator is not installed")
    write_result(told[0], tmp_path / "result")
    assert main(["report", str(tmp_path / "result"), "--format", "bids", "-o", str(tmp_path / "bids")]) == 0
    done = subprocess.run([actual, "--json", str(tmp_path / "bids")], capture_output=True, text=True, check=False)
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []


def test_the_summary_fills_in_numbers_and_cites_in_order(told: tuple[AuditResult, ScoreTable]) -> None:
    text = result_to_markdown(told[0])
    assert "on 30 subjects (150 scans) for 3 defacers (blur, none and wipe)" in text
    assert "| original | naive | 30 of 30, 100.0 %" in text
    cited = [int(n) for n in re.findall(r"\[(\d+)\]", text)]
    listed = [int(n) for n in re.findall(r"^(\d+)\. ", text, re.MULTILINE)]
    assert list(dict.fromkeys(cited)) == listed == list(range(1, len(listed) + 1))
    assert not any(p.subject in text for p in told[0].subjects)


# --- the command ---


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["report", "{}/none"], "cannot be read"),
        (["report", "{}/result", "--format", "md", "-o", "{}/result/result.json"], "--overwrite"),
        (["report", "{}/result", "-o", "{}/result"], "is a folder"),
        (["report", "{}/result", "--format", "bids", "-o", "{}/result"], "not an empty folder"),
        (["report", "{}/result", "--format", "nonsense"], "nonsense"),
    ],
)
def test_wrong_use_of_report(
    argv: list[str],
    words: str,
    told: tuple[AuditResult, ScoreTable],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "result.json").write_text(result_to_json(told[0]))
    assert main([word.format(tmp_path) for word in argv]) == 2
    assert words in capsys.readouterr().err.replace("\n", " ")


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", ".", "--format", "schema"]) == 0
    assert capsys.readouterr().out == format_schema()


def test_a_result_folder_is_read_back(told: tuple[AuditResult, ScoreTable], tmp_path: Path) -> None:
    write_result(told[0], tmp_path)
    assert result_to_json(read_result(tmp_path)) == result_to_json(told[0])


def test_an_unmeasured_estimate_never_reads_as_a_number(told: tuple[AuditResult, ScoreTable]) -> None:
    result, _ = told
    attack = replace(result.evidence.attacks[0], linkability=Estimate(math.nan, reason="nothing was seen"))
    evidence = replace(result.evidence, attacks=(attack, *result.evidence.attacks[1:]))
    html = result_to_html(replace(result, evidence=evidence))
    assert "not measured: nothing was seen" in html


def test_the_glossary_says_what_the_report_says() -> None:
    root = Path(__file__).parents[2]
    terms = json.loads((root / "reid_audit" / "templates" / "terms.json").read_text())
    glossary = (root / "docs" / "glossary.md").read_text()
    assert [name for name, text in terms.items() if f"| {name} | {text} |" not in glossary] == []


def test_what_a_summary_cites_is_in_the_list_of_references(told: tuple[AuditResult, ScoreTable]) -> None:
    listed = (Path(__file__).parents[2] / "docs" / "references.md").read_text()
    dois = re.findall(r"doi:(10\.[^\s]+?)\.?$", result_to_markdown(told[0]), re.MULTILINE)
    assert len(dois) > 4
    assert [doi for doi in dois if doi not in listed] == []


def test_chance_in_a_search_is_rank_by_gallery() -> None:
    """On the log axis a line between the two ends would lie above it, and a perfect defacer below chance."""
    from reid_audit import plots

    perfect = SearchRates(
        4, *[Rate(0.25, 0.0, 1.0, 1, 4, 4)] * 2, 0.25, 1.0, 2.5, (1, 2, 3, 4), (0.25, 0.5, 0.75, 1.0), 0, 0, ()
    )
    _, (axes,) = plots.new_figure(1)
    plots.draw_cmc(axes, [("perfect", perfect)])
    chance, drawn = axes.get_lines()
    assert chance.get_label() == "chance among 4"
    assert list(np.interp([1, 2, 3, 4], *chance.get_data())) == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert list(drawn.get_ydata()) == [0.25, 0.5, 0.75, 1.0]


def test_all_defacers_are_drawn_on_the_same_axes(told: tuple[AuditResult, ScoreTable]) -> None:
    figures = {figure.name: figure.make() for figure in list_figures(told[0])}
    for name in ("linkability by attacker", "rank 1 by attacker"):
        assert len({(axes.get_xlim(), axes.get_ylim()) for axes in figures[name].axes}) == 1
    distances = [figure.axes for name, figure in figures.items() if name.startswith("distances")]
    assert len(distances) == 6
    for side in (0, 1):
        assert len({axes[side].get_ylim() for axes in distances}) == 1
