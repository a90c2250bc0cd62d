"""Where a match begins: the operating point of the policy on the originals of this cohort, or on other people."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from reid_audit.accuracy.panels import Originals
from reid_audit.records import Calibration

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
        Of other people; used where this cohort has no mated originals.

    Returns
    -------
    OperatingPoint or None
        None where the originals make fewer than 30 non-mated comparisons and there is no calibration.
    """
    from sklearn.metrics import roc_curve

    mated = originals.mated[np.isfinite(originals.mated)]
    other = np.sort(originals.non_mated[np.isfinite(originals.non_mated)])
    if not mated.size and calibration is not None and name in [t.name for t in calibration.thresholds]:
        distance = calibration.threshold(name).distance
        return OperatingPoint(name, distance, float((other < distance).mean()) if other.size else float("nan"))
    if len(other) < _FEWEST:
        return None
    if name not in _FMR and mated.size:
        scores = np.concatenate([mated, other])
        fmr, tmr, at = roc_curve(np.arange(len(scores)) < len(mated), -scores, drop_intermediate=False)
        k = int(np.argmax(tmr - fmr)) if name == "youden" else int(np.argmin(np.abs(1 - tmr - fmr)))
        distance = float(np.nextafter(-at[k], np.inf))  # a match lies strictly below the threshold
        return OperatingPoint(name, distance, float((other < distance).mean()))
    wanted = _FMR.get(name, 0.01)
    key, fmr = next(point for point in _FMR.items() if point[1] >= wanted and point[1] * len(other) >= _FALSE_MATCHES)
    distance = float(other[int(fmr * len(other))])
    return OperatingPoint(key, distance, float((other < distance).mean()))
