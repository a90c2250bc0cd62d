"""Several recognisers on one cohort: looked at once, judged each by its own thresholds, and the worst counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import stand_ins

import reid_audit.audit.scan as scan_room
import reid_audit.audit.sitting as sitting_room
from reid_audit import InputError, Portrait, ScanRef, Settings, SurfaceSettings, face, start_engines, write_volume
from reid_audit.audit import Hints, Partner, examine_scan, examine_scan_with_each, start_engines_of_each
from reid_audit.phantom import make_phantom

COARSE = Settings(detector="dlib", renderer="raycast", surface=SurfaceSettings(voxel_mm=3.0))


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A stand-in of the user's own, as `--encoder` takes it."""
    path = stand_ins.write_recogniser(tmp_path / "mine.onnx", size_px=112, dimension=64, channels_first=True)
    return f"onnx:{path}"


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[bytes]:
    """How often a detector looked at each portrait."""
    counted: Counter[bytes] = Counter()
    make = face.make_detector

    def make_counting(name: str) -> object:
        detector = make(name)
        detect = detector.detect

        def look(portrait: Portrait) -> object:
            counted[portrait.pixels.tobytes()] += 1
            return detect(portrait)

        monkeypatch.setattr(detector, "detect", look, raising=False)
        return detector

    monkeypatch.setattr(face, "make_detector", make_counting)
    scan_room._encoders.cache_clear()
    yield counted
    scan_room._encoders.cache_clear()


def _write_phantom(folder: Path) -> ScanRef:
    scan = make_phantom(1, spacing_mm=2.5, pose_sd_deg=0)
    write_volume(scan.volume, folder / "p1.nii")
    return ScanRef("p1", "1", "original", folder / "p1.nii", scan.volume.modality)


def test_a_scan_is_read_drawn_and_searched_once_for_all_recognisers(
    tmp_path: Path, model: str, looks: Counter[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = stand_ins.write_recogniser(tmp_path / "other.onnx", size_px=112, dimension=32, channels_first=True)
    reads = []
    read = sitting_room.read_volume
    monkeypatch.setattr(sitting_room, "read_volume", lambda *given, **named: reads.append(1) or read(*given, **named))
    scan = _write_phantom(tmp_path)
    engines = start_engines_of_each(COARSE, ["dlib", model, f"onnx:{other}"])
    settings = [each.settings for each in engines]
    looks.clear()
    records = examine_scan_with_each(scan, settings)
    assert sum(looks.values()) == 1
    assert len(reads) == 1
    assert [record.face.encoder for record in records] == ["dlib", "onnx:mine.onnx", "onnx:other.onnx"]
    assert [len(record.face.vector) for record in records] == [128, 64, 32]
    assert len({record.face.box_px for record in records}) == 1

    phantom = make_phantom(1, spacing_mm=2.5, pose_sd_deg=0).volume
    phantom.intensity[:, :, : phantom.intensity.shape[2] // 4] = -1000
    write_volume(phantom, tmp_path / "cut.nii")
    defaced = replace(scan, condition="cut", path=tmp_path / "cut.nii")
    partners = [Partner(record.level, record.view, record.grid, record.face) for record in records]
    looks.clear()
    attacked = examine_scan_with_each(
        defaced, settings, partners, attacks=("aligned", "registered"), hints=[Hints(average=record.face) for record in records]
    )
    assert set(looks.values()) == {1}  # per portrait, however many recognisers and attackers
    assert all(set(record.attacks) == {"aligned", "registered"} for record in attacked)


def test_each_recogniser_gets_the_face_that_it_gets_alone(tmp_path: Path, model: str) -> None:
    scan = _write_phantom(tmp_path)
    engines = start_engines_of_each(COARSE, ["dlib", model])
    together = examine_scan_with_each(scan, [each.settings for each in engines])
    for each, shared in zip(engines, together, strict=True):
        alone = examine_scan(scan, each.settings)
        np.testing.assert_array_equal(alone.face.vector, shared.face.vector)
        assert (alone.level, alone.view, alone.digest) == (shared.level, shared.view, shared.digest)
        assert start_engines(replace(COARSE, encoder=each.settings.encoder)) == each


def test_two_files_of_one_name_are_refused(tmp_path: Path, model: str) -> None:
    (tmp_path / "b").mkdir()
    other = stand_ins.write_recogniser(tmp_path / "b" / "mine.onnx", size_px=112, dimension=64, channels_first=True)
    with pytest.raises(InputError, match=r"two recognisers are called onnx:mine\.onnx"):
        start_engines_of_each(COARSE, [model, f"onnx:{other}"])
    with pytest.raises(InputError, match="one for each of the 2 encoders; got 1"):
        face.make_encoders(["dlib", model], detector=["dlib"])
