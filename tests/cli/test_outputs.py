"""Where results are written: checked before the work, never over what is not a regular file of ours."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from PIL import Image

from reid_audit import testing
from reid_audit.cli import main
from reid_audit.dataset import inventory
from reid_audit.records import InputError, prepare_file, prepare_folder, write_private
from reid_audit.volume import write_volume


@pytest.fixture
def head(tmp_path: Path) -> Path:
    write_volume(testing.make_tiny_head(80.0), tmp_path / "head.nii")
    return tmp_path / "head.nii"


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_is_no_regular_file_is_never_replaced(tmp_path: Path, kind: str) -> None:
    path, target = tmp_path / "out.json", tmp_path / "target"
    target.write_text("mine")
    {"link": lambda: path.symlink_to(target), "folder": path.mkdir, "pipe": lambda: os.mkfifo(path)}[kind]()
    before = stat.S_IFMT(path.lstat().st_mode)
    for write in (
        lambda: write_private(path, "new"),
        lambda: prepare_file(path),
        lambda: prepare_folder(tmp_path, path.name, overwrite=True),
    ):
        with pytest.raises(
            InputError, match=r"out\.json: is a (link|folder|device).*never replaced; give another name"
        ):
            write()
    assert stat.S_IFMT(path.lstat().st_mode) == before
    assert target.read_text() == "mine"


def test_a_file_of_another_kind_is_not_replaced_even_where_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(b"voxels")
    with pytest.raises(InputError, match="no file of this kind"):
        prepare_file(path, mark=b'"calibrations"', overwrite=True)
    path.write_bytes(b'{"calibrations": []}')
    prepare_file(path, mark=b'"calibrations"')
    with pytest.raises(InputError, match="is there already"):
        prepare_file(path, mark=b'"calibrations"', overwrite=False)
    with pytest.raises(InputError, match="no such folder"):
        prepare_file(tmp_path / "none" / "x.json")


def test_a_portrait_is_written_as_its_ending_says(
    tmp_path: Path, head: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, form in (("a.jpg", "JPEG"), ("a.PNG", "PNG")):
        assert main(["render", str(head), "-o", str(tmp_path / name), "--encoder", "dlib"]) == 0
        with Image.open(tmp_path / name) as picture:
            assert picture.format == form
    capsys.readouterr()
    assert main(["render", str(head), "-o", str(tmp_path / "a.tif")]) == 2
    assert "a portrait is written as one of .png, .jpg, .jpeg" in capsys.readouterr().err
    assert main(["render", str(head), "-o", str(head)]) == 2
    assert main(["mesh", str(head), "-o", str(tmp_path / "none" / "a.stl")]) == 2
    assert "no such folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/secret/x.csv"), 2, "x.csv: No space left on device; free"),
        (PermissionError(errno.EACCES, "Permission denied", "/secret/x"), 2, "x: Permission denied; mend its perm"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, ""),
        (EOFError(), 70, "ended too early"),
        (ZeroDivisionError("a fault"), 70, "a fault"),
    ],
)
def test_no_error_ends_with_the_code_of_fail(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
    text: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(inventory, "read_manifest", fail)
    (tmp_path / "m.csv").write_text("x")
    assert main(["inventory", str(tmp_path / "m.csv")]) == code
    said = capsys.readouterr().err
    assert text in said
    assert "/secret" not in said
