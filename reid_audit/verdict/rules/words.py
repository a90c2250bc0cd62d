"""How rules speak of numbers and people."""

from functools import partial

from reid_audit.records import Decision, listed
from reid_audit.stats.residuals import Bounded

join_names = partial(listed, most=6)
"""Names up to six people, and how many more."""


def count_people(n: int) -> str:
    """Write ``"1 person"`` or ``"2 people"``."""
    return "1 person" if n == 1 else f"{n} people"


def compare(bound: Bounded, limit: float, confidence: float, shown: str) -> tuple[Decision, str]:
    """Compare one-sided bounds with an upper limit, and say which of them decided."""
    if bound.at_most <= limit:
        return Decision.PASS, f"{shown}; at most {bound.at_most:.3g} (one-sided, {confidence:.0%}), limit {limit:.3g}."
    if bound.at_least > limit:
        least = f"at least {bound.at_least:.3g} (one-sided, {confidence:.0%})"
        return Decision.FAIL, f"{shown}; {least}, above the limit of {limit:.3g}."
    if bound.at_least != bound.at_least:  # NaN
        return Decision.INCOMPLETE, f"{shown}: not measured."
    return Decision.REVIEW, (
        f"{shown}; at least {bound.at_least:.3g} and at most {bound.at_most:.3g} (each one-sided, {confidence:.0%}): "
        f"the limit of {limit:.3g} lies between, more people would tell."
    )
