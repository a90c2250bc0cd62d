"""Print how often the rules PASS releases of which the truth is known: `python bench_verdict.py --worlds 200`.

Options: --people 20 30 40 50 70, --kinds NAME ..., --visits 2, --first-seed 0, --workers 1, --reasons
(which rules did not pass).
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections import Counter
from dataclasses import replace

from worlds import KINDS, World

from reid_audit.accuracy.panels import to_panels
from reid_audit.records import Decision, Policy
from reid_audit.verdict.rules import judge

POLICY = replace(Policy(), min_subjects=30)
GROWS = {30: 0.60, 40: 0.85, 50: 0.95, 70: 0.98}
"""Least share of PASS where nothing is left, by people."""


def judge_world(kind, people, seed, visits=2):
    """Return the decision, and the rules that did not pass."""
    frame, strata = KINDS[kind].make(World(people, seed, KINDS[kind].visits or visits))
    decision, checks = judge(to_panels(frame, strata), POLICY, seed=seed)
    return decision, tuple(sorted({c.name for c in checks if c.decision is not Decision.PASS}))


def allowed(kind, people):
    """Return the least and the greatest share of PASS that the operating characteristics allow."""
    passes = KINDS[kind].passes
    grown = max((share for n, share in GROWS.items() if n <= people), default=0.0)
    least = {"grows": grown, "both": grown**2}.get(
        passes, 0.0
    )  # both: a PASS takes two encoders that err independently
    return least, {"never": 0.0, "rarely": 0.01, "limit": 0.05}.get(passes, 1.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--people", type=int, nargs="+", default=[20, 30, 40, 50, 70])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--visits", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--reasons", action="store_true")
    given = parser.parse_args()
    words = [d.value for d in Decision]
    print(f"{'kind':28s} people " + " ".join(f"{w:>10s}" for w in words) + "   allowed PASS")
    broken = 0
    with multiprocessing.Pool(given.workers) as pool:
        for kind in given.kinds:
            for people in given.people:
                tasks = [
                    (kind, people, seed, given.visits)
                    for seed in range(given.first_seed, given.first_seed + given.worlds)
                ]
                answers = pool.starmap(judge_world, tasks, chunksize=5)
                count = Counter(decision.value for decision, _ in answers)
                share = count["PASS"] / given.worlds
                least, most = allowed(kind, people)
                fits = least <= share <= most
                broken += not fits
                cells = " ".join(f"{count[w] / given.worlds:10.1%}" for w in words)
                print(
                    f"{kind:28s} {people:6d} {cells}   {least:.0%}-{most:.0%}{'' if fits else '  BROKEN'}", flush=True
                )
                if given.reasons:
                    why = Counter(name for _, names in answers for name in names)
                    print("    " + ", ".join(f"{name} {n}" for name, n in why.most_common()))
    print(f"{broken} cells outside what is allowed" if broken else "every cell is within what is allowed")
    return min(broken, 1)


if __name__ == "__main__":
    raise SystemExit(main())
