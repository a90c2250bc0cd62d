"""Runs the rooms in order over a cohort: scans, portraits, faces, distances, evidence, verdict.

One task is one scan. Originals go first: each hands its skin level, its camera and its voxel grid on to its defaced
partners, so that nothing about the picture of a defaced scan is chosen by what the defacer left. An error inside one
scan becomes that scan's status; the run goes on, and the scan is counted.
"""

from reid_audit.audit.acquire import Progress, RunPlan, acquire_faces, compare_attacks, plan_faces
from reid_audit.audit.judge import find_shared_checks, judge_scores
from reid_audit.audit.kept import KeptFaces
from reid_audit.audit.run import audit_cohort, calibrate_cohort, plan_run
from reid_audit.audit.scan import Partner, examine_scan, render_scan
from reid_audit.audit.settings import Engines, Settings, fingerprint_of, start_engines

__all__ = [
    "Engines",
    "KeptFaces",
    "Partner",
    "Progress",
    "RunPlan",
    "Settings",
    "acquire_faces",
    "audit_cohort",
    "calibrate_cohort",
    "compare_attacks",
    "examine_scan",
    "find_shared_checks",
    "fingerprint_of",
    "judge_scores",
    "plan_faces",
    "plan_run",
    "render_scan",
    "start_engines",
]
