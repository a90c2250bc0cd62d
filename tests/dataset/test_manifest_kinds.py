"""Tables as spreadsheets and other programs save them, and labels that only look like two."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from trees import write_image

from reid_audit import InputError, read_scores
from reid_audit.dataset import read_manifest, take_inventory

HEADER = "subject,session,condition,path\n"


def write(folder: Path, content: str | bytes, name: str = "m.csv") -> Path:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name


@pytest.mark.parametrize(
    "content",
    [
        "sep=;\nsubject;session;condition;path\na;1;original;x\n",
        "sep=,\r\n" + HEADER + "a,1,original,x\r\n",
        (HEADER + "a,1,original,x\n").encode("utf-16"),
        (HEADER + "\u00a0a ,1,original,x\n").encode("utf-8-sig"),
    ],
    ids=["sep", "sep and CRLF", "UTF-16", "no-break space"],
)
def test_tables_of_spreadsheets_are_read(tmp_path: Path, content: str | bytes) -> None:
    assert [scan.key for scan in read_manifest(write(tmp_path, content)).scans] == ["a/1/original"]


def test_two_forms_of_one_accent_are_one_person(tmp_path: Path) -> None:
    text = HEADER + "mu\u0308ller,1,original,x\nm\u00fcller,2,original,y\n"
    assert read_manifest(write(tmp_path, text)).subjects == ("m\u00fcller",)


def test_a_path_may_be_spelled_another_way_than_its_file(tmp_path: Path) -> None:
    write_image(tmp_path / "sub" / "gr\u00f6\u00dfe.nii")
    for cell in ("sub/gro\u0308\u00dfe.nii", "sub\\gr\u00f6\u00dfe.nii"):
        assert read_manifest(write(tmp_path, f"{HEADER}a,1,original,{cell}\n")).scans[0].path.is_file()


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("P01,1,original", "p01,2,original", "subject 'P01' and 'p01' read alike"),
        ("a,1,original", "a,01,original", "session '1' and '01' read alike"),
        ("a,1,PyDeface", "a,2,pydeface", "condition 'PyDeface' and 'pydeface' read alike"),
        ("a b,1,original", "a  b,2,original", "read alike"),
        ("a\u200b,1,original", "a,2,original", "'a\\\\u200b' must not hold"),
        ("1E+05,1,original", "b,1,original", "'1E\\+05' is a number that a spreadsheet rounded"),
    ],
)
def test_labels_that_look_like_one_are_refused_by_name(tmp_path: Path, first: str, second: str, message: str) -> None:
    rows = f"z,1,original,z.nii\n{first},x.nii\n{second},y.nii\n"
    with pytest.raises(InputError, match=message):
        read_manifest(write(tmp_path, HEADER + rows))


def test_one_file_under_two_labels_is_named(tmp_path: Path) -> None:
    write_image(tmp_path / "a.nii")
    os.link(tmp_path / "a.nii", tmp_path / "b.nii")
    got = take_inventory(write(tmp_path, HEADER + "a,1,original,a.nii\na,1,tool,b.nii\n"))
    assert "one file under several labels, which is no evidence of protection: a/1/original = a/1/tool" in got.notes


@pytest.mark.parametrize(
    ("content", "distances"),
    [
        ("Group;Cosine_Distance\nsame;0,25\nsame;0,5\n", [0.25, 0.5]),
        ("sep=;\ngroup;distance\nsame;0.25\n", [0.25]),
        ("group,distance\nSame,-2.2e-16\nsame,2.0000001\n", [0.0, 2.0]),
        ("group\tdistance\nsame\t0.25\n".encode("utf-16"), [0.25]),
    ],
)
def test_tables_of_distances_are_read_as_manifests_are(
    tmp_path: Path, content: str | bytes, distances: list[float]
) -> None:
    got = read_scores(write(tmp_path, content))
    assert list(got.frame["distance"]) == distances
    assert bool(got.notes) == (distances == [0.0, 2.0])
