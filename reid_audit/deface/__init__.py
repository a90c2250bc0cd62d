"""Reference defacers, small ones of this package, and a runner for external tools.

Words
-----
defacer
    Anything that takes a volume with its label map and gives back a volume on the same grid, with the mask of the
    voxels that it changed.
image axes
    i, j, k of a `Volume` grow to the right, front and top. The reference defacers cut along them, as
    O'Sullivan-Steben 2025 cuts along the slices of the scan, and not along the axes of a tilted head.
study
    A scan as radiotherapy keeps it in DICOM: a CT series, an RT structure set with its contours, and RT doses. The body
    contour and the dose show the face as the scan does, so that all three are defaced together (`deface_study`).
tool
    A program of somebody else: a `Tool` says how it is run, `find_tool` whether it is here, `run_tool` runs it.

A reference defacer shows what a kind of defacing does to the evidence. It is not meant for a release.
"""

from .cohort import deface_scans, parse_makers
from .companions import Companions
from .dicom import DefacedStudy, StudySettings, deface_study
from .drawn_head import DrawnHead
from .examine import examine_scans
from .found import FoundTool, find_tool
from .frame import FaceFrame, find_face_frame
from .label_map import deface_files
from .names import list_defacers, make_defacer, reference_defacers
from .protocol import Defaced, Defacer, apply_defacer
from .quality import QUALITY_FILE, DefacingQuality, QualitySummary, examine_defacing, summarise_quality, write_quality
from .reface import AverageReface, DrawnReface
from .reference import EyePlaneCut, FaceBlur, FaceRemoval
from .run import ToolRun, run_tool
from .runs import DEFACING_FILE, read_defacing, write_defacing
from .simple import FaceBox, NoDefacing, QuickShear, ShellBlur, SkinNoise
from .studies import STUDIES_FILE, deface_studies, write_studies
from .study import RtStudy, find_study
from .tools import TOOLS, Tool

__all__ = [
    "DEFACING_FILE",
    "QUALITY_FILE",
    "STUDIES_FILE",
    "TOOLS",
    "AverageReface",
    "Companions",
    "Defaced",
    "DefacedStudy",
    "Defacer",
    "DefacingQuality",
    "DrawnHead",
    "DrawnReface",
    "EyePlaneCut",
    "FaceBlur",
    "FaceBox",
    "FaceFrame",
    "FaceRemoval",
    "FoundTool",
    "NoDefacing",
    "QualitySummary",
    "QuickShear",
    "RtStudy",
    "ShellBlur",
    "SkinNoise",
    "StudySettings",
    "Tool",
    "ToolRun",
    "apply_defacer",
    "deface_files",
    "deface_scans",
    "deface_studies",
    "deface_study",
    "examine_defacing",
    "examine_scans",
    "find_face_frame",
    "find_study",
    "find_tool",
    "list_defacers",
    "make_defacer",
    "parse_makers",
    "read_defacing",
    "reference_defacers",
    "run_tool",
    "summarise_quality",
    "write_defacing",
    "write_quality",
    "write_studies",
]
