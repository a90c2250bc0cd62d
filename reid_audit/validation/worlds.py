"""The rules on synthetic cohorts of which the truth is known: what leaves nothing passes, and nothing else does."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from reid_audit.accuracy import to_panels
from reid_audit.records import Decision, Policy
from reid_audit.verdict.rules import judge
from reid_audit.verdict.worlds import SyntheticCohort, Vectors, tabulate_world, unit

SUBJECTS = 60
SEEDS = range(5)

_ATTACKS = Policy().required_attacks
_SAVING_SD = 0.02  # what writing a file anew adds to a unit vector


def _draw_noise(cohort: SyntheticCohort) -> Vectors:
    return unit(cohort.mean + 8 * cohort.draw(cohort.visits, cohort.people))


def _leave_nothing(cohort: SyntheticCohort) -> Mapping[str, Vectors]:
    return cohort.deface(_ATTACKS)


def _leave_half(cohort: SyntheticCohort) -> Mapping[str, Vectors]:
    return cohort.deface(_ATTACKS, leak=0.5)


def _save_two_anew(cohort: SyntheticCohort) -> Mapping[str, Vectors]:
    release = cohort.deface(_ATTACKS, removal=True)
    for vectors in release.values():
        vectors[:, :2] = unit(cohort.originals + _SAVING_SD * cohort.draw(cohort.visits, cohort.people))[:, :2]
    return release


def _shift_labels(cohort: SyntheticCohort) -> Mapping[str, Vectors]:
    saved = unit(cohort.originals + _SAVING_SD * cohort.draw(cohort.visits, cohort.people))
    return {attack: np.roll(saved, 1, axis=1) for attack in _ATTACKS}


def _see_nothing(cohort: SyntheticCohort) -> Mapping[str, Vectors]:
    return {attack: _draw_noise(cohort) for attack in _ATTACKS}


WORLDS: Mapping[str, tuple[Callable[[SyntheticCohort], Mapping[str, Vectors]], str]] = {
    "nothing left": (_leave_nothing, "a defacer that leaves nothing: cohorts that PASS"),
    "half left": (_leave_half, "a defacer that leaves half of each person: cohorts that PASS"),
    "two saved anew": (_save_two_anew, "two originals among defaced scans: cohorts that PASS"),
    "labels shifted": (_shift_labels, "originals under other people's labels: cohorts that PASS"),
    "attackers blind": (_see_nothing, "attackers who do not link their canaries: cohorts that PASS"),
}


def measure_worlds() -> Iterator[tuple[str, float, str]]:
    """Give name, number of cohorts that pass and a sentence for each world, of `SEEDS` cohorts of `SUBJECTS`."""
    for name, (deface, text) in WORLDS.items():
        passed = 0
        for seed in SEEDS:
            cohort = SyntheticCohort(SUBJECTS, np.random.default_rng((seed, SUBJECTS)))
            release = deface(cohort)
            canary = {attack: _draw_noise(cohort) for attack in release} if name == "attackers blind" else None
            decision, _ = judge(to_panels(tabulate_world(cohort, release, canary=canary)), Policy(), seed=seed)
            passed += decision is Decision.PASS
        yield name, float(passed), f"{text}, of {len(SEEDS)} with {SUBJECTS} people"
