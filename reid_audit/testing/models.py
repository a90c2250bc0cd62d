"""Stand-ins for model files that cannot be shipped: tiny ONNX graphs that DeepFace's own loaders accept.

They say nothing about people. The encoder is a random projection of a 4 x 4 thumbnail; the detector sees a face
wherever a patch is red, so that a test paints faces where it wants them, and sees when red and blue are swapped. Every
file carries the producer name ``"reid-audit stand-in"``.

An ONNX file is a protocol buffer: a sequence of (key, value), key = field number * 8 + wire type. Only the messages and
fields used here are written, with their numbers from https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid_audit.weights import ModelFile

PRODUCER = "reid-audit stand-in"
RED = (255, 0, 0)
FAINT_RED = (152, 0, 0)  # the detector gives it a score of 1 / (1 + exp(-0.8)) = 0.69
PATCH_PX = 80  # holds at least one whole cell of 32 px wherever it lies
_STRIDES = (32, 16, 8)
_FLOAT = 1


def _varint(number: int) -> bytes:
    groups = []
    while True:
        number, low = number >> 7, number & 0x7F
        groups.append(low | (0x80 if number else 0))
        if not number:
            return bytes(groups)


def _integer(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _chunk(field: int, content: str | bytes) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _tensor(name: str, array: NDArray[np.float32]) -> bytes:
    dims = b"".join(_integer(1, size) for size in array.shape)
    return dims + _integer(2, _FLOAT) + _chunk(8, name) + _chunk(9, array.astype("<f4").tobytes())


def _attribute(name: str, value: int | list[int]) -> bytes:
    if isinstance(value, list):
        return _chunk(1, name) + b"".join(_integer(8, item) for item in value) + _integer(20, 7)
    return _chunk(1, name) + _integer(3, value) + _integer(20, 2)


def _node(operator: str, inputs: Sequence[str], output: str, **attributes: int | list[int]) -> bytes:
    parts = [_chunk(1, name) for name in inputs] + [_chunk(2, output), _chunk(4, operator)]
    return b"".join(parts + [_chunk(5, _attribute(*item)) for item in attributes.items()])


def _port(name: str, shape: Sequence[int | str]) -> bytes:
    """Name and shape of an input or output; a str is a dimension that may vary."""
    dims = b"".join(_chunk(1, _chunk(2, size) if isinstance(size, str) else _integer(1, size)) for size in shape)
    return _chunk(1, name) + _chunk(2, _chunk(1, _integer(1, _FLOAT) + _chunk(2, dims)))


def _model(
    nodes: Sequence[bytes], tensors: Sequence[bytes], inputs: Sequence[bytes], outputs: Sequence[bytes]
) -> bytes:
    graph = b"".join(
        [_chunk(1, node) for node in nodes]
        + [_chunk(2, "stand-in")]
        + [_chunk(5, tensor) for tensor in tensors]
        + [_chunk(11, port) for port in inputs]
        + [_chunk(12, port) for port in outputs]
    )
    opset = _chunk(1, "") + _integer(2, 17)
    return _integer(1, 8) + _chunk(2, PRODUCER) + _chunk(7, graph) + _chunk(8, opset)


def write_encoder(
    path: Path, *, size_px: int | tuple[int, int], dimension: int, seed: int = 0, channels_first: bool = False
) -> Path:
    """Write an encoder: a picture's 4 x 4 thumbnail, less its mean, times a random matrix.

    Parameters
    ----------
    path : Path
        ONNX file to write.
    size_px : int or (int, int)
        The side of the picture, or (width, height).
    dimension : int
        Length of the vector.
    seed : int
        Of the matrix.
    channels_first : bool
        The picture is (1, 3, height, width) instead of (n, height, width, 3).

    Returns
    -------
    Path
        The file.
    """
    width, height = size_px if isinstance(size_px, tuple) else (size_px, size_px)
    cell = [height // 4, width // 4]
    matrix = np.random.default_rng(seed).standard_normal((48, dimension)).astype(np.float32)
    turn = [] if channels_first else [_node("Transpose", ["picture"], "planes", perm=[0, 3, 1, 2])]
    nodes = [
        *turn,
        _node("AveragePool", ["picture" if channels_first else "planes"], "thumbnail", kernel_shape=cell, strides=cell),
        _node("Flatten", ["thumbnail"], "row", axis=1),
        _node("ReduceMean", ["row"], "mean", axes=[1], keepdims=1),
        _node("Sub", ["row", "mean"], "centred"),
        _node("MatMul", ["centred", "matrix"], "vector"),
    ]
    many: int | str = 1 if channels_first else "n"
    shape = [many, 3, height, width] if channels_first else [many, height, width, 3]
    ports = [_port("picture", shape)], [_port("vector", [many, dimension])]
    path.write_bytes(_model(nodes, [_tensor("matrix", matrix)], *ports))
    return path


def write_detector(path: Path) -> Path:
    """Write RetinaFace's nine outputs: (class, box, landmarks) for strides 32, 16, 8, with two anchors each.

    Only the second anchor of stride 32 ever fires, a box of 255 px about its cell; its score is
    sigmoid(0.4 R - 0.4 G - 60) of the mean colour of the cell. Blue moves the box to the right and tilts the eye line:
    the person's right eye falls, and the left one rises, by 0.0005 B of the box.
    """
    nodes, tensors, outputs = [_node("Transpose", ["picture"], "planes", perm=[0, 3, 1, 2])], [], []
    for stride in _STRIDES:
        cells = f"cells{stride}"
        nodes.append(_node("AveragePool", ["planes"], cells, kernel_shape=[stride] * 2, strides=[stride] * 2))
        colour, bias = np.zeros((4, 3, 1, 1), np.float32), np.full(4, -9, np.float32)
        if stride == 32:
            colour[3, :, 0, 0], bias[3] = (0.4, -0.4, 0), -60
        points = np.zeros(20, np.float32)
        points[10:] = [-0.2, -0.15, 0.2, -0.15, 0, 0, -0.15, 0.2, 0.15, 0.2]  # in units of the anchor
        tilt, shift = np.zeros((20, 3, 1, 1), np.float32), np.zeros((8, 3, 1, 1), np.float32)
        tilt[[11, 13], 2, 0, 0] = 0.0005, -0.0005
        shift[4, 2, 0, 0] = 0.0005
        for kind, weight, offset in (
            ("class", colour, bias),
            ("box", shift, np.zeros(8, np.float32)),
            ("points", tilt, points),
        ):
            name = f"{kind}{stride}"
            tensors += [_tensor(f"{name}_w", weight), _tensor(f"{name}_b", offset)]
            nodes.append(_node("Conv", [cells, f"{name}_w", f"{name}_b"], f"{name}_linear", kernel_shape=[1, 1]))
            last = f"{name}_linear"
            if kind == "class":
                nodes.append(_node("Sigmoid", [last], f"{name}_score"))
                last = f"{name}_score"
            nodes.append(_node("Transpose", [last], name, perm=[0, 2, 3, 1]))
            outputs.append(_port(name, ["n", f"rows{stride}", f"columns{stride}", len(offset)]))
    path.write_bytes(_model(nodes, tensors, [_port("picture", ["n", "rows", "columns", 3])], outputs))
    return path


def write_centerface(path: Path) -> Path:
    """Write CenterFace's four outputs at stride 4: a face of 120 px about every cell whose colour is red."""
    nodes = [_node("AveragePool", ["picture"], "cells", kernel_shape=[4, 4], strides=[4, 4])]
    tensors, outputs = [], []
    red = np.zeros((1, 3, 1, 1), np.float32)
    red[0, :, 0, 0] = 0.4, -0.4, 0
    points = np.array(
        [0.35, 0.3, 0.35, 0.7, 0.55, 0.5, 0.8, 0.35, 0.8, 0.65], np.float32
    )  # row, column in units of the box
    for name, weight, offset in (
        ("537", red, np.array([-60], np.float32)),
        ("538", np.zeros((2, 3, 1, 1), np.float32), np.full(2, np.log(30), np.float32)),
        ("539", np.zeros((2, 3, 1, 1), np.float32), np.zeros(2, np.float32)),
        ("540", np.zeros((10, 3, 1, 1), np.float32), points),
    ):
        tensors += [_tensor(f"w{name}", weight), _tensor(f"b{name}", offset)]
        last = "linear" if name == "537" else name
        nodes.append(_node("Conv", ["cells", f"w{name}", f"b{name}"], last, kernel_shape=[1, 1]))
        if name == "537":
            nodes.append(_node("Sigmoid", [last], name))
        outputs.append(_port(name, ["n", len(offset), "rows", "columns"]))
    path.write_bytes(_model(nodes, tensors, [_port("picture", ["n", 3, "height", "width"])], outputs))
    return path


ENCODERS: dict[str, tuple[str, int | tuple[int, int], int, bool]] = {
    "Facenet512": ("facenet512_weights.onnx", 160, 512, False),
    "ArcFace": ("arcface_weights.onnx", 112, 512, False),
    "Facenet": ("facenet_weights.onnx", 160, 128, False),
    "VGG-Face": ("vgg_face_weights.onnx", 224, 4096, False),
    "SFace": ("face_recognition_sface_2021dec.onnx", 112, 128, True),
    "OpenFace": ("openface_weights.onnx", 96, 128, False),
    "DeepFace": ("VGGFace2_DeepFace_weights_val-0.9034.onnx", 152, 4096, False),
    "DeepID": ("deepid_weights.onnx", (47, 55), 160, False),
    "GhostFaceNet": ("ghostfacenet_v1.onnx", 112, 512, False),
    "Buffalo_L": ("buffalo_l/webface_r50.onnx", 112, 512, True),
}
"""DeepFace's encoders: file below the weights home, side or (width, height) in px, length, channels first."""


def write_weights(home: Path, *names: str) -> Path:
    """Put stand-ins where DeepFace looks for its models below ``home``; returns that folder.

    Without names these are Facenet512, ArcFace and RetinaFace; with names, those encoders and RetinaFace.
    """
    folder = home / ".deepface" / "weights"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or ("Facenet512", "ArcFace"):
        file_name, size_px, dimension, channels_first = ENCODERS[name]
        path = folder / file_name
        path.parent.mkdir(exist_ok=True)
        seed = list(ENCODERS).index(name)
        write_encoder(path, size_px=size_px, dimension=dimension, seed=seed, channels_first=channels_first)
    write_detector(folder / "retinaface.onnx")
    return folder


def paint_face(pixels: NDArray[np.uint8], *, left: int, top: int, colour: tuple[int, int, int] = RED) -> None:
    """Paint what the stand-in detectors take for a face into an (h, w, 3) picture, 80 px wide."""
    pixels[top : top + PATCH_PX, left : left + PATCH_PX] = colour


def unpinned(files: Mapping[str, ModelFile]) -> dict[str, ModelFile]:
    """Return the records of model files without digests and sizes, which a stand-in cannot have."""
    return {name: replace(record, sha256=None, size_bytes=None) for name, record in files.items()}
