"""How long a face takes with each encoder, and in proportion to dlib.

Run: ``python tests/benchmarks/bench_face.py [--repeats 5] [--graphs FOLDER]``. Only dlib has its real weights; the
others are stand-ins of the same sizes of picture and vector, so that what is timed of them is everything but their
network; or graphs of the true architectures with random weights, written by make_graphs.py. The RetinaFace of these is
timed on the same picture, in which its random weights find nobody. One thread, as a worker of `reid-audit` has.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from skimage import data

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from reid_audit import testing, weights
from reid_audit.face import Detector, make_detector, make_encoder
from reid_audit.records import Portrait, View


def time_each(encoders, portrait, repeats):
    """Median seconds of CPU of all the encoders on one portrait; shifted each time, so that nothing is remembered."""
    seconds = []
    for shift in range(repeats + 1):
        pixels = np.ascontiguousarray(np.roll(portrait.pixels, shift, axis=1))
        moved = Portrait(pixels, portrait.view, portrait.ras_mm_to_px, portrait.renderer)
        begin = time.process_time()
        for encoder in encoders:
            face = encoder.encode(moved)
            assert face.acquired, (encoder.name, face.reason)
        seconds.append(time.process_time() - begin)
    return statistics.median(seconds[1:])


def time_detector(name, portrait, repeats):
    """Median seconds of CPU of a detector on one portrait, whatever it finds."""
    detector, seconds = make_detector(name), []
    for _ in range(repeats + 1):
        begin = time.process_time()
        detector.detect(portrait)
        seconds.append(time.process_time() - begin)
    return statistics.median(seconds[1:])


def main() -> None:
    """Time each encoder with dlib's detector, then all of them on one detection."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--graphs", type=Path, help="folder of make_graphs.py: its networks and no others are timed")
    options = parser.parse_args()
    repeats = options.repeats
    portrait = Portrait(data.astronaut(), View(), np.eye(3, 4), "photograph")
    with tempfile.TemporaryDirectory() as home:
        os.environ["DEEPFACE_HOME"] = home
        files = weights.local.MODEL_FILES = testing.unpinned(weights.MODEL_FILES)
        folder = testing.write_weights(Path(home), *testing.ENCODERS)
        names = ["dlib", *testing.ENCODERS]
        if options.graphs:
            names = ["dlib", *(name for name in testing.ENCODERS if (options.graphs / files[name].file_name).exists())]
            for graph in options.graphs.glob("*.onnx"):
                (folder / graph.name).unlink()
                (folder / graph.name).symlink_to(graph.resolve())
            there = (options.graphs / "retinaface.onnx").exists()
            for name in ("dlib", "RetinaFace") if there else ("dlib",):
                print(f"detector {name:<14}{1000 * time_detector(name.lower(), portrait, repeats):8.1f} ms")
        base = None
        total = 0.0
        for name in names:
            seconds = time_each([make_encoder(name, detector="dlib")], portrait, repeats)
            base, total = base or seconds, total + seconds
            print(f"{name:<14}{1000 * seconds:8.1f} ms   {seconds / base:5.2f} x dlib")
        shared: dict[str, Detector] = {}
        encoders = [make_encoder(name, detector="dlib", detectors=shared) for name in names]
        together = time_each(encoders, portrait, repeats)
        print(f"{'all at once':<14}{1000 * together:8.1f} ms   {together / total:5.2f} x one after the other")


if __name__ == "__main__":
    main()
