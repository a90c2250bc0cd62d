"""From everything that was found to one scan per person, visit and condition. What cannot be decided is asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from reid_audit.dataset.cohort import listed
from reid_audit.dataset.found import Choice, Found, Ledger
from reid_audit.records import ORIGINAL, natural_key


def keep_asked(found: Iterable[Found], choice: Choice, ledger: Ledger) -> list[Found]:
    """Leave out what other entities were asked for."""
    kept = []
    for one in found:
        unlike = [
            f"{key}={pattern}"
            for key, pattern in choice.where
            if not fnmatchcase(one.entities.get(key, "").lower(), pattern.lower())
        ]
        if unlike:
            ledger.add(one.suffix, f"not {' and '.join(unlike)}, as was asked for")
        else:
            kept.append(one)
    return kept


def keep_one_suffix(found: Sequence[Found], choice: Choice, ledger: Ledger) -> tuple[list[Found], list[str]]:
    """Keep one kind of image, or ask which: what is compared must be alike."""
    counts: dict[str, int] = defaultdict(int)
    for one in found:
        if one.condition == ORIGINAL:
            counts[one.suffix] += 1
    suffix = next((name for name in counts if name.lower() == choice.suffix.lower()), "")
    if not choice.suffix and len(counts) == 1:
        suffix = next(iter(counts))
    if not suffix:
        there = ", ".join(f"{name} ({n})" for name, n in sorted(counts.items())) or "none"
        if choice.suffix:
            return [], [f"No original is {choice.suffix}; there are {there}: choose with --suffix."]
        return [], [f"Which images? The originals are {there}: choose one kind with --suffix."]
    for one in found:
        if one.suffix != suffix:
            ledger.add(one.suffix, f"another kind of image than {suffix}", one.path.name)
    return [one for one in found if one.suffix == suffix], []


Key = tuple[str, str, str]


def settle(
    found: Sequence[Found], choice: Choice, ledger: Ledger, *, run_is: str
) -> tuple[list[Found], list[str], list[str]]:
    """Choose one image for each person, visit and condition.

    Originals are settled first. A defaced image must be that of the original which was chosen: of the same series, or
    with entities that do not contradict it; where several originals share a visit, it must repeat what tells them
    apart. A DICOM series of another number is taken for the original's only where the visit has a single one of each.

    Parameters
    ----------
    found : sequence of Found
        Of one suffix, with sessions.
    choice : Choice
    ledger : Ledger
    run_is : str
        What tells repeated images apart: ``"run"``, or ``"SeriesNumber"`` in DICOM.

    Returns
    -------
    chosen : list of Found
    questions : list of str
    notes : list of str
    """
    if choice.run.lower() == "all":
        found = _runs_as_visits(found, ledger)
    groups: dict[Key, list[Found]] = defaultdict(list)
    for one in found:
        groups[one.subject, one.session, one.condition].append(one)
    chosen: dict[Key, Found] = {}
    asked = _Asked(run_is)
    for key, several in sorted(groups.items(), key=lambda item: item[0][2] != ORIGINAL):
        original = chosen.get((key[0], key[1], ORIGINAL))
        if key[2] != ORIGINAL:
            twins = groups.get((key[0], key[1], ORIGINAL), [])
            if original is None and twins:
                continue  # its original is asked about
            several = _keep_own(several, original, len(twins), ledger)
        picked = _pick(several, choice, ledger, asked) if several else None
        if picked is not None:
            chosen[key] = picked
    notes = []
    if choice.run.lower() == "all":
        notes.append("each run counts as a visit of its own: two runs of one day are easier to match than two visits")
    order = sorted(chosen, key=lambda key: (natural_key(key[0]), natural_key(key[1]), key[2] != ORIGINAL, key[2]))
    return [chosen[key] for key in order], asked.close(), notes


def _runs_as_visits(found: Sequence[Found], ledger: Ledger) -> list[Found]:
    """Make every run a visit of its own, called e.g. ``2r1``. A defaced image of no such run is set aside."""
    visits = {(one.subject, one.session) for one in found if one.condition == ORIGINAL}
    runs = {(one.subject, one.session, one.run) for one in found if one.condition == ORIGINAL}
    kept = []
    for one in found:
        if (one.subject, one.session) in visits and (one.subject, one.session, one.run) not in runs:
            ledger.add(one.suffix, "is of no run of its visit's originals", one.path.name if not one.series else "")
        else:
            kept.append(replace(one, session=f"{one.session}r{one.run}") if one.run else one)
    return kept


def _keep_own(several: Sequence[Found], original: Found | None, twins: int, ledger: Ledger) -> list[Found]:
    """Keep those images under a condition that were made of the chosen original."""
    if original is None:
        return list(several)  # a defaced scan without an original: the audit counts it, and says so
    same = [one for one in several if one.series and one.series == original.series]
    if same:
        return same
    if original.series and twins == 1 and len(several) == 1:
        return list(several)  # defacers number their series anew
    kept = []
    for one in several:
        # A defacer may add entities (desc-defaced); its original's it must keep, where these tell originals apart.
        if all(one.entities.get(key, "" if twins > 1 else value) == value for key, value in _telling(original).items()):
            kept.append(one)
        else:
            ledger.add(one.suffix, "its original was not chosen", one.path.name if not one.series else "")
    return kept


def _telling(one: Found) -> Mapping[str, str]:
    """Give the entities that name the image itself, not how it was described."""
    return {"SeriesNumber": one.run} if one.series else one.entities


def _pick(several: Sequence[Found], choice: Choice, ledger: Ledger, asked: _Asked) -> Found | None:
    """Choose by run; None = it must be asked."""
    if len(several) > 1 and choice.run and choice.run.lower() != "all":
        runs = sorted({one.run for one in several}, key=natural_key)
        wanted = runs[0] if choice.run.lower() == "first" else choice.run
        same_run = [
            one for one in several if one.run == wanted or (one.run.isdecimal() and one.run.lstrip("0") == wanted)
        ]
        for one in several:
            if one not in same_run:
                ledger.add(one.suffix, f"another run than --run {choice.run}", one.path.name if not one.series else "")
        several = same_run
    if len(several) == 1:
        return several[0]
    if several:
        asked.about(several)
    else:
        ledger.add(choice.suffix or "image", f"the visit has no run {choice.run}")
    return None


class _Asked:
    """Gathers what must be asked, so that sixty visits with two runs make one question."""

    def __init__(self, run_is: str) -> None:
        self._run_is = run_is
        self._groups: dict[tuple[str, ...], list[Sequence[Found]]] = defaultdict(list)

    def about(self, several: Sequence[Found]) -> None:
        keys = sorted({key for one in several for key in one.entities})
        unlike = [key for key in keys if len({one.entities.get(key, "") for one in several}) > 1]
        self._groups[several[0].condition, *unlike].append(several)

    def close(self) -> list[str]:
        return [self._ask(condition, keys, groups) for (condition, *keys), groups in self._groups.items()]

    def _ask(self, condition: str, keys: Sequence[str], groups: Sequence[Sequence[Found]]) -> str:
        first = groups[0]
        many = f"{len(groups)} visits hold" if len(groups) > 1 else "One visit holds"
        where = f"{many} several {first[0].suffix} images under the condition {condition!r}, e.g. {first[0].visit}"
        if not keys:
            what = listed(one.path.name for one in first) if not first[0].series else f"{len(first)} series"
            return f"{where}: two files for one scan ({what}). Which one? Remove the other, or write a manifest."
        if self._run_is in keys:
            numbers = listed(sorted((one.run or "none" for one in first), key=natural_key))
            others = [key for key in keys if key != self._run_is]
            more = f", or by {listed(others)} with --where {others[0]}=PATTERN" if others else ""
            return (
                f"{where}: {self._run_is} {numbers}. Which one? --run first, --run NUMBER, --run all (each counts as a "
                f"visit){more}."
            )
        values = {key: sorted({one.entities.get(key, "") or "none" for one in first}) for key in keys}
        shown = (
            "; ".join(f"{key} {listed(found)}" for key, found in values.items())
            if not first[0].series
            else listed(keys)
        )
        return f"{where}, which differ in {shown}. Which one? --where {keys[0]}=PATTERN."


def number_visits(found: Sequence[Found], ledger: Ledger) -> tuple[list[Found], list[str]]:
    """Give the visits of each person in a DICOM tree the sessions 1, 2 ... in the order of the originals' study dates.

    What a condition's tree holds belongs to the visit of the same study, or of the only study of the same day; else
    its visit is not known, and it is set aside.
    """
    began: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)  # subject -> study -> its date and time
    for one in found:
        if one.condition == ORIGINAL:
            date, time, uid = one.study
            began[one.subject][uid] = min(began[one.subject].get(uid, (date, time)), (date, time))
    studies = {who: sorted(mine, key=lambda uid: (*mine[uid], uid)) for who, mine in began.items()}
    notes = []
    undated = sum(len({when for when in mine.values() if when[0]}) < len(mine) > 1 for mine in began.values())
    if undated:
        notes.append(f"visits of {undated} people share a date and time, or have none: their order is arbitrary")
    by_day, settled = 0, []
    for one in found:
        visits = studies.get(one.subject, [])
        at = [k for k, uid in enumerate(visits) if uid == one.study[2]]
        if not at and one.study[0]:
            at = [k for k, uid in enumerate(visits) if began[one.subject][uid][0] == one.study[0]]
            by_day += len(at) == 1
        if len(at) == 1:
            settled.append(replace(one, session=str(at[0] + 1)))
        elif visits:
            ledger.add(one.suffix, f"under {one.condition!r}: is of no study of the originals; write a manifest")
        else:
            ledger.add(one.suffix, f"under {one.condition!r}: no original has its PatientID; write a manifest")
    if by_day:
        notes.append(f"{by_day} series under a condition were matched to their visit by the day, not by the study")
    return settled, notes
