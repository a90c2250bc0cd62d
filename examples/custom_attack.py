"""An attacker of your own: one class, registered under a name, and the report shows it beside the others.

This one mirrors the defaced head's portrait before the encoder sees it: whoever is asymmetric is found worse, and
what it still finds needs no asymmetry. Run it on synthetic heads::

    python examples/custom_attack.py --subjects 6 --out result
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from reid_audit import AuditResult, Settings, audit, local_executor, write_result
from reid_audit.attack import SAMPLE, Attack, Hints, Target, register_attack
from reid_audit.demo import write_demo_cohort
from reid_audit.records import Face, Portrait


class Mirrored(Attack):
    """Looks at the mirror image of the portrait that the naive attacker sees."""

    name = "mirrored"

    def describe(self) -> str:
        """Say what it uses."""
        return "detector and encoder on the mirrored frontal portrait"

    def look(self, target: Target, hints: Hints) -> tuple[Face, ...]:
        """Draw as the naive attacker does, and mirror."""

        def draw() -> Portrait:
            portrait = target.context.draw(target.skin, target.view)
            return replace(portrait, pixels=np.ascontiguousarray(portrait.pixels[:, ::-1]))

        return (target.encode(draw),)


def run(manifest: Path, *, settings: Settings, workers: int | None = None, canaries: int = SAMPLE) -> AuditResult:
    """Audit a cohort with the naive attacker and this one."""
    register_attack(Mirrored())
    with local_executor(workers) as executor:
        return audit(
            manifest, settings=settings, attacks=["mirrored"], canaries=canaries, executor=executor, progress=_tell
        )


def _tell(stage: str, done: int, total: int) -> None:
    if done == total:
        print(f"{stage}: {done} of {total}", flush=True)


def main() -> None:
    """Make synthetic heads, attack them, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("custom-attack"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with local_executor() as executor:
            manifest = write_demo_cohort(Path(folder), subjects=options.subjects, executor=executor)
        result = run(manifest, settings=Settings(encoders=("dlib",)))
    print(f"report: {write_result(result, options.out, overwrite=True)}")


if __name__ == "__main__":
    main()
