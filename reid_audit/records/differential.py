"""How far the error rates of a stratum of subjects lie from everybody else's (ISO/IEC 19795-10)."""

from dataclasses import dataclass

from reid_audit.records.calibration import Estimate


@dataclass(frozen=True, slots=True)
class Differential:
    """One stratum: its rates, and how far they lie from those of the other subjects.

    Attributes
    ----------
    stratum : str
    subjects : int
        0 where the cell is suppressed; all estimates are then None.
    tmr : Estimate
        Share of mated comparisons below the threshold; a probe that was not acquired does not match.
    fmr : Estimate
        Share of non-mated comparisons below the threshold, both subjects in the stratum: acquired ones.
    tmr_gap, fmr_gap : Estimate
        Rate of the stratum minus that of all subjects outside it (both ends outside, for FMR), in [-1, 1]. Their
        confidence is raised for the number of strata (Bonferroni), so that all hold jointly.
    """

    stratum: str
    subjects: int
    tmr: Estimate | None = None
    fmr: Estimate | None = None
    tmr_gap: Estimate | None = None
    fmr_gap: Estimate | None = None

    @property
    def suppressed(self) -> bool:
        """Whether the cell is too small to be shown."""
        return self.tmr is None
