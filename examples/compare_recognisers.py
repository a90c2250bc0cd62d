"""Compare recognisers on the originals of a cohort, or on synthetic heads: which one would an attacker take?

::

    python examples/compare_recognisers.py dlib onnx:model.onnx --phantoms 24
    python examples/compare_recognisers.py dlib Facenet512 ArcFace --manifest cohort/manifest.csv --detector dlib

Each scan is drawn once and its face is looked for once per detector; every recogniser then reads the same place. Time
is that of a whole face, with the detector's part. A manifest needs people with two sessions.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from reid_audit.accuracy.choose import choose_encoder, score_encoder
from reid_audit.dataset import read_manifest
from reid_audit.face import Encoder, make_encoder, make_encoders
from reid_audit.match import compare
from reid_audit.phantom import make_phantom
from reid_audit.records import ORIGINAL, Face, FaceRecord, Portrait, ReidAuditError, ScanRef, Status, Volume
from reid_audit.render import Renderer, frontal_view, make_renderer
from reid_audit.surface import extract_skin
from reid_audit.volume import read_volume

TIMED = 5
"""Portraits on which the time per face is measured."""


def list_phantoms(people: int, seed: int) -> Iterator[tuple[ScanRef, Volume]]:
    """Two visits of each synthetic person."""
    for identity in range(people):
        for visit in (1, 2):
            scan = ScanRef(f"s{identity:03d}", str(visit), ORIGINAL, Path(f"s{identity:03d}_{visit}.nii.gz"))
            yield scan, make_phantom(identity, visit, seed=seed).volume


def list_originals(manifest: Path) -> Iterator[tuple[ScanRef, Volume | ReidAuditError]]:
    """Every original of a cohort; one that cannot be read is counted, not left out."""
    for scan in read_manifest(manifest).scans:
        if scan.condition == ORIGINAL:
            try:
                yield scan, read_volume(scan.path, modality=scan.modality)
            except ReidAuditError as error:
                yield scan, error


def draw(volume: Volume | ReidAuditError, renderer: Renderer) -> Portrait | ReidAuditError:
    """Portrait from the front, or why there is none."""
    if isinstance(volume, ReidAuditError):
        return volume
    try:
        skin = extract_skin(volume)
        return renderer.render(skin, frontal_view(skin))
    except ReidAuditError as error:
        return error


def encode(portrait: Portrait | ReidAuditError, encoder: Encoder) -> Face:
    """Face of a portrait; no portrait, no face."""
    if isinstance(portrait, ReidAuditError):
        return Face(Status.RENDER_FAILED, encoder.name, reason=str(portrait))
    return encoder.encode(portrait)


def time_face(encoder: Encoder, detector: str, portraits: list[Portrait]) -> float:
    """Seconds per face, with an encoder of its own that remembers nothing."""
    fresh = make_encoder(encoder.recipe, detector=detector)
    fresh.encode(portraits[0])
    begin = time.perf_counter()
    for portrait in portraits:
        fresh.encode(portrait)
    return (time.perf_counter() - begin) / len(portraits)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("encoders", nargs="+", help="e.g. dlib Facenet512 onnx:model.onnx")
    parser.add_argument("--detector", default="auto")
    parser.add_argument("--renderer", default="auto")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--phantoms", type=int, metavar="PEOPLE")
    source.add_argument("--manifest", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    encoders = make_encoders(options.encoders, detector=options.detector)
    for notice in dict.fromkeys(encoder.notice for encoder in encoders if encoder.notice):
        print(notice)
    records: dict[str, list[FaceRecord]] = {encoder.name: [] for encoder in encoders}
    timed: list[Portrait] = []
    scans = list_originals(options.manifest) if options.manifest else list_phantoms(options.phantoms, options.seed)
    with make_renderer(options.renderer) as renderer:
        for scan, volume in scans:
            portrait = draw(volume, renderer)
            if isinstance(portrait, Portrait) and len(timed) < TIMED:
                timed.append(portrait)
            for encoder in encoders:
                records[encoder.name].append(FaceRecord(scan, encode(portrait, encoder)))
    scores = [
        score_encoder(
            encoder.name,
            compare(records[encoder.name]),
            seconds=time_face(encoder, encoder.detector, timed) if timed else float("nan"),
        )
        for encoder in encoders
    ]
    choice = choose_encoder(scores)
    print(f"{'encoder':<26}{'AUC':>7}{'  [95 %]':<16}{'overlap':>8}{'H':>8}{'TMR@1%':>8}{'FTA':>9}{'ms/face':>9}")
    for score in choice.scores:
        interval = f"  [{score.auc.low:.3f}, {score.auc.high:.3f}]"
        fta = f"{score.fta.successes}/{score.fta.trials}"
        print(
            f"{score.encoder:<26}{score.auc.value:>7.3f}{interval:<16}{score.overlap:>8.2f}{score.h.statistic:>8.1f}"
            f"{score.tmr.value:>8.2f}{fta:>9}{1000 * score.seconds:>9.0f}"
        )
    print(choice.reason)


if __name__ == "__main__":
    main()
