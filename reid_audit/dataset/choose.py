"""Choose one scan per subject, session and condition. What cannot be decided is asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from reid_audit.dataset.candidates import Candidate, Choice, Ledger
from reid_audit.dataset.cohort import listed
from reid_audit.records import ORIGINAL, natural_key


def keep_asked(candidates: Iterable[Candidate], choice: Choice, ledger: Ledger) -> list[Candidate]:
    """Leave out what other entities were asked for."""
    kept = []
    for image in candidates:
        unlike = [
            f"{key}={pattern}"
            for key, pattern in choice.where
            if not fnmatchcase(image.entities.get(key, "").lower(), pattern.lower())
        ]
        if unlike:
            ledger.add(image.suffix, f"not {' and '.join(unlike)}, as was asked for")
        else:
            kept.append(image)
    return kept


def keep_one_suffix(
    candidates: Sequence[Candidate], choice: Choice, ledger: Ledger
) -> tuple[list[Candidate], list[str]]:
    """Keep one kind of image, or ask which: what is compared must be alike."""
    counts: dict[str, int] = defaultdict(int)
    for image in candidates:
        if image.condition == ORIGINAL:
            counts[image.suffix] += 1
    suffix = next((name for name in counts if name.lower() == choice.suffix.lower()), "")
    if not choice.suffix and len(counts) == 1:
        suffix = next(iter(counts))
    if not suffix:
        there = ", ".join(f"{name} ({n})" for name, n in sorted(counts.items())) or "none"
        if choice.suffix:
            return [], [f"No original is {choice.suffix}; there are {there}: choose with --suffix."]
        return [], [f"Which images? The originals are {there}: choose one kind with --suffix."]
    for image in candidates:
        if image.suffix != suffix:
            ledger.add(image.suffix, f"another kind of image than {suffix}", image.path.name)
    return [image for image in candidates if image.suffix == suffix], []


Key = tuple[str, str, str]


def settle(
    candidates: Sequence[Candidate], choice: Choice, ledger: Ledger, *, run_is: str
) -> tuple[list[Candidate], list[str], list[str]]:
    """Choose one image for each person, visit and condition.

    Originals are settled first. A defaced image must be that of the original which was chosen: of the same series, or
    with entities that do not contradict it; where several originals share a visit, it must repeat what tells them
    apart. A DICOM series of another number is taken for the original's only where the visit has a single one of each.

    Parameters
    ----------
    found : sequence of Candidate
        Of one suffix, with sessions.
    choice : Choice
    ledger : Ledger
    run_is : str
        What tells repeated images apart: ``"run"``, or ``"SeriesNumber"`` in DICOM.

    Returns
    -------
    chosen : list of Candidate
    questions : list of str
    notes : list of str
    """
    if choice.run.lower() == "all":
        candidates = _runs_as_visits(candidates, ledger)
    groups: dict[Key, list[Candidate]] = defaultdict(list)
    for image in candidates:
        groups[image.subject, image.session, image.condition].append(image)
    chosen: dict[Key, Candidate] = {}
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


def _runs_as_visits(candidates: Sequence[Candidate], ledger: Ledger) -> list[Candidate]:
    """Make every run a visit of its own, called e.g. ``2r1``. A defaced image of no such run is set aside."""
    visits = {(image.subject, image.session) for image in candidates if image.condition == ORIGINAL}
    runs = {(image.subject, image.session, image.run) for image in candidates if image.condition == ORIGINAL}
    kept = []
    for image in candidates:
        if (image.subject, image.session) in visits and (image.subject, image.session, image.run) not in runs:
            ledger.add(
                image.suffix, "is of no run of its visit's originals", image.path.name if not image.series else ""
            )
        else:
            kept.append(replace(image, session=f"{image.session}r{image.run}") if image.run else image)
    return kept


def _keep_own(several: Sequence[Candidate], original: Candidate | None, twins: int, ledger: Ledger) -> list[Candidate]:
    """Keep those images under a condition that were made of the chosen original."""
    if original is None:
        return list(several)  # a defaced scan without an original: the audit counts it, and says so
    same = [image for image in several if image.series and image.series == original.series]
    if same:
        return same
    if original.series and twins == 1 and len(several) == 1:
        return list(several)  # defacers number their series anew
    kept = []
    for image in several:
        # A defacer may add entities (desc-defaced); its original's it must keep, where these tell originals apart.
        if all(
            image.entities.get(key, "" if twins > 1 else value) == value for key, value in _telling(original).items()
        ):
            kept.append(image)
        else:
            ledger.add(image.suffix, "its original was not chosen", image.path.name if not image.series else "")
    return kept


def _telling(image: Candidate) -> Mapping[str, str]:
    """Give the entities that name the image itself, not how it was described."""
    return {"SeriesNumber": image.run} if image.series else image.entities


def _pick(several: Sequence[Candidate], choice: Choice, ledger: Ledger, asked: _Asked) -> Candidate | None:
    """Choose by run; None = it must be asked."""
    if len(several) > 1 and choice.run and choice.run.lower() != "all":
        runs = sorted({image.run for image in several}, key=natural_key)
        wanted = runs[0] if choice.run.lower() == "first" else choice.run
        same_run = [
            image
            for image in several
            if image.run == wanted or (image.run.isdecimal() and image.run.lstrip("0") == wanted)
        ]
        for image in several:
            if image not in same_run:
                ledger.add(
                    image.suffix, f"another run than --run {choice.run}", image.path.name if not image.series else ""
                )
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
        self._groups: dict[tuple[str, ...], list[Sequence[Candidate]]] = defaultdict(list)

    def about(self, several: Sequence[Candidate]) -> None:
        keys = sorted({key for image in several for key in image.entities})
        unlike = [key for key in keys if len({image.entities.get(key, "") for image in several}) > 1]
        self._groups[several[0].condition, *unlike].append(several)

    def close(self) -> list[str]:
        return [self._ask(condition, keys, groups) for (condition, *keys), groups in self._groups.items()]

    def _ask(self, condition: str, keys: Sequence[str], groups: Sequence[Sequence[Candidate]]) -> str:
        first = groups[0]
        many = f"{len(groups)} visits hold" if len(groups) > 1 else "One visit holds"
        where = f"{many} several {first[0].suffix} images under the condition {condition!r}, e.g. {first[0].visit}"
        if not keys:
            what = listed(image.path.name for image in first) if not first[0].series else f"{len(first)} series"
            return f"{where}: two files for one scan ({what}). Which one? Remove the other, or write a manifest."
        if self._run_is in keys:
            numbers = listed(sorted((image.run or "none" for image in first), key=natural_key))
            others = [key for key in keys if key != self._run_is]
            more = f", or by {listed(others)} with --where {others[0]}=PATTERN" if others else ""
            return (
                f"{where}: {self._run_is} {numbers}. Which one? --run first, --run NUMBER, --run all (each counts as a "
                f"visit){more}."
            )
        values = {key: sorted({image.entities.get(key, "") or "none" for image in first}) for key in keys}
        shown = (
            "; ".join(f"{key} {listed(candidates)}" for key, candidates in values.items())
            if not first[0].series
            else listed(keys)
        )
        return f"{where}, which differ in {shown}. Which one? --where {keys[0]}=PATTERN."


def number_visits(candidates: Sequence[Candidate], ledger: Ledger) -> tuple[list[Candidate], list[str]]:
    """Give the visits of each person in a DICOM tree the sessions 1, 2 ... in the order of the originals' study dates.

    What a condition's tree holds belongs to the visit of the same study, or of the only study of the same day; else
    its visit is not known, and it is set aside.
    """
    began: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)  # subject -> study -> its date and time
    for image in candidates:
        if image.condition == ORIGINAL:
            date, time, uid = image.study
            began[image.subject][uid] = min(began[image.subject].get(uid, (date, time)), (date, time))
    studies = {who: sorted(images, key=lambda uid: (*images[uid], uid)) for who, images in began.items()}
    notes = []
    undated = sum(len({when for when in images.values() if when[0]}) < len(images) > 1 for images in began.values())
    if undated:
        notes.append(f"visits of {undated} people share a date and time, or have none: their order is arbitrary")
    by_day, settled = 0, []
    for image in candidates:
        visits = studies.get(image.subject, [])
        at = [k for k, uid in enumerate(visits) if uid == image.study[2]]
        if not at and image.study[0]:
            at = [k for k, uid in enumerate(visits) if began[image.subject][uid][0] == image.study[0]]
            by_day += len(at) == 1
        if len(at) == 1:
            settled.append(replace(image, session=str(at[0] + 1)))
        elif visits:
            ledger.add(image.suffix, f"under {image.condition!r}: is of no study of the originals; write a manifest")
        else:
            ledger.add(image.suffix, f"under {image.condition!r}: no original has its PatientID; write a manifest")
    if by_day:
        notes.append(f"{by_day} series under a condition were matched to their visit by the day, not by the study")
    return settled, notes
