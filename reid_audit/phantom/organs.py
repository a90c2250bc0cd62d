"""The structures that a radiotherapy planner would draw on a synthetic head, and the dose that a plan would give.

Names follow AAPM TG-263 (Mayo et al. 2018, doi:10.1016/j.ijrobp.2017.12.013). What the label map of the phantom lacks
(lens, cornea, lacrimal gland, rind of skin, targets) is put where it belongs relative to the eyes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from reid_audit.phantom.scan import PhantomScan
from reid_audit.phantom.tissue import LABELS
from reid_audit.records import InputError

Mask = NDArray[np.bool_]
Target = tuple[NDArray[np.float64], float]  # centre in RAS mm, radius in mm

TARGET_SITES: Mapping[str, tuple[float, float, float, float]] = MappingProxyType(
    {
        "oropharynx": (0.0, -45.0, -75.0, 18.0),
        "nose": (0.0, 20.0, -14.0, 18.0),
        "sinus": (9.0, 6.0, 6.0, 14.0),
        "scalp": (25.0, 15.0, 45.0, 16.0),
    }
)
"""Where a target can be: its centre to the right, front and top of the middle between the eyes, and its radius, mm."""

_NAMES = {
    "Brain": "brain",
    "Brainstem": "brainstem",
    "SpinalCord": "spinal_cord",
    "Eye_R": "eye_right",
    "Eye_L": "eye_left",
    "Parotid_R": "parotid_right",
    "Parotid_L": "parotid_left",
    "Bone_Mandible": "mandible",
}
_RIND_MM = 5.0
_CTV_MM, _PTV_MM = 4.0, 8.0  # margins around the gross tumour


@dataclass(frozen=True, slots=True, eq=False)
class Organ:
    """One structure: TG-263 name, RT ROI interpreted type, and its voxels (i, j, k) on the grid of the scan."""

    name: str
    kind: str
    mask: Mask


def _points(scan: PhantomScan) -> NDArray[np.float64]:
    """Return the RAS position of each voxel along the three axes, (3, i, j, k) by broadcasting of an upright grid."""
    matrix = scan.volume.voxel_to_ras_mm
    at = [matrix[a, a] * np.arange(n) + matrix[a, 3] for a, n in enumerate(scan.labels.shape)]
    return np.stack(np.meshgrid(*at, indexing="ij", copy=False))


def _eye_centres(scan: PhantomScan) -> dict[str, Target]:
    """Return centre (RAS mm) and radius of each eye."""
    eyes = {}
    for side, label in (("R", "eye_right"), ("L", "eye_left")):
        where = np.argwhere(scan.labels == LABELS[label])
        if not len(where):
            raise InputError(f"scan: its label map holds no {label}; a structure set is drawn around the eyes")
        matrix = scan.volume.voxel_to_ras_mm
        volume_mm3 = len(where) * float(np.prod(scan.volume.spacing_mm))
        eyes[side] = matrix[:3, :3] @ where.mean(axis=0) + matrix[:3, 3], float(np.cbrt(3 * volume_mm3 / 4 / np.pi))
    return eyes


def _ellipsoid(points: NDArray[np.float64], centre: NDArray[np.float64], radii: Sequence[float]) -> Mask:
    inside: Mask = sum(((points[a] - centre[a]) / radii[a]) ** 2 for a in range(3)) < 1
    return inside


def target_centre(scan: PhantomScan, site: str) -> Target:
    """Return centre (RAS mm) and radius of a target; see `TARGET_SITES`."""
    if site not in TARGET_SITES:
        raise InputError(f"ptv: '{site}' is not a site; use some of {', '.join(TARGET_SITES)}")
    eyes = _eye_centres(scan)
    x, y, z, radius_mm = TARGET_SITES[site]
    return (eyes["R"][0] + eyes["L"][0]) / 2 + (x, y, z), radius_mm


def draw_organs(scan: PhantomScan, ptv: Sequence[str]) -> list[Organ]:
    """Return the structures of a scan, the body first.

    Parameters
    ----------
    scan : PhantomScan
        With the axes of its grid along RAS.
    ptv : sequence of str
        Sites of `TARGET_SITES`; each gives a GTV, a CTV and a PTV, none of them beyond the body.

    Raises
    ------
    InputError
        An unknown site, or a scan without eyes.
    """
    from scipy import ndimage

    body = scan.labels > 0
    points = _points(scan)
    rind = body & (ndimage.distance_transform_edt(body, sampling=scan.volume.spacing_mm) <= _RIND_MM)
    organs = [Organ("BODY", "EXTERNAL", body), Organ("Skin", "ORGAN", rind)]
    organs += [Organ(name, "ORGAN", scan.labels == LABELS[label]) for name, label in _NAMES.items()]
    for side, (centre, r) in _eye_centres(scan).items():
        out = 1.0 if side == "R" else -1.0
        eye = scan.labels == LABELS[_NAMES[f"Eye_{side}"]]
        lens = _ellipsoid(points, centre + np.array([0, 0.55 * r, 0]), (4.6, 2.2, 4.6))
        shell = _ellipsoid(points, centre, (r + 0.8,) * 3) & ~_ellipsoid(points, centre, (r - 1.5,) * 3)
        gland = _ellipsoid(points, centre + np.array([out * 9, 1, 11]), (6, 7, 3.5)) & body & ~eye
        cornea = shell & (points[1] > centre[1] + 0.75 * r)
        organs += [
            Organ(f"Lens_{side}", "ORGAN", lens),
            Organ(f"Cornea_{side}", "ORGAN", cornea),
            Organ(f"Glnd_Lacrimal_{side}", "ORGAN", gland),
        ]
    for n, site in enumerate(ptv, 1):
        centre, radius_mm = target_centre(scan, site)
        for kind, margin_mm in (("GTV", _PTV_MM), ("CTV", _PTV_MM - _CTV_MM), ("PTV", 0.0)):
            mask = _ellipsoid(points, centre, (radius_mm - margin_mm,) * 3) & body
            organs.append(Organ(f"{kind}_{n}" if len(ptv) > 1 else f"{kind}p", kind, mask))
    return organs


def dose_at(points: NDArray[np.float64], inside: NDArray[np.float64], targets: Sequence[Target]) -> NDArray[np.float64]:
    """Return the dose of a plan in Gy.

    70 Gy in every target, falling off outside as a Gaussian of 18 mm onto a bath of 8 Gy, times the share of the body:
    a planning system gives no dose to air, which is why a dose shows a face.

    Parameters
    ----------
    points : (3, ...) float
        RAS mm.
    inside : (...) float
        Share of the body at each point, 0 to 1.
    targets : sequence of ((3,) float, float)
        Centre and radius of each target, mm. None: the bath alone.
    """
    gy = np.full(inside.shape, 8.0)
    for centre, radius_mm in targets:
        distance = np.sqrt(sum((points[a] - centre[a]) ** 2 for a in range(3)))
        gy = np.maximum(gy, 8 + 62 * np.exp(-0.5 * (np.maximum(distance - radius_mm, 0) / 18) ** 2))
    return gy * inside
