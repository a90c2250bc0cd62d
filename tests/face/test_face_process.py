"""Packages that are missing, and good manners: each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from places import TESTS

from reid_audit import face, testing

# --- packages that are missing ---


@pytest.mark.parametrize(
    ("package", "encoder"),
    [("dlib", "dlib"), ("deepface", "Facenet512"), ("retinaface", "Facenet512"), ("onnxruntime", "Facenet512")],
)
def test_missing_package_is_an_engine_error(package, encoder, tmp_path):
    testing.write_weights(tmp_path)
    code = f"""
sys.modules[{package!r}] = None  # makes Python's import fail
from reid_audit.face import make_encoder
from reid_audit.records import EngineError
try:
    make_encoder({encoder!r})
except EngineError as error:
    assert "pip install" in str(error) and {package!r} in str(error), error
else:
    raise AssertionError("was made")
"""
    run_python(code, tmp_path)


# --- good manners: each in a process of its own ---


def run_python(code: str, home: Path) -> subprocess.CompletedProcess:
    # Without the variables by which onnxruntime would keep its telemetry to itself on its own.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_", "CI", "GITHUB_"))}
    environment = {**kept, "DEEPFACE_HOME": str(home), "HOME": str(home), "USERPROFILE": str(home)}
    paths = [str(TESTS), str(Path(face.__file__).resolve().parents[2])]
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n" + code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


def test_importing_loads_no_engine_and_makes_no_folder(tmp_path):
    code = """
import reid_audit.face, reid_audit.weights
heavy = ("dlib", "deepface", "retinaface", "cv2", "onnxruntime", "tensorflow", "torch", "requests", "gdown")
assert not [name for name in heavy if name in sys.modules]
"""
    done = run_python(code, tmp_path)
    assert (done.stdout, done.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_a_run_leaves_the_process_as_it_was(tmp_path):
    home = testing.write_weights(tmp_path, *testing.ENCODERS)
    testing.write_centerface(home / "centerface.onnx")
    testing.write_encoder(home / "mine.onnx", size_px=112, dimension=64, channels_first=True)
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    code = """
import logging, os, signal, socket, warnings
def refuse(*_): raise AssertionError("connects")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
import numpy as np
def state():
    root = logging.getLogger()
    return (list(warnings.filters), dict(os.environ), root.level, list(root.handlers), logging.root.manager.disable,
            sys.stdout, sys.stderr, socket.getdefaulttimeout(), os.getcwd(), signal.getsignal(signal.SIGINT))
before = state()
from reid_audit import testing, weights
from reid_audit.face import make_encoder
from reid_audit.records import Portrait, View
pixels = np.random.default_rng(0).integers(0, 90, (512, 512, 3), dtype=np.uint8)
testing.paint_face(pixels, left=220, top=200)
weights.local.MODEL_FILES = testing.unpinned(weights.MODEL_FILES)
cases = [(name, "auto") for name in (*testing.ENCODERS, "dlib", "onnx:mine.onnx")]
for name, detector in (*cases, ("ArcFace", "centerface"), ("onnx:mine.onnx", "dlib")):
    encoder = make_encoder(name, detector=detector)
    made = encoder.encode(Portrait(pixels, View(), np.eye(3, 4), "test"))
    assert made.status != "backend_error", made.reason
    assert state() == before
from deepface.commons.logger import Logger
from reid_audit.face import _models
Logger().log_level = 10  # deepface's loggers print
_models.load_recogniser.cache_clear()
make_encoder("ArcFace")
import onnxruntime
from deepface.commons import weight_utils
from retinaface.commons import weight_utils as retinaface_weight_utils
for module in (weight_utils, retinaface_weight_utils):
    assert module.download_weights_if_necessary.__module__ == module.__name__
assert onnxruntime.SessionOptions().intra_op_num_threads == 0
"""
    done = run_python(code, tmp_path)
    assert (done.stdout, done.stderr) == ("", "")
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before
    assert home.is_dir()


def test_another_engine_chosen_earlier_in_the_process_is_told(tmp_path):
    testing.write_weights(tmp_path)
    code = """
from deepface.commons import backend_utils
backend_utils._backend_engine = "tensorflow"
from reid_audit.face import make_encoder
from reid_audit.records import EngineError
try:
    make_encoder("Facenet512")
except EngineError as error:
    assert "DEEPFACE_BACKEND_ENGINE=onnx" in str(error)
else:
    raise AssertionError("ran on another engine")
"""
    run_python(code, tmp_path)
