"""The distances of a group in numbers, gathered while they pass by."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reid_audit.records import InputError

BINS = 1 << 20
"""Of the histogram over [0, 2]."""


@dataclass(frozen=True, slots=True, eq=False)
class DistanceSummary:
    """The distances of one group of comparisons.

    Attributes
    ----------
    pairs : int
        Comparisons with a distance.
    missing : int
        Comparisons without one, because a face was not acquired.
    mean, sd, low, high : float
        NaN where there are no pairs; ``sd`` with n - 1.
    counts : (BINS,) int64
        Histogram over [0, 2].
    below : tuple of int
        Comparisons below each threshold that was asked for: exact.
    """

    pairs: int
    missing: int
    mean: float
    sd: float
    low: float
    high: float
    counts: NDArray[np.int64]
    below: tuple[int, ...]

    def histogram(self, bins: int) -> NDArray[np.int64]:
        """Return the counts in fewer bins of equal width; their number must be a power of two."""
        if bins < 1 or BINS % bins:
            raise InputError(f"bins must be a power of two up to {BINS}; got {bins}")
        return np.asarray(self.counts.reshape(bins, -1).sum(axis=1))

    def quantile(self, share: float) -> float:
        """Return the upper edge of the bin in which a share of the distances is reached; NaN without pairs."""
        if not 0 <= share <= 1:
            raise InputError(f"share must lie in [0, 1]; got {share}")
        if not self.pairs:
            return float("nan")
        reached = int(np.searchsorted(np.cumsum(self.counts), max(share * self.pairs, 1), side="left"))
        return float(np.clip(2.0 * (reached + 1) / BINS, self.low, self.high))


def bins_of(distances: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the bin of each distance."""
    return np.minimum((distances * (BINS / 2)).astype(np.int32), BINS - 1)


@dataclass(slots=True)
class Stream:
    """Sums over distances that pass by."""

    thresholds: NDArray[np.float64]
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    pairs: int = 0
    total: float = 0.0
    squares: float = 0.0
    low: float = np.inf
    high: float = -np.inf
    below: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.below = np.zeros(len(self.thresholds), np.int64)

    def add(self, distances: NDArray[np.float64], bins: NDArray[np.int32]) -> None:
        """Count distances; ``bins`` are those of `bins_of`."""
        if not distances.size:
            return
        if distances.size < BINS // 8:
            np.add.at(self.counts, bins, 1)
        else:
            self.counts += np.bincount(bins, minlength=BINS)
        self.pairs += distances.size
        self.total += float(distances.sum())
        self.squares += float(np.dot(distances - 1.0, distances - 1.0))  # about 1, where most of them lie
        self.low, self.high = min(self.low, float(distances.min())), max(self.high, float(distances.max()))
        for i, threshold in enumerate(self.thresholds):
            self.below[i] += np.count_nonzero(distances < threshold)

    def close(self, *, of: int) -> DistanceSummary:
        """Return the summary; ``of`` is how many comparisons there were in all."""
        nothing = float("nan")
        mean = self.total / self.pairs if self.pairs else nothing
        spread = self.squares - self.pairs * (mean - 1.0) ** 2
        return DistanceSummary(
            pairs=self.pairs,
            missing=of - self.pairs,
            mean=mean,
            sd=float(np.sqrt(max(spread, 0.0) / (self.pairs - 1))) if self.pairs > 1 else nothing,
            low=self.low if self.pairs else nothing,
            high=self.high if self.pairs else nothing,
            counts=self.counts,
            below=tuple(int(count) for count in self.below),
        )
