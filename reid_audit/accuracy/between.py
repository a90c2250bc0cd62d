"""Defacers against each other, paired by subject."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations

import numpy as np

from reid_audit.records import SubjectEvidence, TestResult
from reid_audit.stats import adjust, mcnemar, wilcoxon


def compare_pairwise(people: Iterable[SubjectEvidence]) -> tuple[TestResult, ...]:
    """Test each two defacers on the subjects whom both defaced, under each attacker.

    Parameters
    ----------
    subjects : iterable of SubjectEvidence
        Of several conditions and attacks; one row per subject, condition and attack.

    Returns
    -------
    tuple of TestResult
        Per attack and pair of defacers: McNemar on being matched at the Youden threshold (no face = no match), McNemar
        on being found first, and Wilcoxon signed-rank on the rank in the search (1 = found first; who has no rank is
        left out and shows in ``n``). ``p_adjusted`` is Benjamini-Hochberg over all of them. Ranks and not distances,
        because a defacer that moves all distances alike hides nobody. Empty for fewer than two defacers.
    """
    tables: dict[tuple[str, str], dict[str, dict[str, SubjectEvidence]]] = {}
    for person in people:
        attacker = tables.setdefault((person.encoder, person.attack), {})
        attacker.setdefault(person.condition, {})[person.subject] = person
    tests: list[TestResult] = []
    for (encoder, attack), conditions in tables.items():
        for condition, other in combinations(conditions, 2):
            shared = [subject for subject in conditions[condition] if subject in conditions[other]]
            a, b = ([conditions[c][subject] for subject in shared] for c in (condition, other))
            name = f"{condition} vs {other}"
            rank = [np.array([person.rank_after for person in side]) for side in (a, b)]
            paired = (
                mcnemar([p.matched_after for p in a], [p.matched_after for p in b], compared=f"matched: {name}"),
                mcnemar(rank[0] == 1, rank[1] == 1, compared=f"found first: {name}"),
                wilcoxon(*rank, compared=f"rank: {name}"),
            )
            tests += [replace(test, attack=attack, encoder=encoder) for test in paired]
    return adjust(tests)
