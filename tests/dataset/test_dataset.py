"""The manifest: what is read, what is refused, and which pairs it promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reid_audit.dataset import Cohort, read_manifest, write_manifest
from reid_audit.match import compare_faces
from reid_audit.records import ORIGINAL, Face, FaceRecord, Group, InputError, Modality, ScanRef, Status

TWO_VISITS = """subject,session,condition,path,modality,sex
01,1,original,01/a.nii.gz,CT,F
01,2,original,01/b.nii.gz,CT,F
01,1,cut,01/a_cut.nii.gz,CT,
02,1,original,02/a.nii.gz,,M
02,2,original,02/b.nii.gz,,M
02,1,cut,02/a_cut.nii.gz,,M
"""


def write(folder: Path, text: str | bytes, name: str = "scans.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def cohort(*keys: str) -> Cohort:
    """A cohort from keys such as "p1/1/original"."""
    scans = tuple(ScanRef(*key.split("/"), Path(key.replace("/", "-"))) for key in keys)
    return Cohort(scans, pd.DataFrame(index=sorted({s.subject for s in scans})))


def accounting(of: Cohort) -> dict[tuple[str, str], tuple[int, int]]:
    return {(c.group, c.condition): (c.possible, c.missing) for c in of.pair_accounting()}


# --- reading ---


def test_reads_text_as_it_stands(tmp_path):
    got = read_manifest(write(tmp_path, TWO_VISITS))
    assert got.source == "scans.csv"
    assert got.subjects == ("01", "02")
    assert got.sessions == ("1", "2")
    assert got.conditions == (ORIGINAL, "cut")
    assert got.scans[0] == ScanRef("01", "1", ORIGINAL, tmp_path / "01" / "a.nii.gz", Modality.CT)
    assert got.scans[3].modality is None
    assert got.strata.loc["01", "sex"] == "F"  # the empty cell of line 4 yields
    assert list(got.strata.columns) == ["sex"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["scans.csv", "scans.tsv"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_separator_mark_and_newline_do_not_matter(tmp_path, separator, name, mark, newline):
    text = TWO_VISITS.replace(",", f" {separator} ").replace("\n", newline) + newline
    got = read_manifest(write(tmp_path, mark + text.encode(), name))
    assert got.scans == read_manifest(write(tmp_path, TWO_VISITS, "plain.csv")).scans


def test_header_may_be_in_capitals_and_strata_keep_their_case(tmp_path):
    got = read_manifest(write(tmp_path, "Subject,SESSION,Condition,Path,Site\na,1,original,a.nii,X\n"))
    assert got.scans[0].key == "a/1/original"
    assert list(got.strata.columns) == ["Site"]


def test_no_strata_gives_a_table_without_columns(tmp_path):
    got = read_manifest(write(tmp_path, "subject,session,condition,path\nb,1,original,b\na,1,original,a\n"))
    assert got.strata.shape == (2, 0)
    assert list(got.strata.index) == ["a", "b"]


def test_na_and_numbers_stay_text(tmp_path):
    got = read_manifest(write(tmp_path, "subject,session,condition,path,age\nNA,1e3,original,null,007\n"))
    assert got.scans[0].key == "NA/1e3/original"
    assert got.strata.loc["NA", "age"] == "007"


def test_absent_files_are_told_and_kept(tmp_path):
    (tmp_path / "01").mkdir()
    (tmp_path / "01" / "a.nii.gz").write_bytes(b"x")
    got = read_manifest(write(tmp_path, TWO_VISITS))
    assert len(got.scans) == 6
    assert [scan.key for scan in got.find_absent_files()] == [s.key for s in got.scans[1:]]


HEADER = "subject,session,condition,path\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"is empty.*subject,session,condition,path"),
        ("\n \n", r"is empty"),
        (HEADER, r"holds no scan"),
        (b"\xff\xfe\x00s", r"not UTF-8"),
        (b"subject\x00", r"not a text table"),
        ("id,session,condition,file\na,1,original,x\n", r"lacks the column subject, path; found id, session"),
        ("just one word\nand more\n", r"lacks the column subject"),
        (HEADER + "a,1,original,x,y,z\n", r"is not a table"),
        ("subject,session,condition,path,path\na,1,original,x,y\n", r"'path' occurs twice"),
        ("subject,session,condition,path,\na,1,original,x,y\n", r"column 5 has no name"),
        (HEADER + "a,1,original,x\n\n ,1,original,y\n", r"cell of subject is empty in line 4"),
        (HEADER + "a,1,original\n", r"cell of path is empty in line 2"),
        (HEADER + "a,1,original,x\nb,1,original,y\na,1,original,z\n", r"a/1/original in lines 2, 4"),
        (HEADER + "a,1,original,x\nb,1,original,./x\n", r"a path occurs twice: x in lines 2, 3"),
        (HEADER + "a,1,cut,x\n", r"'original' \(found cut\)"),
        (HEADER + "a,1,original,x\na,2,Original,y\n", r"'Original' must be spelled 'original'"),
        (HEADER + "a/b,1,original,x\n", r"line 2: subject 'a/b' must not hold slashes"),
        (HEADER + "a,1,original,/etc/x\n", r"line 2: the path leads out.*allow_outside"),
        (HEADER + "a,1,original,b/../../x\n", r"line 2: the path leads out"),
        (
            HEADER.replace("path", "path,modality") + "a,1,original,x,PET\n",
            r"line 2: modality 'PET' must be CT, MR or PT",
        ),
        (HEADER.replace("path", "path,age") + "a,1,original,x,40\na,2,original,y,41\n", r"age of subject a differs"),
    ],
)
def test_refuses_and_says_why(tmp_path, text, message):
    with pytest.raises(InputError, match=rf"(?s)^scans\.csv.*{message}") as caught:
        read_manifest(write(tmp_path, text))
    assert str(tmp_path) not in str(caught.value)


def test_refuses_an_absent_manifest_and_a_folder(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(InputError, match="no such manifest"):
            read_manifest(path)


def test_outside_paths_can_be_allowed(tmp_path):
    path = write(tmp_path, HEADER + "a,1,original,../x\nb,1,original,/data/y\n")
    got = read_manifest(path, allow_outside=True)
    assert [scan.path for scan in got.scans] == [tmp_path / "../x", Path("/data/y")]


# --- what a cohort knows ---


def test_natural_order():
    got = cohort("p10/10/original", "p2/2/original", "p2/10/b10", "p2/10/b9")
    assert got.subjects == ("p2", "p10")
    assert got.sessions == ("2", "10")
    assert got.conditions == (ORIGINAL, "b9", "b10")


def test_partner_is_the_original_of_the_same_visit():
    got = cohort("a/1/original", "a/2/original", "a/1/cut", "b/1/cut")
    assert [getattr(got.partner_of(s), "key", None) for s in got.scans] == [
        "a/1/original",
        "a/2/original",
        "a/1/original",
        None,
    ]
    assert [s.key for s in got.originals] == ["a/1/original", "a/2/original"]
    assert [s.key for s in got.defaced("cut")] == ["a/1/cut", "b/1/cut"]
    for other in ("blur", ORIGINAL):
        with pytest.raises(InputError, match=r"defacers \(cut\)"):
            got.defaced(other)


def test_a_scan_twice_is_refused():
    with pytest.raises(InputError, match="occurs twice"):
        cohort("a/1/original", "a/1/original")


# --- pairs ---


def test_pairs_of_three_people_two_visits_one_defacer_on_the_first():
    got = cohort(*[f"{p}/{v}/original" for p in "abc" for v in "12"], *[f"{p}/1/cut" for p in "abc"])
    assert accounting(got) == {
        ("same", ORIGINAL): (3, 0),
        ("different", ORIGINAL): (3, 0),
        ("defaced_same", "cut"): (3, 0),
        ("defaced_different", "cut"): (6, 0),
        ("defaced_same_scan", "cut"): (3, 0),
        ("defaced_defaced_same", "cut"): (0, 0),
        ("defaced_defaced_different", "cut"): (0, 0),
    }
    assert got.pair_accounting()[5].reasons == ("defaced scans in one session only: needs a second visit",)


def test_a_missing_visit_is_named():
    got = cohort("a/1/original", "a/2/original", "b/1/original", "a/1/cut", "b/1/cut")
    same, different, attack, non_mated, *_ = got.pair_accounting()
    assert (same.possible, same.missing, same.reasons) == (1, 1, ("no original in session 2: b",))
    assert (different.possible, different.missing, different.reasons) == (1, 0, ())
    assert (attack.possible, attack.missing) == (1, 1)
    assert (non_mated.possible, non_mated.missing) == (1, 1)  # b/1/cut -> a/2/original alone


def test_one_visit_falls_back_on_the_same_session():
    got = cohort("a/1/original", "b/1/original", "a/1/cut", "b/1/cut")
    same, _, attack, non_mated, same_scan, *_ = got.pair_accounting()
    assert (same.possible, same.missing) == (0, 0)
    assert "second visit" in same.reasons[0]
    assert (attack.possible, attack.missing) == (0, 0)
    assert (non_mated.possible, non_mated.missing) == (2, 0)
    assert "same session is used" in non_mated.reasons[0]
    assert (same_scan.possible, same_scan.missing) == (2, 0)


def test_one_subject_has_nobody_to_be_different_from():
    different = cohort("a/1/original", "a/2/original").pair_accounting()[1]
    assert (different.possible, different.missing) == (0, 0)
    assert different.reasons == ("one subject only: needs two people",)


def test_long_lists_of_subjects_are_cut_short():
    got = cohort("a/2/original", *[f"{p}/1/original" for p in "abcdefghij"])
    assert got.pair_accounting()[0].reasons == ("no original in session 2: b, c, d, e, f and 4 more",)


def test_an_empty_cohort_has_no_pairs():
    assert accounting(Cohort((), pd.DataFrame())) == {("same", ORIGINAL): (0, 0), ("different", ORIGINAL): (0, 0)}


KEYS = st.sets(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["1", "2", "10"]), st.sampled_from([ORIGINAL, "cut", "blur"])),
    max_size=27,
)


@given(KEYS)
@settings(max_examples=60, deadline=None)
def test_the_possible_pairs_are_those_that_compare_makes(keys):
    got = cohort(*["/".join(key) for key in sorted(keys)])
    vector = np.array([1.0, 0.0], np.float32)
    table = compare_faces(FaceRecord(scan, Face(Status.OK, "fake", vector)) for scan in got.scans).frame
    made = table.groupby(["group", "condition"], observed=True).size().to_dict()
    counts = got.pair_accounting()
    assert {(c.group.value, c.condition): c.possible for c in counts if c.possible} == made
    for count in counts:
        assert count.missing >= 0
        assert count.reasons or count.missing == 0
        assert count.possible or count.missing or count.reasons
        assert isinstance(count.group, Group)


# --- writing and splitting ---


@given(KEYS.filter(lambda keys: any(key[2] == ORIGINAL for key in keys)), st.sampled_from([".csv", ".tsv"]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_write_then_read_gives_the_same(tmp_path, keys, ending):
    scans = [
        ScanRef(*key, tmp_path / "scans" / "-".join(key), Modality.MR if i % 2 else None)
        for i, key in enumerate(sorted(keys))
    ]
    people = sorted({scan.subject for scan in scans})
    strata = pd.DataFrame({"site": ["A, B", "C;D", "tab\there"][: len(people)]}, index=people)
    write_manifest(tmp_path / f"m{ending}", scans, strata)
    got = read_manifest(tmp_path / f"m{ending}")
    assert list(got.scans) == scans
    assert got.strata["site"].to_dict() == strata["site"].to_dict()


def test_a_relative_manifest_is_written_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_manifest(Path("m.csv"), [ScanRef("a", "1", ORIGINAL, Path("x/a.nii"))])
    assert Path("m.csv").read_text() == "subject,session,condition,path\na,1,original,x/a.nii\n"


def test_writing_refuses_a_stratum_that_hides_a_column_and_an_absent_folder(tmp_path):
    scans = [ScanRef("a", "1", ORIGINAL, tmp_path / "a.nii")]
    with pytest.raises(InputError, match="stratum path"):
        write_manifest(tmp_path / "m.csv", scans, pd.DataFrame({"path": ["x"]}, index=["a"]))
    with pytest.raises(InputError, match=r"m\.csv: cannot be written"):
        write_manifest(tmp_path / "none" / "m.csv", scans)
