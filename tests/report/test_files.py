"""Where results are written: files for their owner alone, folders that hold no result yet."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reid_audit import InputError
from reid_audit.records import prepare_folder, write_private


@pytest.mark.parametrize("before", [None, "result.json"])
def test_a_file_is_its_owners_whatever_lay_there(tmp_path: Path, before: str | None) -> None:
    if before is not None:
        (tmp_path / before).write_text("older and longer text")
        (tmp_path / before).chmod(0o644)
    path = tmp_path / "result.json"
    write_private(path, "one\r\ntwo\n")
    assert path.read_bytes() == b"one\r\ntwo\n"
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "result.json").mkdir()  # no file can take its place
    with pytest.raises(InputError, match=r"result\.json: is a folder, which is never replaced"):
        write_private(tmp_path / "result.json", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_folder_is_made_once_and_a_result_in_it_is_not_lost(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    prepare_folder(folder, "result.json")
    (folder / "other.json").touch()
    prepare_folder(folder, "result.json")  # another kind of result does not disturb
    (folder / "result.json").touch()
    with pytest.raises(InputError, match=r"^b holds a result already \(result\.json\); .* --overwrite$"):
        prepare_folder(folder, "result.json")
    prepare_folder(folder, "result.json", overwrite=True)
    with pytest.raises(InputError, match=r"^other\.json cannot be made into a folder for the result: "):
        prepare_folder(folder / "other.json", "result.json")
