"""Print the utility tables of four papers for a cohort of synthetic heads under the reference defacers.

    python examples/utility_tables.py --subjects 20 [--defacers eye-plane,face-box,average-reface -o utility]

Makes the heads, defaces the first visit, segments every scan with a small model, lays a dose over it, and prints what
each paper printed: which voxels are left and the train x test matrix (Sahlsten 2023), Dice by position against the
cut and the places of target volumes (O'Sullivan-Steben 2025), intensities, depth and dose (Ammar 2025), repeatability
and the trade-off against re-identification risk (Molchanova 2023). docs/references.md has the papers. ``-o`` keeps the
result and its page.

The model stands in for a segmentation network. It learns from training scans which smoothed intensities each structure
has, and takes the voxels with such intensities in and closely around the place where the structure is known to be. So
it looks as far as a few millimetres around a voxel: nothing further away than that from a change can change.

    python examples/utility_tables.py --labels FOLDER

measures instead, on whole-head label maps such as SynthSeg's, how many voxels of each brain structure the reference
defacers leave as they were. It prints means over people only.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

import reid_audit
from reid_audit import InputError, ScanRef, Settings, Volume, local_executor, read_volume
from reid_audit.cli.options import show_progress
from reid_audit.cli.utility import say_listings
from reid_audit.cli.words import out
from reid_audit.dataset import read_manifest, write_manifest
from reid_audit.deface import Defacer, apply_defacer, make_defacer, reference_defacers
from reid_audit.phantom import LABELS, make_phantom
from reid_audit.records import ORIGINAL, Modality
from reid_audit.report.utility_page import write_utility_page
from reid_audit.report.utility_tables import list_risks, list_tables, list_trade_off
from reid_audit.utility import (
    UtilitySettings,
    compare_masks,
    cross_conditions,
    measure_same_scan,
    measure_utility,
    trade_offs,
    with_utility,
    write_utility,
)
from reid_audit.volume import read_labels, write_labels, write_volume
from reid_audit.work import run_all

PTV = 10
NAMES = {value: name for name, value in LABELS.items() if name != "skin"} | {PTV: "PTV"}
DOSE_GY, DOSE_SIGMA_MM, DOSE_GRID_MM = 70.0, 28.0, 4.0

Ranges = Mapping[int, tuple[float, float]]


# --- the small model ---


def _smooth(volume: Volume) -> np.ndarray:
    return ndimage.gaussian_filter(volume.intensity, [1.2 / s for s in volume.spacing_mm], truncate=3)


def learn_ranges(scans: Sequence[tuple[Volume, np.ndarray]]) -> Ranges:
    """Learn which smoothed intensities each structure has: the 2nd to the 98th percentile of all its voxels."""
    values: dict[int, list[np.ndarray]] = {}
    for volume, labels in scans:
        smooth = _smooth(volume)
        for value in NAMES:
            values.setdefault(value, []).append(smooth[labels == value])
    learned = {}
    for value, parts in values.items():
        seen = np.concatenate(parts)
        if seen.size and value != PTV:
            learned[value] = (float(np.percentile(seen, 2)), float(np.percentile(seen, 98)))
    return learned


def segment(volume: Volume, labels: np.ndarray, ranges: Ranges) -> np.ndarray:
    """Segment a scan; the target volume is no organ and keeps its voxels, but for those that became air."""
    smooth, result = _smooth(volume), np.zeros(labels.shape, dtype=np.uint8)
    for value, (low, high) in ranges.items():
        core = labels == value
        # The brain is not let grow: its own rim is what the defacers keep, and criterion C1 asks for that.
        grown = core if value == LABELS["brain"] else ndimage.binary_dilation(core, iterations=1)
        near = grown & ((labels == LABELS["skin"]) | core)
        result[near & (smooth >= low) & (smooth <= high)] = value
    result[(labels == PTV) & (smooth > -300)] = PTV
    return result


# --- the cohort ---


def _with_target(volume: Volume, labels: np.ndarray, person: int) -> tuple[np.ndarray, np.ndarray]:
    """Add a target volume of 12 mm: as a rule in the neck, in some people in the nose or beside an eye."""
    jaw = np.argwhere(labels == LABELS["mandible"]).mean(axis=0)
    eyes = np.argwhere(np.isin(labels, [LABELS["eye_left"], LABELS["eye_right"]])).mean(axis=0)
    share = {0: 0.75, 5: 1.0}.get(person % 10, 0.0)  # of the way from the throat to between the eyes
    start = jaw - np.array([0, 10, 5]) / volume.spacing_mm
    end = eyes - np.array([0, 6, 0]) / volume.spacing_mm
    centre = start + share * (end - start)
    at = np.stack(np.meshgrid(*[np.arange(n) for n in labels.shape], indexing="ij"), axis=-1)
    away_mm = np.linalg.norm((at - centre) * volume.spacing_mm, axis=-1)
    marked = labels.copy()
    marked[(away_mm < 12) & (labels == LABELS["skin"])] = PTV
    return marked, volume.voxel_to_ras_mm[:3, :3] @ centre + volume.voxel_to_ras_mm[:3, 3]


def _write_dose(volume: Volume, centre_ras_mm: np.ndarray, path: Path) -> None:
    """Write a dose that falls off around the target, on a coarser grid that is shifted against the scan."""
    corner = volume.voxel_to_ras_mm[:3, 3] - np.array([1.3, 0.7, 2.1])
    extent = np.array(volume.intensity.shape) * volume.spacing_mm
    n = np.ceil(extent / DOSE_GRID_MM).astype(int) + 2
    axes = [corner[a] + DOSE_GRID_MM * np.arange(n[a]) - centre_ras_mm[a] for a in range(3)]
    squared = axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2][None, None, :] ** 2
    values = DOSE_GY * np.exp(-squared / (2 * DOSE_SIGMA_MM**2))
    affine = np.diag([DOSE_GRID_MM] * 3 + [1.0])
    affine[:3, 3] = corner
    write_volume(Volume(values.astype(np.float32), affine, Modality.MR), path)


def choose_defacers(words: str) -> tuple[Defacer, ...]:
    """Return the defacers that words with commas name; those of the demo where there is no word."""
    chosen = [make_defacer(word) for word in words.split(",") if word]
    if None in chosen:
        raise InputError(f"--defacers {words}: one of them is no reference defacer; see reid-audit deface --list")
    return tuple(defacer for defacer in chosen if defacer is not None) or reference_defacers()


def make_person(person: int, folder: Path, options: argparse.Namespace) -> list[ScanRef]:
    """Write the scans of one person, the labels and the dose; return the scans."""
    scans, subject = [], f"p{person:03d}"
    for visit in (1,) if options.without_risk else (1, 2):
        phantom = make_phantom(person, visit, seed=options.seed, spacing_mm=options.spacing)
        volumes = {ORIGINAL: phantom.volume}
        if visit == 1:
            labels, centre = _with_target(phantom.volume, phantom.labels, person)
            write_labels(labels, phantom.volume.voxel_to_ras_mm, folder / "truth" / f"{subject}_1.nii.gz")
            _write_dose(phantom.volume, centre, folder / "doses" / f"{subject}_1_original.nii.gz")
            for defacer in choose_defacers(options.defacers):
                volumes[defacer.name] = apply_defacer(defacer, phantom.volume, phantom.labels, LABELS).volume
        for condition, volume in volumes.items():
            path = folder / f"{subject}_{visit}_{condition}.nii.gz"
            write_volume(volume, path)
            scans.append(ScanRef(subject, str(visit), condition, path, Modality.CT))
    return scans


def _truth(scan: ScanRef, folder: Path) -> np.ndarray:
    return read_labels(folder / "truth" / f"{scan.subject}_1.nii.gz")[0]


def segment_scan(scan: ScanRef, folder: Path, models: Mapping[str, Ranges]) -> list[tuple[str, str, str, str, float]]:
    """Segment a scan with the model of each training condition; write the originals' and score them all."""
    volume, truth = read_volume(scan.path, modality=scan.modality), _truth(scan, folder)
    rows = []
    for trained_on, ranges in models.items():
        segments = segment(volume, truth, ranges)
        if trained_on == ORIGINAL:
            write_labels(segments, volume.voxel_to_ras_mm, folder / "segmentations" / scan.path.name)
        for value in ranges:
            dice = compare_masks(segments == value, truth == value, spacing_mm=volume.spacing_mm).dice
            empty = not (segments == value).any()  # Sahlsten 2023 leaves empty outputs out
            rows.append((trained_on, scan.condition, scan.subject, NAMES[value], math.nan if empty else dice))
    return rows


# --- tables ---


def heading(text: str) -> None:
    """Print a line between the papers."""
    out.rule(f"[bold]{text}[/]", align="left")


def print_papers(folder: Path, options: argparse.Namespace) -> None:
    """Make the cohort, measure it, print every table."""
    import pandas as pd

    for part in ("truth", "doses", "segmentations"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    with local_executor(options.workers) as executor, show_progress() as progress:
        people = [(i, folder, options) for i in range(options.subjects)]
        done = iter(range(1, len(people) + 1))
        made = run_all(executor, make_person, people, done=lambda _: progress("heads", next(done), len(people)))
        scans = [scan for each in made for scan in each]
        manifest = folder / "manifest.csv"
        write_manifest(manifest, scans)
        first = [scan for scan in scans if scan.session == "1"]
        subjects = sorted({scan.subject for scan in scans})
        training = set(subjects[: max(1, len(subjects) // 2)])
        models = {}
        for condition in dict.fromkeys(scan.condition for scan in first):
            own = [scan for scan in first if scan.condition == condition and scan.subject in training]
            models[condition] = learn_ranges(
                [(read_volume(s.path, modality=s.modality), _truth(s, folder)) for s in own]
            )
        done = iter(range(1, len(first) + 1))
        tasks = [(scan, folder, models) for scan in first]
        scored = run_all(executor, segment_scan, tasks, done=lambda _: progress("models", next(done), len(first)))
        rows = [row for each in scored for row in each if row[2] not in training or len(subjects) < 2]
        table = pd.DataFrame(rows, columns=["trained_on", "evaluated_on", "subject", "structure", "score"])
        cohort = read_manifest(manifest)
        utility = measure_utility(
            cohort,
            segmentations=folder / "segmentations",
            doses=folder / "doses",
            settings=UtilitySettings(names=NAMES),
            matrix=cross_conditions(table),
            executor=executor,
            progress=progress,
        )
    say_listings(list_tables(utility, "findings"))
    heading("Sahlsten 2023: voxels that are left, structures lost, train x test")
    say_listings(list_tables(utility, "voxels", "matrix"))
    heading("O'Sullivan-Steben 2025: Dice by position against the cut, places of target volumes")
    say_listings(list_tables(utility, "places", "targets"))
    heading("Ammar 2025: segmentations, intensities, depth, dose, defacers compared")
    say_listings(list_tables(utility, "segmentation", "tissue", "scan", "changes", "dose", "comparisons"))
    heading("Molchanova 2023: repeatability of volumes, trade-off")
    say_listings(list_tables(utility, "volumes"))
    audited = None
    if not options.without_risk:
        with local_executor(options.workers) as executor, show_progress() as progress:
            result = reid_audit.audit(
                cohort, settings=Settings(encoders=("dlib",)), attacks=["naive"], executor=executor, progress=progress
            )
        audited = with_utility(result, utility.values)
        say_listings([list_risks(measure_same_scan(result)), list_trade_off(trade_offs(audited))])
    if options.output is not None:
        out.print(f"Result: {write_utility(utility, options.output, overwrite=True)}")
        out.print(f"Page: {write_utility_page(utility, options.output, audited=audited)}")


# --- whole-head label maps ---

BRAIN = {
    "white matter": (2, 41),
    "cortex": (3, 42),
    "ventricles": (4, 5, 14, 15, 43, 44, 72),
    "cerebellum": (7, 8, 46, 47),
    "thalamus": (10, 49),
    "caudate": (11, 50),
    "putamen": (12, 51),
    "pallidum": (13, 52),
    "brainstem": (16,),
    "hippocampus": (17, 53),
    "amygdala": (18, 54),
    "accumbens": (26, 58),
    "ventral diencephalon": (28, 60),
    "optic chiasm": (85,),
}
EYES, BONES = (506,), (515, 516)
FOR_DEFACERS = {"eye_left": 1, "eye_right": 1, "brain": 2, "brainstem": 2, "mandible": 3}


def _steer(labels: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """Give the defacers eyes, brain and jaw: the maps name no jaw, so bone well below the eyes stands for it."""
    steering = np.zeros(labels.shape, dtype=np.uint8)
    steering[np.isin(labels, [v for values in BRAIN.values() for v in values])] = FOR_DEFACERS["brain"]
    eyes = np.argwhere(np.isin(labels, EYES))
    steering[np.isin(labels, EYES)] = FOR_DEFACERS["eye_left"]
    front = round(eyes[:, 1].mean() - 65 / spacing_mm[1])
    low, high = (max(0, round(eyes[:, 2].min() - mm / spacing_mm[2])) for mm in (95, 45))
    jaw = np.zeros(labels.shape, dtype=bool)
    jaw[:, front:, low:high] = np.isin(labels[:, front:, low:high], BONES)
    steering[jaw & (steering == 0)] = FOR_DEFACERS["mandible"]
    return steering


def _crop(labels: np.ndarray, affine: np.ndarray, margin: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Cut the empty space around the head away but for a margin: half of a map of 256 voxels each way is air."""
    (box,) = ndimage.find_objects((labels > 0).astype(np.uint8))
    low = [max(0, s.start - margin) for s in box]
    inner = tuple(slice(a, s.stop + margin) for a, s in zip(low, box, strict=True))
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ low
    return np.ascontiguousarray(labels[inner]), moved


def make_head(path: Path, folder: Path, subject: str) -> tuple[list[ScanRef], list[str]]:
    """Write a CT-like head from a label map and what each defacer makes of it; and which could not be applied."""
    labels, affine = _crop(*read_labels(path))
    rng = np.random.default_rng(int(subject[1:]))
    intensity = np.where(labels > 0, 40.0, -1000.0) + rng.normal(0, 12, labels.shape)
    volume = Volume(np.rint(intensity).astype(np.float32), affine, Modality.CT)
    steering = _steer(labels, np.asarray(volume.spacing_mm))
    volumes, lost = {ORIGINAL: volume}, []
    for defacer in reference_defacers():
        try:
            volumes[defacer.name] = apply_defacer(defacer, volume, steering, FOR_DEFACERS).volume
        except InputError:
            lost.append(defacer.name)
    write_labels(labels, affine, folder / "labels" / f"{subject}_1_original.nii.gz")
    scans = []
    for condition, each in volumes.items():
        target = folder / f"{subject}_1_{condition}.nii.gz"
        write_volume(each, target)
        scans.append(ScanRef(subject, "1", condition, target, Modality.CT))
    return scans, lost


def print_integrity(folder: Path, options: argparse.Namespace) -> None:
    """Print how much of each brain structure is as it was, as means over people."""
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    files = sorted(options.labels.glob("*seg*.nii.gz"))
    if not files:
        raise InputError(f"{options.labels.name}: holds no *seg*.nii.gz; give --labels FOLDER")
    names = {value: name for name, values in BRAIN.items() for value in values}
    with local_executor(options.workers) as executor, show_progress() as progress:
        tasks = [(path, folder, f"p{i}") for i, path in enumerate(files)]
        done = iter(range(1, len(tasks) + 1))
        made = run_all(executor, make_head, tasks, done=lambda _: progress("heads", next(done), len(tasks)))
        write_manifest(folder / "manifest.csv", [scan for scans, _ in made for scan in scans])
        utility = measure_utility(
            read_manifest(folder / "manifest.csv"),
            segmentations=folder / "labels",
            settings=UtilitySettings(names=names, brain=tuple(BRAIN)),
            executor=executor,
            progress=progress,
        )
    lost = [name for _, each in made for name in each]
    for name in dict.fromkeys(lost):
        out.print(f"{name}: not applied to {lost.count(name)} of {len(files)} heads, whose field of view ends too high")
    say_listings(list_tables(utility, "findings", "voxels", "scan"))


def main() -> None:
    """Read the arguments and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, default=20)
    parser.add_argument("--spacing", type=float, default=2.0, help="voxels of the synthetic heads, in mm")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--defacers", default="", help="with commas; those of the demo if left out")
    parser.add_argument("--without-risk", action="store_true", help="leave the face recognition out")
    parser.add_argument("--labels", type=Path, help="folder of whole-head label maps: brain integrity instead")
    parser.add_argument("-o", "--output", type=Path, help="folder for the result's files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reid-audit-") as folder:
        if options.labels is None:
            print_papers(Path(folder), options)
        else:
            print_integrity(Path(folder), options)


if __name__ == "__main__":
    main()
