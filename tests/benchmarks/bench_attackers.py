"""Which attackers find whom, what they cost, and how often they find somebody where nobody is.

Run: ``python tests/benchmarks/bench_attackers.py --people 30 --folder heads``. Synthetic people (``variety=1.5``), two
CT visits each, the first defaced; dlib. Heads and faces that the folder has from an earlier run are used again.

Perfect worlds are made of the same heads: two thirds of the people are the gallery, and the defaced scans under their
names are originals of the others, dealt out at random. No rule should FAIL there; one that holds at 95 % does so in one
of twenty at most. Linkable heads show power, perfect worlds false alarms: an attacker binds by default if it has the
one, has few of the other, and costs little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from reid_audit import Settings, assess_scores
from reid_audit.accuracy import to_panels
from reid_audit.attack import Attack, choose_attacks
from reid_audit.audit import FaceCache, acquire_faces, add_canaries, start_engines
from reid_audit.dataset import read_manifest, write_manifest
from reid_audit.deface import FaceBlur, apply_defacer, make_defacer
from reid_audit.match import compare_attacks
from reid_audit.phantom import LABELS, make_phantom
from reid_audit.records import ORIGINAL, Decision, FaceRecord, Policy, ScanRef
from reid_audit.verdict.rules import judge
from reid_audit.volume import write_volume
from reid_audit.work import Store

ATTACKS = ("aligned", "registered", "shape", "regions", "fusion", "learned")
STRANGERS = "strangers"


def write_heads(folder: Path, people: int, words: Sequence[str]) -> Path:
    """Write what the folder lacks; return its manifest."""
    scans = []
    for person in range(people):
        for visit in (1, 2):
            wanted = {ORIGINAL: None} | ({word: word for word in words} if visit == 1 else {})
            paths = {name: folder / f"p{person:02d}_{visit}_{name.replace(':', '-')}.nii" for name in wanted}
            if not all(path.exists() for path in paths.values()):
                phantom = make_phantom(person, visit, variety=1.5)
                for name, path in paths.items():
                    volume = phantom.volume
                    if name != ORIGINAL:
                        defacer = FaceBlur(sigma_mm=4.0) if name == "face-blur" else make_defacer(name)
                        volume = apply_defacer(defacer, volume, phantom.labels, LABELS).volume
                    write_volume(volume, path)
            scans += [ScanRef(f"p{person:02d}", str(visit), path.stem.split("_")[2], path) for path in paths.values()]
    write_manifest(folder / "manifest.csv", scans)
    return folder / "manifest.csv"


def acquire(manifest: Path, attacks: Sequence[Attack], canaries: int) -> list[FaceRecord]:
    """Take every scan to its faces, canaries among them."""
    engines = start_engines(Settings(encoders=("dlib",)))
    cache = FaceCache(Store(manifest.parent / "store"), engines)
    cohort = add_canaries(read_manifest(manifest), canaries)

    def tell(stage: str, done: int, total: int) -> None:
        if done % 20 == 0 or done == total:
            print(f"{stage}: {done} of {total}", flush=True)

    return acquire_faces(cohort, engines, attacks=attacks, cache=cache, progress=tell)


def measure_power(records: Sequence[FaceRecord], attacks: Sequence[Attack]) -> None:
    """Print a row per defacer and attacker."""
    began = time.process_time()
    scores = compare_attacks(records, attacks)
    print(f"\ncomparisons: {time.process_time() - began:.1f} s of CPU")
    policy = Policy(required_attacks=tuple(attack.name for attack in attacks), min_subjects=12)
    result = assess_scores(scores, source="phantoms", policy=policy, draws=50)
    decided = {
        (check.condition, check.attack): check.decision.value
        for condition in result.verdict.conditions
        for check in condition.checks
        if check.name == "linkability"
    }
    print("\n| defacer | attacker | rank 1 | linkability | bits | rule of linkability |\n|---|---|---|---|---|---|")
    for row in result.evidence.attacks:
        bits = row.measures.bits.value if row.measures else float("nan")
        rank1, link, key = row.search.rank1, row.linkability, (row.condition, row.attack)
        print(
            f"| {row.condition} | {row.attack} | {rank1.successes}/{rank1.trials} | "
            f"{link.value:.3f} ({link.low:.3f} to {link.high:.3f}) | {bits:.2f} | "
            f"{decided.get(key, '')} |"
        )
    for canary in result.evidence.canaries:
        seen = canary.linkability
        print(f"{canary.condition}, {canary.attack}: {seen.value:.3f}, at least {seen.at_least:.3f}")


def measure_small_cohorts(records: Sequence[FaceRecord], sizes: Sequence[int], draws: int) -> None:
    """Print what `learned` and the naive attacker link in cohorts drawn from these people: the mean linkability."""
    attacks = choose_attacks(["registered", "learned"])
    names = sorted({record.scan.subject for record in records})
    rng = np.random.default_rng(0)
    linked: dict[tuple[int, str], dict[str, list[float]]] = {}
    for size in sizes:
        for _ in range(draws):
            chosen = set(rng.choice(names, size, replace=False))
            cohort = [record for record in records if record.scan.subject in chosen and not record.scan.is_canary]
            for panel in to_panels(compare_attacks(cohort, attacks).frame).panels:
                row = linked.setdefault((size, panel.condition), {})
                row.setdefault(panel.attack, []).append(panel.linkability(confidence=0.95).value)
    print(f"\n| people, {draws} draws | defacer | naive | learned |\n|---|---|---|---|")
    for (size, condition), row in linked.items():
        print(f"| {size} | {condition} | {np.mean(row['naive']):.3f} | {np.mean(row['learned']):.3f} |")


def measure_false_alarms(records: Sequence[FaceRecord], attacks: Sequence[Attack], worlds: int) -> None:
    """Print in how many perfect worlds a rule of each attacker fails."""
    names = sorted({record.scan.subject for record in records})
    policy = Policy(required_attacks=tuple(attack.name for attack in attacks), min_subjects=12)
    failed: dict[str, list[set[str]]] = {attack.name: [] for attack in attacks if attack.judged}
    for seed in range(worlds):
        dealt = [str(name) for name in np.random.default_rng(seed).permutation(names)]
        some = -(-2 * len(dealt) // 3)  # each stranger has two scans
        strangers = [(name, visit) for visit in ("1", "2") for name in dealt[some:]]
        world = list(_deal(records, set(dealt[:some]), dict(zip(strangers, dealt, strict=False))))
        _, checks = judge(to_panels(compare_attacks(world, attacks).frame), policy, seed=seed)
        for name, rules in failed.items():
            rules.append({c.name for c in checks if c.attack == name and c.decision is Decision.FAIL})
    print(f"\n| attacker | perfect worlds with a FAIL, of {worlds} | rules |\n|---|---|---|")
    for name, rules in failed.items():
        alarms = [rule for world_rules in rules for rule in world_rules]
        told = ", ".join(f"{rule} {alarms.count(rule)}" for rule in sorted(set(alarms)))
        print(f"| {name} | {sum(bool(each) for each in rules)} | {told} |")


def _deal(records: Sequence[FaceRecord], gallery: set[str], owners: dict[tuple[str, str], str]) -> Iterable[FaceRecord]:
    """Yield the gallery's originals and canaries, and strangers' originals as its defaced first visits."""
    for record in records:
        scan = record.scan
        if scan.subject in gallery and (scan.condition == ORIGINAL or scan.is_canary):
            yield record
        elif scan.condition == ORIGINAL and (scan.subject, scan.session) in owners:
            owner = owners[scan.subject, scan.session]
            yield replace(record, scan=replace(scan, subject=owner, session="1", condition=STRANGERS))


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--folder", type=Path, required=True, help="heads and faces are kept here, 90 MB per person")
    parser.add_argument("--defacers", nargs="+", default=["eye-plane", "face-blur", "face-box", "average-reface"])
    parser.add_argument("--attacks", nargs="+", default=list(ATTACKS))
    parser.add_argument("--canaries", type=int, default=24)
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--sizes", nargs="*", type=int, default=[], help="smaller cohorts to try `learned` on")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    attacks = choose_attacks(given.attacks)
    records = acquire(write_heads(given.folder, given.people, given.defacers), attacks, given.canaries)
    for stage in ("read", "skin", "portrait", "face", "attacks"):
        seconds = [record.seconds[stage] for record in records if stage in record.seconds]
        print(f"{stage}: {np.median(seconds):.2f} s per scan")
    measure_power(records, attacks)
    if given.sizes:
        measure_small_cohorts(records, given.sizes, given.worlds)
    measure_false_alarms(records, attacks, given.worlds)


if __name__ == "__main__":
    main()
