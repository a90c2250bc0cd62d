"""Certificates: what was judged is told from the voxels, what was not lowers the verdict, a changed byte is found."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from trees import write_series

from reid_audit import AuditResult, Decision, InputError, read_volume
from reid_audit.audit import describe_scans
from reid_audit.certificate import FileKind, check_signature, make_certificate, sign, verify_release
from reid_audit.cli import certify as certify_room
from reid_audit.cli import main
from reid_audit.cli.running import Run
from reid_audit.records import name_series
from reid_audit.report import read_result, result_to_json
from reid_audit.testing import make_faces, make_result, make_tiny_head
from reid_audit.volume import digest_image, digest_voxels, write_volume
from reid_audit.work import SerialExecutor

needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen on the PATH")
DIGEST = "0" * 64


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, AuditResult]:
    """Heads of three people that were defaced in two ways, in a folder for each, and what an audit says of them."""
    folder = tmp_path_factory.mktemp("judged")
    result, scores = make_result(["s0", "s1", "s2"], {"dent": 0.4, "cut": 60.0}, draws=20)
    rows = []
    for row in result.scans:
        digest = ""
        if row.session == "1":
            depth = {"original": 0.0, "dent": 15.0, "cut": 25.0}[row.condition]
            head = make_tiny_head(70.0 + 6 * int(row.subject[1]), dent_mm=depth)
            path = folder / row.condition / row.file
            path.parent.mkdir(exist_ok=True)
            write_volume(head, path)
            volume = read_volume(path)
            digest = digest_image(digest_voxels(volume), volume.grid) if row.condition != "original" else ""
        rows.append(replace(row, image_sha256=digest))
    return folder, replace(result, scans=tuple(rows), scores=scores)


@pytest.fixture
def release(judged: tuple[Path, AuditResult], tmp_path: Path) -> Path:
    """A copy of what one defacer made, with a text beside it."""
    folder = tmp_path / "release"
    shutil.copytree(judged[0] / "dent", folder)
    (folder / "participants.tsv").write_text("participant_id\ns0\n")
    return folder


def _certify(judged: tuple[Path, AuditResult], release: Path):
    return make_certificate(judged[1], release, result_sha256=DIGEST)


def test_a_result_names_images_of_defacers_and_never_an_original() -> None:
    records = [
        replace(record, digest="ab", grid=make_tiny_head(80.0).grid) for record in make_faces(["p1"], {"blur": 0.4})
    ]
    rows = describe_scans(records)
    assert {row.condition for row in rows if row.image_sha256} == {"blur"}
    assert {row.condition for row in rows if not row.image_sha256} == {"original"}


def test_a_certificate_is_about_what_is_released(judged: tuple[Path, AuditResult], release: Path) -> None:
    certificate = _certify(judged, release)
    counts = {each.condition: (each.judged, each.released) for each in certificate.conditions}
    assert counts == {"dent": (3, 3), "cut": (3, 0)}
    assert [file.condition for file in certificate.of_kind(FileKind.JUDGED)] == ["dent"] * 3
    assert [file.path for file in certificate.of_kind(FileKind.TEXT)] == ["participants.tsv"]
    assert {rule.condition for rule in certificate.rules} <= {"", "dent"}
    for file in certificate.files:
        content = (release / file.path).read_bytes()
        assert (file.sha256, file.size_bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    lines = "".join(f"{file.sha256}  {file.path}\n" for file in certificate.files)
    assert certificate.tree_sha256 == hashlib.sha256(lines.encode()).hexdigest()
    assert "s0" not in certificate.reason


def test_names_and_formats_do_not_matter_and_voxels_do(judged: tuple[Path, AuditResult], release: Path) -> None:
    image = nib.load(release / "s0_1.nii.gz")
    nib.save(image, release / "other.nii")
    (release / "s0_1.nii.gz").unlink()
    assert len(_certify(judged, release).of_kind(FileKind.JUDGED)) == 3
    values = np.asarray(nib.load(release / "other.nii").dataobj).copy()
    values[0, 0, 0] += 1
    nib.save(nib.Nifti1Image(values, image.affine, image.header), release / "other.nii")
    certificate = _certify(judged, release)
    assert [file.path for file in certificate.of_kind(FileKind.UNJUDGED_IMAGE)] == ["other.nii"]
    assert certificate.decision in (Decision.INCOMPLETE, Decision.FAIL)


@pytest.mark.parametrize(
    ("name", "kind", "rule"),
    [
        (".hidden/p.nii.gz", FileKind.UNJUDGED_IMAGE, "images_not_judged"),
        ("structures.dcm", FileKind.MAY_SHOW, "files_not_judged"),
        ("all.zip", FileKind.MAY_SHOW, "files_not_judged"),
    ],
)
def test_what_was_not_judged_is_listed_and_is_a_rule(
    judged: tuple[Path, AuditResult], release: Path, name: str, kind: FileKind, rule: str
) -> None:
    (release / name).parent.mkdir(exist_ok=True)
    shutil.copyfile(judged[0] / "original" / "s0_1.nii.gz", release / name)
    certificate = _certify(judged, release)
    assert [file.path for file in certificate.of_kind(kind)] == [name]
    assert rule in [each.name for each in certificate.rules]


def test_the_files_of_a_dicom_series_are_judged_together(
    judged: tuple[Path, AuditResult], release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_series(release / "study", series="1.2.9")
    write_series(release / "study", series="1.2.10", first_name=50)
    certificate = _certify(judged, release)
    assert {file.kind for file in certificate.files if file.path.startswith("study")} == {FileKind.UNJUDGED_IMAGE}
    digest = next(row.image_sha256 for row in judged[1].scans if row.image_sha256)

    def recognise(image: object, digests: frozenset[str]) -> str:
        return digest if getattr(image, "series", "") == name_series("1.2.9") else ""

    monkeypatch.setattr("reid_audit.certificate.make._recognise", recognise)
    certificate = _certify(judged, release)
    assert [file.path for file in certificate.of_kind(FileKind.JUDGED)] == sorted(
        path.relative_to(release).as_posix() for path in files
    )


def test_what_cannot_be_certified_says_why(judged: tuple[Path, AuditResult], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"none of its 0 images is one that manifest\.csv judged"):
        _certify(judged, tmp_path / "empty")
    with pytest.raises(InputError, match="there is no such folder"):
        _certify(judged, tmp_path / "nowhere")
    (tmp_path / "empty" / "link").symlink_to(judged[0])
    with pytest.raises(InputError, match="link is a link to a folder"):
        _certify(judged, tmp_path / "empty")
    with pytest.raises(InputError, match="knows no image by its digest"):
        make_certificate(make_result(6, draws=20)[0], tmp_path, result_sha256=DIGEST)


def test_a_changed_byte_and_files_that_come_and_go_are_found(judged: tuple[Path, AuditResult], release: Path) -> None:
    certificate = _certify(judged, release)
    assert verify_release(certificate, release).is_same
    content = bytearray((release / "s1_1.nii.gz").read_bytes())
    content[-1] ^= 1
    (release / "s1_1.nii.gz").write_bytes(content)
    (release / "s2_1.nii.gz").unlink()
    (release / "notes.txt").write_text("new")
    actual = verify_release(certificate, release)
    assert (actual.changed, actual.missing, actual.new) == (("s1_1.nii.gz",), ("s2_1.nii.gz",), ("notes.txt",))
    allowed = verify_release(certificate, release, without=[hashlib.sha256(b"new").hexdigest()])
    assert allowed.new == ()


@needs_ssh
def test_a_signature_holds_the_certificate_and_its_signer(tmp_path: Path) -> None:
    key, other = tmp_path / "key", tmp_path / "other"
    for path in (key, other):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    signers = tmp_path / "signers"
    signers.write_text(f"steward@example.org {Path(f'{key}.pub').read_text()}")
    path = tmp_path / "certificate.json"
    path.write_text("{}")
    with pytest.raises(InputError, match="no signature beside the certificate"):
        check_signature(path, signers)
    sign(path, key)
    assert check_signature(path, signers) == "steward@example.org"
    assert "SHA256:" in check_signature(path)
    sign(path, other)  # replaces the first
    with pytest.raises(InputError, match="nobody of signers made this signature"):
        check_signature(path, signers)
    sign(path, key)
    path.write_text("{ }")
    for known in (signers, None):
        with pytest.raises(InputError, match=r"does not fit certificate\.json"):
            check_signature(path, known)
    with pytest.raises(InputError, match="--sign nokey: there is no such key"):
        sign(path, tmp_path / "nokey")
    with pytest.raises(InputError, match="--sign signers: ssh-keygen did not sign with it"):
        sign(path, signers)


def test_without_ssh_keygen_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "key").touch()
    with pytest.raises(InputError, match="ssh-keygen: is not installed"):
        sign(tmp_path / "certificate.json", tmp_path / "key")


@needs_ssh
def test_the_command_certifies_signs_and_finds_a_changed_byte(
    judged: tuple[Path, AuditResult],
    release: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    @contextmanager
    def start_run(**_: object) -> Iterator[Run]:
        yield Run(SerialExecutor(), lambda *_: None, None)

    monkeypatch.setattr(certify_room, "start_run", start_run)
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "result.json").write_text(result_to_json(judged[1]))
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)], check=True)
    argv = ["certify", str(tmp_path / "result"), "--release", str(release)]
    code = main([*argv, "--sign", str(key)])
    told = capsys.readouterr().out
    assert code in (1, 4)  # three people prove nothing
    assert "dent: 3 of 3 judged images released" in told
    assert code == read_result(tmp_path / "result").verdict.exit_code
    page = (tmp_path / "result" / "certificate.html").read_text(encoding="utf-8")
    assert "SHA-256 of the tree" in page
    assert "s0/1" not in page

    check = ["certify", str(tmp_path / "result" / "certificate.json"), "--release", str(release), "--verify"]
    for name in ("certificate.json", "certificate.html", "certificate.json.sig"):  # may be released too
        shutil.copyfile(tmp_path / "result" / name, release / name)
    assert main(check) == code
    told = capsys.readouterr().out
    assert "UNCHANGED" in told
    assert "nobody vouched for" in told
    signers = tmp_path / "signers"
    signers.write_text(f"steward {Path(f'{key}.pub').read_text()}")
    assert main([*check, "--signers", str(signers)]) == code
    assert "signed by steward" in capsys.readouterr().out

    with (release / "s0_1.nii.gz").open("r+b") as stream:
        stream.seek(-3, 2)
        byte = stream.read(1)
        stream.seek(-3, 2)
        stream.write(bytes([byte[0] ^ 255]))
    assert main(check) in (1, 4)
    told = capsys.readouterr().out
    assert "CHANGED" in told
    assert "1 file changed: s0_1.nii.gz" in told

    edited = (tmp_path / "result" / "certificate.json").read_text().replace('"dent"', '"best"')
    (tmp_path / "result" / "certificate.json").write_text(edited)
    assert main(check) == 2
    assert "does not fit certificate.json" in capsys.readouterr().err
    assert main([*argv, "-o", str(release / "certificate.json")]) == 2
    assert "lies in the release" in capsys.readouterr().err
