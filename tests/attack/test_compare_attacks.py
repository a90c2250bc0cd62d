"""The example that compares attackers, in a small form: what its table claims."""

from __future__ import annotations

import importlib.util
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
from places import EXAMPLES

from reid_audit import Settings
from reid_audit.attack import Gallery, find_attack, list_attacks
from reid_audit.surface import SurfaceSettings

EXAMPLE = EXAMPLES / "compare_attacks.py"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare_attacks", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "compare_attacks", module)
    monkeypatch.syspath_prepend(EXAMPLE.parent)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_every_attacker_is_as_strong_as_naive_on_untouched_scans(
    example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example, "TIMED", 1)
    defacers = [defacer for defacer in example.DEFACERS if defacer.name in ("no-op", "face-box")]
    chosen = [each.name for each in list_attacks() if each.gallery is Gallery.ORIGINALS and each.judged]
    result, tables = example.run(
        3,
        tmp_path,
        scan=partial(example.scan_phantom, spacing_mm=2.2),
        settings=Settings(encoders=("dlib",), surface=SurfaceSettings(voxel_mm=3.0)),
        defacers=defacers,
        attacks=chosen,
        workers=2,
    )
    evidence = result.evidence
    naive = evidence.attack("no-op")
    tried = {each.attack for each in evidence.attacks}
    assert tried == {name for name in chosen if find_attack(name).fewest_people <= 3}
    for attack in sorted(tried):
        actual = evidence.attack("no-op", attack)
        assert actual.search.rank1.value >= naive.search.rank1.value - 0.34, attack  # one search of three
        assert actual.linkability.value >= naive.linkability.value - 0.2, attack
    assert evidence.attack("face-box", "aligned").fta.value == 0.0
    assert evidence.attack("face-box", "fillin").fta.value == 0.0
    box = [attack for worst in evidence.worst if worst.condition == "face-box" for attack in worst.tried]
    assert sorted(box) == sorted(tried)
    assert (
        {each.condition for each in evidence.leaks}
        == {each.condition for each in evidence.crossed}
        == {"no-op", "face-box"}
    )
    assert tables.count("| face-box |") == len(tried) + 1
    # Whoever finds a name that was dealt anew is wrong: at most one of three by chance.
    rows = [row.split(" | ") for row in tables.splitlines() if row.startswith(f"| {example.SHUFFLED}")]
    assert {row[1] for row in rows} == tried
    assert all(int(row[4].split("/")[0]) <= 1 for row in rows if row[1] in ("naive", "aligned", "shape"))
