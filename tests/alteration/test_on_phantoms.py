"""What tampering and reference defacers did to synthetic heads is told apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from reid_audit.alteration import find_alteration, restore, summarise_original
from reid_audit.deface import Defacer, list_defacers
from reid_audit.phantom import LABELS, PhantomScan, make_phantom
from reid_audit.records import Modality, OriginalSummary, Volume
from reid_audit.render import find_frontal_view
from reid_audit.surface import extract_skin

pytestmark = pytest.mark.slow

Values = NDArray[np.float32]
WHOLE = {"unaltered", "face_region_there"}
TAMPERED: dict[str, tuple[Callable[[Values], Values], set[str]]] = {
    "half a turn": (lambda a: a[::-1, ::-1, :], {"turned"}),
    "upside down": (lambda a: a[:, :, ::-1], {"turned", "mirrored"}),
    "mirrored": (lambda a: a[::-1], {"mirrored"}),
    "quieter": (lambda a: a * 0.3, {"rescaled"}),
    "saved anew": (lambda a: np.where(np.arange(a.size).reshape(a.shape) == 0, a + 1, a), set()),
    "cropped": (lambda a: a[:, :, :-1], {"cropped"}),
    "turned and quieter": (lambda a: a[::-1, ::-1, :] * 0.3, {"turned", "rescaled"}),
    "eight bits": (lambda a: np.rint(np.clip((a - a.min()) / np.ptp(a) * 400, 0, 255)), {"rescaled"}),
}


@pytest.fixture(scope="module", params=[Modality.CT, Modality.MR], ids=str)
def scan(request: pytest.FixtureRequest) -> PhantomScan:
    return make_phantom(3, 1, modality=request.param, spacing_mm=1.5)


@pytest.fixture(scope="module")
def original(scan: PhantomScan) -> OriginalSummary:
    skin = extract_skin(scan.volume)
    return summarise_original(scan.volume, skin, find_frontal_view(skin))


def with_values(volume: Volume, values: Values) -> Volume:
    return replace(volume, intensity=np.asfortranarray(values, dtype=np.float32))


@pytest.mark.parametrize("kind", TAMPERED)
def test_tampering_is_named_and_never_taken_for_defacing(
    scan: PhantomScan, original: OriginalSummary, kind: str
) -> None:
    tamper, codes = TAMPERED[kind]
    tampered = with_values(scan.volume, tamper(scan.volume.intensity))
    alteration = find_alteration(original, tampered)
    assert alteration.codes == codes | WHOLE
    assert find_alteration(original, restore(tampered, alteration, original)).codes <= WHOLE | {"cropped", "rescaled"}


@pytest.mark.parametrize("defacer", [d for d in list_defacers() if d.name != "no-op"], ids=lambda d: d.name)
def test_no_defacer_leaves_a_face_unaltered(scan: PhantomScan, original: OriginalSummary, defacer: Defacer) -> None:
    defaced = defacer.deface(scan.volume, scan.labels, LABELS)
    treatments = (lambda a: a, lambda a: a[::-1, ::-1, :] * 0.3)
    for treat in treatments[:1] if defacer.name == "drawn-head" else treatments:  # turned, no cranium tells whose it is
        alteration = find_alteration(original, with_values(defaced, treat(defaced.intensity)))
        assert "face_altered" in alteration.codes
        assert "unaltered" not in alteration.codes
        gone = "face_region_gone" in alteration.codes
        assert gone == (defacer.name in {"face-removal", "face-box"}) or defacer.name == "shear"  # at the eyes' edge


def test_another_person_is_exchanged_and_a_second_visit_is_not(scan: PhantomScan, original: OriginalSummary) -> None:
    modality = scan.volume.modality
    for identity in (1, 2, 4):
        other = make_phantom(identity, 1, modality=modality, spacing_mm=1.5).volume
        assert find_alteration(original, other).codes == {"exchanged"}
    again = make_phantom(3, 2, modality=modality, spacing_mm=1.5).volume
    assert {"moved", "face_region_there"} <= find_alteration(original, again).codes
