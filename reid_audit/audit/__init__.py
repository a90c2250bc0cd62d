"""Runs the rooms in order over a cohort: scans, portraits, faces, distances, evidence, verdict.

One task is one scan. Originals go first: each hands its skin level, its camera and its voxel grid on to its defaced
partners, so that nothing about the picture of a defaced scan is chosen by what the defacer left. An error inside one
scan becomes that scan's status; the run goes on, and the scan is counted.
"""

from reid_audit.audit.acquire import acquire_faces, add_canaries
from reid_audit.audit.assess import assess_scores
from reid_audit.audit.audit import audit
from reid_audit.audit.calibrate import Calibrated, calibrate
from reid_audit.audit.choose import choose_model, time_face
from reid_audit.audit.eyes import find_eyes
from reid_audit.audit.face_cache import FaceCache
from reid_audit.audit.findings import describe_scans
from reid_audit.audit.plan import RunPlan, plan_run
from reid_audit.audit.scan import examine_scan, render_scan
from reid_audit.audit.settings import Engines, Recogniser, Settings, start_engines
from reid_audit.work import Progress

__all__ = [
    "Calibrated",
    "Engines",
    "FaceCache",
    "Progress",
    "Recogniser",
    "RunPlan",
    "Settings",
    "acquire_faces",
    "add_canaries",
    "assess_scores",
    "audit",
    "calibrate",
    "choose_model",
    "describe_scans",
    "examine_scan",
    "find_eyes",
    "plan_run",
    "render_scan",
    "start_engines",
    "time_face",
]
