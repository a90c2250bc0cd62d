"""The eye-plane defacer where a study is not as one would like it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from reid_audit import InputError, read_volume
from reid_audit.deface import StudySettings, deface_study, find_study
from reid_audit.deface.eye_plane import EyeCut, cut_at_skin
from reid_audit.deface.label_map import deface_labels
from reid_audit.phantom import LABELS, PhantomScan, make_phantom, write_rt_set
from reid_audit.volume.roles import Role, StructureNames

Change = Callable[[Any], None]


@pytest.fixture(scope="module")
def scan() -> PhantomScan:
    return make_phantom(5, 1, spacing_mm=5.0, pose_sd_deg=0.0)


@pytest.fixture
def study(scan: PhantomScan, tmp_path: Path) -> Path:
    write_rt_set(scan, tmp_path / "study", ptv=["nose"], dose_spacing_mm=(6.0, 6.0, 6.0))
    return tmp_path / "study"


def _edit(path: Path, change: Change) -> None:
    ds = pydicom.dcmread(path)
    change(ds)
    ds.save_as(path)


def _drawn(ds: Any, name: str) -> Any:
    number = next(i.ROINumber for i in ds.StructureSetROISequence if i.ROIName == name)
    return next(i for i in ds.ROIContourSequence if i.ReferencedROINumber == number)


def _rename(old: str, new: str) -> Change:
    def change(ds: Any) -> None:
        next(i for i in ds.StructureSetROISequence if i.ROIName == old).ROIName = new

    return change


# --- which structures ---


@pytest.mark.parametrize(
    ("name", "kind", "role"),
    [
        ("Eye_L", "ORGAN", Role.EYES),
        ("EYE RIGHT", "", Role.EYES),
        ("Lt Eye", "", Role.EYES),
        ("Eyes", "", Role.EYES),
        ("globe-r", "", Role.EYES),
        ("eyeball_left", "", Role.EYES),
        ("eye_left", "", Role.EYES),
        ("Eye_L_PRV03", "", Role.REMOVED),
        ("Lens_R", "", Role.REMOVED),
        ("R_Lens", "", Role.REMOVED),
        ("Cornea_L", "", Role.REMOVED),
        ("Glnd_Lacrimal_L", "", Role.REMOVED),
        ("Eyelids", "", Role.REMOVED),
        ("PTVp1_7000", "", Role.TARGET),
        ("gtv-n", "", Role.TARGET),
        ("Boost", "CTV", Role.TARGET),
        ("PTV_Eye", "PTV", Role.TARGET),
        ("PTV_ring", "", Role.OTHER),
        ("PTV minus body", "", Role.OTHER),
        ("NotPTV", "", Role.OTHER),
        ("Brain", "", Role.BRAIN),
        ("Brainstem", "", Role.BRAIN),
        ("Brain_PRV10", "", Role.OTHER),
        ("BODY", "EXTERNAL", Role.OTHER),
        ("OpticNrv_L", "", Role.OTHER),
        ("Keyed", "", Role.OTHER),
        ("OEIL GAUCHE", "", Role.EYES),
        ("Œil_D", "", Role.EYES),
        ("AUGE LI", "", Role.EYES),
        ("Auge re.", "", Role.EYES),
        ("OCCHIO SX", "", Role.EYES),
        ("Ojo izquierdo", "", Role.EYES),
        ("olho_dir", "", Role.EYES),
        ("Oog Links", "", Role.EYES),
        ("Cristallin G", "", Role.REMOVED),
        ("Cornée_D", "", Role.REMOVED),
        ("Tränendrüse_li", "", Role.REMOVED),
        ("zPTV_70", "", Role.TARGET),
        ("70 PTV", "", Role.TARGET),
        ("Zielvolumen", "", Role.TARGET),
        ("Tumour_L", "", Role.TARGET),
        ("Gehirn", "", Role.BRAIN),
        ("Globus_Pallidus", "", Role.OTHER),
        ("Bulbus_Olfactorius", "", Role.OTHER),
        ("Oculomotorius", "", Role.OTHER),
        ("Loge_parotide", "", Role.OTHER),
    ],
)
def test_names_tell_the_role(name: str, kind: str, role: Role) -> None:
    assert StructureNames().role_of(name, kind) is role


def test_names_of_another_clinic(tmp_path: Path) -> None:
    table = tmp_path / "names.toml"
    table.write_text('eyes = ["mata"]\n')
    names = StructureNames.read(table)
    roles = [names.role_of(name) for name in ("Mata_L", "Kerk mata", "PTV")]
    assert roles == [Role.EYES, Role.OTHER, Role.TARGET]
    assert [names.is_body(n) for n in ("BODY", "Körper", "Peau", "Body-PTV")] == [True, True, True, False]
    targets = {"PTV_70": True, "zPTV": True, "70_PTV": True, "CTV": False, "PTV_ring": False}
    assert {name: names.is_planning_target(name) for name in targets} == targets
    wrong = {'eye = ["x"]': "'eye' must be one of", 'eyes = "x"': "list of expressions", "=": "no TOML"}
    for text, words in wrong.items():
        table.write_text(text)
        with pytest.raises(InputError, match=rf"names\.toml.*{words}"):
            StructureNames.read(table)


def test_other_names_can_be_given(study: Path, tmp_path: Path) -> None:
    _edit(study / "RS.dcm", _rename("Eye_L", "Linker Seher"))
    _edit(study / "RS.dcm", _rename("Eye_R", "Rechter Seher"))
    with pytest.raises(InputError, match=r"RS\.dcm: shows no eye .*Linker Seher.*--eye-names.*--eyes-from-portrait"):
        deface_study(find_study(study), tmp_path / "out")
    done = deface_study(
        find_study(study), tmp_path / "out", settings=StudySettings(names=StructureNames(eyes=("seher",)))
    )
    assert done.removed.any()
    assert done.structures is not None
    assert {"Linker Seher", "Rechter Seher"} <= set(done.structures.removed)
    with pytest.raises(InputError, match="not a regular expression"):
        StructureNames(eyes=("(",))


# --- eyes ---


def _cut_of(study: Path, out: Path) -> tuple[EyeCut, tuple[str, ...]]:
    done = deface_study(find_study(study), out)
    return done.cut, done.notes


def test_one_eye_is_followed_alone(study: Path, tmp_path: Path) -> None:
    both, notes = _cut_of(study, tmp_path / "both")
    assert not any("one eye" in note for note in notes)

    def drop(ds: Any) -> None:
        del _drawn(ds, "Eye_L").ContourSequence

    _edit(study / "RS.dcm", drop)
    each, notes = _cut_of(study, tmp_path / "one")
    assert any("one eye is drawn" in note for note in notes)
    assert abs(each.front - both.front) <= 1
    assert abs(each.bottom - both.bottom) <= 1


def test_an_eye_on_one_slice_gives_a_cut(study: Path, tmp_path: Path) -> None:
    def keep_one(ds: Any) -> None:
        del _drawn(ds, "Eye_L").ContourSequence
        drawn = _drawn(ds, "Eye_R")
        drawn.ContourSequence = [drawn.ContourSequence[1]]

    whole, _ = _cut_of(study, tmp_path / "whole")
    _edit(study / "RS.dcm", keep_one)
    cut, notes = _cut_of(study, tmp_path / "one")
    assert cut.bottom >= whole.bottom
    assert any("on one slice" in note for note in notes)


def test_several_contours_of_one_eye_on_a_slice_count_together(study: Path, tmp_path: Path) -> None:
    whole, _ = _cut_of(study, tmp_path / "whole")

    def split(ds: Any) -> None:
        drawn = _drawn(ds, "Eye_R")
        parts = []
        for contour in drawn.ContourSequence:
            xyz = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
            for half in (np.minimum, np.maximum):  # left and right of its middle, cut by a straight line
                side = xyz.copy()
                side[:, 0] = half(side[:, 0], xyz[:, 0].mean() + 0.01)
                item = Dataset()
                item.update(contour)
                item.ContourData, item.NumberOfContourPoints = [f"{v:.3f}" for v in side.ravel()], len(side)
                parts.append(item)
        drawn.ContourSequence = parts

    _edit(study / "RS.dcm", split)
    assert _cut_of(study, tmp_path / "split")[0] == whole


def test_eyes_outside_the_scan_are_an_error(study: Path, tmp_path: Path) -> None:
    def lift(ds: Any) -> None:
        for name in ("Eye_L", "Eye_R"):
            for contour in _drawn(ds, name).ContourSequence:
                xyz = np.array(contour.ContourData, dtype=float).reshape(-1, 3) + np.array([0, 0, 500])
                contour.ContourData = [f"{v:.3f}" for v in xyz.ravel()]

    _edit(study / "RS.dcm", lift)
    with pytest.raises(InputError, match="eyes lie outside the scan"):
        deface_study(find_study(study), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_contours_outside_the_image_are_clipped_too(study: Path, tmp_path: Path) -> None:
    """A bolus above the last slice and one beside the columns: what is in front of the cut goes."""

    def add(ds: Any) -> None:
        top = max(float(c.ContourData[2]) for c in _drawn(ds, "BODY").ContourSequence)
        drawn = _drawn(ds, "Skin")
        boxes = [(-20, -300, top + 40), (-2000, -300, top)]  # LPS: y = -300 is far in front, y = 100 behind
        for x, y, z in boxes:
            item = Dataset()
            item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", 4
            corners = [(x, y, z), (x + 40, y, z), (x + 40, 100, z), (x, 100, z)]
            item.ContourData = [f"{v:.3f}" for v in np.ravel(corners)]
            drawn.ContourSequence.append(item)
        point = Dataset()
        point.ContourGeometricType, point.NumberOfContourPoints = "POINT", 1
        point.ContourData = ["0", "-300", f"{top:.3f}"]
        _drawn(ds, "SpinalCord").ContourSequence.append(point)

    _edit(study / "RS.dcm", add)
    done = deface_study(find_study(study), tmp_path / "out")
    after = pydicom.dcmread(tmp_path / "out" / "RS.dcm")
    front_y = -(done.voxel_to_ras_mm[1, 1] * (done.cut.front + 0.5) + done.voxel_to_ras_mm[1, 3])
    for contour in _drawn(after, "Skin").ContourSequence[-2:]:
        y = np.array(contour.ContourData, dtype=float)[1::3]
        assert y.min() == pytest.approx(front_y, abs=1e-3)
        assert y.max() == 100
    kinds = [c.ContourGeometricType for c in _drawn(after, "SpinalCord").ContourSequence]
    assert "POINT" not in kinds


def test_a_structure_all_in_front_keeps_its_name_alone(study: Path, tmp_path: Path) -> None:
    def move(ds: Any) -> None:
        top = max(float(c.ContourData[2]) for c in _drawn(ds, "BODY").ContourSequence)
        contour = _drawn(ds, "SpinalCord").ContourSequence[0]
        contour.ContourData = [f"{v:.3f}" for v in (-5, -300, top, 5, -300, top, 0, -290, top)]
        contour.NumberOfContourPoints = 3
        _drawn(ds, "SpinalCord").ContourSequence = [contour]

    _edit(study / "RS.dcm", move)
    done = deface_study(find_study(study), tmp_path / "out")
    assert done.structures is not None
    assert done.structures.emptied == ("SpinalCord",)
    assert "ContourSequence" not in _drawn(pydicom.dcmread(tmp_path / "out" / "RS.dcm"), "SpinalCord")


def test_a_target_drawn_on_every_third_slice_keeps_the_slices_between(study: Path, tmp_path: Path) -> None:
    full = deface_study(find_study(study), tmp_path / "full")

    def thin(ds: Any) -> None:
        for name in ("PTVp", "CTVp", "GTVp"):
            drawn = _drawn(ds, name)
            drawn.ContourSequence = list(drawn.ContourSequence)[::2]

    _edit(study / "RS.dcm", thin)
    done = deface_study(find_study(study), tmp_path / "thin")
    assert done.kept.sum() >= full.kept.sum() * 0.9
    assert set(np.flatnonzero(done.kept.any(axis=(0, 1)))) >= set(np.flatnonzero(full.kept.any(axis=(0, 1)))[:-1])


# --- files ---


def test_the_same_salt_gives_the_same_files_and_none_gives_new_ones(study: Path, tmp_path: Path) -> None:
    for name, salt in (("a", "s"), ("b", "s"), ("c", None), ("d", None)):
        deface_study(find_study(study), tmp_path / name, settings=StudySettings(salt=salt))
    actual = [pydicom.dcmread(tmp_path / n / "RD.dcm").SOPInstanceUID for n in "abcd"]
    assert actual[0] == actual[1]
    assert len(set(actual)) == 3
    assert (tmp_path / "a" / "CT0003.dcm").read_bytes() == (tmp_path / "b" / "CT0003.dcm").read_bytes()


@pytest.mark.parametrize("keep", [False, True])
def test_private_elements_thumbnails_and_claims(study: Path, tmp_path: Path, keep: bool) -> None:
    def add(ds: Any) -> None:
        ds.private_block(0x0099, "VENDOR", create=True).add_new(1, "OB", b"a picture of the face")
        ds.private_block(0x0099, "VENDOR").add_new(2, "UI", ds.SeriesInstanceUID)
        inside = Dataset()
        inside.private_block(0x0099, "VENDOR", create=True).add_new(1, "LO", "deep")
        inside.ReferencedSOPClassUID, inside.ReferencedSOPInstanceUID = "1.2.3", "1.2.3.4"
        ds.ReferencedImageSequence = [inside]
        icon = Dataset()
        icon.Rows = icon.Columns = 2
        ds.IconImageSequence = [icon]
        del ds.PatientIdentityRemoved
        ds.DeidentificationMethod = ["Basic", "Clean"]
        ds.add_new("SmallestImagePixelValue", "US", 0)
        ds.add_new("LargestImagePixelValue", "US", 9999)
        ds.preamble = b"II*\0" + b"\1" * 124

    for path in (study / "CT").iterdir():
        _edit(path, add)
    deface_study(find_study(study), tmp_path / "out", settings=StudySettings(keep_private=keep, identity_removed=keep))
    top = sorted((tmp_path / "out").glob("CT*.dcm"))[-1]
    ds = pydicom.dcmread(top)
    private = [e for e in ds.iterall() if e.tag.is_private]
    assert bool(private) is keep
    assert "IconImageSequence" not in ds
    assert ds.preamble == b"\0" * 128
    assert ds.PatientIdentityRemoved == ("YES" if keep else "NO")
    assert list(ds.DeidentificationMethod)[:2] == ["Basic", "Clean"]
    assert (ds.SmallestImagePixelValue, ds.LargestImagePixelValue) == (ds.pixel_array.min(), ds.pixel_array.max())
    assert ds.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"  # of another study: stays
    if keep:
        assert {str(e.value) for e in private if e.VR == "UI"} == {ds.SeriesInstanceUID}


def test_compressed_and_signed_pixels_are_read(study: Path, tmp_path: Path) -> None:
    expected = deface_study(find_study(study), tmp_path / "plain", settings=StudySettings(salt="x"))

    def recode(ds: Any) -> None:
        hu = ds.pixel_array.astype(np.int16) - 1024
        ds.PixelData, ds.PixelRepresentation, ds.RescaleIntercept = hu.tobytes(), 1, "0"
        ds.compress(RLELossless, generate_instance_uid=False)

    for path in (study / "CT").iterdir():
        _edit(path, recode)
    done = deface_study(find_study(study), tmp_path / "packed", settings=StudySettings(salt="x"))
    np.testing.assert_array_equal(done.removed, expected.removed)
    a, b = read_volume(tmp_path / "plain"), read_volume(tmp_path / "packed")
    np.testing.assert_array_equal(a.intensity, b.intensity)


def test_a_result_is_never_overwritten(study: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    deface_study(find_study(study), tmp_path / "out")
    with pytest.raises(InputError, match="is there already"):
        deface_study(find_study(study), tmp_path / "out")


def test_slices_alone_take_what_lies_beside_them(study: Path, tmp_path: Path) -> None:
    actual = find_study(study / "CT")
    assert actual.structures == study.absolute() / "RS.dcm"
    assert actual.doses == (study.absolute() / "RD.dcm",)
    (study / "second.dcm").write_bytes((study / "RS.dcm").read_bytes())
    (study / "notes.txt").write_text("not DICOM")
    with pytest.raises(InputError, match="2 structure sets"):
        find_study(study)
    chosen = find_study(study, structures=study / "second.dcm")
    assert chosen.structures == study / "second.dcm"
    assert chosen.notes == ("1 other files of the folder were left out",)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no DICOM image"):
        find_study(tmp_path / "empty")


def test_of_several_series_the_one_that_was_drawn_on_is_taken(study: Path, scan: PhantomScan, tmp_path: Path) -> None:
    other = write_rt_set(scan, tmp_path / "other", seed=9)
    other.ct.rename(study / "CT2")
    actual = find_study(study)
    assert {path.parent.name for path in actual.images} == {"CT"}
    assert [len(series) for series in actual.further] == [len(actual.images)]


def test_another_frame_of_reference_is_refused(study: Path, tmp_path: Path) -> None:
    def move(ds: Any) -> None:
        ds.FrameOfReferenceUID = "1.2.3"

    _edit(study / "RD.dcm", move)
    with pytest.raises(InputError, match=r"RD\.dcm: belongs to another frame"):
        deface_study(find_study(study), tmp_path / "out")

    def restructure(ds: Any) -> None:
        for item in ds.StructureSetROISequence:
            item.ReferencedFrameOfReferenceUID = "1.2.3"

    (study / "RD.dcm").unlink()
    _edit(study / "RS.dcm", restructure)
    with pytest.raises(InputError, match=r"RS\.dcm: belongs to another frame"):
        deface_study(find_study(study), tmp_path / "out")


def test_a_dose_that_runs_the_wrong_way_is_refused(study: Path, tmp_path: Path) -> None:
    def turn(ds: Any) -> None:
        ds.GridFrameOffsetVector = [-float(v) for v in ds.GridFrameOffsetVector]

    _edit(study / "RD.dcm", turn)
    with pytest.raises(InputError, match=r"RD\.dcm: only \d+% of its planes lie within the scan"):
        deface_study(find_study(study), tmp_path / "out")


def test_a_dose_with_a_plane_missing_is_refused(study: Path, tmp_path: Path) -> None:
    def lose(ds: Any) -> None:
        ds.GridFrameOffsetVector = list(ds.GridFrameOffsetVector)[:-1]

    _edit(study / "RD.dcm", lose)
    with pytest.raises(InputError, match="GridFrameOffsetVector"):
        deface_study(find_study(study), tmp_path / "out")


def test_histograms_of_structures_that_are_gone_go_too(study: Path, tmp_path: Path) -> None:
    numbers = {i.ROIName: i.ROINumber for i in pydicom.dcmread(study / "RS.dcm").StructureSetROISequence}
    before, after = pydicom.dcmread(study / "RD.dcm"), None
    deface_study(find_study(study), tmp_path / "out")
    after = pydicom.dcmread(tmp_path / "out" / "RD.dcm")

    def seen(ds: Any) -> set[int]:
        return {int(i.DVHReferencedROISequence[0].ReferencedROINumber) for i in ds.DVHSequence}

    gone = {int(n) for name, n in numbers.items() if name.startswith(("Eye", "Lens", "Cornea", "Glnd_Lac"))}
    assert seen(before) - seen(after) == gone & seen(before)
    assert numbers["PTVp"] in seen(after)


# --- without contours ---


def test_eyes_known_by_their_place_on_the_skin(study: Path, scan: PhantomScan, tmp_path: Path) -> None:
    """The same cut within a voxel as by contours, from points 14 mm before the eyes' centres."""
    matrix = scan.volume.voxel_to_ras_mm
    centres = [
        matrix[:3, :3] @ np.argwhere(scan.labels == LABELS[name]).mean(axis=0) + matrix[:3, 3]
        for name in ("eye_left", "eye_right")
    ]
    points = [tuple(centre + np.array([0, 14.0, 0])) for centre in centres]
    drawn = deface_study(find_study(study), tmp_path / "drawn")
    told = deface_study(find_study(study), tmp_path / "told", eyes_ras_mm=points)
    assert abs(told.cut.front - drawn.cut.front) <= 1
    assert abs(told.cut.bottom - drawn.cut.bottom) <= 1
    assert any("portrait" in note for note in told.notes)
    (study / "RS.dcm").unlink()
    bare = deface_study(find_study(study), tmp_path / "bare", eyes_ras_mm=points)
    assert bare.kept.sum() == 0
    assert any("no structure set" in note for note in bare.notes)
    assert not (tmp_path / "bare" / "RS.dcm").exists()
    with pytest.raises(InputError, match="shows no eye"):
        deface_study(find_study(study), tmp_path / "none")


@pytest.mark.parametrize("points", [[], [(np.nan, 0, 0)]])
def test_points_that_are_none_are_refused(points: list[tuple[float, float, float]]) -> None:
    with pytest.raises(InputError, match="eyes_ras_mm"):
        cut_at_skin(points, np.eye(4))


# --- label maps ---


def test_a_label_map_is_cut_like_a_study(study: Path, scan: PhantomScan, tmp_path: Path) -> None:
    labels = scan.labels.astype(np.int32)
    rs = pydicom.dcmread(study / "RS.dcm")
    names = {i.ROIName: i.ROINumber for i in rs.StructureSetROISequence}
    assert "PTVp" in names
    done = deface_study(find_study(study, doses=[study / "RD.dcm"]), tmp_path / "out")
    from reid_audit.phantom.organs import draw_organs

    ptv = next(o.mask for o in draw_organs(scan, ["nose"]) if o.name == "PTVp")
    values = {**LABELS, "PTVp": 50}
    with_target = np.where(ptv & ~np.isin(labels, [LABELS["eye_left"], LABELS["eye_right"]]), 50, labels)
    cut = deface_labels(scan.volume, with_target, values)
    assert cut.cut == done.cut
    np.testing.assert_array_equal(cut.removed, done.removed | (cut.removed & ptv))
    np.testing.assert_array_equal(cut.volume.intensity, np.where(cut.removed, np.float32(-1000), scan.volume.intensity))
    assert not np.isin(cut.labels, [LABELS["eye_left"], LABELS["eye_right"]]).any()
    behind = np.isin(labels, [LABELS["eye_left"], LABELS["eye_right"]]) & ~cut.removed
    assert (cut.labels[behind] == LABELS["skin"]).all()
    assert (cut.labels[cut.removed] == 0).all()
    assert (cut.labels == 50).sum() == (with_target == 50).sum()
    with pytest.raises(InputError, match=r"holds no eye.*brain"):
        deface_labels(scan.volume, labels, {"brain": 2})
    with pytest.raises(InputError, match="grid"):
        deface_labels(scan.volume, labels[1:], values)
