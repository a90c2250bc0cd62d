"""How large a cohort must be: the whole policy, simulated on cohorts of which nothing is left."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from reid_audit.records import Decision, InputError, Rate
from reid_audit.stats import clopper_pearson

SIZES = (20, 25, 30, 35, 40, 45, 50, 60, 70, 85, 100, 140, 200, 300)
"""Cohorts that are tried, in subjects."""

TARGETS = (0.80, 0.90, 0.95)

Drawn = TypeVar("Drawn")
_Drawn = TypeVar("_Drawn", covariant=True)
"""A cohort's comparisons, in whichever form the judge takes them."""

Judge = Callable[[Drawn], Decision]
"""The whole policy applied to one cohort. It must use no random state of its own but a seed."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done and of how much."""


class World(Protocol[_Drawn]):
    """Draws the comparisons of a cohort."""

    def __call__(self, subjects: int, visits: int, *, rng: np.random.Generator) -> _Drawn:
        """Return one cohort."""


def _say_nothing(stage: str, done: int, total: int) -> None:
    """Show no progress."""


@dataclass(frozen=True, slots=True)
class PassRate:
    """How often the policy passed cohorts of one size, and what it said of them."""

    subjects: int
    visits: int
    passed: Rate
    decisions: tuple[tuple[Decision, int], ...]


@dataclass(frozen=True, slots=True)
class CohortPlan:
    """The smallest cohort that reaches P(PASS) >= ``target`` with ``visits`` visits a subject.

    ``subjects`` is None where no size that was tried reaches it; ``rates`` are those that were simulated, by size, and
    say what the policy answered instead.
    """

    target: float
    visits: int
    subjects: int | None
    rates: tuple[PassRate, ...]


def simulate_passes(
    judge: Judge[Drawn],
    world: World[Drawn],
    subjects: int,
    visits: int,
    *,
    worlds: int,
    seed: int,
    progress: Progress = _say_nothing,
) -> PassRate:
    """Judge cohorts of one size.

    Parameters
    ----------
    judge : callable
    world : World
        Its own settings hold the attackers, encoders and strata.
    subjects, visits : int
    worlds : int
        Cohorts drawn.
    seed : int
        Cohort k of every size is drawn from (seed, subjects, visits, k): any part can be had again alone.
    progress : callable, optional
    """
    if worlds < 1:
        raise InputError(f"worlds must be at least 1; got {worlds}")
    counts: Counter[Decision] = Counter()
    stage = f"{subjects} subjects, {visits} visit{'s' if visits > 1 else ''}"
    for k in range(worlds):
        progress(stage, k, worlds)
        counts[judge(world(subjects, visits, rng=np.random.default_rng((seed, subjects, visits, k))))] += 1
    progress(stage, worlds, worlds)
    decisions = tuple((decision, counts[decision]) for decision in Decision if counts[decision])
    return PassRate(subjects, visits, clopper_pearson(counts[Decision.PASS], worlds), decisions)


def plan_cohort(
    judge: Judge[Drawn],
    world: World[Drawn],
    *,
    targets: Sequence[float] = TARGETS,
    visits: Sequence[int] = (1, 2),
    sizes: Sequence[int] = SIZES,
    worlds: int = 200,
    seed: int = 0,
    progress: Progress = _say_nothing,
) -> tuple[CohortPlan, ...]:
    """Find the smallest cohort that passes often enough if nothing is left.

    Parameters
    ----------
    judge : callable
    world : World
        Must leave nothing: P(PASS) of a leaky world is not what a cohort is planned for.
    targets : sequence of float
        P(PASS) wanted, in (0, 1].
    visits : sequence of int
        Visits a subject, each planned for by itself.
    sizes : sequence of int
        Subjects, growing. Searched by halving, which takes P(PASS) to grow with the cohort.
    worlds : int
        Cohorts per size. With 200 the simulated P(PASS) is known to 3 - 7 points (`PassRate.passed`).
    seed : int
    progress : callable, optional

    Returns
    -------
    tuple of CohortPlan
        By visits, then target.
    """
    for target in targets:
        if not 0 < target <= 1:
            raise InputError(f"targets must lie in (0, 1]; got {target}")
    if list(sizes) != sorted(set(sizes)):
        raise InputError(f"sizes must grow; got {list(sizes)}")
    plans = []
    for visit in visits:
        rates: dict[int, PassRate] = {}

        def simulate(size: int, visit: int = visit) -> PassRate:
            return simulate_passes(judge, world, size, visit, worlds=worlds, seed=seed, progress=progress)

        chosen = {target: _search(simulate, target, sizes, rates) for target in targets}
        simulated = tuple(rates[size] for size in sorted(rates))
        plans += [CohortPlan(target, visit, size, simulated) for target, size in chosen.items()]
    return tuple(plans)


def _search(
    simulate: Callable[[int], PassRate], target: float, sizes: Sequence[int], rates: dict[int, PassRate]
) -> int | None:
    """Return the smallest size that reaches the target; what is simulated on the way is kept in ``rates``."""

    def reaches(size: int) -> bool:
        if size not in rates:
            rates[size] = simulate(size)
        return rates[size].passed.value >= target

    low, high = 0, len(sizes)  # below low the target is not reached; from high on it is
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(sizes[middle]) else (middle + 1, high)
    return sizes[high] if high < len(sizes) else None
