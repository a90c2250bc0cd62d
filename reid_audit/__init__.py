"""Can a face-recognition attacker still link your head CT and MRI scans to people?

The names below are the whole public face of the package. The pipeline in one line each::

    cohort = read_manifest("manifest.csv")            # which scans there are
    result, scores = audit_cohort(cohort)             # portraits, faces, distances, evidence, verdict
    write_result(result, scores, Path("result"))      # JSON, CSV and a page

or room by room: `read_volume`, `extract_skin`, `make_renderer`, `make_encoder`, `compare`, `calibrate`, `assess`,
`decide`.
"""

from importlib.metadata import version as _version

from .accuracy import (
    assess,
    calibrate,
    check_fingerprint,
    list_people,
    read_calibration,
    read_calibrations,
    write_calibration,
)
from .attack import ATTACKS
from .audit import (
    Settings,
    acquire_faces,
    audit_cohort,
    calibrate_cohort,
    calibrate_encoders,
    examine_scan,
    judge_scores,
    render_scan,
    start_engines,
)
from .dataset import Cohort, read_manifest, write_manifest
from .deface import Defaced, Defacer, apply_defacer, reference_defacers
from .demo import run_demo, write_demo_cohort
from .face import Encoder, make_encoder, make_encoders
from .match import compare, cosine_distances, read_score_strata, read_scores, write_scores
from .phantom import PhantomScan, make_phantom, write_cohort
from .ranking import rank_defacers
from .records import (
    ORIGINAL,
    AuditResult,
    Calibration,
    CalibrationError,
    Comparison,
    Decision,
    EngineError,
    Evidence,
    Face,
    FaceRecord,
    Finding,
    Fingerprint,
    Group,
    InputError,
    Modality,
    Policy,
    Portrait,
    Rate,
    ReidAuditError,
    RenderError,
    ScanRef,
    ScoreTable,
    Skin,
    Status,
    Verdict,
    View,
    Volume,
    WeightsError,
)
from .render import Lighting, Renderer, find_frontal_view, frontal_view, make_renderer, save_png
from .report import (
    read_result,
    result_from_json,
    result_schema,
    result_to_html,
    result_to_json,
    result_to_markdown,
    write_comparison,
    write_result,
)
from .stats import people_needed
from .surface import SurfaceSettings, extract_skin, find_level, write_mesh
from .verdict import decide, format_policy, read_policy
from .volume import check_same_grid, read_labels, read_volume, write_labels, write_volume
from .weights import WeightsFile, fetch_weights, import_weights, list_weights, verify_weights, weights_home
from .work import local_executor

__version__ = _version("reid-audit")

__all__ = [
    "ATTACKS",
    "ORIGINAL",
    "AuditResult",
    "Calibration",
    "CalibrationError",
    "Cohort",
    "Comparison",
    "Decision",
    "Defaced",
    "Defacer",
    "Encoder",
    "EngineError",
    "Evidence",
    "Face",
    "FaceRecord",
    "Finding",
    "Fingerprint",
    "Group",
    "InputError",
    "Lighting",
    "Modality",
    "PhantomScan",
    "Policy",
    "Portrait",
    "Rate",
    "ReidAuditError",
    "RenderError",
    "Renderer",
    "ScanRef",
    "ScoreTable",
    "Settings",
    "Skin",
    "Status",
    "SurfaceSettings",
    "Verdict",
    "View",
    "Volume",
    "WeightsError",
    "WeightsFile",
    "__version__",
    "acquire_faces",
    "apply_defacer",
    "assess",
    "audit_cohort",
    "calibrate",
    "calibrate_cohort",
    "calibrate_encoders",
    "check_fingerprint",
    "check_same_grid",
    "compare",
    "cosine_distances",
    "decide",
    "examine_scan",
    "extract_skin",
    "fetch_weights",
    "find_frontal_view",
    "find_level",
    "format_policy",
    "frontal_view",
    "import_weights",
    "judge_scores",
    "list_people",
    "list_weights",
    "local_executor",
    "make_encoder",
    "make_encoders",
    "make_phantom",
    "make_renderer",
    "people_needed",
    "rank_defacers",
    "read_calibration",
    "read_calibrations",
    "read_labels",
    "read_manifest",
    "read_policy",
    "read_result",
    "read_score_strata",
    "read_scores",
    "read_volume",
    "reference_defacers",
    "render_scan",
    "result_from_json",
    "result_schema",
    "result_to_html",
    "result_to_json",
    "result_to_markdown",
    "run_demo",
    "save_png",
    "start_engines",
    "verify_weights",
    "weights_home",
    "write_calibration",
    "write_cohort",
    "write_comparison",
    "write_demo_cohort",
    "write_labels",
    "write_manifest",
    "write_mesh",
    "write_result",
    "write_scores",
    "write_volume",
]
