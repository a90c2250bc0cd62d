"""The commands on the pages run, page by page, in one folder that holds what the pages speak of.

Each runs as it is printed, with options after it that make it small (`_SMALLER`) and other folders for places outside
the working folder. What cannot run here stands in `_NOT_RUN` with its reason; `test_docs` parses all of them.
"""

from __future__ import annotations

import csv
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from commands import list_commands, list_pages
from PIL import Image

import reid_audit.cli.synthetic as synthetic
from reid_audit import extract_skin, find_frontal_view, read_result, read_volume, render_portrait
from reid_audit.cli import main
from reid_audit.phantom import write_bids_cohort
from reid_audit.records import Answer, Modality, Reading, Review, to_json
from reid_audit.screen.run import read_screening
from reid_audit.testing import write_weights

_NOT_RUN = {
    r"--scheduler": "needs a Dask scheduler; tests/work starts one",
    r"--with deepdefacer": "needs DeepDefacer in an environment of its own; tests/deface runs it",
    r"--subjects 42|heads/manifest.csv|drawn/manifest.csv": "42 people take minutes; tests/deface draws heads",
    r"^reid-audit review ": "waits for a reader; tests/review answers in a browser",
    r"^reid-audit demo": "test_wheel runs it from the wheel",
    r"score patients": "is `score dicom` of another page",
    r"weights fetch": "opens a connection",
    r"--encoder dlib,Facenet512,ArcFace": "needs model files of other publishers; tests/validation has stand-ins",
}
_SMALLER = {
    "bids": "--attack naive --n-procs 1",
    "calibrate": "--workers 1",
    "certify": "--overwrite",
    "deface": "--workers 1",
    "inventory": "--overwrite",
    "phantom": "--subjects 2 --visits 1",
    "score": "--attack naive --canaries 0 --workers 1 --overwrite",
    "screen": "--workers 1",
    "stats": "--overwrite",
    "utility": "--workers 1",
    "validate": "--only tamperings",
}
_LABELS = ("--participant-label 01 02", "--participant-label p01 p02")
_VERDICTS = {"score", "bids", "certify", "screen", "stats"}
"""Their exit code says PASS, FAIL, REVIEW or INCOMPLETE; that of all others has to be 0."""


def _run(line: str, more: str = "") -> int:
    return main([os.path.expanduser(word) for word in shlex.split(f"{line} {more}")])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make what the pages speak of: datasets of two people, a result, photographs, distances, model files, a key."""
    place = tmp_path_factory.mktemp("docs")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "DEEPFACE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            patch.setenv(name, str(place / "home"))
        patch.setenv("REID_AUDIT_STORE", str(place / "store"))
        patch.setattr(synthetic, "write_rt_cohort", partial(synthetic.write_rt_cohort, spacing_mm=4.0))
        (place / "base").mkdir()
        patch.chdir(place / "base")
        write_bids_cohort(Path("bids"), subjects=2, modality=Modality.CT, spacing_mm=3.0)
        shutil.rmtree("bids/derivatives/labels")
        assert _run("deface bids -o made --with face-box --workers 1") == 0
        shutil.move("made/face-box", "bids/derivatives/pydeface")
        for copy in ("release", "other/release"):
            shutil.copytree("bids", copy)
        assert _run("inventory release -o manifest.csv") == 0
        shutil.copy("manifest.csv", "other")
        assert _run("score manifest.csv -o result", _SMALLER["score"]) == 4
        shutil.copy("result/comparisons.csv", "distances.csv")
        assert _run("phantom --dicom --subjects 2 --visits 1 -o patients") == 0
        shutil.copytree("patients/sub-p02_ses-1", "patient-07")
        shutil.copytree("patients", "dicom", ignore=shutil.ignore_patterns("RD.dcm"))
        assert _run("deface patients --studies -o defaced --workers 1") == 0
        shutil.rmtree("defaced/original")
        Path("photographs").mkdir()
        for path in sorted(Path("bids").glob("sub-*/ses-1/*/*.nii.gz")):
            skin = extract_skin(read_volume(path))
            picture = Image.fromarray(render_portrait(skin, find_frontal_view(skin)).pixels)
            picture.save(f"photographs/{path.name[4:7]}.jpg")
        write_weights(place / "stick")
        (place / "home/.ssh").mkdir(parents=True)
        key = place / "home/.ssh/id_ed25519"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)], check=True)
        Path("allowed_signers").write_text(f"steward@example.org {key.with_suffix('.pub').read_text()}")
        yield place / "base"


def _prepare(line: str) -> None:
    """Make what a command needs and another page, a reader or another program made."""
    if "--review" in line:
        if " result " in line:
            result, place = read_result("result"), "result/review.json"
            row = next(row for row in result.scans if row.image_sha256)
            source, scan = result.cohort, (row.subject, row.session, row.condition, row.image_sha256)
        else:
            screening, place = read_screening(Path("screening.json")), "review.json"
            image = next(image for image in screening.images if image.image_sha256)
            source, scan = screening.source, (image.name, "", "", image.image_sha256)
        answer = Reading(*scan, "seen", "A. Steward", Answer.REMOVED, "", "2026-01-02T00:00:00")
        Path(place).write_text(to_json(Review(source, "2026-01-01T00:00:00", "0.2.0", (answer,))))
    elif line.startswith("reid-audit certify result "):
        shutil.rmtree("defaced")
        shutil.copytree("release/derivatives/pydeface", "defaced")
    elif line.startswith("reid-audit screen "):
        for path in [*Path("release").glob("**/sub-p02"), *Path("release").glob("**/ses-2")]:
            shutil.rmtree(path, ignore_errors=True)
    elif "--gallery" in line:
        shutil.copy("other/manifest.csv", "manifest.csv")
    elif "deface patient" in line:
        shutil.rmtree("defaced", ignore_errors=True)
    elif "--segmentations structures" in line:
        for tree in ("patients", "defaced"):
            shutil.rmtree(f"{tree}/sub-p02_ses-1")
        assert _run("inventory patients --condition eye-plane=defaced --suffix CT -o manifest.csv --overwrite") == 0
        with open("manifest.csv", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                study = Path(row["path"]) if row["condition"] == "eye-plane" else Path(row["path"]).parent
                for folder, name in (("structures", "RS.dcm"), ("doses", "RD.dcm")):
                    Path(folder).mkdir(exist_ok=True)
                    copy = f"{folder}/{row['subject']}_{row['session']}_{row['condition']}.dcm"
                    shutil.copy(study / name, copy)


def test_each_reason_is_about_a_command() -> None:
    lines = [line for page in list_pages() for line in list_commands(page)]
    assert [pattern for pattern in _NOT_RUN if not any(re.search(pattern, line) for line in lines)] == []


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen on the PATH")
@pytest.mark.parametrize("page", [page for page in list_pages() if list_commands(page)], ids=lambda page: page.name)
def test_commands_on_a_page_run(page: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(base, tmp_path / "work", symlinks=True)
    monkeypatch.chdir(tmp_path / "work")
    for line in list_commands(page):
        if any(re.search(pattern, line) for pattern in _NOT_RUN):
            continue
        _prepare(line)
        words = line.removeprefix("reid-audit ").replace(*_LABELS).replace("/media/stick", str(base.parent / "stick"))
        command = words.split()[0]
        code = _run(words, _SMALLER.get(command, ""))
        assert code in ((0, 1, 3, 4) if command in _VERDICTS else (0,)), line


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen on the PATH")
def test_each_command_prints_the_next_from_a_dataset_to_a_verdict(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(base / "bids", tmp_path / "bids")
    monkeypatch.chdir(tmp_path)
    lines = ["reid-audit inventory bids"]
    while not lines[-1].startswith("reid-audit score"):
        assert _run(lines[-1].removeprefix("reid-audit ")) == 0
        lines += re.findall(r"^Next.*: (reid-audit .+)$", capsys.readouterr().out, re.MULTILINE)
        assert len(lines) <= 3
    assert _run(lines[-1].removeprefix("reid-audit "), _SMALLER["score"]) == 4
    assert Path("result/report.html").is_file()
