"""Where a match begins: the operating point of the policy on the originals of this cohort, or on other people."""

from typing import NamedTuple

import numpy as np

from reid_audit.accuracy.curves import measure_roc
from reid_audit.accuracy.panels import Originals
from reid_audit.records import Calibration
from reid_audit.stats.residuals import Floats

_FEWEST = 30
"""Non-mated comparisons of originals below which no threshold is set."""
_FALSE_MATCHES = 3
"""Non-mated comparisons that must lie below a threshold of a stated FMR, so that the cohort can hold it."""
_FMR = {"fmr0.1": 0.001, "fmr1": 0.01, "fmr10": 0.1}


class OperatingPoint(NamedTuple):
    """A threshold and the FMR on originals that it has."""

    name: str
    distance: float
    fmr: float


def operating_point(originals: Originals, name: str, calibration: Calibration | None = None) -> OperatingPoint | None:
    """Return the policy's threshold; a looser one where the cohort is too small for its FMR.

    Parameters
    ----------
    originals : Originals
    name : str
        ``Policy.threshold``. Youden's and the EER need mated originals; without them FMR 1 % takes their place.
    calibration : Calibration, optional
        Of other people. Where this cohort has mated originals, its own threshold counts too: of the two, the one at
        which more comparisons match.

    Returns
    -------
    OperatingPoint or None
        None where the originals make fewer than 30 non-mated comparisons and there is no calibration.
    """
    mated = originals.mated[np.isfinite(originals.mated)]
    other = np.sort(originals.non_mated[np.isfinite(originals.non_mated)])
    elsewhere = None
    if calibration is not None and name in [t.name for t in calibration.thresholds]:
        distance = calibration.threshold(name).distance
        fmr = float((other < distance).mean()) if other.size else float("nan")
        elsewhere = OperatingPoint(f"{name} of the calibration", distance, fmr)
    here = _choose_here(mated, other, name) if mated.size or elsewhere is None else None
    return max((point for point in (here, elsewhere) if point), key=lambda point: point.distance, default=None)


def _choose_here(mated: Floats, other: Floats, name: str) -> OperatingPoint | None:
    """Choose the threshold on the originals of this cohort; ``other`` is sorted."""
    if len(other) < _FEWEST:
        return None
    if name not in _FMR and mated.size:
        at, fmr, tmr = measure_roc(mated, other)
        k = int(np.argmax(tmr - fmr)) if name == "youden" else int(np.argmin(np.abs(1 - tmr - fmr)))
        distance = float(np.nextafter(at[k - 1], np.inf) if k else at[0])  # just above the last that match
        return OperatingPoint(name, distance, float((other < distance).mean()))
    wanted = _FMR.get(name, 0.01)
    key, least = next(point for point in _FMR.items() if point[1] >= wanted and point[1] * len(other) >= _FALSE_MATCHES)
    distance = float(other[int(least * len(other))])
    return OperatingPoint(key, distance, float((other < distance).mean()))
