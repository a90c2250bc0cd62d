"""Draw the gallery in ``renders/``: portraits of synthetic heads, before and after defacing.

::

    python examples/make_gallery.py            # into renders/
    python examples/make_gallery.py --out DIR

Drawn by the CPU ray caster, so that every machine gets the same pictures.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from reid_audit import Portrait, extract_skin
from reid_audit.deface import apply_defacer, reference_defacers
from reid_audit.phantom import LABELS, make_phantom
from reid_audit.records import Modality
from reid_audit.render import frontal_view, make_renderer, save_picture

SEED = 0


def draw_gallery(*, people: int = 4) -> Iterator[tuple[str, Portrait]]:
    """Give each picture with its file name: four people, a second visit, three directions, MR, three defacers."""
    with make_renderer("raycast") as renderer:
        for identity in range(people):
            phantom = make_phantom(identity, 1, seed=SEED)
            skin = extract_skin(phantom.volume)
            view = frontal_view(skin)
            yield f"p{identity + 1}_ct", renderer.render(skin, view)
            if identity:
                continue
            for name, azimuth_deg in (("left", 45.0), ("right", -45.0)):
                side = frontal_view(skin, azimuth_deg=azimuth_deg)
                yield f"p1_ct_from_the_{name}", renderer.render(skin, side)
            for defacer in reference_defacers():
                defaced = apply_defacer(defacer, phantom.volume, phantom.labels, LABELS).volume
                yield f"p1_ct_{defacer.name}", renderer.render(extract_skin(defaced, level=skin.level), view)
            for name, other in (
                ("ct_second_visit", make_phantom(0, 2, seed=SEED)),
                ("mr", make_phantom(0, 1, seed=SEED, modality=Modality.MR)),
            ):
                skin = extract_skin(other.volume)
                yield f"p1_{name}", renderer.render(skin, frontal_view(skin))


def main() -> None:
    """Read the arguments and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "renders")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for name, portrait in draw_gallery():
        save_picture(portrait, folder / f"{name}.png")
        (folder / f"{name}.png").chmod(0o644)  # nobody's face: these may be seen
        print(folder / f"{name}.png")


if __name__ == "__main__":
    main()
