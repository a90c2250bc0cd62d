"""Install the built wheel into an environment of its own, and run there what a new user runs; print sizes and times.

    python examples/try_wheel.py --subjects 30

Needs a package index. The last command has to find the files of a synthetic release that are not defaced. Exit code 1
where a command ends otherwise than it should, or where the install takes more than 1200 MB.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(words: str, *, folder: Path, expected: tuple[int, ...] = (0,)) -> bool:
    """Run a command in the clean environment and print a line for it; True where it ends as it should."""
    environment = {"PATH": f"{folder / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder / "home")}
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "OMP_", "OPENBLAS_"))}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        words.split(), cwd=folder, env=environment | kept, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{time.perf_counter() - began:7.0f} s {cpu_s:7.0f} s of CPU   exit {done.returncode}   {words}", flush=True)
    (folder / "told.txt").write_bytes(done.stdout)
    if done.returncode not in expected:
        print(done.stdout.decode(errors="replace"))
    return done.returncode in expected


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=30, help="synthetic people of the demo")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", name]
        subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
        (wheel,) = folder.glob("*.whl")
        fine = run(f"pip install --quiet {wheel.name}", folder=folder)
        fine &= run(f"python {ROOT / 'examples' / 'measure_install.py'} --most 1200", folder=folder)
        print(
            f"{wheel.stat().st_size / 1e6:.1f} MB wheel; install:", (folder / "told.txt").read_text().splitlines()[-1]
        )
        fine &= run(f"reid-audit demo --subjects {options.subjects}", folder=folder, expected=(0,))
        fine &= run("reid-audit validate", folder=folder)
        fine &= run("reid-audit phantom --release -o made", folder=folder)
        screen = "reid-audit screen made/release --expect-defaced -o screening.json"
        fine &= run(screen, folder=folder, expected=(1,))
        with open(folder / "made" / "hidden.csv", encoding="utf-8") as file:
            hidden = len(list(csv.DictReader(file)))
        images = json.loads((folder / "screening.json").read_text(encoding="utf-8"))["images"]
        faces = sum(image["state"] == "face" for image in images)
        print(f"{faces} of {len(images)} images show a face; {hidden} are not defaced")
    sys.exit(not fine or faces != hidden)
