"""How long a face takes with each recogniser, and in proportion to dlib.

Run: ``python tests/benchmarks/bench_face.py [--repeats 5]``. Only dlib has its real weights; the others are stand-ins
of the same sizes of picture and vector, so that what is timed of them is everything but their network.
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
from reid_audit.face import Detector, make_encoder
from reid_audit.records import Portrait, View


def time_each(encoders, portrait, repeats):
    """Median seconds of all the encoders on one portrait; shifted each time, so that nothing is remembered."""
    seconds = []
    for shift in range(repeats + 1):
        pixels = np.ascontiguousarray(np.roll(portrait.pixels, shift, axis=1))
        moved = Portrait(pixels, portrait.view, portrait.ras_mm_to_px, portrait.renderer)
        begin = time.perf_counter()
        for encoder in encoders:
            face = encoder.encode(moved)
            assert face.acquired, (encoder.name, face.reason)
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds[1:])


def main() -> None:
    """Time each recogniser with dlib's detector, then all of them on one detection."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    portrait = Portrait(data.astronaut(), View(), np.eye(3, 4), "photograph")
    with tempfile.TemporaryDirectory() as home:
        os.environ["DEEPFACE_HOME"] = home
        weights.local.MODEL_FILES = testing.unpinned(weights.MODEL_FILES)
        testing.write_weights(Path(home), *testing.ENCODERS)
        names = ["dlib", *testing.ENCODERS]
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
