"""Runs the rooms in order over a cohort: scans, portraits, faces, distances, evidence, verdict.

One task is one scan. Originals go first: each hands its skin level, its camera and its voxel grid on to its defaced
partners, so that nothing about the picture of a defaced scan is chosen by what the defacer left. An error inside one
scan becomes that scan's status; the run goes on, and the scan is counted.
"""

from reid_audit.audit.acquire import Progress, acquire_faces, acquire_faces_with_each
from reid_audit.audit.assess import assess_scores, check_scans, describe_scans
from reid_audit.audit.choose import choose_model, time_face
from reid_audit.audit.compare import compare_attacks, measure_crossings
from reid_audit.audit.eyes import find_eyes
from reid_audit.audit.face_cache import FaceCache
from reid_audit.audit.moves import Hints
from reid_audit.audit.plan import RunPlan, plan_faces, plan_run
from reid_audit.audit.run import audit_cohort, calibrate_cohort, calibrate_encoders
from reid_audit.audit.scan import Partner, examine_scan, examine_scan_with_each, render_scan
from reid_audit.audit.settings import Engines, Settings, fingerprint_of, start_engines, start_engines_of_each

__all__ = [
    "Engines",
    "FaceCache",
    "Hints",
    "Partner",
    "Progress",
    "RunPlan",
    "Settings",
    "acquire_faces",
    "acquire_faces_with_each",
    "assess_scores",
    "audit_cohort",
    "calibrate_cohort",
    "calibrate_encoders",
    "check_scans",
    "choose_model",
    "compare_attacks",
    "describe_scans",
    "examine_scan",
    "examine_scan_with_each",
    "find_eyes",
    "fingerprint_of",
    "measure_crossings",
    "plan_faces",
    "plan_run",
    "render_scan",
    "start_engines",
    "start_engines_of_each",
    "time_face",
]
