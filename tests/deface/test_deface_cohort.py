"""Many scans through many defacers: files, records, resuming, and the command."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from dataclasses import replace
from math import isnan, nan
from pathlib import Path

import numpy as np
import pytest

from reid_audit import InputError, read_volume
from reid_audit.accuracy import rank_defacers
from reid_audit.cli import main
from reid_audit.dataset import read_manifest
from reid_audit.deface import (
    Companions,
    deface_scans,
    parse_makers,
    read_defacing,
    write_defacing,
)
from reid_audit.deface.companions import find_companion
from reid_audit.phantom import LABELS, make_phantom, write_cohort
from reid_audit.records import DefaceRun, DefaceStatus, ScanRef, summarise_defacing
from reid_audit.report import result_to_html
from reid_audit.testing import make_result
from reid_audit.volume import write_volume
from reid_audit.work import SerialExecutor

S = DefaceStatus

CUTS = """
import gzip, sys
import numpy as np
raw = gzip.open(sys.argv[1]).read()
header = bytearray(raw[:352])
values = np.frombuffer(raw[352:], "<i2").reshape(np.frombuffer(header[42:48], "<i2"), order="F").copy()
if values.shape[0] % 2 == {odd}:
    sys.exit("cannot find a brain")
values[:, values.shape[1] * 3 // 4:] = -1000
gzip.open(sys.argv[2], "wb").write(bytes(header) + values.tobytes(order="F"))
open({count!r}, "a").write("x")
"""


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, two visits, 5 mm voxels, with label maps."""
    folder = tmp_path_factory.mktemp("heads")
    return write_cohort(folder, subjects=2, visits=2, spacing_mm=5.0)


def _install(tmp_path: Path, name: str, body: str) -> str:
    path = tmp_path / name
    path.write_text(f"#!{sys.executable}\n{body}", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def _deface(heads: Path, folder: Path, words: list[str], *, labels: bool = True, **kwargs):
    companions = Companions(heads.parent / "labels" if labels else None, None, dict(LABELS))
    makers = parse_makers(words, command=kwargs.pop("command", ""))
    return deface_scans(
        read_manifest(heads).scans, makers, folder, companions=companions, executor=SerialExecutor(), **kwargs
    )


def test_a_cohort_is_defaced_by_each_tool(heads: Path, tmp_path: Path) -> None:
    scans, runs = _deface(heads, tmp_path / "out", ["no-op", "eye-plane"])
    assert [(run.condition, run.subject, run.session) for run in runs] == [
        (name, subject, visit) for name in ("no-op", "eye-plane") for subject in ("p01", "p02") for visit in "12"
    ]
    assert all(run.status is S.OK for run in runs)
    assert len(scans) == 12
    for scan in scans:
        assert scan.path.is_relative_to(tmp_path / "out")
        changed = read_volume(scan.path).intensity != read_volume(tmp_path / "out/original" / scan.path.relative_to(
            tmp_path / "out").relative_to(scan.condition)).intensity  # fmt: skip
        assert changed.any() == (scan.condition == "eye-plane")
    assert stat.S_IMODE((tmp_path / "out/.defacing").stat().st_mode) == 0o700


def test_one_scans_failure_is_its_status(heads: Path, tmp_path: Path) -> None:
    broken = heads.parent / "broken.nii.gz"
    broken.write_bytes(b"no scan")
    scans = [ScanRef("p09", "1", "original", broken), read_manifest(heads).scans[0]]
    actual, runs = deface_scans(
        scans, parse_makers(["no-op", "eye-plane"]), tmp_path / "out", executor=SerialExecutor()
    )
    assert [run.status for run in runs] == [S.FAILED, S.OK, S.FAILED, S.FAILED]
    assert "broken.nii.gz" in runs[0].reason
    assert "no label map" in runs[3].reason
    assert [scan.condition for scan in actual] == ["original", "original", "no-op"]


def test_what_is_complete_is_not_made_again(heads: Path, tmp_path: Path) -> None:
    count = tmp_path / "count"
    tool = _install(tmp_path, "cuts", CUTS.format(odd=7, count=str(count)))
    command = f"{tool} {{input}} {{output}}"
    out = tmp_path / "out"
    _, first = _deface(heads, out, [], labels=False, command=command)
    assert [run.status for run in first] == [S.OK] * 4
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.nii.gz") if not path.is_symlink()}
    _, again = _deface(heads, out, [], labels=False, command=command)
    assert again == first
    assert len(count.read_text()) == 4
    assert {path: path.stat().st_mtime_ns for path in before} == before
    # A lost output, or another command, is made anew.
    next(iter(before)).unlink()
    _deface(heads, out, [], labels=False, command=command)
    assert len(count.read_text()) == 5
    _deface(heads, out, [], labels=False, command=command + " --other")
    assert len(count.read_text()) == 9


def test_another_input_is_made_anew_and_a_failure_leaves_no_old_output(tmp_path: Path) -> None:
    phantom = make_phantom(1, spacing_mm=5.0)
    place = tmp_path / "scan.nii.gz"
    write_volume(phantom.volume, place)
    count = tmp_path / "count"
    odd = phantom.volume.intensity.shape[0] % 2
    tool = _install(tmp_path, "cuts", CUTS.format(odd=1 - odd, count=str(count)))
    makers = parse_makers([], command=f"{tool} {{input}} {{output}}")
    scan = ScanRef("p01", "1", "original", place)
    _, (run,) = deface_scans([scan], makers, tmp_path / "out", executor=SerialExecutor())
    assert run.status is S.OK
    write_volume(replace(phantom.volume, intensity=phantom.volume.intensity[1:]), place)  # now it fails
    actual, (run,) = deface_scans([scan], makers, tmp_path / "out", executor=SerialExecutor())
    assert run.status is S.FAILED
    assert "cannot find a brain" in run.reason
    assert [s.condition for s in actual] == ["original"]
    assert not (tmp_path / "out/command/sub-p01/ses-1.nii.gz").exists()


def test_companions_are_found_by_the_scans_name(heads: Path, tmp_path: Path) -> None:
    labels = heads.parent / "labels"
    scan = ScanRef("p01", "1", "original", heads.parent / "sub-p01_ses-1_CT.nii.gz")
    assert find_companion(labels, scan, "label map").name == "sub-p01_ses-1_labels.nii.gz"
    assert find_companion(scan.path, scan, "brain mask") == scan.path
    for name in ("p01_10.nii.gz", "p01_1_a.nii.gz", "p01_1_b.nii.gz"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"p01_1_a\.nii\.gz, p01_1_b\.nii\.gz; keep one"):
        find_companion(tmp_path, scan, "brain mask")
    with pytest.raises(InputError, match="no file in labels"):
        find_companion(labels, replace(scan, subject="p7", path=tmp_path / "x.nii"), "brain mask")


def test_a_brain_mask_is_checked(heads: Path, tmp_path: Path) -> None:
    """A cut through the whole front takes brain with it."""
    tool = _install(tmp_path, "cuts", CUTS.format(odd=7, count=str(tmp_path / "count")).replace("* 3 // 4", "// 2"))
    _, runs = _deface(heads, tmp_path / "out", [], command=f"{tool} {{input}} {{output}}")
    assert {run.status for run in runs} == {S.BRAIN_CUT}
    assert "of the brain mask changed" in runs[0].reason
    assert not list((tmp_path / "out").glob("command/**/*.nii.gz"))


def test_words_that_name_nothing() -> None:
    with pytest.raises(InputError, match="no defacer 'hammer'"):
        parse_makers(["hammer"])
    with pytest.raises(InputError, match="name at least one"):
        parse_makers([])
    assert len(parse_makers(["face-box", "face-box", "blur:3mm", "pydeface"])) == 3


def _run(condition: str, status: S, seconds: float = nan, peak: float = nan, version: str = "") -> DefaceRun:
    return DefaceRun(condition, version, "p01", "1", status, "", seconds, peak)


def test_runs_are_written_read_and_summed_up(tmp_path: Path) -> None:
    runs = (
        _run("b", S.OK, 10.0, 100.0, "1.0"),
        _run("b", S.OK, 30.0, 300.0, "1.0"),
        _run("b", S.TIMED_OUT, 60.0, nan, "1.1"),
        _run("a", S.MISSING),
    )
    path = tmp_path / "defacing.json"
    write_defacing(runs, path)
    assert repr(read_defacing(path)) == repr(runs)  # NaN is not equal to itself
    assert json.loads(path.read_text())["runs"][3]["seconds"] is None
    first, second = summarise_defacing(runs)
    assert (first.condition, first.version, first.runs, first.ok) == ("b", "1.0, 1.1", 3, 2)
    assert (first.failures, first.median_seconds, first.peak_memory_mb) == (((S.TIMED_OUT, 1),), 20.0, 300.0)
    assert (second.ok, second.failed, second.failures) == (0, 1, ((S.MISSING, 1),))
    assert isnan(second.median_seconds)
    assert isnan(second.peak_memory_mb)
    assert summarise_defacing([]) == ()


@pytest.mark.parametrize("status", [each for each in S if each is not S.OK])
def test_a_run_that_left_no_scan_makes_a_tool_neither_fast_nor_slow(status: S) -> None:
    runs = [_run("a", S.OK, 10.0, 100.0), _run("a", S.OK, nan, nan), _run("a", S.OK, 14.0, 90.0)]
    for seconds in (0.1, 3600.0):
        failed = _run("a", status, seconds, 500.0)
        (summary,) = summarise_defacing([failed, *runs, failed])
        assert (summary.runs, summary.ok, summary.failed, summary.failures) == (5, 3, 2, ((status, 2),))
        assert summary.median_seconds == 12.0
        assert summary.peak_memory_mb == 500.0
    (none,) = summarise_defacing([_run("a", status, 5.0)])
    assert isnan(none.median_seconds)


def test_every_table_shows_the_same_runs() -> None:
    """The page of a result and the ranking of defacers, of one list of runs."""
    made, _ = make_result(24, {"wipe": 60.0}, attacks=("naive",), draws=0)
    runs = [_run("wipe", S.OK, 10.0), _run("wipe", S.OK, 14.0), _run("wipe", S.TIMED_OUT, 3600.0)]
    result = replace(made, defacing=(*runs, _run("wipe", S.FAILED, 0.1)))
    (row,) = rank_defacers([result]).rows
    assert (row.runs, row.failures, row.seconds) == (4, 2, 12.0)
    assert row.failed == (("failed", 1), ("timed_out", 1))
    cells = re.search(r"<bdi>wipe</bdi></th>(<td[^>]*>4</td>.*?)</tr>", result_to_html(result))
    assert cells is not None
    assert re.findall(r">([^<]+)</td>", cells[1]) == ["4", "2", "1 failed, 1 timed out", "12.0"]


@pytest.mark.parametrize("text", ["", "[]", '{"schema_version": 1}', '{"schema_version": 9, "runs": []}'])
def test_another_file_is_no_list_of_runs(text: str, tmp_path: Path) -> None:
    path = tmp_path / "defacing.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"defacing\.json"):
        read_defacing(path)
    with pytest.raises(InputError, match="reid-audit deface"):
        read_defacing(tmp_path / "absent.json")


def test_the_command_writes_what_score_reads(
    heads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    out = tmp_path / "out"
    words = ["deface", str(heads), "-o", str(out), "--with", "no-op,facebox,refacing-cgan", "--session", "1"]
    assert main([*words, "--quality", "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert "refacing-cgan is not on the PATH" in said
    assert "2 missing" in said
    assert "2 of 2" in said
    cohort = read_manifest(out / "manifest.csv")
    assert set(cohort.conditions) == {"original", "face-box", "no-op"}
    assert not cohort.find_absent_files()
    assert cohort.sessions == ("1", "2")
    assert list(cohort.strata.columns) == ["sex", "age_years", "site"]
    assert len(read_defacing(out / "defacing.json")) == 6


def test_the_command_takes_one_scan_and_any_program(
    heads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tool = _install(tmp_path, "cuts", CUTS.format(odd=7, count=str(tmp_path / "count")))
    scan = heads.parent / "sub-p01_ses-1_CT.nii.gz"
    out = tmp_path / "out"
    command = ["deface", str(scan), "-o", str(out), "--workers", "1", "--command", f"{tool} {{input}} {{output}}"]
    assert main(command) == 0
    made = read_volume(out / "command/sub-sub-p01_ses-1_CT/ses-1.nii.gz").intensity
    assert np.mean(made != read_volume(scan).intensity) > 0.02
    assert main([*command[:-1], "nowhere {input}"]) == 2
    assert main(["deface", str(scan), "-o", str(out), "--tool", "nothing"]) == 2
    assert "no defacer 'nothing'" in capsys.readouterr().err


def test_what_labels_mean_is_never_guessed(heads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan, maps = heads.parent / "sub-p01_ses-1_CT.nii.gz", heads.parent / "labels"
    words = ["deface", str(scan), "--tool", "face-removal", "--workers", "1", "--labels"]
    assert main([*words, str(maps / "sub-p01_ses-1_labels.nii.gz"), "-o", str(tmp_path / "out")]) == 0
    alone = tmp_path / "alone.nii.gz"
    alone.write_bytes((maps / "sub-p01_ses-1_labels.nii.gz").read_bytes())
    assert main([*words, str(alone), "-o", str(tmp_path / "other")]) == 2
    assert "Give --label-names" in capsys.readouterr().err
    assert main([*words, str(alone), "--label-names", str(maps / "labels.tsv"), "-o", str(tmp_path / "other")]) == 0


def test_the_list_tells_what_is_here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["deface", "--list"]) == 0
    said = capsys.readouterr().out
    for name in ("face-box", "average-reface", "afni-reface-plus", "mideface", "caideface", "--command"):
        assert name in said
    assert "pydeface is not on the PATH" in said


def test_a_bids_dataset_is_defaced_into_derivatives_that_score_and_utility_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from reid_audit.dataset import Choice, read_cohort
    from reid_audit.phantom.bids import write_bids_cohort
    from reid_audit.volume import read_labels

    raw = write_bids_cohort(tmp_path / "raw", subjects=1, visits=1, spacing_mm=5.0)
    out = tmp_path / "out"
    assert main(["deface", str(raw), "-o", str(out), "--tool", "face-box", "--workers", "1"]) == 0
    derivative = out / "face-box"
    image = derivative / "sub-p01/ses-1/anat/sub-p01_ses-1_desc-defaced_T1w.nii.gz"
    description = json.loads((derivative / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "face-box"
    sidecar = json.loads(image.with_name("sub-p01_ses-1_desc-defaced_T1w.json").read_text())
    assert sidecar["Sources"] == ["bids:raw:sub-p01/ses-1/anat/sub-p01_ses-1_T1w.nii.gz"]
    assert sidecar["MagneticFieldStrength"] == 3  # of the raw sidecar
    assert sidecar["DefacedBy"].startswith("face-box reid-audit ")
    original = read_volume(raw / "sub-p01/ses-1/anat/sub-p01_ses-1_T1w.nii.gz").intensity
    mask, _ = read_labels(out / ".defacing/face-box/sub-p01/ses-1/anat/sub-p01_ses-1_mod-T1w_defacemask.nii.gz")
    defaced = read_volume(image).intensity
    assert 0 < np.count_nonzero(mask) < mask.size / 2
    assert np.allclose(defaced[mask == 0], original[mask == 0], atol=np.ptp(original) * 0.006)
    assert not any("defacemask" in path.name for path in derivative.rglob("*"))  # it can show the outline of the face
    cohort = read_cohort(raw, choice=Choice(conditions=(("face-box", derivative),)))
    assert [cohort.partner_of(scan) is not None for scan in cohort.defaced("face-box")] == [True]
    capsys.readouterr()
    words = ["utility", str(raw), "--condition", f"face-box={derivative}", "-o", str(tmp_path / "cost")]
    assert main([*words, "--workers", "1"]) == 0
    assert "face-box: " in capsys.readouterr().out
