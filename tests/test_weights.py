import hashlib
import os
import sys
from pathlib import Path

import pytest

from reid_audit import weights
from reid_audit.records import InputError, WeightsError
from reid_audit.weights import local


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty weights home; model files that packages carry are out of sight."""
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    monkeypatch.setattr(local, "_in_package", lambda record: None)
    return tmp_path / ".deepface" / "weights"


def put(home: Path, name: str, content: bytes) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    path = home / weights.MODEL_FILES[name].file_name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("value", [None, ""])
def test_weights_home_is_the_users_home_unless_told_otherwise(value, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("DEEPFACE_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("DEEPFACE_HOME", value)
    assert weights.weights_home() == tmp_path / ".deepface" / "weights"
    assert not (tmp_path / ".deepface").exists()


def test_every_record_is_complete():
    for name, record in weights.MODEL_FILES.items():
        assert record.name == name
        assert Path(record.file_name).name == record.file_name
        assert record.licence
        assert record.source.startswith("https://")
        assert record.sha256 is None or len(bytes.fromhex(record.sha256)) == 32


@pytest.mark.parametrize("name", ["dlib-recogniser", "dlib-landmarks"])
def test_dlib_files_come_with_a_package_that_is_never_imported(name):
    record = weights.MODEL_FILES[name]
    path = weights.find_weights(name)
    assert path.name == record.file_name
    assert weights.verify(name) == record.sha256
    assert "face_recognition_models" not in sys.modules


def test_missing_files_are_named_together_with_folder_and_remedy(home):
    with pytest.raises(WeightsError) as caught:
        weights.require(["RetinaFace", "Facenet512"])
    for part in ("retinaface.onnx", "facenet512_weights.onnx", str(home), "--encoder dlib"):
        assert part in str(caught.value)
    with pytest.raises(WeightsError, match=r"arcface_weights\.onnx"):
        weights.find_weights("ArcFace")
    with pytest.raises(WeightsError, match="pip install face_recognition_models"):
        weights.verify("dlib-landmarks")
    assert not home.exists()


def test_missing_tells_only_what_is_not_there(home):
    put(home, "RetinaFace", b"x")
    assert [record.name for record in weights.missing(["RetinaFace", "ArcFace"])] == ["ArcFace"]
    weights.require(["RetinaFace"])


def test_unknown_name_is_an_input_error(home):
    for ask in (weights.find_weights, weights.verify):
        with pytest.raises(InputError, match="facenet9000"):
            ask("facenet9000")


def test_unpinned_file_passes_with_its_digest(home):
    put(home, "ArcFace", b"any content")
    assert weights.verify("ArcFace") == hashlib.sha256(b"any content").hexdigest()


def test_empty_file_is_refused(home):
    put(home, "ArcFace", b"")
    with pytest.raises(WeightsError, match=r"arcface_weights\.onnx .*empty"):
        weights.verify("ArcFace")


def test_pinned_file_of_another_size_is_refused_without_reading_it(home, monkeypatch):
    put(home, "dlib-landmarks", b"truncated")
    monkeypatch.setattr(local, "sha256_of", lambda path: pytest.fail("was read"))
    with pytest.raises(WeightsError, match="9 bytes instead of 9150489"):
        weights.verify("dlib-landmarks")


def test_pinned_file_of_the_right_size_and_wrong_content_is_refused(home):
    path = put(home, "dlib-landmarks", b"")
    os.truncate(path, weights.MODEL_FILES["dlib-landmarks"].size_bytes)
    with pytest.raises(WeightsError, match="not the pinned file"):
        weights.verify("dlib-landmarks")


def test_digest_is_computed_once_and_again_after_a_change(tmp_path, monkeypatch):
    path = tmp_path / "model"
    path.write_bytes(b"one")
    reads = []
    original = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *given: reads.append(1) or original(*given))
    assert weights.sha256_of(path) == weights.sha256_of(path) == hashlib.sha256(b"one").hexdigest()
    assert len(reads) == 1
    path.write_bytes(b"another")
    assert weights.sha256_of(path) == hashlib.sha256(b"another").hexdigest()


def test_unreadable_file_is_a_weights_error(tmp_path):
    with pytest.raises(WeightsError, match="nothing cannot be read"):
        weights.sha256_of(tmp_path / "nothing")
    with pytest.raises(WeightsError, match="cannot be read"):
        weights.sha256_of(tmp_path)
