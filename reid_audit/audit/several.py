"""What several recognisers found on one release, as one result and one table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from reid_audit.records import AuditResult, InputError
from reid_audit.verdict import join_verdicts


def _strength(result: AuditResult) -> float:
    """How far the strongest attack of a recogniser gets; -inf where nothing was measured."""
    found = [auc.value for one in result.evidence.attacks for auc in (one.linkability, one.search_auc)]
    return max((value for value in found if not math.isnan(value)), default=-math.inf)


def _tell(joined: AuditResult, shown: str) -> str:
    """Say which recogniser decides what, for the top of every output."""
    parts = []
    for place, condition in enumerate(joined.verdict.conditions):
        by = ", ".join(
            f"{one.fingerprint.encoder} {one.verdict.conditions[place].decision.value}" for one in joined.recognisers
        )
        parts.append(f"{condition.condition} ({by})")
    count = next(check.text for check in joined.verdict.checks if check.name == "recognisers")
    binding = joined.verdict.encoders
    return (
        f"{count} By defacer: {'; '.join(parts)}. What binds is {' and '.join(binding)}; where the numbers of one "
        f"recogniser stand alone, they are those of {shown}."
    )


def join_results(results: Sequence[AuditResult]) -> AuditResult:
    """Make one result of several recognisers' on one cohort.

    Parameters
    ----------
    results : sequence of AuditResult
        One per recogniser, of one cohort under one policy.

    Returns
    -------
    AuditResult
        With the worst verdict, see `reid_audit.verdict.several`. The numbers are those of the strongest recogniser
        among those that bind (greatest AUC of own against other people's originals under any attacker), and
        ``recognisers`` holds each result whole. A single result comes back as it is.

    Raises
    ------
    InputError
        If there is none, two are of one recogniser, or they do not belong together.
    """
    if len(results) == 1:
        return results[0]
    names = [one.fingerprint.encoder for one in results]
    if not names or len(set(names)) < len(names):
        raise InputError(f"results of several recognisers need one of each; got {names}")
    verdict = join_verdicts(dict(zip(names, (one.verdict for one in results), strict=True)))
    binding = [one for one in results if one.fingerprint.encoder in verdict.encoders]
    shown = max(binding, key=_strength)
    settings = dict(shown.settings)
    for name in ("encoder", "detector"):
        settings[name] = ", ".join(dict.fromkeys(one.settings.get(name, "") for one in results))
    joined = replace(
        shown,
        verdict=verdict,
        mismatches=tuple(f"{n}: {m}" for n, one in zip(names, results, strict=True) for m in one.mismatches),
        settings=settings,
        weights={f"{n}: {k}": v for n, one in zip(names, results, strict=True) for k, v in one.weights.items()},
        recognisers=tuple(results),
    )
    told = dict.fromkeys(notice for one in results for notice in one.notices)
    return replace(joined, notices=(_tell(joined, shown.fingerprint.encoder), *told))
