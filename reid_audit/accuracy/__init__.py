"""Scores become accuracy: thresholds, curves, searches, and the evidence on each defacer and attacker.

Words
-----
match
    distance < threshold, strictly; at equality there is no match.
TMR, FMR, FNMR
    True and false match rate; FNMR = 1 - TMR. J = TMR - FMR = 1 - 2 HTER, so the Youden threshold has the least HTER.
FTA
    Failure to acquire: share of scans that gave no vector. FAR = FMR (1 - FTA).
mate, non-mated reference
    The reference of the probe's own subject; any other reference.
rank
    1 + the number of non-mated references strictly nearer than the mate: ties go to the attacker.
held out
    Measured on subjects who had no part in choosing the threshold.
"""

from reid_audit.accuracy.between import compare_pairwise
from reid_audit.accuracy.by_image import measure_images
from reid_audit.accuracy.calibration import calibrate_scores
from reid_audit.accuracy.calibration_file import (
    assign_calibrations,
    check_fingerprint,
    read_calibrations,
    write_calibrations,
)
from reid_audit.accuracy.canaries import measure_canaries
from reid_audit.accuracy.columns import find_canaries, split_rows
from reid_audit.accuracy.crossings import measure_crossings
from reid_audit.accuracy.curves import Roc, find_eer, find_youden, measure_d_prime, measure_roc
from reid_audit.accuracy.evidence import assess
from reid_audit.accuracy.images import pool_images
from reid_audit.accuracy.pairs import split_encoders
from reid_audit.accuracy.panels import check_within, to_panels
from reid_audit.accuracy.ranking import rank_defacers
from reid_audit.accuracy.rivals import list_recognisers
from reid_audit.accuracy.subjects import list_subjects

__all__ = [
    "Roc",
    "assess",
    "assign_calibrations",
    "calibrate_scores",
    "check_fingerprint",
    "check_within",
    "compare_pairwise",
    "find_canaries",
    "find_eer",
    "find_youden",
    "list_recognisers",
    "list_subjects",
    "measure_canaries",
    "measure_crossings",
    "measure_d_prime",
    "measure_images",
    "measure_roc",
    "pool_images",
    "rank_defacers",
    "read_calibrations",
    "split_encoders",
    "split_rows",
    "to_panels",
    "write_calibrations",
]
