"""Import DeepFace and onnxruntime without side effects, and load models for one CPU thread or a GPU, offline.

DeepFace is imported late and with the process's warnings, environment and standard output restored afterwards. Its top
module, which makes folders, is not imported at all; its downloaders are replaced by a look at the verified file while a
model is built; its process-wide model caches are not used, so that two homes in one process never mix. onnxruntime is
kept from reporting to its maker.
"""

import contextlib
import io
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from reid_audit.face._device import device_in_use, list_providers
from reid_audit.records import EngineError, ReidAuditError, WeightsError

_LOCK = threading.RLock()
_ENVIRONMENT = {
    "DEEPFACE_BACKEND_ENGINE": "onnx",  # cached at the first import of deepface and of retinaface
    "DEEPFACE_LOG_LEVEL": "40",  # their loggers print to stdout
    "RETINAFACE_LOG_LEVEL": "40",
    # From 1.29 on onnxruntime writes a device id and sends events to its maker unless this is set when it is imported;
    # that is decided once for the life of the process (microsoft/onnxruntime pull request 27379).
    "ORT_DISABLE_TELEMETRY": "1",
    "YOLO_OFFLINE": "true",  # ultralytics sends events otherwise; read when it is imported
}

_DEEPFACE_PROVIDERS = {"cpu": "cpu", "cuda": "cuda,cpu"}  # read whenever a session is built


# --- keeping deepface to itself ---


@contextlib.contextmanager
def contained() -> Iterator[None]:
    """Undo what importing deepface, or building a model with it, does to the process."""
    with _LOCK, warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        before = dict(os.environ)
        os.environ.update(_ENVIRONMENT, DEEPFACE_ONNX_PROVIDERS=_DEEPFACE_PROVIDERS[device_in_use()])
        try:
            yield
        finally:
            for name in os.environ.keys() - before.keys():
                del os.environ[name]
            os.environ.update(before)


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


@dataclass(frozen=True, slots=True)
class Runtime:
    """onnxruntime, which runs the graphs of all models but dlib's."""

    onnxruntime: Any
    versions: Mapping[str, str]

    def options(self) -> Any:
        """Return session options for one CPU thread."""
        made = self.onnxruntime.SessionOptions()
        made.intra_op_num_threads = made.inter_op_num_threads = 1
        made.log_severity_level = 3  # some graphs cover stderr with advice on their optimisation
        return made


@cache
def load_runtime() -> Runtime:
    """Import onnxruntime and OpenCV, once per process.

    Raises
    ------
    EngineError
        If one is missing.
    """
    with contained():
        try:
            import cv2
            import onnxruntime
        except ImportError as error:
            raise EngineError(
                f"the package that runs ONNX files cannot be imported ({error}): pip install 'reid-audit[deepface]'"
            ) from error
        onnxruntime.disable_telemetry_events()  # Windows, and where onnxruntime had been imported before
    return Runtime(onnxruntime, {"onnxruntime": onnxruntime.__version__, "opencv": cv2.__version__})


@dataclass(frozen=True, slots=True)
class Engine:
    """The modules of deepface, retinaface and onnxruntime that are used."""

    detection: Any
    modeling: Any
    preprocessing: Any
    region: Any
    downloads: Any
    retinaface: Any
    retinaface_graph: Any
    retinaface_downloads: Any
    runtime: Runtime
    versions: Mapping[str, str]


@cache
def load_engine() -> Engine:
    """Import what is used of deepface, once per process.

    Raises
    ------
    EngineError
        If a package is missing, or deepface already runs on another engine than ONNX in this process.
    """
    runtime = load_runtime()
    with contained():
        try:
            import deepface
            import retinaface
            from deepface.commons import backend_utils, weight_utils
            from deepface.models.Detector import FacialAreaRegion
            from deepface.modules import detection, modeling, preprocessing
            from retinaface import RetinaFace
            from retinaface.commons import backend_utils as retinaface_backend_utils
            from retinaface.commons import weight_utils as retinaface_weight_utils
            from retinaface.model import retinaface_onnx_model
        except ImportError as error:
            raise EngineError(f"DeepFace cannot be imported ({error}): pip install 'reid-audit[deepface]'") from error
        for package in (backend_utils, retinaface_backend_utils):
            if (chosen := package.get_backend_engine()) != "onnx":
                raise EngineError(
                    f"{package.__name__.split('.')[0]} already runs on {chosen} in this process, set "
                    "DEEPFACE_BACKEND_ENGINE=onnx before it is imported"
                )
    return Engine(
        detection=detection,
        modeling=modeling,
        preprocessing=preprocessing,
        region=FacialAreaRegion,
        downloads=weight_utils,
        retinaface=RetinaFace,
        retinaface_graph=retinaface_onnx_model,
        retinaface_downloads=retinaface_weight_utils,
        runtime=runtime,
        versions={
            "deepface": deepface.__version__,
            "retina-face": retinaface.__version__,
            **runtime.versions,
        },
    )


def build(make: Callable[[Engine], Any], *paths: Path, package: str = "") -> Any:
    """Let deepface build a model from verified files, on the device in use and without a network.

    Parameters
    ----------
    make : callable
        Gets the engine, returns the model.
    *paths : Path
        The files that it may ask for, by their names.
    package : str
        What to install where the model comes with a package of its own; what goes wrong is then laid to it.

    Raises
    ------
    WeightsError
        If a file is damaged, another kind of file, or not among ``paths``.
    EngineError
        If a package is missing or broke.
    """
    engine = load_engine()
    by_name = {path.name: path for path in paths}

    def local_only(file_name: str, *_: object, **__: object) -> str:
        if file_name not in by_name:
            raise WeightsError(f"DeepFace asked for {file_name} while {', '.join(by_name) or 'no file'} was loaded")
        return str(by_name[file_name])

    onnxruntime = engine.runtime.onnxruntime
    with (
        contained(),
        _replaced(engine.downloads, "download_weights_if_necessary", local_only),
        _replaced(engine.retinaface_downloads, "download_weights_if_necessary", local_only),
        _replaced(onnxruntime, "SessionOptions", lambda options=engine.runtime.options(): options),
        _replaced(onnxruntime, "get_available_providers", list_providers),
    ):
        try:
            return make(engine)
        except ReidAuditError:
            raise
        except (ImportError, MemoryError) as error:
            mend = f": pip install {package}" if package else ""
            raise EngineError(
                f"{', '.join(by_name) or package} cannot be loaded ({type(error).__name__}: {error}){mend}"
            ) from error
        except Exception as error:  # onnxruntime's errors share no other base
            cause = error.__cause__ or error
            if package:
                raise EngineError(
                    f"{package} cannot be used ({type(cause).__name__}: {cause}): pip install {package}, "
                    "or choose --detector dlib"
                ) from error
            raise damaged(" and ".join(by_name), cause) from error


def damaged(name: str, cause: BaseException) -> WeightsError:
    """Error for a file that is no model."""
    return WeightsError(
        f"{name} cannot be loaded as a model ({type(cause).__name__}): it is damaged or another kind of file; put the "
        "published one in its place"
    )
