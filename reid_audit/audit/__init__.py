"""Runs the rooms in order over a cohort: scans, portraits, faces, distances, evidence, verdict.

One task is one scan. Originals go first: each hands its skin level, its camera and its voxel grid on to its defaced
partners, so that nothing about the picture of a defaced scan is chosen by what the defacer left. An error inside one
scan becomes that scan's status; the run goes on, and the scan is counted.
"""

from reid_audit.audit.acquire import Progress, acquire_faces, compare_attacks
from reid_audit.audit.eyes import find_eyes
from reid_audit.audit.judge import find_shared_checks, judge_scores
from reid_audit.audit.run import audit_cohort, calibrate_cohort
from reid_audit.audit.scan import Partner, examine_scan, render_scan
from reid_audit.audit.settings import Engines, Settings, fingerprint_of, start_engines

__all__ = [
    "Engines",
    "Partner",
    "Progress",
    "Settings",
    "acquire_faces",
    "audit_cohort",
    "calibrate_cohort",
    "compare_attacks",
    "examine_scan",
    "find_eyes",
    "find_shared_checks",
    "fingerprint_of",
    "judge_scores",
    "render_scan",
    "start_engines",
]
