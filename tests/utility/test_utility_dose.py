"""Dose against formulae and dicompyler-core; contours against shapes that a reader can draw."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pydicom
import pytest
from rt_files import write_rtdose, write_rtstruct

from reid_audit import InputError, Volume
from reid_audit.records import Grid, Modality
from reid_audit.utility import Dose, Structure, dose_at_volume, dvh, measure_dose, read_dose, read_rtstruct
from reid_audit.utility.dose import sample_dose
from reid_audit.utility.structures import crop_mask
from reid_audit.volume import write_volume

UNIT = np.eye(4)


def _affine(spacing: tuple[float, float, float], origin: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return affine


def _box(name: str, low: tuple[int, int, int], high: tuple[int, int, int]) -> Structure:
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    return Structure(name, box, np.ones([s.stop - s.start for s in box], dtype=bool))


def _ball(radius_mm: float, affine: np.ndarray, shape: tuple[int, int, int]) -> Structure:
    at = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"))
    ras = np.tensordot(affine[:3, :3], at, axes=1) + affine[:3, 3][:, None, None, None]
    structure = crop_mask("ball", (ras**2).sum(axis=0) <= radius_mm**2)
    assert structure is not None
    return structure


def _dose_of(formula, spacing: tuple[float, float, float], origin: tuple[float, float, float], shape) -> Dose:
    at = np.stack(
        np.meshgrid(*[o + s * np.arange(n) for o, s, n in zip(origin, spacing, shape, strict=True)], indexing="ij")
    )
    return Dose(formula(*at).astype(np.float32), _affine(spacing, origin))


# --- D(V) and DVH ---


def test_the_dose_of_a_volume_by_hand() -> None:
    doses = np.array([40.0, 30.0, 20.0, 10.0])  # points of 1 cm3 at 0.5, 1.5, 2.5, 3.5 cm3
    assert dose_at_volume(doses, 1.0, 0.2) == 40
    assert dose_at_volume(doses, 1.0, 1.0) == 35
    assert dose_at_volume(doses, 1.0, 2.5) == 20
    assert dose_at_volume(doses, 1.0, 4.0) == 10
    assert math.isnan(dose_at_volume(doses, 1.0, 4.1))
    assert math.isnan(dose_at_volume(np.empty(0), 1.0, 0.01))


def test_the_histogram_by_hand() -> None:
    np.testing.assert_allclose(dvh([10, 20, 30, 40], [0, 10, 15, 40, 41]), [1, 1, 0.75, 0.25, 0])
    assert np.isnan(dvh([], [1.0])).all()


@pytest.mark.parametrize("grid", [((2.5, 2.5, 2.5), (-7.3, -6.1, -5.7)), ((4.0, 3.0, 5.0), (-6.0, -8.5, -9.9))])
def test_a_slope_of_dose_in_a_box(grid: tuple) -> None:
    """20 + 0.8 Gy/mm x in a box: the hottest V lie in a slab of V / area, however the coarse dose grid is shifted."""
    dose = _dose_of(lambda x, y, z: 20 + 0.8 * x + 0 * y * z, *grid, (20, 20, 20))
    ct = _affine((1.0, 1.0, 2.0), (0.0, 0.0, 0.0))
    actual = measure_dose(dose, _box("box", (0, 0, 0), (20, 20, 10)), ct)  # x from -0.5 to 19.5 mm, 20 x 20 mm across
    hottest = 20 + 0.8 * (19.5 - 10 / 400)
    assert actual.covered == 1
    assert actual.hottest_gy == pytest.approx(hottest, abs=0.8 * 0.25)  # points are half a millimetre apart
    assert actual.mean_gy == pytest.approx(20 + 0.8 * 9.5, abs=1e-4)
    for percent, value in zip((2, 50, 95, 98), actual.percent_gy, strict=True):
        assert value == pytest.approx(20 + 0.8 * (19.5 - 20 * percent / 100), abs=0.8 * 0.25)
    doses, _ = sample_dose(dose, _box("box", (0, 0, 0), (20, 20, 10)), ct)
    at = np.linspace(21, 34, 14)
    np.testing.assert_allclose(dvh(doses, at), (19.5 - (at - 20) / 0.8) / 20, atol=0.5 / 20)


def test_a_ball_of_falling_dose() -> None:
    """60 - 2 Gy/mm r: the hottest 10 mm3 are a ball of 1.34 mm, on a dose grid of 1 mm shifted by a fraction."""
    dose = _dose_of(
        lambda x, y, z: 60 - 2 * np.sqrt(x**2 + y**2 + z**2), (1.0, 1.0, 1.0), (-15.3, -15.6, -15.2), (31, 31, 31)
    )
    ct = _affine((1.0, 1.0, 1.5), (-12.0, -12.0, -12.0))
    actual = measure_dose(dose, _ball(10.0, ct, (25, 25, 17)), ct)
    radius = (3 * 10 / (4 * math.pi)) ** (1 / 3)
    assert actual.hottest_gy == pytest.approx(60 - 2 * radius, abs=0.6)  # the tip is cut by the dose grid of 1 mm
    for percent, value in zip((50, 95), actual.percent_gy[1:3], strict=True):
        assert value == pytest.approx(60 - 2 * 10 * (percent / 100) ** (1 / 3), abs=0.5)
    assert actual.mean_gy == pytest.approx(60 - 2 * 7.5, abs=0.3)


def test_a_structure_smaller_than_the_volume_has_no_hottest_dose() -> None:
    dose = _dose_of(lambda x, y, z: 5 + 0 * x * y * z, (2.0, 2.0, 2.0), (-4, -4, -4), (9, 9, 9))
    actual = measure_dose(dose, _box("lens", (0, 0, 0), (2, 2, 2)), UNIT)  # 8 mm3
    assert math.isnan(actual.hottest_gy)
    assert (actual.max_gy, actual.mean_gy, actual.percent_gy) == (5, 5, (5, 5, 5, 5))


def test_dose_beyond_its_grid_is_counted_not_invented() -> None:
    dose = _dose_of(lambda x, y, z: 10 + x + 0 * y * z, (1.0, 1.0, 1.0), (0, 0, 0), (10, 10, 10))
    half = measure_dose(dose, _box("half", (5, 0, 0), (15, 10, 10)), UNIT)
    assert half.covered == pytest.approx(0.5)
    assert half.max_gy == pytest.approx(19, abs=0.5)
    outside = measure_dose(dose, _box("outside", (20, 20, 20), (22, 22, 22)), UNIT)
    assert outside.covered == 0
    assert math.isnan(outside.mean_gy)


# --- DICOM ---


def _square(half: float, z: float, *, at: tuple[float, float] = (0, 0)) -> np.ndarray:
    x, y = at
    return np.array(
        [(x - half, y - half, z), (x + half, y - half, z), (x + half, y + half, z), (x - half, y + half, z)]
    )


GRID = Grid((41, 41, 21), _affine((1.0, 1.0, 2.0), (-20.0, -20.0, -20.0)), Modality.CT)


@pytest.mark.parametrize("form", ["relative", "absolute"])
def test_an_rt_dose_lies_where_its_header_says(tmp_path: Path, form: str) -> None:
    values = np.add.outer(np.add.outer(1.0 * np.arange(6), 10.0 * np.arange(5)), 100.0 * np.arange(4))
    offsets = [3.0 * k + (-30 if form == "absolute" else 0) for k in range(4)]
    path = write_rtdose(tmp_path / "rd.dcm", values, position_lps=(10, 20, -30), offsets=offsets)
    dose = read_dose(path)
    np.testing.assert_allclose(dose.values_gy, values, atol=0.01)
    np.testing.assert_allclose(dose.voxel_to_ras_mm @ (1, 2, 3, 1), (-(10 + 2), -(20 + 4), -30 + 9, 1))
    assert read_dose(tmp_path).source == "rd.dcm"


def test_a_dose_of_a_patient_lying_on_the_face_is_turned(tmp_path: Path) -> None:
    values = np.add.outer(np.add.outer(1.0 * np.arange(6), 10.0 * np.arange(5)), 100.0 * np.arange(4))
    path = write_rtdose(tmp_path / "rd.dcm", values, orientation=(-1, 0, 0, 0, -1, 0))
    np.testing.assert_allclose(read_dose(path).voxel_to_ras_mm @ (1, 1, 1, 1), (2, 2, 3, 1))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"units": "RELATIVE"}, "RELATIVE"),
        ({"offsets": [0.0, 3.0, 6.0, 12.0]}, "mm apart"),
        ({"offsets": [0.0, 3.0]}, "names 2 different planes, the dose has 4"),
    ],
)
def test_doses_that_cannot_be_used(tmp_path: Path, options: dict, words: str) -> None:
    path = write_rtdose(tmp_path / "rd.dcm", np.ones((4, 4, 4)), **options)
    with pytest.raises(InputError, match=f"rd.dcm.*{words}"):
        read_dose(path)


def test_dose_images_in_gy_or_cgy(tmp_path: Path) -> None:
    values = np.linspace(0, 70, 8**3).reshape(8, 8, 8).astype(np.float32)
    path = tmp_path / "dose.nii.gz"
    write_volume(Volume(values, UNIT, Modality.MR), path)
    np.testing.assert_allclose(read_dose(path).values_gy, values)
    np.testing.assert_allclose(read_dose(path, unit="cGy").values_gy, values / 100)
    with pytest.raises(InputError, match="--dose-unit"):
        read_dose(path, unit="rad")
    write_volume(Volume(values - 1, UNIT, Modality.MR), path)
    with pytest.raises(InputError, match="negative"):
        read_dose(path)


def test_contours_fill_the_voxels_within(tmp_path: Path) -> None:
    loops = [_square(5.5, z) for z in (-4.0, -2.0, 0.0, 2.0)]
    hole = [*loops, *[_square(2.5, z) for z in (-4.0, -2.0, 0.0, 2.0)]]
    apart = [_square(1.5, 0.0, at=(-9, 3)), _square(1.5, 0.0, at=(9, 3))]
    sparse = [_square(5.5, z) for z in (-4.0, 2.0)]
    path = write_rtstruct(tmp_path / "rs.dcm", {"full": loops, "ring": hole, "pair": apart, "sparse": sparse})
    actual = read_rtstruct(path, GRID)
    assert {name: s.voxels for name, s in actual.structures.items()} == {
        "full": 11 * 11 * 4,
        "ring": (11 * 11 - 5 * 5) * 4,
        "pair": 2 * 3 * 3,
        "sparse": 11 * 11 * 6,  # contours three slices apart stand for six slices
    }
    full, pair = actual.structures["full"], actual.structures["pair"]
    assert full.box == (slice(15, 26), slice(15, 26), slice(8, 12))
    assert pair.box[0] == slice(10, 31)
    assert pair.box[1] == slice(16, 19)  # y = 3 LPS is 3 mm to the back


def test_empty_and_distant_structures_are_counted(tmp_path: Path) -> None:
    far = [_square(3, 500.0)]
    path = write_rtstruct(tmp_path / "rs.dcm", {"eye": [_square(3, 0.0)], "ptv": [], "far": far})
    actual = read_rtstruct(path, GRID)
    assert set(actual.structures) == {"eye"}
    assert actual.empty == ("ptv", "far")
    assert [f.code for f in actual.findings] == ["empty_structure", "outside_scan"]


def test_structure_sets_that_cannot_be_used(tmp_path: Path) -> None:
    empty = write_rtstruct(tmp_path / "empty.dcm", {"eye": []})
    with pytest.raises(InputError, match=r"empty\.dcm.*no contour"):
        read_rtstruct(empty, GRID)
    tilted = _square(5, 0.0)
    tilted[2:, 2] = 9
    with pytest.raises(InputError, match=r"tilted\.dcm.*'eye'.*slice"):
        read_rtstruct(write_rtstruct(tmp_path / "tilted.dcm", {"eye": [tilted]}), GRID)
    points = write_rtstruct(tmp_path / "points.dcm", {"iso": [_square(1, 0.0)], "eye": [_square(3, 0.0)]}, kind="POINT")
    assert {f.code for f in read_rtstruct(points, GRID).findings} == {"open_contours", "empty_structure"}
    dose = write_rtdose(tmp_path / "rd.dcm", np.ones((4, 4, 4)))
    with pytest.raises(InputError, match=r"rd\.dcm.*RTDOSE.*RTSTRUCT"):
        read_rtstruct(dose, GRID)
    (tmp_path / "text.dcm").write_text("not DICOM")
    with pytest.raises(InputError, match=r"text\.dcm"):
        read_rtstruct(tmp_path / "text.dcm", GRID)
    with pytest.raises(InputError, match=r"absent\.dcm.*no such"):
        read_rtstruct(tmp_path / "absent.dcm", GRID)


@pytest.mark.filterwarnings("ignore")  # the reference implementation warns of its own dependencies
def test_agrees_with_dicompyler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # It was written for pydicom 2 and imports a name that pydicom 3 dropped.
    monkeypatch.setattr("pydicom.dicomio.read_file", pydicom.dcmread, raising=False)
    from dicompylercore import dvhcalc

    circle = [
        np.stack([8.2 * np.cos(a), 8.2 * np.sin(a), np.full_like(a, z)], axis=1)
        for z in np.arange(-8.0, 9.0, 2.0)
        for a in [np.linspace(0, 2 * np.pi, 90, endpoint=False)]
    ]
    rs = write_rtstruct(tmp_path / "rs.dcm", {"organ": circle})
    # On a dose grid of 1 mm, as it stands: its interpolation of coarser ones is half a dose voxel off in the plane.
    x, y, z = (o + s * np.arange(n) for o, s, n in ((-21.0, 1.0, 43), (-20.0, 1.0, 41), (-20.0, 2.0, 21)))
    values = 30 + 1.1 * x[:, None, None] + 0.4 * y[None, :, None] + 0.2 * z[None, None, :]
    rd = write_rtdose(tmp_path / "rd.dcm", values, spacing=(1.0, 1.0, 2.0), position_lps=(-21, -20, -20))
    theirs = dvhcalc.get_dvh(pydicom.dcmread(rs), pydicom.dcmread(rd), 1)
    structure = read_rtstruct(rs, GRID).structures["organ"]
    assert structure.voxels * 2 / 1000 == pytest.approx(theirs.volume, rel=0.02)
    own = measure_dose(read_dose(rd), structure, GRID.voxel_to_ras_mm)
    assert own.mean_gy == pytest.approx(theirs.mean, abs=0.05)
    assert own.mean_gy == pytest.approx(30, abs=0.05)
    for percent, value in zip((2, 50, 95, 98), own.percent_gy, strict=True):
        assert value == pytest.approx(theirs.dose_constraint(percent).value, abs=0.35)
    assert own.max_gy == pytest.approx(theirs.max, abs=0.8)  # points lie up to a quarter millimetre further out
