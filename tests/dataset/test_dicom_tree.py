"""Inventories of DICOM trees: series by their headers, people under pseudonyms, visits by the order of their dates."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import numpy as np
import pydicom
import pytest
from test_inventory import aside, keys
from trees import write_series, write_study

from reid_audit import InputError, Settings, Volume, read_cohort, read_volume
from reid_audit.audit import FaceCache, start_engines
from reid_audit.audit.scan import Knowledge
from reid_audit.cli import main
from reid_audit.dataset import Choice, read_manifest, take_inventory
from reid_audit.dataset.pseudonym import pseudonym_of, read_salt
from reid_audit.deface import apply_defacer, reference_defacers
from reid_audit.phantom import LABELS, make_phantom
from reid_audit.report.form import result_from_json
from reid_audit.work import SerialExecutor, Store

SALT = b"a salt for the tests"


@pytest.fixture
def salt(tmp_path: Path) -> Path:
    path = tmp_path / "salt"
    path.write_bytes(SALT)
    path.chmod(0o600)
    return path


def name_of(patient: str) -> str:
    return pseudonym_of(patient, SALT)


def write_six(root: Path) -> Path:
    """Six people in two visits, whose folders and dates are in no order, each with scout, CT, contours and dose."""
    for k in range(1, 7):
        for visit, date in ((1, "20210301"), (2, "20191231")):
            write_study(root / "Secret Name" / f"{7 - k}{visit}", patient=f"SECRET-{k}", visit=visit, date=date)
    return root


def test_six_people_in_an_export(tmp_path, salt):
    root = write_six(tmp_path / "export")
    each = root / "Secret Name" / "61"
    shutil.copy(each / "I00012", each / "copy of a slice")
    got = take_inventory(root, salt_file=salt)
    cohort = got.cohort
    assert (got.layout, got.source) == ("DICOM", "DICOM tree")
    assert cohort.subjects == tuple(sorted(name_of(f"SECRET-{k}") for k in range(1, 7)))
    assert cohort.sessions == ("1", "2")
    assert len(cohort.scans) == 12
    later = next(scan for scan in cohort.scans if scan.subject == name_of("SECRET-1") and scan.session == "2")
    assert later.path == each, "the visit of 2021 is the second, whatever its folder is called"
    assert aside(got) == {
        "a scout (localizer), by its image type": 12,
        "has no contour of the body (of type EXTERNAL, or called BODY)": 12,
        "has fewer than two planes of a dose: no surface": 12,
        "lies where another of its series does: left out if its pixels are equal too": 1,
    }
    assert got.notes[0] == "1 series under 'original' hold slices twice: one of each is taken if its pixels are equal"
    assert not any(entry.examples for entry in got.aside)
    for scan in cohort.scans:
        volume = read_volume(scan.path, series=scan.series, modality=scan.modality, name=scan.label)
        assert volume.intensity.shape == (4, 3, 10)
    assert any("1 slices are there twice, pixel by pixel" in note for note in _read(later).notes)


def _read(scan):
    return read_volume(scan.path, series=scan.series, name=scan.label)


def test_nothing_of_a_header_is_told(tmp_path, salt, capsys):
    root = write_six(tmp_path / "export")
    out = tmp_path / "manifest.csv"
    assert main(["inventory", str(root), "--salt-file", str(salt), "-o", str(out)]) == 0
    said = capsys.readouterr()
    assert "scout" in said.out
    for secret in ("SECRET", "Secret", "2021", "2019", "1950", "1.2."):
        assert secret not in said.out + said.err
    text = out.read_text()
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert "SECRET" not in text
    assert "1.2.1" not in text
    cohort, again = take_inventory(root, salt_file=salt).cohort, read_manifest(out)
    assert again.scans == cohort.scans
    assert {scan.label for scan in again.scans} == {"DICOM series"}
    assert not any("Secret" in scan.label for scan in again.scans)


def test_pseudonyms_hang_on_the_salt(tmp_path, monkeypatch):
    root = write_six(tmp_path / "export")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    first, again = read_cohort(root).subjects, read_cohort(root).subjects
    kept = tmp_path / "home" / "reid-audit" / "salt"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert first == again
    assert set(first).isdisjoint(read_cohort(root, salt_file=tmp_path / "other").subjects)
    assert len(read_salt(tmp_path / "other")) == 64
    kept.chmod(0o644)
    with pytest.raises(InputError, match="others can read this salt"):
        read_cohort(root)
    kept.chmod(0o600)
    kept.write_text("short")
    with pytest.raises(InputError, match="at least 16 bytes, this one has 5"):
        read_cohort(root)


def test_one_series_is_read_out_of_a_folder_of_many(tmp_path, salt):
    folder = tmp_path / "flat"
    for k in (1, 2):
        stored = np.full((9, 3, 4), 100 * k, np.int16)
        stored[:, 1] = -2000 + 1024
        write_series(
            folder, patient=f"SECRET-{k}", study=f"1.2.{k}", series=f"1.2.{k}.1", stored=stored, first_name=k * 20
        )
    cohort = read_cohort(folder, salt_file=salt)
    values = {scan.subject: float(_read(scan).intensity.max()) for scan in cohort.scans}
    assert values == {name_of("SECRET-1"): 100 - 1024, name_of("SECRET-2"): 200 - 1024}
    with pytest.raises(InputError, match="holds 2 DICOM series"):
        read_volume(folder)
    with pytest.raises(InputError, match="DICOM series: the folder no longer holds the DICOM series"):
        read_volume(folder, series="000000000000", name="DICOM series")
    manifest = tmp_path / "m.csv"
    manifest.write_text("subject,session,condition,path,series\na,1,original,flat,x\nb,1,original,flat,x\n")
    with pytest.raises(InputError, match="a path occurs twice: flat, series x"):
        read_manifest(manifest)


def test_a_kept_face_belongs_to_one_series_of_its_folder(tmp_path, salt):
    for k in (1, 2):
        named = {"patient": f"SECRET-{k}", "study": f"1.2.{k}", "series": f"1.2.{k}.1"}
        write_series(tmp_path / "flat", first_name=k * 20, **named)
    cohort = read_cohort(tmp_path / "flat", salt_file=salt)
    engines = start_engines(Settings(encoders=("dlib",)))
    kept = FaceCache(Store(tmp_path / "store"), engines)
    kept.read_files(cohort.scans, executor=SerialExecutor())
    keys = {kept.key_of(scan, "dlib", Knowledge(), ()) for scan in cohort.scans}
    assert None not in keys
    assert len(keys) == 2


def test_a_copy_with_other_pixels_is_no_duplicate(tmp_path, salt):
    root = write_study(tmp_path / "a", patient="SECRET-1", visit=1, date="20200101")
    data = pydicom.dcmread(root / "I00012")
    data.PixelData = bytes(len(data.PixelData))
    data.save_as(root / "defaced copy")
    scan = read_cohort(root, salt_file=salt).scans[0]
    with pytest.raises(InputError, match="several slices lie at one position"):
        _read(scan)


def test_a_second_tree_within_the_first_is_asked_about_then_declared(tmp_path, salt):
    root = write_six(tmp_path / "export")
    shutil.copytree(root / "Secret Name", root / "after")
    got = take_inventory(root, salt_file=salt)
    assert got.cohort is None
    assert "12 series under the condition 'original' are there twice" in got.questions[0]
    assert "--condition NAME=PATH" in got.questions[0]
    choice = Choice(conditions=(("cut", root / "after"),))
    cohort = take_inventory(root, choice=choice, salt_file=salt).cohort
    assert cohort.conditions == ("original", "cut")
    assert len(cohort.scans) == 24
    assert all(cohort.partner_of(scan).session == scan.session for scan in cohort.scans)
    with pytest.raises(InputError, match="a name and a folder of its own"):
        take_inventory(root, choice=Choice(conditions=(("cut", root),)), salt_file=salt)


def test_a_defaced_visit_keeps_its_number_where_only_the_second_was_defaced(tmp_path, salt):
    root, other = tmp_path / "before", tmp_path / "after"
    for visit, date in ((1, "20200101"), (2, "20210101")):
        write_study(root / str(visit), patient="SECRET-1", visit=visit, date=date)
    # New identifiers, as a tool writes them: matched by the day, which only one study has.
    write_series(other / "x", patient="SECRET-1", study="9.9", series="9.9.1", date="20210101", number=1002)
    # Shifted dates and new identifiers: nobody can tell which visit it was. And a stranger.
    write_series(other / "y", patient="SECRET-1", study="9.8", series="9.8.1", date="20210203")
    write_series(other / "z", patient="SECRET-9", study="9.7", series="9.7.1", date="20210101")
    got = take_inventory(root, choice=Choice(conditions=(("cut", other),)), salt_file=salt)
    who = name_of("SECRET-1")
    assert keys(got) == [f"{who}/1/original", f"{who}/2/original", f"{who}/2/cut"]
    assert "1 series under a condition were matched to their visit by the day, not by the study" in got.notes
    assert aside(got)["under 'cut': is of no study of the originals; write a manifest"] == 1
    assert aside(got)["under 'cut': no original has its PatientID; write a manifest"] == 1


def test_several_series_of_a_visit_are_images_of_it(tmp_path, salt):
    root = tmp_path / "tree"
    shared = {"patient": "SECRET-1", "study": "1.2.1", "date": "20200101"}
    for number, kernel in ((3, "H31s"), (12, "H70h")):
        write_series(root / str(number), series=f"1.2.1.{number}", number=number, ConvolutionKernel=kernel, **shared)
    got = take_inventory(root, salt_file=salt)
    who = name_of("SECRET-1")
    assert keys(got) == [f"{who}/1/CT/original", f"{who}/1/CT 2/original"]
    assert [scan.path.name for scan in got.cohort.scans] == ["3", "12"]

    def chosen(**kwargs):
        cohort = take_inventory(root, choice=Choice(**kwargs), salt_file=salt).cohort
        return [(scan.session, scan.path.name) for scan in cohort.scans]

    assert chosen(run="first") == [("1", "3")]
    assert chosen(run="12") == [("1", "12")]
    assert chosen(where=(("ConvolutionKernel", "h7*"),)) == [("1", "12")]
    assert chosen(run="all") == [("1r3", "3"), ("1r12", "12")]


def test_ct_and_mr_are_images_unless_one_is_asked_for(tmp_path, salt):
    root = tmp_path / "tree"
    write_series(root / "a", series="1.1", number=1)
    write_series(root / "b", series="1.2", number=2, modality="MR", study="1.2.2", date="20190101")
    who = name_of("SECRET-ID")
    assert keys(take_inventory(root, salt_file=salt)) == [f"{who}/1/MR/original", f"{who}/2/CT/original"]
    assert [scan.session for scan in read_cohort(root, choice=Choice(suffix="ct"), salt_file=salt).scans] == ["1"]


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"slices": 3}, "has fewer than 8 slices: a scout or a key image"),
        ({"NumberOfFrames": 40}, "multi-frame DICOM; convert it to NIfTI first, e.g. with dcm2niix"),
        ({"patient": ""}, "lacks a PatientID, study or series: whose it is cannot be told"),
        ({"Modality": "US"}, "no CT, MR or PET"),
        ({"ImagePositionPatient": None}, "an image lacks its position or orientation"),
    ],
)
def test_series_that_are_no_heads(tmp_path, salt, tags, reason):
    write_series(tmp_path / "tree" / "good")
    write_series(tmp_path / "tree" / "bad", series="1.2.1.9", study="1.2.9", **tags)
    got = take_inventory(tmp_path / "tree", salt_file=salt)
    assert len(got.cohort.scans) == 1
    assert reason in aside(got)


def test_oddities_within_a_series(tmp_path, salt):
    root = tmp_path / "tree"
    write_series(root / "good")
    turned = {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1], "slices": 1}
    write_series(root / "scouts", series="1.5", study="1.5")
    write_series(root / "scouts", series="1.5", study="1.5", first_name=90, **turned)
    write_series(root / "echoes", series="1.6", study="1.6")
    for path in write_series(root / "echoes", series="1.6", study="1.6", first_name=50):
        data = pydicom.dcmread(path)
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"1.6.{path.name[1:].lstrip('0')}"
        data.save_as(path)
    write_series(root / "split 1", series="1.7", study="1.7")
    for path in write_series(root / "split 2", series="1.7", study="1.7", slices=20)[:10]:
        path.unlink()
    write_series(root / "picture", series="1.8", study="1.8")
    for path in (root / "picture").iterdir():
        data = pydicom.dcmread(path)
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        del data.ImagePositionPatient  # with it, it would be a slice as good as any
        data.save_as(path)
    got = take_inventory(root, salt_file=salt)
    assert len(got.cohort.scans) == 1
    assert aside(got) == {
        "its slices lie in several orientations (a scout?)": 1,
        "several images at each place: echoes or time points; split it": 1,
        "its slices lie in several folders; put them into one": 1,
        "a picture made of images (secondary capture?), no image of the scanner (among the originals)": 10,
    }


def test_doubtful_people_and_claims(tmp_path, salt):
    root = tmp_path / "tree"
    write_series(root / "a", study="1.1", series="1.1.1", RecognizableVisualFeatures="NO")
    write_series(root / "b", study="1.2", series="1.2.1", date="20210101")
    got = take_inventory(root, salt_file=salt)
    assert "The headers of 1 original series claim that the face was removed" in got.questions[0]
    got = take_inventory(root, choice=Choice(trust_originals=True), salt_file=salt)
    assert got.cohort is not None
    assert got.notes[:1] == ("every series has the same PatientID: was it overwritten when identifiers were removed?",)
    write_series(root / "b", study="1.2", series="1.2.1", date="20210101", PatientBirthDate="19660606")
    got = take_inventory(root, salt_file=salt)
    assert got.cohort is None
    assert "1 PatientIDs come with different issuers, dates of birth or sexes" in got.questions[1]


def test_visits_without_a_date(tmp_path, salt):
    for k in (1, 2):
        write_series(tmp_path / "tree" / str(k), study=f"1.{k}", series=f"1.{k}.1", date="")
    got = take_inventory(tmp_path / "tree", salt_file=salt)
    assert "visits of 1 people share a date and time, or have none: their order is arbitrary" in got.notes


def test_a_tree_without_a_scan(tmp_path, salt):
    write_series(tmp_path / "plan", modality="RTSTRUCT", first_name=1)
    with pytest.raises(InputError, match=r"no original scan is left.*RTSTRUCT: has no contour of the body"):
        take_inventory(tmp_path / "plan", salt_file=salt)
    with pytest.raises(InputError, match="--derivative is for BIDS"):
        take_inventory(tmp_path / "plan", choice=Choice(derivatives=("x",)), salt_file=salt)


@pytest.mark.slow
def test_six_people_are_audited(tmp_path, salt, capsys):
    """The whole way: an export with plans, scouts and a duplicate, and a defaced tree with identifiers of its own."""
    root, other = tmp_path / "Secret export", tmp_path / "after"
    cut = reference_defacers()[0]
    for k in range(1, 7):
        for visit, date in ((1, "20200101"), (2, "20210101"))[: 2 if k < 3 else 1]:
            phantom = make_phantom(k, visit, spacing_mm=2.5, seed=1)
            folder = root / f"Secret {k}" / str(visit)
            who = {"patient": f"SECRET-{k}", "visit": visit, "date": date}
            write_study(folder, stored=to_stored(phantom.volume), spacing_mm=phantom.volume.spacing_mm, **who)
            if visit == 1 and k < 3:
                defaced = apply_defacer(cut, phantom.volume, phantom.labels, LABELS).volume
                write_series(
                    other / str(k),
                    patient=f"SECRET-{k}",
                    study=f"1.2.{k}.1",
                    series=f"9.{k}",
                    date=date,
                    stored=to_stored(defaced),
                    spacing_mm=defaced.spacing_mm,
                )
    shutil.copy(root / "Secret 1" / "1" / "I00050", root / "Secret 1" / "1" / "again")
    out = tmp_path / "result"
    argv = ["score", str(root), "--condition", f"cut={other}", "--salt-file", str(salt), "-o", str(out)]
    assert main([*argv, "--encoder", "dlib", "--no-store", "--attack", "naive", "--workers", "1"]) in (1, 3, 4)
    said = capsys.readouterr()
    result = result_from_json((out / "result.json").read_text())
    assert (result.cohort, len(result.scans)) == ("DICOM tree", 10)
    assert {scan.file for scan in result.scans} == {"DICOM series"}
    originals = [scan for scan in result.scans if scan.condition == "original"]
    assert sum(scan.status.value == "ok" for scan in originals) >= 6
    assert not {scan.status.value for scan in result.scans} & {"unreadable", "other_grid", "no_skin"}
    texts = [said.out, said.err, *(path.read_text() for path in out.iterdir() if path.is_file())]
    for secret in ("SECRET", "Secret", str(tmp_path)):
        assert not any(secret in text.replace(str(out), "") for text in texts)


def to_stored(volume: Volume) -> np.ndarray:
    """Turn HU on RAS axes into what a scanner stores: (slice, row, column), rows to the back, columns to the left."""
    return (np.rint(volume.intensity).astype(np.int16) + 1024)[::-1, ::-1].T
