"""Attackers: where they look, and that originals are left to themselves."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reid_audit import Face, InputError, ScanRef, Skin, Status, View
from reid_audit.accuracy import measure_crossings
from reid_audit.attack import Attack, Registered, Target, choose_attacks, choose_crossings, find_attack, list_attacks
from reid_audit.attack.multiview import average_faces
from reid_audit.attack.registered import average_places
from reid_audit.audit import Engines, assess_scores
from reid_audit.audit.findings import check_scans
from reid_audit.dataset import Cohort
from reid_audit.face import make_encoder
from reid_audit.match import compare_attacks
from reid_audit.records import ORIGINAL, Decision, FaceRecord, Finding, Group


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
    originals = [_record("a", at=0.0), _record("b", at=2.0), _record("c", at=4.0)]
    places = average_places(originals, {"a", "b", "c"})
    assert places["a"].box_px == (3.0, 3.0, 13.0, 13.0)
    assert places["b"].box_px == (2.0, 2.0, 12.0, 12.0)
    np.testing.assert_array_equal(places["c"].landmarks_px, np.full((5, 2), 1.0))
    assert places["a"].vector is None


def test_defaced_scans_and_other_landmarks_do_not_move_the_average() -> None:
    records = [_record("a", at=0.0), _record("b", at=2.0), _record("d", at=6.0)]
    odd = [_record("c", "cut", at=90.0), _record("e", at=50.0, layout="retinaface-5")]
    assert average_places([*records, *odd], {"c"})["c"].box_px == pytest.approx((8 / 3, 8 / 3, 38 / 3, 38 / 3))


def test_one_more_original_is_news_to_twenty_people_and_not_to_all() -> None:
    originals = [replace(_record(f"p{i}", at=i), digest=f"{37 * i % 101:03}") for i in range(60)]
    everybody = {record.scan.subject for record in originals} | {"without an original"}
    for added in (59, 0, 17):
        fewer = average_places([r for i, r in enumerate(originals) if i != added], everybody - {f"p{added}"})
        places = average_places(originals, everybody)
        changed = [name for name, place in fewer.items() if place.box_px != places[name].box_px]
        assert len(changed) in (20, 21)  # whoever has no original stands before the first
    assert places["p3"].box_px != places["p4"].box_px
    assert average_places(originals, {"p0"}, of=59)["p0"].box_px[0] == pytest.approx(30.0)  # all others: no own part


_SKIN = Skin(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3)), 0.0)


class _Drawn:
    """A context whose portrait is nothing: the encoder of the test does not look at it."""

    def find_view(self, skin: Skin) -> View:
        return View()

    def draw(self, skin: Skin, view: View) -> None:
        return None

    def once(self, key: object, make: Any) -> Any:
        return make()


def test_registered_trusts_a_detector_that_is_as_sure_as_of_untouched_faces() -> None:
    originals = [_record(name) for name in "abc"]
    scored = [replace(r, face=replace(r.face, confidence=c)) for r, c in zip(originals, (9.0, 1.0, 2.0), strict=True)]
    scan = ScanRef("a", "1", "cut", Path("x.nii"))
    hints = Registered().prepare(scored, [scan])[scan.key]
    average = hints.place
    assert average.confidence == pytest.approx(1.05)  # 5 % of the way from b's score to c's; a's own has no part

    class Encoder:
        def __init__(self, score: float) -> None:
            self.seen = replace(originals[0].face, confidence=score)

        name = "e"

        def encode(self, portrait: Any) -> Face:
            return self.seen

        def encode_at(self, portrait: Any, place: Face) -> Face:
            assert place is average
            return Face(Status.OK, "at the average place")

    for score, encoder in ((1.1, "e"), (1.0, "at the average place"), (math.nan, "at the average place")):
        target = Target(_Drawn(), _SKIN, View(), Encoder(score), originals[0].face)
        (face,) = Registered().look(target, hints)
        assert face.encoder == encoder


def test_one_person_alone_has_no_average() -> None:
    assert average_places([_record("a")], {"a"}) == {}
    assert average_places([], {"a"}) == {}


def test_names() -> None:
    def chosen(*names: str) -> list[str]:
        return [attack.name for attack in choose_attacks(names)]

    assert chosen("registered") == ["naive", "registered"]
    assert chosen() == ["naive"]
    assert chosen("multiview") == ["naive", "multiview-min", "multiview-mean"]
    everybody = [attack.name for attack in list_attacks()]
    assert chosen(*reversed(everybody)) == everybody
    default = ["naive", "aligned", "registered", "shape", "fusion", "learned", "learned-fusion"]
    assert [attack.name for attack in choose_attacks()] == default
    with pytest.raises(InputError, match="--attack: there is no attacker 'clever'"):
        chosen("clever")


def _seen(subject: str, session: str, condition: str, *vectors: tuple[float, ...] | None, **more: Any) -> FaceRecord:
    """A scan whose views, the frontal one first, gave these vectors; None = no face."""

    def face(vector: tuple[float, ...] | None) -> Face:
        if vector is None:
            return Face(Status.NO_FACE, "e", reason="none")
        unit = np.array(vector, dtype=np.float32) / np.linalg.norm(vector)
        return Face(Status.OK, "e", unit.astype(np.float32), box_px=(0, 0, 1, 1), layout="dlib-5")

    first, *others = map(face, vectors)
    scan = ScanRef(subject, session, condition, Path("x.nii"))
    views = (first, *others)
    looks = {"multiview-min": views, "multiview-mean": views} if others else {}
    return FaceRecord(scan, first, looks=looks | more.pop("looks", {}), **more)


def test_crossed_landmarks_are_those_of_the_next_person_of_the_session() -> None:
    scans = [ScanRef(s, v, "cut", Path("x")) for s, v in (("p2", "1"), ("p2", "2"), ("p10", "1"), ("p1", "1"))]
    visits = [(s, v) for s in ("p1", "p2", "p10") for v in ("1", "2") if (s, v) != ("p10", "2")]
    originals = [_seen(s, v, ORIGINAL, (1, 0)) for s, v in visits]
    actual = choose_crossings(scans, originals)
    assert {key: (r.scan.subject, r.scan.session) for key, r in actual.items()} == {
        "p2/1/cut": ("p10", "1"),
        "p2/2/cut": ("p10", "1"),  # p10 has no second visit
        "p10/1/cut": ("p1", "1"),  # round the end
        "p1/1/cut": ("p2", "1"),
    }
    assert choose_crossings(scans[:2], [_seen("p2", "1", ORIGINAL, (1, 0))]) == {}


def test_the_mean_of_the_views_leaves_out_those_without_a_face() -> None:
    def mean(*vectors: tuple[float, ...] | None) -> Face:
        return average_faces(_seen("a", "1", ORIGINAL, *vectors).looks["multiview-mean"])

    np.testing.assert_allclose(mean(None, (1, 0), (0, 1)).vector, np.sqrt([0.5, 0.5]), atol=1e-6)
    assert mean(None, None).status is Status.NO_FACE
    assert not mean((1, 0), (-1, 0)).acquired


def test_the_nearest_view_counts_and_originals_are_seen_the_same_way() -> None:
    """Frontal vectors do not tell the people; the second view does."""
    a, b = (1, 0, 0), (0, 1, 0)
    records = [
        _seen("a", "1", ORIGINAL, (1, 1, 0), a),
        _seen("a", "2", ORIGINAL, (1, 0, 1), a),
        _seen("b", "1", ORIGINAL, (0, 1, 1), b),
        _seen("b", "2", ORIGINAL, (1, 1, 1), b),
        _seen("a", "1", "cut", None, a),
    ]
    frame = compare_attacks(records, choose_attacks(["multiview"])).frame
    nearest = frame[frame["attack"] == "multiview-min"]
    assert (nearest[nearest["group"] == "same"]["distance"] == 0).all()
    assert float(nearest[nearest["group"] == "defaced_same"]["distance"].iloc[0]) == 0
    own = frame[(frame["group"] == "defaced_same") & (frame["attack"] == "naive")]
    assert own["distance"].isna().all()
    assert set(frame[frame["group"] == "same"]["attack"]) == {"naive", "multiview-min", "multiview-mean"}


def test_an_attacker_that_looks_twice_counts_by_what_links_better() -> None:
    """The probe's second look is the reference's only one; a look without a face says nothing."""

    def twice(subject: str, *vectors: tuple[float, ...] | None) -> FaceRecord:
        faces = _seen(subject, "1", "cut", *vectors).looks["multiview-min"]
        return FaceRecord(ScanRef(subject, "1", "cut", Path("x.nii")), faces[0], looks={"twice": faces})

    probes = [twice("a", (0, 1), (1, 0)), twice("b", None, (0, 1)), twice("c", None, None)]
    references = [_seen("a", "2", ORIGINAL, (1, 0)), _seen("b", "2", ORIGINAL, None)]
    distances = Attack("twice").score(probes, references)
    np.testing.assert_allclose(distances, [[0, np.nan], [1, np.nan], [np.nan, np.nan]])


def test_the_defaced_gallery_is_judged_by_rank_and_linkability_alone() -> None:
    rng = np.random.default_rng(0)
    records = []
    for person in range(12):
        own = rng.normal(size=16)
        for visit in ("1", "2"):
            for condition in (ORIGINAL, "cut"):
                records.append(_seen(f"p{person}", visit, condition, tuple(own + 0.1 * rng.normal(size=16))))
    result = assess_scores(compare_attacks(records, choose_attacks(["defaced_gallery"])), source="made up", draws=50)
    defaced_gallery = result.evidence.attack("cut", "defaced_gallery")
    assert defaced_gallery.group is Group.DEFACED_DEFACED_SAME
    assert (defaced_gallery.search.rank1.successes, defaced_gallery.linkability.value, defaced_gallery.matches) == (
        12,
        1.0,
        (),
    )
    assert defaced_gallery.linkability.value == result.evidence.attack("cut").defaced_gallery.value
    (verdict,) = result.verdict.conditions
    assert "match_rate" not in {check.name for check in verdict.checks if check.attack == "defaced_gallery"}
    assert result.evidence.worst[0].tried == ("naive", "defaced_gallery")
    assert not any(person.matched_after for person in result.subjects if person.attack == "defaced_gallery")
    once = [record for record in records if (record.scan.condition, record.scan.session) != ("cut", "2")]
    assert set(compare_attacks(once, choose_attacks(["defaced_gallery"])).frame["attack"]) == {"naive"}


def _cross(*, reads_pixels: bool) -> list[FaceRecord]:
    """Twenty people whose crossed vector is that of the pixels' owner, or of the landmarks' owner: the next one."""
    rng = np.random.default_rng(1)
    own = rng.normal(size=(20, 32))
    records = []
    for person in range(20):
        for visit in ("1", "2"):
            records.append(_seen(f"p{person}", visit, ORIGINAL, tuple(own[person] + 0.05 * rng.normal(size=32))))
        seen = own[person if reads_pixels else (person + 1) % 20] + 0.05 * rng.normal(size=32)
        vector = (seen / np.linalg.norm(seen)).astype(np.float32)
        looks = {name: (Face(Status.OK, "e", vector),) for name in ("aligned", "crossed", "registered")}
        records.append(_seen(f"p{person}", "1", "cut", tuple(own[person] + 0.05 * rng.normal(size=32)), looks=looks))
    return records


@pytest.mark.parametrize("reads_pixels", [True, False])
def test_the_crossed_control_tells_the_pixels_owner_from_the_landmarks_owner(reads_pixels: bool) -> None:
    records = _cross(reads_pixels=reads_pixels)
    (crossed,) = measure_crossings(records)
    actual = crossed.pixels_first if reads_pixels else crossed.landmarks_first
    other = crossed.landmarks_first if reads_pixels else crossed.pixels_first
    assert (actual.successes, actual.trials, other.successes) == (20, 20, 0)
    assert crossed.chance == pytest.approx(1 / 20)
    assert (crossed.pixels_auc if reads_pixels else crossed.landmarks_auc).value == 1.0
    scores = compare_attacks(records, choose_attacks())
    result = assess_scores(scores, source="made up", crossed=[crossed], draws=50)
    (check,) = [c for c in result.verdict.conditions[0].checks if c.name == "crossed"]
    assert check.decision is (Decision.PASS if reads_pixels else Decision.REVIEW)
    assert ("doubtful" in check.text) is not reads_pixels
    (leak,) = result.evidence.leaks  # the two attackers have the same vectors
    assert (leak.rank1.value, leak.linkability.value) == (0, 0)


def test_crossings_of_one_visit_are_looked_up_in_it_and_without_originals_there_are_none() -> None:
    records = _cross(reads_pixels=True)
    (crossed,) = measure_crossings([record for record in records if record.scan.session == "1"])
    assert crossed.group is Group.DEFACED_SAME_SCAN
    assert measure_crossings([record for record in records if record.scan.condition != ORIGINAL]) == ()


def test_a_recogniser_that_breaks_under_one_attacker_alone_lets_nothing_pass() -> None:
    broken = Face(Status.BACKEND_ERROR, "e", reason="the recogniser broke")
    undrawn = Face(Status.RENDER_FAILED, "e", reason="nothing in view")
    records = [
        _seen("a", "1", ORIGINAL, (1, 0)),
        _seen("a", "1", "cut", (1, 0), looks={"aligned": (broken,), "registered": (undrawn,)}),
    ]
    cohort = Cohort(tuple(record.scan for record in records), pd.DataFrame(index=["a"]))
    actual = {check.attack: check for check in check_scans(cohort, records) if check.name == "broken_attack"}
    assert {attack: check.decision for attack, check in actual.items()} == {
        "aligned": Decision.INCOMPLETE,
        "registered": Decision.REVIEW,
    }
    assert "1 of 1 scans made the recogniser fail: a/1/cut" in actual["aligned"].text


def test_what_is_found_on_a_scan_concerns_its_defacer_and_on_an_original_all() -> None:
    lost = Face(Status.UNREADABLE, "e", reason="no scan")
    unfit = (Finding("thick_slices", "unfit", "12 mm"),)
    records = [
        replace(_seen("a", "1", ORIGINAL, (1, 0)), digest="x"),
        replace(_seen("b", "1", ORIGINAL, (0, 1)), digest="y", findings=unfit),
        replace(_seen("a", "1", "copy", (1, 0)), digest="x"),
        replace(_seen("b", "1", "copy", (1, 0)), digest="z"),
        replace(_seen("a", "1", "cut", (1, 0)), digest="", face=lost),
        replace(_seen("b", "1", "cut", (1, 0)), digest="x"),  # another's original is not its own
        replace(_seen("a", "1", "wipe", (1, 0)), digest="v"),
    ]
    cohort = Cohort(tuple(record.scan for record in records), pd.DataFrame(index=["a", "b"]))
    actual = check_scans(cohort, records)
    assert [(check.name, check.condition, check.decision) for check in actual] == [
        ("same_voxels", "", Decision.REVIEW),  # a's original, its copy, and what is called b
        ("unfit_scans", "", Decision.REVIEW),
        ("original_in_release", "copy", Decision.FAIL),
        ("unseen_scans", "cut", Decision.INCOMPLETE),
    ]
    assert actual[2].text == "1 of 2 scans under a defacer's name equal their original, voxel by voxel: a/1/copy."
    assert "1 of 2 scans were not seen: a/1/cut" in actual[3].text


def test_originals_and_scans_without_a_portrait_stay_as_they_are() -> None:
    lost = FaceRecord(ScanRef("b", "1", "cut", Path("y.nii")), Face(Status.UNREADABLE, "e"))
    seen = [find_attack("aligned").looks_of(record) for record in (_record("a"), lost)]
    assert [[face.status for face in faces] for faces in seen] == [[Status.OK], [Status.UNREADABLE]]


@pytest.mark.slow
def test_attackers_on_synthetic_heads(demo_faces: tuple[Cohort, Engines, list[FaceRecord]]) -> None:
    """Every attacker gets a vector where naive sees no face, and aligned on an untouched scan is naive."""
    _, _, records = demo_faces
    removed = [record for record in records if record.scan.condition == "face-removal"]
    assert any(not record.face.acquired for record in removed)
    for record in removed:
        assert record.looks["aligned"][0].acquired
        assert record.looks["registered"][0].acquired
    scores = compare_attacks(records, choose_attacks()).frame
    assert set(scores["attack"]) == {"naive", "aligned", "registered", "shape", "fusion"}
    of_originals = scores[scores["group"].isin(["same", "different"])]
    assert set(of_originals["attack"]) == {"naive", "shape", "fusion"}
    actual = scores[(scores["condition"] == "face-removal") & (scores["attack"] == "aligned")]
    assert actual["distance"].notna().all()


@pytest.mark.slow
def test_looking_where_the_face_was_found_gives_the_same_vector() -> None:
    from reid_audit import extract_skin
    from reid_audit.phantom import make_phantom
    from reid_audit.render import frontal_view, make_renderer

    skin = extract_skin(make_phantom(1, 1).volume)
    encoder = make_encoder("dlib")
    with make_renderer("raycast") as renderer:
        portrait = renderer.render(skin, frontal_view(skin))
    face = encoder.encode(portrait)
    np.testing.assert_array_equal(encoder.encode_at(portrait, face).vector, face.vector)
    nowhere = encoder.encode_at(portrait, Face(Status.NO_FACE, "dlib"))
    assert nowhere.status is Status.NO_FACE
