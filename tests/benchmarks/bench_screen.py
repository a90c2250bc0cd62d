"""Whether `screen` finds faces and alterations in synthetic heads whose truth is known, and how well it draws them.

Run: ``python tests/benchmarks/bench_screen.py [--scans 100] [--seed 5000] [--workers 2] [--keep rows]``, where
``--keep`` lets a stopped run continue; with ``--label-maps FILE ...`` heads come from label maps. Every head is
screened undefaced, and defaced by one of the modes of `MODES` in turn; CT and MR, of several spacings, turned, cropped,
noisy and with an empty background. The truth of a mask is where voxels changed by more than storing may change them,
holes of chance (a new value that happens to be the old one) closed by a majority of their neighbours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_audit.deface import Defacer, apply_defacer
from reid_audit.deface.reface import AverageReface, DrawnReface
from reid_audit.deface.reference import EyePlaneCut, FaceBlur, FaceRemoval
from reid_audit.deface.simple import FaceBox, QuickShear, ShellBlur, SkinNoise
from reid_audit.phantom import LABELS, make_phantom
from reid_audit.records import Modality, Volume
from reid_audit.volume.change import tolerance_of

SEED = 5000
KINDS = ("plain", "turned", "crown cut", "neck cut", "noisy", "oblique", "empty background", "plain")
MODES: Mapping[str, Defacer] = {
    "face removal": FaceRemoval(),
    "average reface": AverageReface(),
    "drawn reface": DrawnReface(people=5),
    "eye plane": EyePlaneCut(),
    "shell blur": ShellBlur(),
    "face box": FaceBox(),
    "blur 2 mm": FaceBlur(),
    "quickshear": QuickShear(),
    "pydeface-like": FaceRemoval(brow_mm=-25.0, name="pydeface-like"),
    "veil": SkinNoise(),
}


LABEL_MAP_MODES = ("face box", "average reface", "shell blur")


@dataclass(frozen=True)
class Case:
    """A scan and what is true of it; ``mode`` is empty where nothing was altered."""

    name: str
    mode: str
    volume: Volume
    truth: NDArray[np.bool_]
    head: NDArray[np.bool_]


def _crop(volume: Volume, labels: Any, low: Any, high: Any) -> tuple[Volume, Any]:
    box = tuple(slice(a, n - b) for a, b, n in zip(low, high, labels.shape, strict=True))
    matrix = volume.voxel_to_ras_mm.copy()
    matrix[:3, 3] = (matrix @ [*low, 1.0])[:3]
    return replace(volume, intensity=np.asfortranarray(volume.intensity[box]), voxel_to_ras_mm=matrix), labels[box]


def make_head(number: int, *, seed: int = SEED) -> tuple[str, Volume, Any]:
    """Make an undefaced head: what is special about it, the scan and its label map."""
    rng = np.random.default_rng((seed, number))
    modality = Modality.CT if number % 2 else Modality.MR
    spacing = float(rng.choice([1.8, 2.1, 2.4]))
    kind = KINDS[number // 2 % len(KINDS)]
    made = make_phantom(
        number,
        seed=seed,
        modality=modality,
        contrast=str(rng.choice(["T1", "T1", "T2", "FLAIR"])),
        spacing_mm=spacing,
        pose_sd_deg=8.0 if kind == "turned" else 3.0,
        oblique_deg=float(rng.uniform(-15, 15)) if kind == "oblique" else 0.0,
        couch=modality is Modality.CT and bool(rng.random() < 0.3),
    )
    volume, labels = made.volume, made.labels
    mm = round(25 / spacing)
    if kind == "crown cut":
        volume, labels = _crop(volume, labels, (0, 0, 0), (0, 0, mm))
    if kind == "neck cut":
        volume, labels = _crop(volume, labels, (0, 0, mm // 2), (0, 0, 0))
    if kind == "noisy":
        sd = 25.0 if volume.is_hu else 0.05 * float(np.percentile(volume.intensity, 99))
        noise = rng.normal(0, sd, volume.intensity.shape).astype(np.float32)
        noisy = volume.intensity + noise
        volume = replace(volume, intensity=np.clip(np.rint(noisy), -1024, None) if volume.is_hu else np.abs(noisy))
    if kind == "empty background":  # as a reconstruction or a bias correction leaves it
        volume = replace(volume, intensity=np.where(labels > 0, volume.intensity, -1024.0 if volume.is_hu else 0.0))
    return f"{modality} {kind} {spacing:g} mm", replace(volume, intensity=np.float32(volume.intensity)), labels


def make_label_head(path: Path, number: int) -> tuple[str, Volume, Any]:
    """Make a CT of 2 mm of a whole-head label map: 40 HU where there is a label, air elsewhere, and noise."""
    from reid_audit.volume import read_labels

    labels, affine = read_labels(path)
    labels = labels[::2, ::2, ::2]
    matrix = affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    noise = np.random.default_rng((SEED, number)).normal(0, 15, labels.shape)
    values = np.rint(np.where(labels > 0, 40.0, -1000.0) + noise).clip(-1024)
    return "label map", Volume(np.asfortranarray(values, np.float32), matrix, Modality.CT), labels


def screen_label_map(path: Path, number: int) -> list[Row]:
    """Screen a head of a label map undefaced, and defaced by the modes that need no eyes or jaw."""
    head = make_label_head(path, number)
    return [screen_case(number, head, mode) for mode in ("", *LABEL_MAP_MODES)]


def make_case(number: int, mode: str, *, seed: int = SEED) -> Case:
    """Make one case."""
    return alter(*make_head(number, seed=seed), mode)


def alter(name: str, volume: Volume, labels: Any, mode: str) -> Case:
    """Deface a head, unless the mode is empty."""
    from scipy.ndimage import uniform_filter

    truth = np.zeros(labels.shape, bool)
    if mode:
        defaced = apply_defacer(MODES[mode], volume, labels, dict(LABELS)).volume
        changed = np.abs(defaced.intensity - volume.intensity) > tolerance_of(volume)
        truth = uniform_filter(changed.astype(np.float32), 3) > 0.5
        volume = defaced
    return Case(name, mode, volume, truth, labels > 0)


@dataclass(frozen=True)
class Row:
    """What screening made of a case."""

    case: str
    mode: str
    state: str
    reason: str
    decision: int
    dice: float
    dice_head: float
    hd95_mm: float
    seconds: float


def _dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    both = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / both if both else float("nan")


def _hd95_mm(a: NDArray[np.bool_], b: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> float:
    """95th percentile of the distances between the surfaces of two masks, both ways."""
    from scipy.ndimage import binary_erosion, distance_transform_edt

    if not a.any() or not b.any():
        return float("nan")
    edges = [mask & ~binary_erosion(mask, border_value=1) for mask in (a, b)]
    away = [
        distance_transform_edt(~other, sampling=spacing_mm)[edge]
        for edge, other in zip(edges, edges[::-1], strict=True)
    ]
    return float(np.percentile(np.concatenate(away), 95))


def screen_head(number: int, seed: int, keep: Path | None) -> list[Row]:
    """Make a head, screen it undefaced and defaced; take what an earlier run kept."""
    kept = None if keep is None else keep / f"{seed}-{number}.json"
    if kept is not None and kept.exists():
        return [Row(**row) for row in json.loads(kept.read_text())]
    modes = list(MODES)
    head = make_head(number, seed=seed)
    rows = [screen_case(number, head, mode) for mode in ("", modes[number // 2 % len(modes)])]
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps([asdict(row) for row in rows]))
    return rows


def screen_case(number: int, head: tuple[str, Volume, Any], mode: str) -> Row:
    """Alter a head and screen it."""
    import time

    from reid_audit.face import make_encoder
    from reid_audit.portrait import ScanContext
    from reid_audit.records import ORIGINAL, ScanRef
    from reid_audit.render import make_renderer
    from reid_audit.screen.judge import screen_context

    class _Made(ScanContext):
        def _read(self) -> Volume:
            return case.volume

    try:
        case = alter(*head, mode)
    except Exception as error:  # noqa: BLE001 - a defacer that cannot do a head leaves no case
        return Row(f"{number}", mode, "not made", f"{type(error).__name__}: {error}"[:100], 0, *[float("nan")] * 4)
    with make_renderer("auto") as renderer:
        began = time.perf_counter()
        context = _Made(ScanRef("", "", ORIGINAL, Path(case.name)), renderer)
        judged = screen_context(context, make_encoder("dlib"), name=case.name)
        seconds = time.perf_counter() - began
    told, nan = judged.screening, float("nan")
    row = Row(f"{number} {case.name}", mode, told.state.value, told.reason, told.decision, nan, nan, nan, seconds)
    if not mode:
        return row
    mask = np.zeros_like(case.truth) if judged.mask is None else judged.mask
    return replace(
        row,
        dice=_dice(mask, case.truth),
        dice_head=_dice(mask & case.head, case.truth & case.head),
        hd95_mm=_hd95_mm(mask & case.head, case.truth & case.head, case.volume.spacing_mm),
    )


def tell(rows: list[Row]) -> None:
    """Print the table of `docs/screen.md`."""
    made = [row for row in rows if row.state != "not made"]
    whole = [row for row in made if not row.mode]
    faces = sum(row.state == "face" for row in whole)
    print(f"undefaced: {faces} of {len(whole)} are faces ({faces / max(1, len(whole)):.1%})")
    defaced = [row for row in made if row.mode]
    missed = sum(row.state == "face" for row in defaced)
    print(f"defaced: {missed} of {len(defaced)} are taken for a face ({missed / max(1, len(defaced)):.1%})")
    for row in made:
        if (row.state != "face") if not row.mode else (row.state != "altered"):
            print(f"  {row.case}, {row.mode or 'undefaced'}: {row.state}: {row.reason}")
    print("| mode | scans | altered | taken for a face | gate 0 / 1 / 3 | Dice | Dice in the head | HD95, mm |")
    print("|---|---|---|---|---|---|---|---|")
    for mode in ("", *MODES):
        some = [row for row in made if row.mode == mode]
        if not some:
            continue
        gates = " / ".join(str(sum(row.decision == code for row in some)) for code in (0, 1, 3))
        altered, face = (sum(row.state == state for row in some) for state in ("altered", "face"))
        text = f"| {mode or 'none'} | {len(some)} | {altered} | {face} | {gates} |"
        for name in ("dice", "dice_head", "hd95_mm") if mode else ():
            values = np.array([getattr(row, name) for row in some])
            values = values[np.isfinite(values)]
            text += (
                f" {values.mean():.3f} +- {values.std():.3f} (median {np.median(values):.3f}) |"
                if len(values)
                else " |"
            )
        print(text if mode else text + " | | |")
    print(f"median {np.median([row.seconds for row in made]):.1f} s a scan")


def main() -> None:
    import argparse

    from reid_audit import local_executor
    from reid_audit.work import run_all

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=100, help="undefaced ones, and as many defaced ones")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for the rows of each head, so that a stopped run continues")
    parser.add_argument("--label-maps", type=Path, nargs="+", help="whole-head label maps, in place of phantoms")
    arguments = parser.parse_args()
    if arguments.label_maps:
        tell([row for n, path in enumerate(arguments.label_maps) for row in screen_label_map(path, n)])
        return
    calls = [(n, arguments.seed, arguments.keep) for n in range(arguments.scans)]
    with local_executor(arguments.workers) as executor:
        rows = run_all(executor, screen_head, calls, stage="screening", progress=_say)
    tell([row for of_head in rows for row in of_head])


def _say(stage: str, done: int, total: int) -> None:
    import sys

    print(f"{stage}: {done} of {total}", end="\r", file=sys.stderr)


if __name__ == "__main__":
    main()
