"""What lies beside the face is found where no defacer reaches, in scans that show it, and binds nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reid_audit import ScanRef, Settings, Status
from reid_audit.attack import Attack, Hints, Target, choose_attacks, find_attack
from reid_audit.audit.settings import context_of
from reid_audit.deface import FaceRemoval
from reid_audit.phantom import LABELS, make_phantom
from reid_audit.records import ORIGINAL, Face, FaceRecord, Modality, View, Volume
from reid_audit.render import find_frontal_view
from reid_audit.surface import extract_skin
from reid_audit.testing import FakeEncoder

SKULL, BRAIN = find_attack("skull"), find_attack("brain")
PEOPLE = 3


def _look(volume: Volume, *attacks: Attack, condition: str = ORIGINAL, view: View | None = None) -> FaceRecord:
    scan = ScanRef("p", "1", condition, Path("x.nii"), volume.modality)
    context = context_of(scan, Settings(), change=lambda _: volume)
    context._made["volume"] = volume  # what a file would give
    skin = context.extract()
    blind = Face(Status.NO_FACE, "e", reason="none")
    target = Target(context, skin, view or context.find_view(skin), FakeEncoder(), blind)
    looks = {attack.name: attack.look(target, Hints()) for attack in attacks}
    return FaceRecord(scan, blind, looks=looks)


@pytest.fixture(scope="module")
def visits() -> tuple[list[FaceRecord], list[FaceRecord]]:
    """First visits without a face, and second visits as they are."""
    first, second = [], []
    for person in range(PEOPLE):
        phantom = make_phantom(person, 1, variety=1.5, spacing_mm=2.4)
        removed = FaceRemoval().deface(phantom.volume, phantom.labels, LABELS)
        view = find_frontal_view(extract_skin(phantom.volume))
        first.append(_look(removed, SKULL, BRAIN, condition="removed", view=view))
        second.append(_look(make_phantom(person, 2, variety=1.5, spacing_mm=2.4).volume, SKULL, BRAIN))
    return first, second


@pytest.mark.parametrize("attack", [SKULL, BRAIN])
def test_the_person_is_found_where_the_face_is_gone(
    attack: Attack, visits: tuple[list[FaceRecord], list[FaceRecord]]
) -> None:
    distances = attack.score(*visits)
    np.testing.assert_array_equal(distances.argmin(axis=1), np.arange(PEOPLE))
    assert distances.min() >= 0.0
    assert distances.max() <= 2.0


def test_a_scan_that_does_not_show_the_channel_has_no_vector() -> None:
    volume = make_phantom(0, 1, spacing_mm=3.0, modality=Modality.MR).volume
    looks = _look(volume, SKULL).looks["skull"]
    assert [(face.vector, face.reason) for face in looks] == [(None, "only a CT shows bone")]
    pet = replace(volume, modality=Modality.PET)
    assert [face.reason for face in _look(pet, BRAIN).looks["brain"]] == ["only CT and MR show the brain"]


def test_no_rule_asks_them() -> None:
    naive, *both = choose_attacks(["channels"])
    assert naive.baseline
    assert [attack.channel for attack in both] == ["skull", "brain"]
    assert not any(attack.judged or attack.selected_by_default for attack in both)
