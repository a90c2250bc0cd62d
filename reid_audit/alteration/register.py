"""Where an original lies in the scan that was made of it, and what became of its intensities.

Words
-----
inside of the head
    What lies 20 mm and more below the skin of the cranium: the brain, which a defacer that replaces all else keeps.
placement
    The (4, 4) matrix from a point of the original to the same point of the defaced scan, both in RAS mm.
"""

from dataclasses import dataclass, replace

import numpy as np

from reid_audit.alteration.improve import improve
from reid_audit.alteration.intensity import UNCHANGED, IntensityMap, fit_intensity
from reid_audit.alteration.search import exchange_axes, search_lattice
from reid_audit.alteration.summary import REST_DEPTHS_MM, line_points, make_lattice
from reid_audit.records import OriginalSummary, Volume
from reid_audit.volume.sample import Array, sample, transform

_AGREES = 0.12  # of the contrast between air and flesh
_FITS_AT_ONCE = 0.8  # share of the cranium that agrees where voxels lie on voxels
_FITS_WELL = 0.85  # where it was: no other placement is looked for
_EXACT = 0.02
_AS_GOOD = 0.002
_EQUAL = 0.005  # of the contrast: what rounding leaves of one and the same value
_SAME = 0.0005  # the same of a scan that was not saved otherwise: less than half a HU
_INSIDE_MM = 20.0
SAME_SHARE = 0.5
"""Of the inside of a head that is voxel by voxel the original's; of another acquisition, noise leaves a tenth."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A placement and how well the cranium agrees under it.

    Attributes
    ----------
    placement : (4, 4) float64
    intensity : IntensityMap
    share : float
        Of the samples of the cranium inside the defaced field of view, those within `_AGREES` of the contrast.
    residual : float
        Median absolute difference of those samples, in units of the contrast.
    inside : float
        Share of the samples that lie inside the defaced field of view.
    equal : float
        Share of the tissue's samples that agree to rounding: noise of another acquisition does not.
    same_inside : float
        Share of the samples of the inside of the head that are the same where the headers say that they lie.
    """

    placement: Array
    intensity: IntensityMap
    share: float
    residual: float
    inside: float
    equal: float = 0.0
    same_inside: float = 0.0

    @property
    def score(self) -> float:
        """Higher is better."""
        return self.share * min(1.0, 2 * self.inside) - self.residual


class Registration:
    """An original's cranium, to be laid into a defaced scan."""

    def __init__(self, original: OriginalSummary, defaced: Volume) -> None:
        values = original.rest.values.ravel().astype(np.float64)
        points = line_points(original.rest.points_ras_mm, original.rest.normals, REST_DEPTHS_MM)
        seen = np.isfinite(values)
        ceiling = original.air + 2.5 * original.contrast  # bone and metal would outweigh all else
        self.values, self.points = np.minimum(values[seen], ceiling), points[seen]
        inside = np.tile(REST_DEPTHS_MM <= -_INSIDE_MM, len(original.rest.values))[seen]
        self.is_inside = inside & (self.values > original.skin_level)  # air inside a mask is everybody's
        self.ceiling = ceiling
        self.original, self.defaced = original, defaced
        self.to_index = np.linalg.inv(defaced.voxel_to_ras_mm)

    def judge(self, placement: Array, *, every: int = 1) -> Fit:
        """Measure how well the cranium agrees under a placement."""
        points, values = self.points[::every], self.values[::every]
        seen = sample(self.defaced.intensity, transform(self.to_index @ placement, points))
        inside = float(seen.inside.mean())
        if seen.inside.sum() < 50:
            return Fit(placement, UNCHANGED, 0.0, 1.0, inside)
        x, y = values[seen.inside], seen.values[seen.inside]
        contrast = self.original.contrast
        intensity = fit_intensity(x, y, contrast)
        gain = intensity.gain if abs(intensity.gain) > 1e-9 else 1e-9
        back = (y - intensity.offset) / gain
        expected = (intensity.apply(x) - intensity.offset) / gain
        away = np.abs(np.minimum(back, self.ceiling) - np.minimum(expected, self.ceiling)) / contrast
        # A constant image agrees with everything: both sides of the skin must be told apart.
        agrees = away < _AGREES
        tissue = x > self.original.skin_level
        share = min(float(agrees[side].mean()) if side.any() else 0.0 for side in (tissue, ~tissue))
        equal = float((away[tissue] < _EQUAL).mean()) if tissue.any() else 0.0
        share = 0.5 * share + 0.5 * float(agrees.mean())
        return Fit(placement, intensity, share, float(np.median(np.minimum(away, 1.0))), inside, equal)

    def measure_same_inside(self) -> float:
        """Return the share of the inside of the head that is the same where the headers say that it lies."""
        values, points = self.values[self.is_inside], self.points[self.is_inside]
        seen = sample(self.defaced.intensity, transform(self.to_index, points))
        same = np.abs(np.minimum(seen.values, self.ceiling) - values) < _SAME * self.original.contrast
        return float(same[seen.inside].mean()) if seen.inside.sum() >= 50 else 0.0


def _snap(placement: Array, original: OriginalSummary, defaced: Volume) -> Array | None:
    """Give the nearest placement that lays voxels on voxels, where there is one."""
    index = np.linalg.inv(defaced.voxel_to_ras_mm) @ placement @ original.grid.voxel_to_ras_mm
    whole = np.rint(index[:3, :3])
    if not np.array_equal(np.abs(whole).sum(axis=0), np.ones(3)):
        return None
    middle = (np.array(original.grid.shape) - 1) / 2
    exact = np.eye(4)
    exact[:3, :3] = whole
    exact[:3, 3] = np.rint(transform(index, middle[None])[0] - whole @ middle)
    placed: Array = defaced.voxel_to_ras_mm @ exact @ np.linalg.inv(original.grid.voxel_to_ras_mm)
    return placed


def register(original: OriginalSummary, defaced: Volume) -> Fit:
    """Lay an original into a scan: as the headers say, as the arrays say, or wherever it fits.

    Returns
    -------
    Fit
        The best that was found, however bad.
    """
    task = Registration(original, defaced)
    as_headers_say = task.judge(np.eye(4))
    if as_headers_say.equal > _FITS_AT_ONCE and as_headers_say.inside > _FITS_AT_ONCE:
        return as_headers_say
    same_inside = task.measure_same_inside()
    if same_inside >= SAME_SHARE and as_headers_say.share < _FITS_AT_ONCE:  # the head around it is another one
        return replace(as_headers_say, intensity=UNCHANGED, same_inside=same_inside)
    lattice = make_lattice(defaced)
    starts = [np.eye(4), *exchange_axes(original.grid, defaced.grid)]
    quick = [task.judge(placement, every=7) for placement in starts]
    best = max(quick, key=lambda fit: fit.score)
    if best.share < _FITS_AT_ONCE or best.residual > _EXACT:
        field, other = original.lattice.field.astype(np.float64), lattice.field.astype(np.float32)
        index = np.argwhere(np.abs(field) > 0.25)
        points = transform(original.lattice.lattice_to_ras_mm, index.astype(np.float64))
        values = field[tuple(index.T)]
        to_lattice = np.linalg.inv(lattice.lattice_to_ras_mm)
        contrast = original.contrast
        some = np.random.default_rng(0).permutation(len(task.points))[:4000]

        def roughly(placement: Array) -> Fit:
            return task.judge(improve(placement, points[::6], values[::6], other, to_lattice, contrast=1.0), every=7)

        def finely(placement: Array) -> Fit:
            points, values = task.points[some], task.values[some]
            return task.judge(improve(placement, points, values, defaced.intensity, task.to_index, contrast=contrast))

        for placement in (best.placement, np.eye(4)):
            if best.share < _FITS_WELL or best.residual > _EXACT:
                best = max((best, finely(roughly(placement).placement)), key=lambda fit: fit.score)
        if best.share < _FITS_WELL:
            rough = sorted(map(roughly, search_lattice(original.lattice, lattice)), key=lambda fit: -fit.score)
            best = max((best, *(finely(fit.placement) for fit in rough[:2])), key=lambda fit: fit.score)
    # Where voxels lie on voxels, or nothing was moved, as good a placement is the right one.
    exact = [np.eye(4), _snap(best.placement, original, defaced)]
    simple = [task.judge(placement) for placement in exact if placement is not None]
    best = task.judge(best.placement)
    return next((fit for fit in simple if fit.score > max(best.score, *(f.score for f in simple)) - _AS_GOOD), best)
