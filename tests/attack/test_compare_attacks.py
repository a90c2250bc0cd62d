"""The example that compares attackers, in a small form: what its table claims."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest
from places import EXAMPLES

from reid_audit.attack import find_attack, list_attacks

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
def test_every_attacker_is_as_strong_as_naive_on_untouched_scans(example: ModuleType) -> None:
    defacers = [defacer for defacer in example.DEFACERS if defacer.name in ("none", "face-box")]
    result, table = example.run(3, spacing_mm=2.2, voxel_mm=3.0, workers=2, defacers=defacers)
    evidence = result.evidence
    naive = evidence.attack("none")
    tried = {each.attack for each in evidence.attacks}
    assert tried == {attack.name for attack in list_attacks() if attack.fewest_people <= 3}
    for attack in sorted(tried):
        actual = evidence.attack("none", attack)
        assert actual.search.rank1.value >= naive.search.rank1.value - 0.2, attack  # one search of six
        assert actual.linkability.value >= naive.linkability.value - 0.1, attack
    judged = {attack for attack in tried if find_attack(attack).judged}
    assert evidence.attack("face-box", "aligned").fta.value == 0.0
    assert evidence.attack("face-box", "fillin").fta.value == 0.0
    box = [attack for worst in evidence.worst if worst.condition == "face-box" for attack in worst.tried]
    assert sorted(box) == sorted(judged)
    assert (
        {each.condition for each in evidence.leaks}
        == {each.condition for each in evidence.crossed}
        == {"none", "face-box"}
    )
    assert table.count("| face-box |") == len(tried) + 1
