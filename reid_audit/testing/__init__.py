"""For tests of this package and of programs that use it: no scan, no network and no model file is needed.

`FakeEncoder` and `make_tiny_head` stand in for the slow parts; `write_weights` writes model files that the real loaders
accept and whose vectors say nothing about people; `make_result` judges made-up people.
"""

from reid_audit.testing.fake import FakeEncoder, make_tiny_head
from reid_audit.testing.models import (
    ENCODERS,
    FAINT_RED,
    PATCH_PX,
    PRODUCER,
    RED,
    paint_face,
    unpinned,
    write_centerface,
    write_detector,
    write_encoder,
    write_weights,
)
from reid_audit.testing.results import DEFACERS, FINGERPRINT, make_faces, make_result, make_scores

__all__ = [
    "DEFACERS",
    "ENCODERS",
    "FAINT_RED",
    "FINGERPRINT",
    "PATCH_PX",
    "PRODUCER",
    "RED",
    "FakeEncoder",
    "make_faces",
    "make_result",
    "make_scores",
    "make_tiny_head",
    "paint_face",
    "unpinned",
    "write_centerface",
    "write_detector",
    "write_encoder",
    "write_weights",
]
