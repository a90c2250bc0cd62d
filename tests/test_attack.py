"""Attackers: where they look, and that originals are left to themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reid_audit import ORIGINAL, Face, FaceRecord, InputError, ScanRef, Status, make_encoder
from reid_audit.attack import average_places, check_attacks, faces_of_attack
from reid_audit.audit import Engines, compare_attacks
from reid_audit.dataset import Cohort


def _record(subject: str, condition: str = ORIGINAL, *, at: float = 0.0, layout: str = "dlib-5") -> FaceRecord:
    face = Face(
        Status.OK,
        "e",
        np.array([1.0, 0.0], dtype=np.float32),
        box_px=(at, at, at + 10, at + 10),
        landmarks_px=np.full((5, 2), at),
        eyes_px=np.full((2, 2), at),
        layout=layout,
    )
    return FaceRecord(ScanRef(subject, "1", condition, Path("x.nii")), face)


def test_the_average_place_of_a_person_is_that_of_the_others() -> None:
    places = average_places([_record("a", at=0.0), _record("b", at=2.0), _record("c", at=4.0)])
    assert places["a"].box_px == (3.0, 3.0, 13.0, 13.0)
    assert places["b"].box_px == (2.0, 2.0, 12.0, 12.0)
    np.testing.assert_array_equal(places["c"].landmarks_px, np.full((5, 2), 1.0))
    assert places["a"].vector is None


def test_defaced_scans_and_other_landmarks_do_not_move_the_average() -> None:
    records = [_record("a", at=0.0), _record("b", at=2.0), _record("d", at=6.0)]
    odd = [_record("c", "cut", at=90.0), _record("e", at=50.0, layout="retinaface-5")]
    assert average_places([*records, *odd])["c"].box_px == pytest.approx((8 / 3, 8 / 3, 38 / 3, 38 / 3))


def test_one_person_alone_has_no_average() -> None:
    assert average_places([_record("a")]) == {}
    assert average_places([]) == {}


def test_names() -> None:
    assert check_attacks(["registered"]) == ("naive", "registered")
    assert check_attacks([]) == ("naive",)
    with pytest.raises(InputError, match="--attack: there is no attacker 'clever'"):
        check_attacks(["clever"])


def test_originals_and_scans_without_a_portrait_stay_as_they_are() -> None:
    lost = FaceRecord(ScanRef("b", "1", "cut", Path("y.nii")), Face(Status.UNREADABLE, "e"))
    seen = faces_of_attack([_record("a"), lost], "aligned")
    assert [record.face.status for record in seen] == [Status.OK, Status.UNREADABLE]


@pytest.mark.slow
def test_attackers_on_synthetic_heads(demo_faces: tuple[Cohort, Engines, list[FaceRecord]]) -> None:
    """Every attacker gets a vector where naive sees no face, and aligned on an untouched scan is naive."""
    _, _, records = demo_faces
    removed = [record for record in records if record.scan.condition == "face-removal"]
    assert any(not record.face.acquired for record in removed)
    for record in removed:
        assert record.attacks["aligned"].acquired
        assert record.attacks["registered"].acquired
    scores = compare_attacks(records, ("naive", "aligned", "registered")).frame
    assert set(scores["attack"]) == {"naive", "aligned", "registered"}
    of_originals = scores[scores["group"].isin(["same", "different"])]
    assert set(of_originals["attack"]) == {"naive"}
    found = scores[(scores["condition"] == "face-removal") & (scores["attack"] == "aligned")]
    assert found["distance"].notna().all()


@pytest.mark.slow
def test_looking_where_the_face_was_found_gives_the_same_vector() -> None:
    from reid_audit import extract_skin, frontal_view, make_phantom, make_renderer

    skin = extract_skin(make_phantom(1, 1).volume)
    encoder = make_encoder("dlib")
    with make_renderer("raycast") as renderer:
        portrait = renderer.render(skin, frontal_view(skin))
    face = encoder.encode(portrait)
    np.testing.assert_array_equal(encoder.encode_at(portrait, face).vector, face.vector)
    nowhere = encoder.encode_at(portrait, Face(Status.NO_FACE, "dlib"))
    assert nowhere.status is Status.NO_FACE
