"""Dose in a structure: the hottest hundredth of a millilitre, maximum, mean and points of the dose-volume histogram.

Words
-----
D(V)
    The smallest dose in the hottest volume V of a structure: D0.01cc is that of its hottest 10 mm3 (Ammar 2025).
DVH
    Share of a structure's volume that gets at least a dose.

The dose is interpolated trilinearly at points within the structure's voxels; each stands for an equal volume. Ordered
from hot to cold, point n (from 0) stands at the volume n + 1/2 times its own, and D(V) runs straight in between. A
structure smaller than V has no D(V): NaN. What lies more than half a voxel beyond the dose grid has no dose; its share
is counted, and the numbers are those of the rest.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid_audit.records import InputError, Modality, Real
from reid_audit.utility.structures import Structure
from reid_audit.volume import read_volume
from reid_audit.volume.header import read_dicom
from reid_audit.volume.rt_dose import read_dose_grid
from reid_audit.volume.stored import lps_to_ras, quiet

DOSE_UNITS = ("Gy", "cGy")
HOTTEST_CM3 = 0.01
DVH_PERCENT = (2, 50, 95, 98)
"""D2% (near maximum), median, D95% and D98% (near minimum) of ICRU report 83."""

CURVE_PERCENT = (0, 1, 2, *range(5, 100, 5), 98, 99, 100)
"""Where the dose-volume histogram is kept: the smallest dose in the hottest so many percent of the volume."""

_POINT_MM = 0.5
_MOST_POINTS = 500_000


@dataclass(frozen=True, slots=True, eq=False)
class Dose:
    """Absorbed dose.

    Attributes
    ----------
    values_gy : (i, j, k) float32
    voxel_to_ras_mm : (4, 4) float64
        Of its own grid, which as a rule is coarser than the scan's and shifted against it.
    source : str
        File name without folders.
    """

    values_gy: NDArray[np.float32]
    voxel_to_ras_mm: NDArray[np.float64]
    source: str = ""


@dataclass(frozen=True, slots=True)
class DoseStatistics:
    """Dose in one structure, in Gy.

    Attributes
    ----------
    hottest_gy : float
        D0.01cc; NaN where the structure is smaller.
    max_gy, mean_gy : float
    percent_gy : tuple of float
        D2%, D50%, D95%, D98%.
    covered : float
        Share of the structure that has a dose, in [0, 1].
    curve_gy : tuple of float
        The dose-volume histogram at `CURVE_PERCENT`; empty without a dose.
    """

    hottest_gy: Real
    max_gy: Real
    mean_gy: Real
    percent_gy: tuple[Real, ...]
    covered: float
    curve_gy: tuple[Real, ...] = ()


def read_rtdose(path: Path) -> Dose:
    """Read a DICOM RT dose.

    Raises
    ------
    InputError
        No RTDOSE, no dose in Gy, no or uneven planes, or damaged pixels.
    """
    path = Path(path)
    ds = read_dicom(path, modality="RTDOSE", what="a dose")
    units = str(ds.get("DoseUnits") or "none")
    if units != "GY":
        raise InputError(f"{path.name}: its dose is in the unit {units}; only GY is absolute")
    voxel_to_lps = read_dose_grid(ds, path.name).voxel_to_lps(path.name)
    try:
        with quiet():
            values = ds.pixel_array * np.float32(ds.DoseGridScaling)
    except (AttributeError, ValueError, TypeError, NotImplementedError, LookupError) as error:
        raise InputError(f"{path.name}: its pixels cannot be read; export it again") from error
    return Dose(np.ascontiguousarray(values.transpose(2, 1, 0), dtype=np.float32), lps_to_ras(voxel_to_lps), path.name)


def read_dose(path: Path, *, unit: str = "Gy") -> Dose:
    """Read a dose: RTDOSE (.dcm, or a folder that holds one), or an image in Gy or cGy.

    Parameters
    ----------
    path : Path
    unit : str
        ``"Gy"`` or ``"cGy"``: of images, which do not say.

    Raises
    ------
    InputError
        The unit is unknown, the dose is negative somewhere, or as `read_rtdose` and `reid_audit.read_volume`.
    """
    if unit not in DOSE_UNITS:
        raise InputError(f"--dose-unit must be one of {', '.join(DOSE_UNITS)}; got {unit!r}")
    path = Path(path)
    if path.is_dir():
        files = sorted(path.glob("*.dcm"))
        if len(files) != 1:
            raise InputError(f"{path.name}: holds {len(files)} DICOM files; leave the one RT dose")
        path = files[0]
    if path.suffix.lower() in (".dcm", ".dicom"):
        dose = read_rtdose(path)
    else:
        volume = read_volume(path, modality=Modality.MR)  # as it stands: no clipping to HU
        values = volume.intensity if unit == "Gy" else volume.intensity / np.float32(100)
        dose = Dose(values, volume.voxel_to_ras_mm, path.name)
    if dose.values_gy.min() < 0:
        raise InputError(f"{path.name}: holds negative dose ({dose.values_gy.min():g} Gy); is it an image?")
    return dose


def dose_at_volume(hot_to_cold_gy: NDArray[np.floating], point_cm3: float, volume_cm3: float) -> float:
    """D(V) of points of equal volume, ordered from hot to cold; NaN where they hold less than V."""
    n = len(hot_to_cold_gy)
    if not n or volume_cm3 > n * point_cm3 * (1 + 1e-9):
        return math.nan
    at = volume_cm3 / point_cm3 - 0.5
    return float(np.interp(at, np.arange(n), hot_to_cold_gy))


def dvh(doses_gy: ArrayLike, at_gy: ArrayLike) -> NDArray[np.float64]:
    """Share of the points that get at least each dose: the cumulative dose-volume histogram."""
    points = np.sort(np.asarray(doses_gy, dtype=np.float64))
    below = np.searchsorted(points, np.asarray(at_gy, dtype=np.float64), "left")
    return np.asarray(1 - below / len(points)) if len(points) else np.full(np.shape(at_gy), np.nan)


def _points_per_axis(spacing_mm: tuple[float, float, float], voxels: int) -> tuple[int, int, int]:
    """How finely to sample a voxel: to half a millimetre, as far as the number of points allows."""
    wanted = [max(1, math.ceil(s / _POINT_MM)) for s in spacing_mm]
    while voxels * math.prod(wanted) > _MOST_POINTS and max(wanted) > 1:
        wanted[wanted.index(max(wanted))] -= 1
    i, j, k = wanted
    return i, j, k


def sample_dose(
    dose: Dose, structure: Structure, voxel_to_ras_mm: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Interpolate the dose at points within a structure.

    Returns
    -------
    doses_gy : (n,) float64
        NaN beyond the dose grid.
    point_cm3 : float
        The volume of each point.
    """
    from scipy.ndimage import map_coordinates

    to_dose = np.linalg.inv(dose.voxel_to_ras_mm) @ voxel_to_ras_mm
    spacing = np.linalg.norm(voxel_to_ras_mm[:3, :3], axis=0)
    centres = np.argwhere(structure.mask) + np.array([s.start for s in structure.box])
    fine = _points_per_axis((float(spacing[0]), float(spacing[1]), float(spacing[2])), len(centres))
    within = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n - 0.5 for n in fine], indexing="ij"), axis=-1)
    points = (centres[:, None] + within.reshape(1, -1, 3)).reshape(-1, 3)
    at = to_dose[:3, :3] @ points.T + to_dose[:3, 3:]
    last = np.array(dose.values_gy.shape)[:, None] - 1
    inside = ((at >= -0.5 - 1e-9) & (at <= last + 0.5 + 1e-9)).all(axis=0)
    doses = map_coordinates(dose.values_gy, at, order=1, mode="nearest", output=np.float64)
    doses[~inside] = np.nan
    return doses, float(spacing.prod()) / 1000 / math.prod(fine)


def measure_dose(dose: Dose, structure: Structure, voxel_to_ras_mm: NDArray[np.float64]) -> DoseStatistics:
    """Measure the dose in a structure that lies on a scan's grid. Numbers are NaN where no point has a dose."""
    doses, point_cm3 = sample_dose(dose, structure, voxel_to_ras_mm)
    seen = np.sort(doses[~np.isnan(doses)])[::-1]
    covered = len(seen) / len(doses)
    if not len(seen):
        return DoseStatistics(math.nan, math.nan, math.nan, (math.nan,) * len(DVH_PERCENT), 0.0)
    whole = len(seen) * point_cm3
    return DoseStatistics(
        hottest_gy=dose_at_volume(seen, point_cm3, HOTTEST_CM3),
        max_gy=float(seen[0]),
        mean_gy=float(seen.mean()),
        percent_gy=tuple(dose_at_volume(seen, point_cm3, whole * p / 100) for p in DVH_PERCENT),
        covered=covered,
        curve_gy=tuple(dose_at_volume(seen, point_cm3, whole * p / 100) for p in CURVE_PERCENT),
    )
