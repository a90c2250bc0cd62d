"""What a tree of scans holds, before it is chosen which of it makes the cohort."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from reid_audit.dataset.cohort import Cohort
from reid_audit.dataset.copies import find_reason, name_copy
from reid_audit.records import InputError, Modality, listed

MOST_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """An image that may become a scan of the cohort.

    Attributes
    ----------
    subject : str
        BIDS label, or the pseudonym of a PatientID.
    session : str
        BIDS label; empty in a DICOM tree until its visits are numbered.
    condition : str
        ``"original"``, or what the tree it lies in was declared to be.
    suffix : str
        T1w, T2w, CT ... in BIDS (`reid_audit.dataset.bids.SUFFIXES`); CT, MR or PT in DICOM.
    modality : Modality
    path : Path
    series : str
        See `reid_audit.records.name_series`; empty in BIDS.
    entities : mapping of str to str
        What else tells images of one visit apart: ``run``, ``acq`` ... of BIDS, ``SeriesNumber``, ``SeriesDescription``
        ... of DICOM. Kept in memory for choosing, never written: descriptions are free text.
    image : str
        What it is called among the images of its session; see `reid_audit.dataset.choose.settle`.
    study : tuple of str
        Date, time and identifier of the DICOM study; empty in BIDS. Kept in memory, never written.
    frames : str
        Which volume of a 4-D image is meant; see `reid_audit.records.FRAMES`.
    """

    subject: str
    session: str
    condition: str
    suffix: str
    modality: Modality
    path: Path
    series: str = ""
    entities: Mapping[str, str] = field(default_factory=dict)
    study: tuple[str, str, str] = ("", "", "")
    image: str = ""
    frames: str = ""

    @property
    def run(self) -> str:
        """What ``--run`` chooses by: the run of BIDS, the series number of DICOM; empty where there is none."""
        return self.entities.get("run", "") or self.entities.get("SeriesNumber", "")

    @property
    def visit(self) -> str:
        """Label for messages, e.g. ``"p01/1"``."""
        return f"{self.subject}/{self.session}" if self.session else self.subject


@dataclass(frozen=True, slots=True)
class Aside:
    """Files or series of one kind that do not become scans, and why.

    ``examples`` are the first names, relative to the tree; none for a DICOM tree, whose names may be those of patients.
    ``may_show``: they can show a face, and nobody looked.
    """

    what: str
    reason: str
    count: int
    examples: tuple[str, ...] = ()
    may_show: bool = False


def kind_of(name: str) -> str:
    """Name the kind of a file: what follows the first dot, or nothing that ends a name."""
    ending = name.partition(".")[2]
    return f".{ending}" if ending and len(ending) < 12 and ending.isprintable() else "other"


class Ledger:
    """Keeps account of what is set aside while a tree is read: a count and a few examples for each reason."""

    def __init__(self, *, names: bool = True) -> None:
        self._names = names
        self._entries: dict[tuple[str, str], tuple[int, list[str]]] = {}
        self._may_show: set[tuple[str, str]] = set()

    def add_other(
        self,
        path: Path,
        name: str,
        reason: str,
        allowed: Mapping[str, str] = MappingProxyType({}),
        *,
        released: bool = True,
    ) -> None:
        """Count a file that is no scan: by what it can show (see `reid_audit.dataset.copies`), or by its ending.

        A file of the originals' own tree (not ``released``) shows what it shows to nobody.
        """
        copy = name_copy(path)
        if copy is None:
            self.add(kind_of(path.name), reason, name)
        elif why := find_reason(path, allowed):
            self.add(copy[0], f"allowed: {why}", name)
        else:
            self.add_copy(*copy, name, released=released)

    def add_copy(self, what: str, reason: str, name: str = "", *, released: bool = True) -> None:
        """Count what can show a face, and is not looked at."""
        self.add(what, reason if released else f"{reason} (among the originals)", name)
        if released:
            self._may_show.add((what, reason))

    def add(self, what: str, reason: str, name: str = "", count: int = 1) -> None:
        """Count one more thing that is set aside."""
        so_far, examples = self._entries.get((what, reason), (0, []))
        if self._names and name and len(examples) < MOST_EXAMPLES:
            examples = [*examples, name]
        self._entries[what, reason] = (so_far + count, examples)

    def describe(self) -> str:
        """Say in a few words what was set aside, for a message."""
        aside = [
            f"{entry.what}: {entry.reason} ({entry.count}{f', e.g. {entry.examples[0]}' if entry.examples else ''})"
            for entry in self.close()
        ]
        return listed(aside, most=4) or "nothing"

    def close(self) -> tuple[Aside, ...]:
        """Give the account, in the order of the first of each kind."""
        return tuple(
            Aside(what, reason, count, tuple(examples), (what, reason) in self._may_show)
            for (what, reason), (count, examples) in self._entries.items()
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """What decides between the cohorts that a tree could be. Every empty field decides nothing.

    Attributes
    ----------
    suffix : str
        The one kind of image: T1w, T2w, CT ... in BIDS, CT, MR or PT in DICOM; every kind by default.
    run : str
        Which of several runs (BIDS) or series (DICOM) of a visit: ``"first"``, a run's label or a series' number, or
        ``"all"``, where each counts as a visit of its own. By default each is an image of its session.
    where : tuple of (str, str)
        Entities and what they must be, ``*`` and ``?`` standing for anything, capitals or not: ``("acq", "mprage")``,
        ``("SeriesDescription", "*mprage*")``. An empty text asks for images without the entity.
    derivatives : tuple of str
        Which folders of a BIDS dataset's ``derivatives`` are conditions; all that hold such images by default.
    conditions : tuple of (str, Path)
        Trees that lie elsewhere and what defaced them.
    trust_originals : bool
        Whether images that say they were defaced are originals all the same.
    allow : Path, optional
        Table of files that may show a face; see `reid_audit.dataset.copies.read_allowed`.
    frames : str
        ``"first"`` or ``"mean"`` takes 4-D images of BIDS too (bold, dwi, asl): that volume of them.
    """

    suffix: str = ""
    run: str = ""
    where: tuple[tuple[str, str], ...] = ()
    derivatives: tuple[str, ...] = ()
    conditions: tuple[tuple[str, Path], ...] = ()
    trust_originals: bool = False
    allow: Path | None = None
    frames: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Inventory:
    """What was found, what was set aside, and the cohort it amounts to.

    Attributes
    ----------
    layout : str
        ``"manifest"``, ``"BIDS"`` or ``"DICOM"``.
    source : str
        Name for reports, without folders; never a name of a DICOM folder.
    cohort : Cohort or None
        None where something must be asked first.
    questions : tuple of str
        What cannot be decided without the steward, each with the option that answers it.
    aside : tuple of Aside
    notes : tuple of str
        What was noticed or concluded.
    """

    layout: str
    source: str
    cohort: Cohort | None
    questions: tuple[str, ...]
    aside: tuple[Aside, ...]
    notes: tuple[str, ...]


def check_condition(name: str) -> str:
    """Return a defacer's name that later rooms can use.

    Raises
    ------
    InputError
        Where it is empty, ``"original"`` in any spelling, or holds slashes or control characters.
    """
    if not name.strip() or name.lower() == "original" or "/" in name or "\\" in name or not name.isprintable():
        raise InputError(
            f"condition {name!r} is no name for a defacer: it must not be empty or 'original', nor hold slashes or "
            "control characters; name it with --condition NAME=PATH"
        )
    return name.strip()


def show_name(path: Path, root: Path) -> str:
    """Write a file's place in its tree for people; what would break a line or a terminal is escaped."""
    text = os.path.relpath(path, root)
    return text if text.isprintable() else repr(text)[1:-1]
