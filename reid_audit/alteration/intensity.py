"""What became of the intensities: gain, offset and clip, told from pairs of equal places.

Words
-----
intensity map
    defaced = gain * original + offset, between the ends at which the defaced scan was clipped.
"""

from dataclasses import dataclass

import numpy as np

from reid_audit.volume.sample import Array

_CLIPPED_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class IntensityMap:
    """What became of the intensities.

    Attributes
    ----------
    gain, offset : float
        defaced = gain * original + offset.
    low, high : float
        Ends at which the defaced scan was clipped; infinite where it was not.
    """

    gain: float
    offset: float
    low: float
    high: float

    def apply(self, values: Array) -> Array:
        """Map intensities of the original to the defaced scan's."""
        mapped: Array = np.clip(self.gain * values + self.offset, self.low, self.high)
        return mapped

    @property
    def is_clipped(self) -> bool:
        """Whether intensities of the head were clipped."""
        return bool(np.isfinite(self.low) or np.isfinite(self.high))


UNCHANGED = IntensityMap(1.0, 0.0, -np.inf, np.inf)


def _line_of_most(x: Array, y: Array, contrast: float) -> tuple[float, float]:
    """Of the lines through pairs of points, give gain and offset of the one that most points lie on."""
    rng = np.random.default_rng(0)
    some = rng.integers(len(x), size=250)
    i, j = rng.integers(len(x), size=(2, 120))
    apart = np.abs(x[i] - x[j]) > 0.1 * contrast
    if not apart.any():
        return 0.0, float(np.median(y))
    i, j = i[apart], j[apart]
    gains = (y[i] - y[j]) / (x[i] - x[j])
    offsets = y[i] - gains * x[i]
    away = np.abs(y[some] - gains[:, None] * x[some] - offsets[:, None])
    near = (away < 0.03 * contrast * np.abs(gains[:, None])).sum(axis=1)
    best = int(near.argmax())
    return float(gains[best]), float(offsets[best])


def fit_intensity(original: Array, defaced: Array, contrast: float) -> IntensityMap:
    """Fit gain and offset, each pair weighted by how well it fits; clipped values say nothing."""
    ends = []
    use = np.ones(len(defaced), dtype=bool)
    for end in (defaced.min(), defaced.max()):
        clipped = defaced == end
        is_clipped = clipped.mean() > _CLIPPED_SHARE and np.ptp(original[clipped]) > 1e-3 * contrast
        ends.append(float(end) if is_clipped else float("nan"))
        if is_clipped and clipped.mean() < 0.9:
            use &= ~clipped
    x, y = original[use], defaced[use]
    gain, offset = _line_of_most(x, y, contrast)
    for _ in range(5):
        away = np.abs(y - gain * x - offset)
        scale = max(2 * float(np.median(away)), 1e-4 * abs(gain) * contrast, 1e-12)
        weight = (1 + (away / scale) ** 2) ** -2
        total = max(float(weight.sum()), 1e-12)
        mean_x, mean_y = float(weight @ x) / total, float(weight @ y) / total
        variance = float(weight @ (x - mean_x) ** 2)
        gain = float(weight @ ((x - mean_x) * (y - mean_y))) / max(variance, 1e-12)
        offset = mean_y - gain * mean_x
    low, high = ends
    return IntensityMap(gain, offset, low if low == low else -np.inf, high if high == high else np.inf)


def unmap(values: Array, intensity: IntensityMap, *, level: float, air: float) -> Array:
    """Bring intensities of the defaced scan back to the original's units.

    Where the clip lies above the skin level, what was clipped is air: the sign of the gain says at which end.
    """
    gain = intensity.gain if abs(intensity.gain) > 1e-9 else 1e-9
    back: Array = (values - intensity.offset) / gain
    dark = intensity.low if gain > 0 else intensity.high
    if np.isfinite(dark) and (dark - intensity.offset) / gain > level:
        back = np.where(values == dark, air, back)
    return back


def map_level(level: float, intensity: IntensityMap, air: float) -> float:
    """Give a level of the original in the units of the scan that was made of it.

    Where that was clipped to tissue alone, a little inside the clip: its outline is the skin then.
    """
    mapped = intensity.gain * level + intensity.offset
    step = 0.05 * abs(intensity.gain) * (level - air)
    return float(np.clip(mapped, intensity.low + step, intensity.high - step))
