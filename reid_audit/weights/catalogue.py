"""Every model file that this package knows of: where it is published, under which terms, and its digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_DLIB_PACKAGE = "face_recognition_models"
_DEEPFACE_RELEASE = "https://github.com/serengil/deepface_models/releases/download/v1.0/"
_DEEPFACE_BACKUP = "https://huggingface.co/serengil/deepface/resolve/main/"
_OPENCV_ZOO = "https://github.com/opencv/opencv_zoo/raw/main/models/"
_HAAR = "https://github.com/opencv/opencv/raw/4.9.0/data/haarcascades/"
_NOT_STATED = "; the terms of its training pictures are not stated"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """What is known of one model file.

    Attributes
    ----------
    name : str
        How this package calls it.
    file_name : str
        Name on disk, without folders.
    licence : str
        Terms of the *weights*, as far as their publisher states them.
    source : str
        Where the file is published.
    size_bytes : int or None
        Exact size where it is known.
    sha256 : str or None
        64 lower-case hex digits where the file is pinned.
    package : str
        Distribution that carries the file; empty if none does.
    package_folder : str
        Folder of that distribution's module in which it lies.
    folder : str
        Folder below the weights home; empty = the home itself.
    urls : tuple of str
        Addresses to download it from, tried in order; one that ends in ``.bz2`` is unpacked. Empty: by hand only.
    """

    name: str
    file_name: str
    licence: str
    source: str
    size_bytes: int | None = None
    sha256: str | None = None
    package: str = ""
    package_folder: str = "models"
    folder: str = ""
    urls: tuple[str, ...] = ()


def _deepface(name: str, file_name: str, licence: str) -> ModelFile:
    # DeepFace publishes no digests of its ONNX files, so that they cannot be pinned.
    return ModelFile(
        name=name,
        file_name=file_name,
        licence=licence + _NOT_STATED,
        source=_DEEPFACE_RELEASE + file_name,
        urls=(_DEEPFACE_RELEASE + file_name, _DEEPFACE_BACKUP + file_name),
    )


def _dlib(name: str, file_name: str, size_bytes: int, sha256: str) -> ModelFile:
    return ModelFile(
        name=name,
        file_name=file_name,
        licence="CC0 1.0 (public domain)",
        source="https://github.com/davisking/dlib-models",
        size_bytes=size_bytes,
        sha256=sha256,
        package=_DLIB_PACKAGE,
        urls=(f"https://dlib.net/files/{file_name}.bz2",),
    )


def _cascade(name: str, file_name: str, sha256: str) -> ModelFile:
    return ModelFile(
        name=name,
        file_name=file_name,
        licence="terms stated at the head of the file (Intel, for open source computer vision)",
        source=_HAAR + file_name,
        sha256=sha256,
        package="cv2",  # the wheels of OpenCV 4 carry it, those of OpenCV 5 do not
        package_folder="data",
        urls=(_HAAR + file_name,),
    )


def _yolo(name: str, url: str) -> ModelFile:
    return ModelFile(
        name=name,
        file_name=f"{name}-face.pt",
        licence="AGPL-3.0 (ultralytics)" + _NOT_STATED,
        source=url,
        urls=(url,),
    )


_YAPALAB = "https://github.com/YapaLab/yolo-face/releases/download/1.0.0/"
_AKANAMETOV = "https://github.com/akanametov/yolo-face/releases/download/1.0.0/"


def _index(*records: ModelFile) -> Mapping[str, ModelFile]:
    return MappingProxyType({record.name: record for record in records})


MODEL_FILES: Mapping[str, ModelFile] = _index(
    _dlib(
        "dlib-recogniser",
        "dlib_face_recognition_resnet_model_v1.dat",
        22_466_066,
        "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    ),
    _dlib(
        "dlib-landmarks",
        "shape_predictor_5_face_landmarks.dat",
        9_150_489,
        "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
    ),
    _deepface("RetinaFace", "retinaface.onnx", "MIT (serengil/retinaface)"),
    _deepface("Facenet512", "facenet512_weights.onnx", "MIT (davidsandberg/facenet)"),
    _deepface("Facenet", "facenet_weights.onnx", "MIT (davidsandberg/facenet)"),
    _deepface("ArcFace", "arcface_weights.onnx", "MIT (leondgarse/Keras_insightface)"),
    _deepface("VGG-Face", "vgg_face_weights.onnx", "terms of https://www.robots.ox.ac.uk/~vgg/software/vgg_face/"),
    _deepface("OpenFace", "openface_weights.onnx", "terms of github.com/iwantooxxoox/Keras-OpenFace"),
    _deepface("DeepFace", "VGGFace2_DeepFace_weights_val-0.9034.onnx", "terms of github.com/swghosh/DeepFace"),
    _deepface("DeepID", "deepid_weights.onnx", "terms of github.com/Ruoyiran/DeepID"),
    _deepface("GhostFaceNet", "ghostfacenet_v1.onnx", "terms of github.com/HamadYA/GhostFaceNets"),
    ModelFile(
        name="SFace",
        file_name="face_recognition_sface_2021dec.onnx",
        licence="Apache-2.0 (opencv/opencv_zoo)" + _NOT_STATED,
        source=_OPENCV_ZOO + "face_recognition_sface/face_recognition_sface_2021dec.onnx",
        size_bytes=24_227_283,
        sha256="f6abbfff9575e3041db692c1e29d782e995191888477fd59ebc81202d99fc63b",
        urls=(_OPENCV_ZOO + "face_recognition_sface/face_recognition_sface_2021dec.onnx",),
    ),
    ModelFile(
        name="Buffalo_L",
        file_name="webface_r50.onnx",
        licence="non-commercial research only (deepinsight/insightface)",
        source="https://github.com/deepinsight/insightface",
        folder="buffalo_l",
        urls=("https://drive.google.com/uc?export=download&confirm=pbef&id=1N0GL-8ehw_bz2eZQWz2b0A5XBdXdxZhg",),
    ),
    ModelFile(
        name="YuNet",
        file_name="face_detection_yunet_2023mar.onnx",
        licence="MIT (opencv/opencv_zoo)" + _NOT_STATED,
        source=_OPENCV_ZOO + "face_detection_yunet/face_detection_yunet_2023mar.onnx",
        size_bytes=232_589,
        sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        urls=(_OPENCV_ZOO + "face_detection_yunet/face_detection_yunet_2023mar.onnx",),
    ),
    _cascade(
        "haar-face",
        "haarcascade_frontalface_default.xml",
        "0f7d4527844eb514d4a4948e822da90fbb16a34a0bbbbc6adc6498747a5aafb0",
    ),
    _cascade(
        "haar-eyes",
        "haarcascade_eye.xml",
        "71cc64fc305a355dc60067880f6fbbd43dd155bd63ee3844661a1bda34b2fd8c",
    ),
    ModelFile(
        name="CenterFace",
        file_name="centerface.onnx",
        licence="terms of github.com/Star-Clouds/CenterFace" + _NOT_STATED,
        source="https://github.com/Star-Clouds/CenterFace",
        urls=("https://github.com/Star-Clouds/CenterFace/raw/master/models/onnx/centerface.onnx",),
    ),
    ModelFile(
        name="ssd-graph",
        file_name="deploy.prototxt",
        licence="terms of github.com/opencv/opencv",
        source="https://github.com/opencv/opencv/tree/3.4.0/samples/dnn/face_detector",
        urls=("https://github.com/opencv/opencv/raw/3.4.0/samples/dnn/face_detector/deploy.prototxt",),
    ),
    ModelFile(
        name="ssd-weights",
        file_name="res10_300x300_ssd_iter_140000.caffemodel",
        licence="terms of github.com/opencv/opencv_3rdparty" + _NOT_STATED,
        source="https://github.com/opencv/opencv_3rdparty",
        urls=(
            "https://github.com/opencv/opencv_3rdparty/raw/dnn_samples_face_detector_20170830/"
            "res10_300x300_ssd_iter_140000.caffemodel",
        ),
    ),
    _yolo("yolov8n", "https://drive.google.com/uc?id=1qcr9DbgsX3ryrz2uU8w4Xm3cOrRywXqb"),
    _yolo("yolov8m", _YAPALAB + "yolov8m-face.pt"),
    _yolo("yolov8l", _YAPALAB + "yolov8l-face.pt"),
    _yolo("yolov11n", _AKANAMETOV + "yolov11n-face.pt"),
    _yolo("yolov11s", _AKANAMETOV + "yolov11s-face.pt"),
    _yolo("yolov11m", _AKANAMETOV + "yolov11m-face.pt"),
    _yolo("yolov11l", _YAPALAB + "yolov11l-face.pt"),
    _yolo("yolov12n", _YAPALAB + "yolov12n-face.pt"),
    _yolo("yolov12s", _YAPALAB + "yolov12s-face.pt"),
    _yolo("yolov12m", _YAPALAB + "yolov12m-face.pt"),
    _yolo("yolov12l", _YAPALAB + "yolov12l-face.pt"),
)
"""Every model file that an encoder may ask for, by name."""
