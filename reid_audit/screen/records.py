"""What screening tells of an image and of a release."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from reid_audit.dataset import Aside
from reid_audit.records import Answer, Real

NAN = float("nan")
IDENTIFYING = ("eyes", "nose", "mouth")
"""The parts whose loss makes a defacing (Sahlsten 2023); chin and ears are told and not judged."""


class ScreenState(StrEnum):
    """What an image shows."""

    FACE = "face"  # and no alteration of it
    ALTERED = "altered"
    NO_FACE = "no face"  # a brain, or a scan that ends above or beside the face
    UNKNOWN = "unknown"  # a human must look


class PartState(StrEnum):
    """What became of a part of the face."""

    SEEN = "seen"
    REMOVED = "removed"
    BLURRED = "blurred"
    REPLACED = "replaced"
    VEILED = "veiled"
    OUTSIDE = "outside"  # of the field of view


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the face.

    Attributes
    ----------
    name : str
    state : PartState
    offset_mm : float
        How far its skin stands before the average head's; NaN where there is no skin within 24 mm.
    """

    name: str
    state: PartState
    offset_mm: Real = NAN


@dataclass(frozen=True, slots=True)
class ImageScreening:
    """What one image shows.

    Attributes
    ----------
    name : str
        The file, relative to what was screened; of a DICOM series its short name, never one of a folder.
    state : ScreenState
    reason : str
        One sentence.
    modality : str
        CT, MR or PT (PET); empty where the file gave no volume.
    parts : tuple of Part
        Empty where no head was found.
    altered_cm3 : float
        Volume of the altered area, air before the face included; NaN where no head was found.
    confidence : float
        Of the face detector in the portrait; NaN where it saw no face, or there was no portrait.
    detector : str
    fitting : float
        Share of the head's skin that lies within 4 mm of the average head laid on it.
    claims : tuple of str
    notes : tuple of str
        What reader and skin checks noticed.
    mask : str
        Name of the mask that was written; empty where none was.
    seconds : float
    allowed : str
        Why it may show a face, by the table of allowed files; empty where nobody allowed it.
    image_sha256 : str
        Of voxels and place of a volume, as in `ScanRow`; empty where there is none.
    reviewed : Answer or None
        What readers of `reid-audit review` said of this image.
    """

    name: str
    state: ScreenState
    reason: str
    modality: str = ""
    parts: tuple[Part, ...] = ()
    altered_cm3: Real = NAN
    confidence: Real = NAN
    detector: str = ""
    fitting: Real = NAN
    claims: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    mask: str = ""
    seconds: float = 0.0
    allowed: str = ""
    image_sha256: str = ""
    reviewed: Answer | None = None

    @property
    def decision(self) -> int:
        """What a gate that expects defaced images makes of it: 0 nothing left, 1 a face, 3 a human must look.

        An altered image passes only where eyes, nose and mouth are each removed, replaced or outside: what was merely
        blurred or covered, or left as it was, may still be recognised. What is allowed to show a face passes. A reader
        who sees a face outweighs every state; one who sees none answers what a human must look at, and no more.
        """
        if self.allowed:
            return 0
        if self.state is ScreenState.FACE or self.reviewed is Answer.FACE:
            return 1
        if self.state is ScreenState.NO_FACE or self.reviewed in (Answer.REMOVED, Answer.NOT_HEAD):
            return 0
        gone = (PartState.REMOVED, PartState.REPLACED, PartState.OUTSIDE)
        left = [part for part in self.parts if part.name in IDENTIFYING and part.state not in gone]
        return 0 if self.state is ScreenState.ALTERED and not left else 3

    @property
    def needs_look(self) -> bool:
        """Whether a human must look where defaced images are expected."""
        return self.decision == 3

    @property
    def is_unknown(self) -> bool:
        """Whether neither the screening nor a reader knows what it shows."""
        return self.state is ScreenState.UNKNOWN and self.reviewed in (None, Answer.UNSURE)


@dataclass(frozen=True, slots=True)
class Screening:
    """What a release shows.

    Attributes
    ----------
    source : str
        What was screened, without folders.
    images : tuple of ImageScreening
    aside : tuple of Aside
        Every other file of the tree, by kind and reason.
    expect_defaced : bool
    tool_version : str
    created_utc : str
        ISO 8601.
    """

    source: str
    images: tuple[ImageScreening, ...]
    aside: tuple[Aside, ...]
    expect_defaced: bool
    tool_version: str
    created_utc: str = ""
    schema_version: int = 1

    @property
    def exit_code(self) -> int:
        """0 all is as it should be, 1 a face where none is expected, 3 a human must look."""
        if not self.expect_defaced:
            return 3 if any(image.is_unknown for image in self.images) else 0
        decisions = {image.decision for image in self.images} | {3 for aside in self.aside if aside.may_show}
        return 1 if 1 in decisions else 3 if 3 in decisions or not self.images else 0

    @property
    def counts(self) -> dict[str, int]:
        """Number of images by state, every state named."""
        counted = Counter(image.state.value for image in self.images)
        return {state.value: counted[state.value] for state in ScreenState}
