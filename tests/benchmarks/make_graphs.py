"""Write ONNX graphs of the architectures that DeepFace ships, with random weights: what a face costs, not who it is.

Run in an environment of its own (``pip install tensorflow-cpu tf-keras tf2onnx deepface retina-face werkzeug``), then
time the graphs in that of the project::

    python tests/benchmarks/make_graphs.py graphs
    python tests/benchmarks/bench_face.py --graphs graphs

The files have the names of the real ones and their sizes within 1 MB; each says that it is a stand-in. SFace, Buffalo_L
and the small detectors come as ONNX files alone, so that there is no architecture to draw weights for; of VGG-Face and
DeepFace, half a gigabyte each, the converter needs more than 20 GB.
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "DEEPFACE_BACKEND_ENGINE": "tensorflow"}
PRODUCER = "reid-audit stand-in"  # of `reid_audit.testing`, which this environment lacks

GRAPHS = {
    "facenet512_weights.onnx": ("Facenet", "load_facenet512d_model", (160, 160)),
    "facenet_weights.onnx": ("Facenet", "load_facenet128d_model", (160, 160)),
    "arcface_weights.onnx": ("ArcFace", "load_model", (112, 112)),
    "openface_weights.onnx": ("OpenFace", "load_model", (96, 96)),
    "deepid_weights.onnx": ("DeepID", "load_model", (55, 47)),
    "ghostfacenet_v1.onnx": ("GhostFaceNet", "load_model", (112, 112)),
}


def write_graph(call: Callable[[Any], Any], size: tuple[int | None, int | None], path: Path) -> None:
    """Trace a network on pictures of height and width, and write it with its outputs in their order."""
    import tensorflow as tf
    import tf2onnx

    signature = [tf.TensorSpec((None, *size, 3), tf.float32, name="pictures")]
    graph, _ = tf2onnx.convert.from_function(tf.function(call), input_signature=signature, opset=17)
    graph.producer_name = PRODUCER
    path.write_bytes(graph.SerializeToString())
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB", flush=True)


def main() -> None:
    """Write what the folder lacks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    from deepface.commons import weight_utils
    from retinaface.model import retinaface_model

    weight_utils.download_weights_if_necessary = lambda *_, **__: ""  # nothing is fetched, weights stay random
    weight_utils.load_model_weights = lambda model, **_: model
    retinaface_model.load_weights = lambda model: model
    if not (folder / "retinaface.onnx").exists():
        network = retinaface_model.build_model()
        for layer in network.layers:
            if layer.name.startswith("face_rpn_cls_score_stride"):  # background: no thousand faces of chance to sort
                layer.bias.assign(10.0 * (layer.bias * 0 + [1.0, 1.0, -1.0, -1.0]))
        write_graph(network, (None, None), folder / "retinaface.onnx")
    for name, (module, build, size) in GRAPHS.items():
        if not (folder / name).exists():
            network = getattr(importlib.import_module(f"deepface.models.facial_recognition.tf.{module}"), build)()
            write_graph(lambda pictures, network=network: network(pictures, training=False), size, folder / name)


if __name__ == "__main__":
    main()
