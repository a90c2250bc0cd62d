"""Print how much disk `pip install reid-audit` takes, by package: the wheel and everything that it needs.

    python examples/measure_install.py --extras deepface --most 1200

Counts the files of each distribution, by what the installer recorded and what Python compiled beside them. Exit code 1
where they are more than ``--most`` MB, or where OpenCV is there twice.
"""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def find_needed(name: str, extras: frozenset[str] = frozenset()) -> dict[str, Distribution]:
    """Return a distribution and all that it needs here, by name; what is not installed is left out."""
    needed: dict[str, Distribution] = {}
    waiting = [(name, extras)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        asked = waiting.pop()
        if asked in seen:
            continue
        seen.add(asked)
        try:
            installed = distribution(asked[0])
        except PackageNotFoundError:
            continue
        needed[canonicalize_name(asked[0])] = installed
        for requirement in map(Requirement, installed.requires or ()):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *asked[1])):
                waiting.append((requirement.name, frozenset(requirement.extras)))
    return needed


def measure_bytes(installed: Distribution) -> int:
    """Return the bytes of a distribution's files that lie on this disk."""
    paths = (installed.locate_file(file) for file in installed.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file())  # type: ignore[attr-defined]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extras", default="", help="with commas, such as deepface,cluster")
    parser.add_argument("--most", type=float, default=float("inf"), help="MB")
    options = parser.parse_args()
    extras = frozenset(filter(None, options.extras.split(",")))
    sizes = {name: measure_bytes(each) / 1e6 for name, each in find_needed("reid-audit", extras).items()}
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        print(f"{size:8.1f} MB  {name}")
    total = sum(sizes.values())
    print(f"{total:8.1f} MB  in {len(sizes)} packages")
    opencv = sorted(name for name in sizes if name.startswith("opencv"))
    sys.exit(total > options.most or len(opencv) > 1)
