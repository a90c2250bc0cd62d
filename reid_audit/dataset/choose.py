"""Choose the scans of each subject, session and condition, and name their images. What cannot be decided is asked."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import NamedTuple

from reid_audit.dataset.candidates import Candidate, Choice, Ledger
from reid_audit.records import ORIGINAL, group_by, listed, natural_key
from reid_audit.volume.bodies import BODY_MODALITIES


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


def keep_suffix(candidates: Sequence[Candidate], choice: Choice, ledger: Ledger) -> tuple[list[Candidate], list[str]]:
    """Keep the one kind of image that was asked for, or every kind."""
    if not choice.suffix:
        return list(candidates), []
    counts = Counter(image.suffix for image in candidates if image.condition == ORIGINAL)
    suffix = next((name for name in counts if name.lower() == choice.suffix.lower()), "")
    if not suffix:
        there = ", ".join(f"{name} ({n})" for name, n in sorted(counts.items())) or "none"
        return [], [f"No original is {choice.suffix}; there are {there}: choose with --suffix."]
    for image in candidates:
        if image.suffix != suffix:
            ledger.add(image.suffix, f"another kind of image than {suffix}", image.path.name)
    return [image for image in candidates if image.suffix == suffix], []


class _Key(NamedTuple):
    """What the images of one kind share."""

    subject: str
    session: str
    suffix: str


def settle(
    candidates: Sequence[Candidate], choice: Choice, ledger: Ledger, *, run_is: str
) -> tuple[list[Candidate], list[str], list[str]]:
    """Choose the images of each person, visit and condition, and name them.

    Originals are settled first: each is an image of its session, unless a run was asked for. A defaced image is that of
    the original whose series it has, or whose entities it repeats; of several, of the one with the most. A DICOM series
    of another number is taken for the original's only where the visit has a single one of each.

    Parameters
    ----------
    candidates : sequence of Candidate
        With sessions.
    choice : Choice
    ledger : Ledger
    run_is : str
        What tells repeated images apart: ``"run"``, or ``"SeriesNumber"`` in DICOM.

    Returns
    -------
    chosen : list of Candidate
        Each with the name of its image; empty where every session has one, of one kind.
    questions : list of str
    notes : list of str
    """
    if choice.run.lower() == "all":
        candidates = _runs_as_visits(candidates, ledger)
    groups: dict[_Key, dict[str, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
    for image in candidates:
        groups[_Key(image.subject, image.session, image.suffix)][image.condition].append(image)
    asked = _Asked(run_is)
    originals: dict[_Key, list[Candidate]] = {}
    for key, by_condition in groups.items():
        originals[key] = _tell_apart(by_condition.get(ORIGINAL, []), choice, ledger, asked)
    alone = [images for key, by in groups.items() if not by.get(ORIGINAL) for images in by.values()]
    name_of = _name_images([*originals.values(), *alone])
    chosen = [replace(image, image=name_of(image, of)) for of in originals.values() for image in of]
    for key, by_condition in groups.items():
        for condition, several in by_condition.items():
            if condition == ORIGINAL:
                continue
            owners = originals[key]
            if not owners:
                if not by_condition.get(ORIGINAL):  # the audit counts a defaced scan without an original, and says so
                    kept = _tell_apart(several, choice, ledger, asked)
                    chosen += [replace(image, image=name_of(image, kept)) for image in kept]
                continue  # else its original is asked about
            twins = len(by_condition[ORIGINAL])
            for owner, own in _share_out(several, owners, twins, ledger):
                name = name_of(owner, owners)
                chosen += [replace(image, image=name) for image in _tell_apart(own, choice, ledger, asked, most=1)]
    notes = []
    if choice.run.lower() == "all":
        notes.append("each run counts as a visit of its own: two runs of one day are easier to match than two visits")
    chosen.sort(
        key=lambda image: (
            *(natural_key(image.subject), natural_key(image.session), natural_key(image.image)),
            *(image.condition != ORIGINAL, image.condition),
        )
    )
    return chosen, asked.close(), notes


def _name_images(groups: Iterable[Sequence[Candidate]]) -> Callable[[Candidate, Sequence[Candidate]], str]:
    """Return what names an image among those of its session and kind: its suffix, and what tells it apart.

    ``groups`` are the originals of one session and kind each, or defaced images without any. Entities of BIDS tell
    images apart by their values (``"T1w run-2"``), series of DICOM by their order (``"CT 2"``).
    """
    kinds: set[str] = set()
    telling: dict[str, list[str]] = defaultdict(list)
    for images in groups:
        kinds.update(image.suffix for image in images)
        for entity in sorted({entity for image in images for entity in image.entities}):
            if len({image.entities.get(entity, "") for image in images}) > 1:
                known = telling[images[0].suffix]
                known += [entity] if entity not in known else []

    def name(image: Candidate, among: Sequence[Candidate]) -> str:
        if len(kinds) < 2 and not telling[image.suffix]:
            return ""
        if image.series:
            place = sorted(among, key=lambda each: (natural_key(each.run), each.series)).index(image)
            return image.suffix if place == 0 else f"{image.suffix} {place + 1}"
        values = [f"{key}-{image.entities[key]}" for key in telling[image.suffix] if key in image.entities]
        return " ".join([image.suffix, *values])

    return name


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


def _share_out(
    several: Sequence[Candidate], owners: Sequence[Candidate], twins: int, ledger: Ledger
) -> list[tuple[Candidate, list[Candidate]]]:
    """Give each original the images under a condition that were made of it.

    ``twins`` are the originals of the visit before one was chosen.
    """
    shares: list[tuple[Candidate, list[Candidate]]] = [(owner, []) for owner in owners]
    for image in several:
        fits = [share for share in shares if _is_made_of(image, share[0], twins, alone=len(several) == 1)]
        fits.sort(key=lambda share: (share[0].series == image.series, len(_telling(share[0]))), reverse=True)
        if fits:
            fits[0][1].append(image)
        else:
            ledger.add(image.suffix, "its original was not chosen", image.path.name if not image.series else "")
    for owner, own in shares:
        same = [image for image in own if owner.series and image.series == owner.series]
        for image in own if same else ():
            if image not in same:
                ledger.add(image.suffix, "another series than that of its original")
        own[:] = same or own
    return [(owner, own) for owner, own in shares if own]


def _is_made_of(image: Candidate, original: Candidate, twins: int, *, alone: bool) -> bool:
    """Whether an image can be a defaced one of that original."""
    if image.series and image.series == original.series:
        return True
    if original.series and twins == 1 and alone:
        return True  # defacers number their series anew
    # A defacer may add entities (desc-defaced); its original's it must keep, where these tell originals apart.
    return all(
        image.entities.get(key, "" if twins > 1 else value) == value for key, value in _telling(original).items()
    )


def _telling(image: Candidate) -> Mapping[str, str]:
    """Give the entities that name the image itself, not how it was described."""
    return {"SeriesNumber": image.run} if image.series else image.entities


def _tell_apart(
    several: Sequence[Candidate], choice: Choice, ledger: Ledger, asked: _Asked, *, most: int = 0
) -> list[Candidate]:
    """Choose by run, where one was asked for; ask about images that nothing tells apart, and more than ``most``."""
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
        if not same_run:
            ledger.add(choice.suffix or "image", f"the visit has no run {choice.run}")
        several, most = same_run, 1
    alike = group_by(several, lambda image: (image.series, *sorted(image.entities.items())))
    doubled = [same for same in alike.values() if len(same) > 1]
    if (most and len(several) > most) or doubled:
        for same in doubled or [list(several)]:
            asked.about(same)
        return []
    return list(several)


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
    scanned = {image.subject for image in candidates if image.suffix not in BODY_MODALITIES}
    for image in candidates:
        # A structure set or dose belongs to the visit of its scan, and is none of its own.
        if image.condition == ORIGINAL and (image.suffix not in BODY_MODALITIES or image.subject not in scanned):
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
