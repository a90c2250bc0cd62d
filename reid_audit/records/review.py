"""What people saw who looked at scans."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Answer(StrEnum):
    """What a reader says of a defaced scan."""

    FACE = "face visible"
    REMOVED = "removed"
    NOT_HEAD = "not a head"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Reading:
    """One reader's answer on one scan.

    Attributes
    ----------
    subject, session, condition : str
    image_sha256 : str
        Of the image that was shown, as in `ScanRow`: an answer is about this image and no other.
    pictures_sha256 : str
        Of the pictures of the defaced scan that were shown.
    reader : str
    answer : Answer
    note : str
    read_utc : str
        ISO 8601.
    """

    subject: str
    session: str
    condition: str
    image_sha256: str
    pictures_sha256: str
    reader: str
    answer: Answer
    note: str
    read_utc: str

    @property
    def scan(self) -> tuple[str, str, str]:
        """Subject, session and condition."""
        return self.subject, self.session, self.condition


@dataclass(frozen=True, slots=True)
class Review:
    """The answers of all readers on the scans of one result, at most one of each reader on each scan."""

    cohort: str
    judged_utc: str
    tool_version: str
    readings: tuple[Reading, ...]
    schema_version: int = 1

    @property
    def readers(self) -> tuple[str, ...]:
        """Who read, in the order of their first answers."""
        return tuple(dict.fromkeys(reading.reader for reading in self.readings))


def settle(readings: Sequence[Reading]) -> Answer:
    """Return what the readers of a scan say together: a face where one sees it, or unsure where they disagree."""
    said = {reading.answer for reading in readings}
    if Answer.FACE in said:
        return Answer.FACE
    return said.pop() if len(said) == 1 else Answer.UNSURE
