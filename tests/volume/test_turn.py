"""A head that a program turned or mirrored under the same header is no defaced head."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from reid_audit.deface import EyePlaneCut, FaceRemoval, apply_defacer
from reid_audit.deface.run import check_output
from reid_audit.phantom import LABELS, PhantomScan, make_phantom
from reid_audit.records import DefaceStatus
from reid_audit.volume.turn import find_turn


@pytest.fixture(scope="module")
def phantom() -> PhantomScan:
    return make_phantom(3, 1, spacing_mm=5.0)


def test_a_defaced_head_lies_as_it_did(phantom: PhantomScan) -> None:
    for defacer in (EyePlaneCut(), FaceRemoval()):
        defaced = apply_defacer(defacer, phantom.volume, phantom.labels, LABELS).volume
        assert find_turn(phantom.volume, defaced) == ""


@pytest.mark.parametrize("signs", [s for s in product((1, -1), repeat=3) if s != (1, 1, 1)])
def test_every_mirroring_is_named(phantom: PhantomScan, signs: tuple[int, int, int]) -> None:
    defaced = apply_defacer(EyePlaneCut(), phantom.volume, phantom.labels, LABELS).volume
    turned = defaced.intensity[tuple(slice(None, None, sign) for sign in signs)]
    status, reason = check_output(phantom.volume, replace(defaced, intensity=np.ascontiguousarray(turned)))
    assert status is DefaceStatus.OTHER_GRID
    named = " and ".join(axis for axis, sign in zip("xyz", signs, strict=True) if sign < 0)
    assert reason == f"the head is turned or mirrored under the same header ({named} reversed)"


def test_a_quarter_turn_in_the_plane(phantom: PhantomScan) -> None:
    whole = phantom.volume.intensity
    side = min(whole.shape[:2])
    square = replace(phantom.volume, intensity=np.ascontiguousarray(whole[:side, -side:]))
    turned = replace(square, intensity=np.ascontiguousarray(np.rot90(square.intensity)))
    assert find_turn(square, turned) == "axes x, y, z became y, x, z; x reversed"


def test_noise_and_small_grids_are_not_judged(phantom: PhantomScan) -> None:
    rng = np.random.default_rng(0)
    noise = replace(phantom.volume, intensity=rng.normal(size=phantom.volume.intensity.shape).astype(np.float32))
    assert find_turn(phantom.volume, noise) == ""
    small = replace(phantom.volume, intensity=phantom.volume.intensity[:20, :20, :20])
    assert find_turn(small, replace(small, intensity=np.ascontiguousarray(small.intensity[::-1]))) == ""
