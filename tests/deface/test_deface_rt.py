"""The eye-plane defacer on radiotherapy studies of synthetic heads, in every position, slice order and dose grid."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from rt_reader import draw_rois, name_rois, place_dose, read_ct, read_dose
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from reid_audit import Volume, read_volume
from reid_audit.deface import DefacedStudy, StudySettings, deface_study, find_study
from reid_audit.phantom import PhantomScan, make_phantom, write_rt_set
from reid_audit.phantom.organs import draw_organs
from reid_audit.records import Modality
from reid_audit.volume.contours import fill_loops

POSITIONS = ("HFS", "HFP", "FFS", "FFP")
SITES = ("oropharynx", "nose")
GONE = {f"{organ}_{side}" for organ in ("Eye", "Lens", "Cornea", "Glnd_Lacrimal") for side in "LR"}
BELOW = ("Bone_Mandible", "Parotid_L", "Parotid_R", "SpinalCord", "PTV_1", "CTV_1", "GTV_1")
SAFE = ("Brain", "Brainstem", "GTV_1", "CTV_1", "PTV_1", "GTV_2", "CTV_2", "PTV_2")


@dataclass(frozen=True)
class Case:
    """A study before and after, and what the phantom says should have happened."""

    scan: PhantomScan
    before: Path
    after: Path
    done: DefacedStudy
    masks: dict[str, np.ndarray]
    removed: np.ndarray
    cut_mm: tuple[float, float]  # RAS y and z above and in front of which nothing may be left


@pytest.fixture(scope="module")
def scan() -> PhantomScan:
    """6 x 3 x 3 mm: pixels that are no squares."""
    made = make_phantom(5, 1, spacing_mm=3.0, pose_sd_deg=4.0)
    volume = replace(
        made.volume,
        intensity=np.ascontiguousarray(made.volume.intensity[::2]),
        voxel_to_ras_mm=made.volume.voxel_to_ras_mm @ np.diag([2.0, 1.0, 1.0, 1.0]),
    )
    return replace(made, volume=volume, labels=np.ascontiguousarray(made.labels[::2]))


@pytest.fixture(scope="module")
def case_of(scan: PhantomScan, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Case]:
    known: dict[tuple[str, int], Case] = {}

    def make(position: str, order: int) -> Case:
        if (position, order) not in known:
            known[position, order] = _deface(scan, tmp_path_factory.mktemp("study"), position, order)
        return known[position, order]

    return make


def _deface(scan: PhantomScan, folder: Path, position: str, order: int) -> Case:
    turn = POSITIONS.index(position)
    write_rt_set(
        scan,
        folder / "before",
        position=position,
        slice_order=order,
        ptv=SITES,
        holes=("keyhole", "xor")[turn % 2],
        dose_position=POSITIONS[(turn + 1) % 4],
        dose_order=-order,
        dose_offsets=("relative", "absolute")[turn // 2],
        dose_shift_mm=(1.3, -2.2, 0.8),
        dose_spacing_mm=(5.0, 4.0, 4.5),
    )
    done = deface_study(find_study(folder / "before"), folder / "after", settings=StudySettings(salt="test"))
    masks = {organ.name: organ.mask for organ in draw_organs(scan, SITES)}
    eyes = masks["Eye_L"] | masks["Eye_R"]
    _, j, k = np.nonzero(eyes)
    removed = np.zeros_like(eyes)
    removed[:, int(np.floor(j.mean())) + 1 :, k.min() :] = True
    for name in SAFE:
        removed &= ~masks[name]
    y = scan.volume.voxel_to_ras_mm[1] @ (0, np.floor(j.mean()) + 0.5, 0, 1)
    z = scan.volume.voxel_to_ras_mm[2] @ (0, 0, k.min() - 0.5, 1)
    return Case(scan, folder / "before", folder / "after", done, masks, removed, (float(y), float(z)))


def _rois(path: Path) -> dict[str, list[pydicom.Dataset]]:
    ds = pydicom.dcmread(path)
    drawn = {item.ReferencedROINumber: item for item in ds.ROIContourSequence}
    return {item.ROIName: list(drawn[item.ROINumber].get("ContourSequence", [])) for item in ds.StructureSetROISequence}


def _voxels(contour: pydicom.Dataset, scan: PhantomScan) -> np.ndarray:
    lps = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
    ras = np.column_stack([lps * (-1, -1, 1), np.ones(len(lps))])
    return (ras @ np.linalg.inv(scan.volume.voxel_to_ras_mm).T)[:, :3]


def _mask(contours: list[pydicom.Dataset], scan: PhantomScan) -> np.ndarray:
    actual = np.zeros(scan.labels.shape, dtype=bool)
    for contour in contours:
        voxels = _voxels(contour, scan)
        actual[:, :, round(voxels[0, 2])] ^= fill_loops([voxels[:, :2]], actual.shape[:2])
    return actual


def _dose(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the dose on axes that grow to the right, front and top, and its affine: by SimpleITK, not by our reader.

    ITK takes planes as running along the normal from the first; the offsets say which way they do.
    """
    ds = pydicom.dcmread(path)
    values = ds.pixel_array.astype(float) * float(ds.DoseGridScaling)
    along, down = np.array(ds.ImageOrientationPatient, dtype=float).reshape(2, 3)
    offsets = np.array(ds.GridFrameOffsetVector, dtype=float)
    absolute = bool(offsets[0])
    normal = np.array([0.0, 0.0, 1.0]) if absolute else np.cross(along, down)
    matrix = np.eye(4)
    matrix[:3, 0] = along * float(ds.PixelSpacing[1])
    matrix[:3, 1] = down * float(ds.PixelSpacing[0])
    matrix[:3, 2] = normal * (offsets[1] - offsets[0])
    matrix[:3, 3] = np.array(ds.ImagePositionPatient, dtype=float)
    values, affine = values.T, np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix
    for axis in range(3):
        if affine[axis, axis] < 0:
            values = np.flip(values, axis)
            affine[:3, 3] += affine[:3, axis] * (values.shape[axis] - 1)
            affine[:3, axis] *= -1
    return values, affine


def _at(values: np.ndarray, affine: np.ndarray, ras: np.ndarray) -> np.ndarray:
    voxels = (np.column_stack([ras, np.ones(len(ras))]) @ np.linalg.inv(affine).T)[:, :3]
    return ndimage.map_coordinates(values, voxels.T, order=1, mode="constant")


# Every position, and either order twice; doses run the other way.
SOME = [("HFS", 1), ("HFP", -1), ("FFS", -1), ("FFP", 1)]


@pytest.mark.slow
@pytest.mark.parametrize(("position", "order"), SOME)
def test_pixels_change_in_the_cut_alone_and_become_air(
    case_of: Callable[[str, int], Case], position: str, order: int
) -> None:
    case = case_of(position, order)
    before, after = read_volume(case.before / "CT"), read_volume(case.after)
    np.testing.assert_array_equal(case.done.removed, case.removed)
    np.testing.assert_array_equal(after.intensity, np.where(case.removed, -1000.0, before.intensity))
    np.testing.assert_array_equal(after.voxel_to_ras_mm, before.voxel_to_ras_mm)
    target = case.masks["PTV_2"]
    assert (target & case.done.kept).sum() > 50  # the target of the nose does stand in front of the cut
    np.testing.assert_array_equal(after.intensity[target], before.intensity[target])


@pytest.mark.slow
@pytest.mark.parametrize(("position", "order"), SOME)
def test_structures_are_removed_clipped_or_as_they_were(
    case_of: Callable[[str, int], Case], position: str, order: int
) -> None:
    case = case_of(position, order)
    before, after = _rois(case.before / "RS.dcm"), _rois(case.after / "RS.dcm")
    assert set(before) - set(after) == GONE
    assert [name for name in before if name in after] == list(after)
    for name in {*BELOW, *SAFE}:
        assert [c.ContourData for c in before[name]] == [c.ContourData for c in after[name]], name
    for name in ("BODY", "Skin"):
        left = _mask(after[name], case.scan)
        np.testing.assert_array_equal(left, case.masks[name] & ~case.removed, err_msg=name)
        front, bottom = case.done.cut.front + 0.5, case.done.cut.bottom - 0.5
        near = ndimage.binary_dilation(case.done.kept, np.ones((3, 3, 1)))
        for contour in after[name]:
            voxels = _voxels(contour, case.scan)
            beyond = voxels[(voxels[:, 1] > front + 1e-3) & (voxels[:, 2] > bottom)]
            assert near[tuple(np.rint(beyond).astype(int).T)].all(), name
    untouched = [c.ContourData for c in before["BODY"] if _voxels(c, case.scan)[0, 2] < case.done.cut.bottom - 0.5]
    assert untouched == [c.ContourData for c in after["BODY"]][: len(untouched)]
    assert case.done.structures is not None
    assert set(case.done.structures.removed) == GONE
    assert set(case.done.structures.clipped) == {"BODY", "Skin"}


@pytest.mark.slow
@pytest.mark.parametrize(("position", "order"), SOME)
def test_dose_is_zero_in_the_cut_and_every_number_of_a_target_stays(
    case_of: Callable[[str, int], Case], position: str, order: int
) -> None:
    case = case_of(position, order)
    (before, affine), (after, affine_after) = _dose(case.before / "RD.dcm"), _dose(case.after / "RD.dcm")
    np.testing.assert_array_equal(affine, affine_after)
    indices = np.stack(np.meshgrid(*map(np.arange, before.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    ras = (indices @ affine[:3, :3].T + affine[:3, 3]).reshape(*before.shape, 3)
    y_mm, z_mm = case.cut_mm
    beyond = (ras[..., 1] > y_mm) & (ras[..., 2] > z_mm)
    np.testing.assert_array_equal(after[~beyond], before[~beyond])
    assert set(np.unique(after[beyond] == before[beyond])) == {True, False}
    assert ((after == before) | (after == 0)).all()

    matrix = case.scan.volume.voxel_to_ras_mm
    for name in SAFE:
        points = np.argwhere(case.masks[name]) @ matrix[:3, :3].T + matrix[:3, 3]
        np.testing.assert_array_equal(_at(after, affine, points), _at(before, affine, points), err_msg=name)
    safe = np.any([case.masks[name] for name in SAFE], axis=0)
    kept = np.argwhere(safe) @ matrix[:3, :3].T + matrix[:3, 3]
    left = ras[beyond & (after > 0)]
    reach = np.diag(affine)[:3] + np.diag(matrix)[:3] / 2
    gap = cKDTree(kept / reach).query(left / reach, p=np.inf)[0]
    assert gap.max() <= 1.001  # no dose farther from a target than one voxel of its own


@pytest.mark.slow
@pytest.mark.parametrize(("position", "order"), SOME)
def test_no_surface_stands_in_front_of_the_cut_but_the_islet(
    case_of: Callable[[str, int], Case], position: str, order: int
) -> None:
    """What a portrait can show: the surfaces of the scan, of the body contour, and of the dose at 2 Gy."""
    case = case_of(position, order)
    matrix = case.scan.volume.voxel_to_ras_mm
    y_mm, z_mm = case.cut_mm
    kept = np.argwhere(case.done.kept) @ matrix[:3, :3].T + matrix[:3, 3]

    def reach_mm(volume: Volume, level: float) -> float:
        """Largest distance of a point in front of the cut to a kept voxel."""
        padded = np.pad(volume.intensity, 1, constant_values=float(volume.intensity.min()))
        points = marching_cubes(padded, level)[0] - 1
        points = points @ volume.voxel_to_ras_mm[:3, :3].T + volume.voxel_to_ras_mm[:3, 3]
        spare = np.array(volume.spacing_mm)  # a surface lies up to a voxel away from the centres it separates
        front = points[(points[:, 1] > y_mm + spare[1]) & (points[:, 2] > z_mm + spare[2])]
        if not len(front):
            return 0.0
        return float(cKDTree(kept / spare / 2).query(front / spare / 2, p=np.inf)[0].max())

    def as_volume(values: np.ndarray, affine: np.ndarray) -> Volume:
        return Volume(np.ascontiguousarray(values, dtype=np.float32), affine, Modality.MR)

    for folder, far in ((case.before, True), (case.after, False)):
        study = read_volume(folder / "CT" if far else folder)
        body = _mask(_rois(folder / "RS.dcm")["BODY"], case.scan)
        dose, affine = _dose(folder / "RD.dcm")
        for volume, level in (
            (study, -300.0),
            (as_volume(body * 100.0, matrix), 50.0),
            (as_volume(dose, affine), 2.0),
        ):
            assert (reach_mm(volume, level) > 2) is far


@pytest.mark.slow
@pytest.mark.parametrize(("position", "order"), SOME)
def test_files_are_new_ones_that_belong_together(
    case_of: Callable[[str, int], Case], position: str, order: int
) -> None:
    case = case_of(position, order)
    before = {p.name: pydicom.dcmread(p) for p in sorted(case.before.rglob("*.dcm"))}
    after = {p.name: pydicom.dcmread(p) for p in sorted(case.after.glob("*.dcm"))}
    assert set(before) == set(after)
    old = {ds.SOPInstanceUID for ds in before.values()} | {ds.SeriesInstanceUID for ds in before.values()}
    for name, ds in after.items():
        assert ds.SOPInstanceUID not in old
        assert ds.SeriesInstanceUID not in old
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert ds.StudyInstanceUID == before[name].StudyInstanceUID
        assert ds.FrameOfReferenceUID == before[name].FrameOfReferenceUID
        assert ds.PatientIdentityRemoved == "YES"  # as the input says
        assert ds.DeidentificationMethod[1].startswith("reid-audit eye-plane")
        assert ds.DeidentificationMethodCodeSequence[0].CodeValue == "113102"
        assert not old & {str(e.value) for e in ds.iterall() if e.VR == "UI"}
    slices = {ds.SOPInstanceUID: ds for name, ds in after.items() if name.startswith("CT")}
    rs, rd = after["RS.dcm"], after["RD.dcm"]
    series = rs.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert {series.SeriesInstanceUID} == {ds.SeriesInstanceUID for ds in slices.values()}
    assert {i.ReferencedSOPInstanceUID for i in series.ContourImageSequence} == set(slices)
    for drawn in rs.ROIContourSequence:
        for contour in drawn.get("ContourSequence", []):
            on = slices[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
            assert float(on.ImagePositionPatient[2]) == pytest.approx(float(contour.ContourData[2]), abs=2e-3)
            assert contour.NumberOfContourPoints * 3 == len(contour.ContourData)
    assert rd.ReferencedStructureSetSequence[0].ReferencedSOPInstanceUID == rs.SOPInstanceUID
    there = {item.ROINumber for item in rs.StructureSetROISequence}
    assert {i.DVHReferencedROISequence[0].ReferencedROINumber for i in rd.DVHSequence} <= there
    assert sitk.ReadImage(str(case.after / "RD.dcm")).GetSize()[2] == rd.NumberOfFrames
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(case.after), series.SeriesInstanceUID)
    assert len(names) == len(slices)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy (Debian: dicom3tools)")
@pytest.mark.parametrize(("position", "order"), SOME)
def test_dciodvfy_finds_no_new_error(case_of: Callable[[str, int], Case], position: str, order: int) -> None:
    case = case_of(position, order)

    def errors(path: Path) -> set[str]:
        said = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False).stderr
        return {re.sub(r"\[\d+\]", "", line) for line in said.splitlines() if "Error" in line}  # items move up

    top = f"CT{len(list((case.before / 'CT').iterdir())):04d}.dcm"
    for name in ("CT0001.dcm", top, "RS.dcm", "RD.dcm"):
        old = case.before / ("CT" if name.startswith("CT") else "") / name
        assert errors(case.after / name) <= errors(old)


@dataclass(frozen=True)
class Aligned:
    """What tells that scan, contours and dose lie on each other, read by other software than ours."""

    body_dice: float  # of the body contour and what is no air
    tissue_outside: int  # voxels
    dose_outside_gy: float  # the largest that lies farther from the body contour than a voxel of the dose
    target_gy: float  # the smallest in the target of the oropharynx


def _align(ct: sitk.Image, masks: dict[str, np.ndarray], dose: sitk.Image) -> Aligned:
    tissue = sitk.GetArrayFromImage(ct).T > -300
    body, target = masks["BODY"], masks["PTV_1"]
    whole = ndimage.binary_fill_holes(tissue)
    gy = place_dose(dose, ct)
    return Aligned(
        2.0 * float((body & whole).sum()) / float(body.sum() + whole.sum()),
        int((tissue & ~body).sum()),
        float(gy[~ndimage.binary_dilation(body, np.ones((3, 5, 5)))].max()),
        float(gy[target].min()),
    )


@pytest.mark.slow
@pytest.mark.parametrize(("position", "order"), SOME)
def test_contours_scan_and_dose_still_lie_on_each_other(
    case_of: Callable[[str, int], Case], position: str, order: int
) -> None:
    """By SimpleITK, which has its own idea of where slices and planes lie, and matplotlib, which fills the contours."""
    case = case_of(position, order)
    scans = [read_ct(case.before / "CT"), read_ct(case.after)]
    doses = [read_dose(folder / "RD.dcm") for folder in (case.before, case.after)]
    sets = [pydicom.dcmread(folder / "RS.dcm") for folder in (case.before, case.after)]
    assert set(name_rois(sets[0]).values()) - set(name_rois(sets[1]).values()) == GONE
    stays = {"PTV_1", "PTV_2", "Brain", "Parotid_L"}
    before, after = (
        draw_rois(rois, stays | more, scans[0])
        for rois, more in zip(sets, ({"BODY", "Eye_L", "Eye_R"}, {"BODY"}), strict=True)
    )
    aligned, still = _align(scans[0], before, doses[0]), _align(scans[1], after, doses[1])
    assert aligned.body_dice > 0.98
    assert aligned.dose_outside_gy == 0
    assert aligned.target_gy > 69
    assert still.body_dice > 0.98
    assert still.tissue_outside <= aligned.tissue_outside
    assert still.dose_outside_gy == 0
    assert still.target_gy == aligned.target_gy

    for name in before:
        np.testing.assert_array_equal(before[name], case.masks[name], err_msg=name)
    values = [(sitk.GetArrayFromImage(ct).T, place_dose(dose, ct)) for ct, dose in zip(scans, doses, strict=True)]
    for name in stays:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
        for old, new in zip(*values, strict=True):
            np.testing.assert_array_equal(new[before[name]], old[before[name]], err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_study_that_slipped_by_two_voxels_is_seen_to_have(case_of: Callable[[str, int], Case], axis: int) -> None:
    """The test above can fail: on a scan, or a dose, that is beside its contours."""
    case = case_of("HFP", -1)
    ct, dose = read_ct(case.after), read_dose(case.after / "RD.dcm")
    step = np.zeros(3)
    step[axis] = 2 * ct.GetSpacing()[axis]
    slipped = ct[:]
    slipped.SetOrigin((np.array(ct.GetOrigin()) + step).tolist())
    rois = pydicom.dcmread(case.after / "RS.dcm")
    masks, beside = (draw_rois(rois, {"BODY", "PTV_1"}, image) for image in (ct, slipped))
    assert _align(slipped, beside, dose).tissue_outside > 5 * _align(ct, masks, dose).tissue_outside
    moved = dose[:]
    moved.SetOrigin((np.array(dose.GetOrigin()) + 3 * step).tolist())
    assert _align(ct, masks, moved).target_gy < 60


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # dicompyler-core was written for pydicom 2
@pytest.mark.parametrize(("position", "order"), SOME)
def test_histograms_of_what_stayed_are_the_same(
    case_of: Callable[[str, int], Case], position: str, order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By dicompyler-core, which reads contours and dose on its own: they still lie on each other."""
    monkeypatch.setattr("pydicom.dicomio.read_file", pydicom.dcmread, raising=False)
    dvhcalc = pytest.importorskip("dicompylercore.dvhcalc")
    case = case_of(position, order)
    numbers = {name: number for number, name in name_rois(pydicom.dcmread(case.before / "RS.dcm")).items()}

    def count(folder: Path, name: str) -> Any:
        return dvhcalc.get_dvh(str(folder / "RS.dcm"), _with_relative_offsets(folder / "RD.dcm"), numbers[name])

    for name, at_least in (("PTV_1", 69.0), ("PTV_2", 25.0), ("Bone_Mandible", 5.0), ("Brain", 5.0)):
        before, after = (count(folder, name) for folder in (case.before, case.after))
        assert before.volume > 1
        assert before.min > at_least
        np.testing.assert_allclose(after.counts, before.counts, err_msg=name)


def _with_relative_offsets(path: Path) -> pydicom.Dataset:
    """Write the places of a dose's planes in the one form that dicompyler-core reads right; the planes stay there."""
    ds = pydicom.dcmread(path)
    offsets = np.array(ds.GridFrameOffsetVector, dtype=float)
    if offsets[0]:
        row, column = np.array(ds.ImageOrientationPatient, dtype=float).reshape(2, 3)
        ds.GridFrameOffsetVector = [f"{v:.4f}" for v in (offsets - offsets[0]) * np.cross(row, column)[2]]
    return ds
