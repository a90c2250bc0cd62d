"""The records that flow between the rooms, and the errors that may end a run.

Words
-----
scan
    One head volume on disk, named by subject, session, modality and condition. The condition is ``"original"`` or the
    name of the defacer that made it. Nothing else identifies anybody in this package.
RAS+ mm
    The frame of every coordinate: x grows to the subject's right, y to the front (anterior), z to the top (superior).
match
    A comparison whose distance is *strictly* smaller than the threshold. Larger distances mean less alike.
acquired
    A scan from which the recogniser got a vector. What is not acquired is counted (FTA), never dropped.

Errors
------
::

    ReidAuditError
    +-- InputError         a file, table or argument cannot be used       (also a ValueError)
    +-- WeightsError       a model file is missing, damaged or not the one that was pinned
    +-- EngineError        a package that renders or recognises is missing or broke
    +-- RenderError        no portrait could be drawn of this surface
    +-- StoreError         the folder of finished work is full or cannot be used
    +-- CalibrationError   a calibration was made under other settings     (also a ValueError)
"""

from reid_audit.records.alteration import Lattice, Lines, OriginalSummary
from reid_audit.records.calibration import Calibration, Curve, Estimate, Fingerprint, Threshold, ThresholdStability
from reid_audit.records.comparison import Comparison, DefacerRow
from reid_audit.records.cost import (
    DefaceRun,
    DefaceStatus,
    DefacingSummary,
    Repeatability,
    TradeOff,
    UtilityValue,
    summarise_defacing,
)
from reid_audit.records.differential import Differential
from reid_audit.records.errors import (
    CalibrationError,
    EngineError,
    InputError,
    ReidAuditError,
    RenderError,
    StoreError,
    WeightsError,
)
from reid_audit.records.evidence import (
    AttackEvidence,
    ControlEvidence,
    CrossedEvidence,
    Evidence,
    ImageEvidence,
    LeakGap,
    MatchRates,
    SearchRates,
    StratumEvidence,
    SubjectEvidence,
    WorstCase,
)
from reid_audit.records.faces import Face, FaceRecord, Portrait, Relief, Skin, Status, View
from reid_audit.records.files import (
    adapter_of,
    describe_dataset,
    mend_of,
    parse_json,
    prepare_empty_folder,
    prepare_file,
    prepare_folder,
    read_json,
    to_json,
    write_private,
)
from reid_audit.records.head_box import HeadBox, measure_head_box
from reid_audit.records.leaks import LeakMap
from reid_audit.records.measures import Canary, GalleryRates, Measures, MissRate
from reid_audit.records.result import AuditResult, Distribution, PairCount, ScanRow
from reid_audit.records.review import Answer, Reading, Review, settle
from reid_audit.records.scans import (
    CANARY,
    FRAMES,
    ORIGINAL,
    Finding,
    Grid,
    Modality,
    ScanRef,
    Volume,
    group_by,
    listed,
    name_series,
    natural_key,
)
from reid_audit.records.scores import IMAGE_COLUMNS, SCORE_COLUMNS, Group, Rate, Real, ScoreTable
from reid_audit.records.significance import TestResult
from reid_audit.records.tables import format_csv, looks_rounded, read_cells
from reid_audit.records.verdict import Check, ConditionVerdict, Decision, Policy, Verdict, worst

__all__ = [
    "CANARY",
    "FRAMES",
    "IMAGE_COLUMNS",
    "ORIGINAL",
    "SCORE_COLUMNS",
    "Answer",
    "AttackEvidence",
    "AuditResult",
    "Calibration",
    "CalibrationError",
    "Canary",
    "Check",
    "Comparison",
    "ConditionVerdict",
    "ControlEvidence",
    "CrossedEvidence",
    "Curve",
    "Decision",
    "DefaceRun",
    "DefaceStatus",
    "DefacerRow",
    "DefacingSummary",
    "Differential",
    "Distribution",
    "EngineError",
    "Estimate",
    "Evidence",
    "Face",
    "FaceRecord",
    "Finding",
    "Fingerprint",
    "GalleryRates",
    "Grid",
    "Group",
    "HeadBox",
    "ImageEvidence",
    "InputError",
    "Lattice",
    "LeakGap",
    "LeakMap",
    "Lines",
    "MatchRates",
    "Measures",
    "MissRate",
    "Modality",
    "OriginalSummary",
    "PairCount",
    "Policy",
    "Portrait",
    "Rate",
    "Reading",
    "Real",
    "ReidAuditError",
    "Relief",
    "RenderError",
    "Repeatability",
    "Review",
    "ScanRef",
    "ScanRow",
    "ScoreTable",
    "SearchRates",
    "Skin",
    "Status",
    "StoreError",
    "StratumEvidence",
    "SubjectEvidence",
    "TestResult",
    "Threshold",
    "ThresholdStability",
    "TradeOff",
    "UtilityValue",
    "Verdict",
    "View",
    "Volume",
    "WeightsError",
    "WorstCase",
    "adapter_of",
    "describe_dataset",
    "format_csv",
    "group_by",
    "listed",
    "looks_rounded",
    "measure_head_box",
    "mend_of",
    "name_series",
    "natural_key",
    "parse_json",
    "prepare_empty_folder",
    "prepare_file",
    "prepare_folder",
    "read_cells",
    "read_json",
    "settle",
    "summarise_defacing",
    "to_json",
    "worst",
    "write_private",
]
