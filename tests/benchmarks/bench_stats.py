"""Print what `reid-audit stats` says of releases of which the truth is known: `python bench_stats.py`.

Without arguments one release of each kind of `worlds.py` is written as a table and judged by the command line, as a
laboratory would; --people 40, --seed 0, --kinds NAME ... With tables, `python bench_stats.py t.csv ...`, these are
judged, whoever made them. What is printed of each: the verdict of the defacer, the exit code, and the reasons.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from worlds import KINDS, World

WIDTH = 150


def write_kind(kind, people, seed, path):
    """Write one release as the table that the command reads: strata are columns of it."""
    frame, strata = KINDS[kind].make(World(people, seed, KINDS[kind].visits or 2))
    frame.join(strata, on="probe_subject").to_csv(path, index=False, float_format="%.8g")


def judge_table(path):
    """Return the exit code, the decision on the whole, and each check that did not pass."""
    done = subprocess.run(
        [sys.executable, "-m", "reid_audit", "stats", path.name, "--format", "json"],
        cwd=path.parent,
        env=os.environ | {"COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1, 3, 4):
        raise SystemExit(f"{path.name}: exit code {done.returncode}: {done.stderr.strip()}")
    verdict = json.loads(done.stdout)["verdict"]
    checks = verdict["checks"] + [check for condition in verdict["conditions"] for check in condition["checks"]]
    return done.returncode, verdict["decision"], [c for c in checks if c["decision"] != "PASS" or c["name"] == "sex"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="*")
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tables = given.tables
        if not tables:
            tables = [Path(folder, f"{kind}.csv") for kind in given.kinds]
            for path in tables:
                write_kind(path.stem, given.people, given.seed, path)
        for path in tables:
            code, decision, checks = judge_table(path.resolve())
            print(f"{path.stem:28s} {decision:10s} {code}", flush=True)
            told = set()
            for check in sorted(checks, key=lambda check: check["decision"] != decision):
                if check["name"] not in told:
                    told.add(check["name"])
                    print(f"    {check['decision']} {check['name']}: {check['text'][:WIDTH]}")


if __name__ == "__main__":
    main()
