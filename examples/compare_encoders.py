"""Compare encoders on originals: synthetic heads, a cohort of your own, visits simulated from label maps.

::

    python examples/compare_encoders.py dlib onnx:model.onnx --phantoms 24
    python examples/compare_encoders.py dlib Facenet512 ArcFace --manifest cohort/manifest.csv --detector dlib
    python examples/compare_encoders.py dlib onnx:model.onnx --phantoms 40 --variety 1.5 --labels label_maps
    python examples/compare_encoders.py dlib --phantoms 70 --difficulty hard --spacing-mm 2

One table for all that is asked for, with rates of whole cohorts and nothing about one person. Each scan is drawn once
and its face is looked for once per detector; every encoder then reads the same place. Time is that of a whole face,
with the detector's part. AUC counts a pair without a face one half; `found` leaves such pairs out. `same` and
`different` are the mean distances of one person's scans and of two people's: whether synthetic strangers are as unlike
each other as those of real head shapes is seen there, and `--difficulty` and `--variety` set it.
People need two sessions. `reid-audit choose-model` does it for a manifest, on all cores.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from simulate_visits import simulate_visit

from reid_audit.accuracy import assess, calibrate_scores
from reid_audit.accuracy.choose import EncoderChoice, choose_encoder, score_encoder
from reid_audit.dataset import read_manifest
from reid_audit.face import Detector, Encoder, make_encoder
from reid_audit.match import compare_faces
from reid_audit.phantom import DIFFICULTIES, make_phantom
from reid_audit.records import (
    ORIGINAL,
    Face,
    FaceRecord,
    Fingerprint,
    Group,
    Portrait,
    Rate,
    ReidAuditError,
    ScanRef,
    ScoreTable,
    Status,
    Volume,
)
from reid_audit.render import Renderer, find_frontal_view, make_renderer
from reid_audit.surface import extract_skin
from reid_audit.volume import read_labels, read_volume

TIMED = 5
"""Portraits on which the time per face is measured."""


def list_phantoms(
    people: int, seed: int, *, variety: float | None, difficulty: str, spacing_mm: float | None
) -> Iterator[tuple[ScanRef, Volume]]:
    """Two visits of each synthetic person."""
    for identity in range(people):
        for visit in (1, 2):
            scan = ScanRef(f"s{identity:03d}", str(visit), ORIGINAL, Path(f"s{identity:03d}_{visit}.nii.gz"))
            made = make_phantom(
                identity, visit, seed=seed, variety=variety, difficulty=difficulty, spacing_mm=spacing_mm
            )
            yield scan, made.volume


def list_originals(manifest: Path) -> Iterator[tuple[ScanRef, Volume | ReidAuditError]]:
    """Every original of a cohort; one that cannot be read is counted, not left out."""
    for scan in read_manifest(manifest).scans:
        if scan.condition == ORIGINAL:
            try:
                yield scan, read_volume(scan.path, modality=scan.modality)
            except ReidAuditError as error:
                yield scan, error


def list_visits(folder: Path, seed: int) -> Iterator[tuple[ScanRef, Volume]]:
    """Two simulated visits of each person of a folder of label maps; nothing is written."""
    for person, path in enumerate(sorted(folder.glob("*.nii.gz"))):
        labels, voxel_to_ras_mm = read_labels(path)
        for visit in (1, 2):
            rng = np.random.default_rng([seed, person, visit])
            volume, _ = simulate_visit(labels, voxel_to_ras_mm, np.zeros(labels.shape, np.uint8), rng=rng)
            yield ScanRef(f"l{person:03d}", str(visit), ORIGINAL, Path(f"l{person:03d}_{visit}.nii.gz")), volume


def draw(volume: Volume | ReidAuditError, renderer: Renderer) -> Portrait | ReidAuditError:
    """Portrait from the front, or why there is none."""
    if isinstance(volume, ReidAuditError):
        return volume
    try:
        skin = extract_skin(volume)
        return renderer.render(skin, find_frontal_view(skin))
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


class Searched(NamedTuple):
    """AUC over the faces that were found alone, second visits that find their own person first, mean distances."""

    auc: float
    rank1: Rate
    chance1: float
    same: float
    different: float


def search(scores: ScoreTable) -> Searched:
    """Look every second visit up among all first ones."""
    calibration = calibrate_scores(scores, fingerprint=Fingerprint("", "", "", "", "", "", ""), seed=0, draws=0)
    (control,) = assess(scores, calibration, seed=0).controls
    means = scores.frame.groupby("group")["distance"].mean()
    return Searched(
        calibration.auc.value,
        control.search.rank1,
        control.search.chance1,
        means[Group.SAME.value],
        means[Group.DIFFERENT.value],
    )


def compare_encoders(
    encoders: tuple[Encoder, ...], scans: Iterator[tuple[ScanRef, Volume | ReidAuditError]], renderer: Renderer
) -> tuple[EncoderChoice, dict[str, Searched]]:
    """Look at every scan with every encoder; give the choice, and rank-1 by encoder."""
    records: dict[str, list[FaceRecord]] = {encoder.name: [] for encoder in encoders}
    timed: list[Portrait] = []
    for scan, volume in scans:
        portrait = draw(volume, renderer)
        if isinstance(portrait, Portrait) and len(timed) < TIMED:
            timed.append(portrait)
        for encoder in encoders:
            records[encoder.name].append(FaceRecord(scan, encode(portrait, encoder)))
        print(f"\r{len(records[encoders[0].name])} scans", end="", file=sys.stderr, flush=True)
    print("\r", end="", file=sys.stderr)
    tables = {encoder.name: compare_faces(records[encoder.name]) for encoder in encoders}
    choice = choose_encoder(
        score_encoder(
            encoder.name,
            tables[encoder.name],
            seconds=time_face(encoder, encoder.detector, timed) if timed else float("nan"),
        )
        for encoder in encoders
    )
    return choice, {name: search(table) for name, table in tables.items()}


HEADINGS = (
    f"{'cohort':<14}{'encoder':<26}{'AUC':>7}{'  [95 %]':<16}{'found':>7}{'rank-1':>8}{'chance':>8}{'overlap':>8}"
    f"{'H':>8}{'TMR@1%':>8}{'same':>8}{'different':>11}{'FTA':>9}{'ms/face':>9}"
)


def say(cohort: str, choice: EncoderChoice, searched: dict[str, Searched]) -> None:
    """Print the rows of one cohort."""
    for score in choice.scores:
        interval = f"  [{score.auc.low:.3f}, {score.auc.high:.3f}]"
        fta = f"{score.fta.successes}/{score.fta.trials}"
        search = searched[score.encoder]
        first = f"{search.rank1.successes}/{search.rank1.trials}"
        print(
            f"{cohort:<14}{score.encoder:<26}{score.auc.value:>7.3f}{interval:<16}"
            f"{search.auc:>7.3f}{first:>8}{search.chance1:>8.3f}"
            f"{score.overlap:>8.2f}{score.h.statistic:>8.1f}{score.tmr.value:>8.2f}"
            f"{search.same:>8.3f}{search.different:>11.3f}{fta:>9}{1000 * score.seconds:>9.0f}"
        )
    print(f"{cohort:<14}{choice.reason}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("encoders", nargs="+", help="e.g. dlib Facenet512 onnx:model.onnx")
    parser.add_argument("--detector", default="auto")
    parser.add_argument("--renderer", default="auto")
    parser.add_argument("--phantoms", type=int, metavar="PEOPLE")
    parser.add_argument("--variety", type=float, help="of the phantoms, as in `make_phantom`")
    parser.add_argument("--spacing-mm", type=float, help="of the phantoms; 2 is quick")
    parser.add_argument("--difficulty", choices=list(DIFFICULTIES), default="easy", help="of the phantoms")
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--labels", type=Path, metavar="FOLDER", help="label maps, .nii.gz; above 0 is head")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    cohorts: dict[str, Iterator[tuple[ScanRef, Volume | ReidAuditError]]] = {}
    if options.phantoms:
        cohorts["phantoms"] = list_phantoms(
            options.phantoms,
            options.seed,
            variety=options.variety,
            difficulty=options.difficulty,
            spacing_mm=options.spacing_mm,
        )
    if options.labels:
        cohorts["label maps"] = list_visits(options.labels, options.seed)
    if options.manifest:
        cohorts[options.manifest.stem] = list_originals(options.manifest)
    if not cohorts:
        parser.error("say on whom: --phantoms, --labels or --manifest")

    shared: dict[str, Detector] = {}
    encoders = [make_encoder(name, detector=options.detector, detectors=shared) for name in options.encoders]
    for notice in dict.fromkeys(encoder.notice for encoder in encoders if encoder.notice):
        print(notice)
    print(HEADINGS)
    with make_renderer(options.renderer) as renderer:
        for cohort, scans in cohorts.items():
            say(cohort, *compare_encoders(encoders, scans, renderer))


if __name__ == "__main__":
    main()
