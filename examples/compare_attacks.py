"""Compare attackers on defacers: who still finds whom, and at what cost?

::

    python examples/compare_attacks.py --subjects 70 --folder heads --out examples/attacks.md
    python examples/compare_attacks.py --labels LABEL_FOLDER --folder people --out examples/attacks.md

People are scanned twice and the first visit is defaced in the ways of `DEFACERS`: by nothing at first, and by a head
drawn anew around the brain at last, which leaves nothing of a face. Every attacker looks for the defaced scan among all
people's second visits. They are synthetic (CT, as far apart as real head shapes: ``variety=1.5``), or simulated in T1
from whole-head label maps (simulate_visits.py), of which the table holds rates and nothing else. What the folder has of
an earlier run, heads and faces, is used again; of a page that has a part for these people, the rest stays.

Tables: what each attacker links, with the seconds of CPU that it costs a scan alone; where nothing of the searched
person is left, and whoever is found is wrong: the names of the undefaced scans dealt anew, and synthetic people whose
front of the head is the next person's, who is then looked for as well; and whether `aligned` reads its own hint.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from simulate_visits import Contrast, parse_values, simulate_visit

from reid_audit import Settings, assess_scores, audit, local_executor
from reid_audit.attack import Attack, choose_attacks
from reid_audit.audit import Engines, FaceCache, acquire_faces, examine_scan, start_engines
from reid_audit.audit.acquire import know_scans
from reid_audit.dataset import Cohort, read_manifest, write_manifest
from reid_audit.deface import Defacer, EyePlaneCut, FaceBlur, FaceRemoval, apply_defacer, make_defacer
from reid_audit.deface.frame import find_face_frame, head_coordinates
from reid_audit.match import compare_attacks
from reid_audit.phantom import LABELS, make_average_head, make_phantom
from reid_audit.phantom.person import draw_head
from reid_audit.phantom.scan import head_to_ras, paint_person
from reid_audit.phantom.tissue import CT_HU
from reid_audit.records import ORIGINAL, AuditResult, Evidence, FaceRecord, InputError, Policy, ScanRef, Volume
from reid_audit.volume import read_labels, write_volume
from reid_audit.work import Store, run_all

Labels = NDArray[np.integer]
Visit = tuple[Volume, Labels, Mapping[str, int]]

_BY_NAME = (make_defacer(word) for word in ("no-op", "face-box", "skin-noise", "average-reface", "shear", "drawn-head"))
_NOTHING, _BOX, _NOISE, _REFACE, _SHEAR, _DRAWN = (defacer for defacer in _BY_NAME if defacer is not None)
DEFACERS: tuple[Defacer, ...] = (
    _NOTHING,
    EyePlaneCut(),
    _BOX,
    *(FaceBlur(sigma_mm=mm) for mm in (2.0, 4.0, 5.0, 10.0)),
    _NOISE,
    _REFACE,
    FaceRemoval(),
    _SHEAR,
    _DRAWN,
)
ATTACKS = ("aligned", "registered", "shape", "fusion", "learned")
"""Who is tried beside the naive attacker; `multiview` and `fillin` cost a scan two seconds more."""

SHUFFLED = "names dealt anew"
EXCHANGED = "exchanged-face"
WEARER = "exchanged-face, by the face's name"
_SEAM_MM = (0.0, 20.0)
"""From where to where, in front of the ear canals, one person's head goes over into another's."""

DRAWS = 200
TIMED = 4
"""Defaced scans on which the seconds of an attacker are measured."""


class People(Protocol):
    """Where visits come from: the scan, its label map, and the names of the labels."""

    def __call__(self, person: int, visit: int) -> Visit:
        """Scan a person."""


def scan_phantom(person: int, visit: int, *, spacing_mm: float | None = None) -> Visit:
    """Scan a synthetic person in CT."""
    phantom = make_phantom(person, visit, variety=1.5, spacing_mm=spacing_mm)
    return phantom.volume, phantom.labels, LABELS


def scan_label_map(person: int, visit: int, *, paths: Sequence[Path], eyes: str, brain: str) -> Visit:
    """Simulate a T1 of a person from a label map; the lower jaw is where the average head has it."""
    labels, voxel_to_ras_mm = read_labels(paths[person])
    structures = np.zeros(labels.shape, np.uint8)
    names = {"eye_left": 1, "eye_right": 1, "brain": 2, "brainstem": 2, "mandible": 3}
    structures[np.isin(labels, parse_values(brain))] = names["brain"]
    structures[np.isin(labels, parse_values(eyes))] = names["eye_left"]
    volume, moved = simulate_visit(
        labels,
        voxel_to_ras_mm,
        structures,
        rng=np.random.default_rng([0, person, visit]),
        contrast=Contrast.read(paths[person].parent),
    )
    i, j, k = (slice(0, size) for size in labels.shape)
    x, y, z = head_coordinates(find_face_frame(volume), volume, (i, j, k))
    chin = float(make_average_head().landmarks_mm["chin"][2])
    jaw = (np.abs(x) < 50) & (y > 10) & (y < 90) & (z > chin) & (z < chin + 40) & (moved == 0)
    moved[jaw] = names["mandible"]
    return volume, moved, names


@dataclass(frozen=True, slots=True)
class FaceOfNext:
    """The front of the next person's head, from crown to neck and in front of the ears, in the pose of the scan.

    Parameters
    ----------
    person, visit : int
        Whose scan it is, by `scan_phantom`.
    donor : int
        Whose face it gets.
    """

    person: int
    visit: int
    donor: int
    name: str = EXCHANGED
    description: str = "replaces the head before the ears by another person's of the cohort"
    needs: tuple[str, ...] = ()

    def deface(self, volume: Volume, labels: Labels, label_values: Mapping[str, int]) -> Volume:
        """Return the volume with the other face; without noise, which skins do not show."""
        draw = partial(
            draw_head,
            modality=volume.modality,
            spacing_mm=None,
            pose_sd_deg=3.0,
            shift_sd_mm=3.0,
            variety=1.5,
            difficulty="easy",
        )
        (own, visit), (other, _) = (draw(0, person, self.visit) for person in (self.person, self.donor))
        i, j, k = volume.intensity.shape
        painted = paint_person(
            other, (i, j, k), np.linalg.inv(head_to_ras(other, visit)) @ volume.voxel_to_ras_mm, CT_HU
        )
        to_head = np.linalg.inv(head_to_ras(own, visit)) @ volume.voxel_to_ras_mm
        rows, columns, slices = np.ogrid[:i, :j, :k]
        front_mm = to_head[1, 0] * rows + to_head[1, 1] * columns + to_head[1, 2] * slices + to_head[1, 3]
        share = np.clip((front_mm - _SEAM_MM[0]) / (_SEAM_MM[1] - _SEAM_MM[0]), 0.0, 1.0)
        mixed = np.rint(volume.intensity + share * (painted.intensity - volume.intensity))
        return replace(volume, intensity=mixed.astype(np.float32))


def write_visit(
    person: int, visit: int, defacers: Sequence[Defacer], *, folder: Path, scan: People
) -> tuple[list[ScanRef], list[str]]:
    """Write what the folder lacks of one visit, defaced too; return its scans, and what could not be done."""
    made_by = {ORIGINAL: None} | {defacer.name: defacer for defacer in defacers}
    paths = {name: folder / f"p{person:02d}_{visit}_{name}.nii.gz" for name in made_by}
    refused = []
    lacking = {name: defacer for name, defacer in made_by.items() if not paths[name].exists()}
    if lacking:
        volume, labels, names = scan(person, visit)
        for name, defacer in lacking.items():
            try:
                made = volume if defacer is None else apply_defacer(defacer, volume, labels, names).volume
            except InputError as error:
                refused.append(f"{name}: {error}")
            else:
                write_volume(made, paths[name])
    return [ScanRef(f"p{person:02d}", str(visit), n, path) for n, path in paths.items() if path.exists()], refused


def run(
    subjects: int,
    folder: Path,
    *,
    scan: People = scan_phantom,
    defaced: int | None = None,
    attacks: Sequence[str] = ATTACKS,
    settings: Settings = Settings(encoders=("dlib",)),
    defacers: Sequence[Defacer] = DEFACERS,
    exchange: bool = False,
    workers: int | None = None,
) -> tuple[AuditResult, str]:
    """Scan, deface the first visits of the first `defaced` people, attack; return result and tables in Markdown.

    With `exchange`, which needs synthetic people, they also get the front of each other's heads.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chosen, store = choose_attacks(attacks), Store(folder / "store")
    with local_executor(workers) as executor:
        some = subjects if defaced is None else defaced
        visits: list[tuple[int, int, tuple[Defacer, ...]]] = []
        for person in range(subjects):
            exchanged = (FaceOfNext(person, 1, (person + 1) % subjects),) if exchange else ()
            visits += [(person, 1, (*defacers, *exchanged) if person < some else ()), (person, 2, ())]
        task = partial(write_visit, folder=folder, scan=scan)
        written = run_all(executor, task, visits, progress=_tell, stage="visits")
        for refusal in (text for _, refused in written for text in refused):
            print(f"left out: {refusal}")
        write_manifest(folder / "manifest.csv", [each for scans, _ in written for each in scans])
        cohort = read_manifest(folder / "manifest.csv")
        result = audit(
            cohort,
            settings=settings,
            attacks=attacks,
            draws=DRAWS,
            canaries=0,  # of defacers that are weak and strong: nothing is to pass
            executor=executor,
            progress=_tell,
            store=store,
        )
    engines = start_engines(settings)
    cache = FaceCache(store, engines)
    records = acquire_faces(cohort, engines, attacks=chosen, cache=cache)
    seconds = dict(time_attacks(cohort, records, engines, chosen))
    order = [defacer.name for defacer in defacers]
    lines = [
        *tabulate(result.evidence, order, seconds),
        "",
        "Nothing of the searched person is left to be found:",
        "",
        *tabulate(deal_names(records, order[0], chosen, SHUFFLED), [SHUFFLED]),
    ]
    if exchange:
        lines += tabulate(result.evidence, [EXCHANGED])[2:]
        lines += ["", "The person whose face was laid on is found instead:", ""]
        lines += tabulate(deal_names(records, EXCHANGED, chosen, WEARER), [WEARER])
    return result, "\n".join(
        [*lines, "", "Whether `aligned` reads its own hint:", "", *tabulate_crossings(result.evidence, order)]
    )


def _tell(stage: str, done: int, total: int) -> None:
    if done % 20 == 0 or done == total:
        print(f"{stage}: {done} of {total}", flush=True)


def deal_names(records: Sequence[FaceRecord], condition: str, attacks: Sequence[Attack], name: str) -> Evidence:
    """Assess the scans of a defacer under the next person's name, as a condition of this name."""
    names = sorted({record.scan.subject for record in records})
    follower = dict(zip(names, (*names[1:], names[0]), strict=True))
    dealt = [
        record
        if record.scan.condition == ORIGINAL
        else replace(record, scan=replace(record.scan, subject=follower[record.scan.subject], condition=name))
        for record in records
        if record.scan.condition in (ORIGINAL, condition)
    ]
    policy = Policy(min_subjects=2)
    return assess_scores(compare_attacks(dealt, attacks), source=name, policy=policy, draws=DRAWS).evidence


def time_attacks(
    cohort: Cohort, records: Sequence[FaceRecord], engines: Engines, attacks: Sequence[Attack]
) -> Iterator[tuple[str, float]]:
    """Measure the seconds of CPU that each attacker costs a defaced scan, alone, beside what the naive one does."""
    scans = [scan for scan in cohort.scans if scan.condition != ORIGINAL][:TIMED]
    by_scan = {(record.scan.key, record.face.encoder): record for record in records}
    knowledge = know_scans(cohort, scans, by_scan, engines, attacks)

    def spend(of: Sequence[Attack]) -> float:
        spent = []
        for scan in scans:
            began = time.process_time()
            examine_scan(scan, engines, attacks=of, knowledge=knowledge[scan])
            spent.append(time.process_time() - began)
        return float(np.median(spent))

    spend([])  # engines start
    alone = spend([])
    looking = [attack for attack in attacks if not attack.joins and not attack.baseline]
    yield from ((attack.name, max(0.0, spend([attack]) - alone)) for attack in looking)


def tabulate(evidence: Evidence, order: Sequence[str], seconds: Mapping[str, float] = {}) -> list[str]:
    """Return a heading, and a row per defacer of `order`, attacker and encoder."""
    lines = [
        "| defacer | attacker | encoder | FTA | rank 1 | linkability (0.5 = none) | bits | s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows = [row for row in evidence.attacks if row.condition in order]
    for row in sorted(rows, key=lambda row: order.index(row.condition)):
        rank1, link = row.search.rank1, row.linkability
        bits = f"{row.measures.bits.value:.2f}" if row.measures else ""
        spent = f"{seconds[row.attack]:.2f}" if row.attack in seconds else ""
        lines.append(
            f"| {row.condition} | {row.attack} | {row.encoder} | {row.fta.successes}/{row.fta.trials} | "
            f"{rank1.successes}/{rank1.trials} | {link.value:.3f} ({link.low:.3f} to {link.high:.3f}) | {bits} | "
            f"{spent} |"
        )
    return lines


def tabulate_crossings(evidence: Evidence, order: Sequence[str]) -> Iterator[str]:
    """Yield a row per defacer: what `aligned` finds beyond `registered`, and whose name the crossed control finds."""
    yield (
        "| defacer | encoder | aligned minus registered: rank 1 | linkability | crossed: pixels' owner first | "
        "landmarks' |"
    )
    yield "|---|---|---|---|---|---|"
    leaks = {(leak.condition, leak.encoder): leak for leak in evidence.leaks}
    rows = [row for row in evidence.crossed if row.condition in order]
    for crossed in sorted(rows, key=lambda row: order.index(row.condition)):
        leak = leaks[crossed.condition, crossed.encoder]
        yield (
            f"| {crossed.condition} | {crossed.encoder} | "
            f"{leak.rank1.value:+.3f} ({leak.rank1.low:+.3f} to {leak.rank1.high:+.3f}) | "
            f"{leak.linkability.value:+.3f} ({leak.linkability.low:+.3f} to {leak.linkability.high:+.3f}) | "
            f"{crossed.pixels_first.successes}/{crossed.pixels_first.trials} | "
            f"{crossed.landmarks_first.successes}/{crossed.landmarks_first.trials} |"
        )


def write_page(path: Path, part: str, text: str) -> None:
    """Write a page, or replace its part of this name, where it has one; what stands around it stays."""
    begin, end = f"<!-- {part} -->\n\n", f"\n\n<!-- end of {part} -->"
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    before, _, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if page and not closed:
        raise InputError(f"{path}: has no part between {begin.strip()} and {end.strip()}; add both, or name a new file")
    path.write_text(f"{before}{begin}{text}{end}{after or chr(10)}", encoding="utf-8")


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=12)
    parser.add_argument("--defaced", type=int, help="deface the first so many, and search among all; default: all")
    parser.add_argument("--labels", type=Path, help="folder of label maps (.nii.gz) and priors, instead of phantoms")
    parser.add_argument("--eyes", default="506", help="label values of the eyeballs")
    parser.add_argument("--brain", default="2-85", help="label values of the brain")
    parser.add_argument("--encoder", default="dlib", help="one or several, with commas between them")
    parser.add_argument("--attacks", nargs="+", default=list(ATTACKS))
    parser.add_argument("--workers", type=int)
    parser.add_argument("--folder", type=Path, required=True, help="heads and faces are kept here, 60 MB per person")
    parser.add_argument("--out", type=Path, help="Markdown page for the tables: a new one, or one with this part")
    given = parser.parse_args()
    scan: Callable[..., Visit] = scan_phantom
    subjects, part, who = given.subjects, "synthetic people", "synthetic people, 2 CT visits each"
    if given.labels:
        paths = tuple(sorted(given.labels.glob("*.nii.gz")))
        scan = partial(scan_label_map, paths=paths, eyes=given.eyes, brain=given.brain)
        subjects, part = len(paths), "people of label maps"
        who = "people simulated from label maps, 2 T1 visits each"
    settings = Settings(encoders=tuple(given.encoder.split(",")))
    _, tables = run(
        subjects,
        given.folder,
        scan=scan,
        defaced=given.defaced,
        attacks=given.attacks,
        settings=settings,
        exchange=not given.labels,
        workers=given.workers,
    )
    print(tables)
    if given.out:
        some = "" if given.defaced is None else f" of {given.defaced}"
        write_page(given.out, part, f"{subjects} {who}, the first visit{some} defaced.\n\n{tables}")


if __name__ == "__main__":
    main()
