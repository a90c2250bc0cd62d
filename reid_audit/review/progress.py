"""The answers as they are given: kept after each, undone, and compared between readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from reid_audit.records import Answer, InputError, Reading, Review, read_json, to_json, write_private
from reid_audit.review.cases import ReviewCase

REVIEW_COMMAND = "reid-audit review"
REVIEW_FILE = "review.json"


def read_review(path: Path) -> Review:
    """Read what `reid-audit review` wrote. InputError where it is none."""
    return read_json(path, Review, made_by=REVIEW_COMMAND)


@dataclass(slots=True)
class Progress:
    """One reader's way through the cases; the file is written after every answer.

    Attributes
    ----------
    path : Path
    cases : sequence of ReviewCase
    reader : str
    review : Review
        With the answers of the other readers, which this one is not shown.
    """

    path: Path
    cases: Sequence[ReviewCase]
    reader: str
    review: Review
    _before: list[Review] = field(default_factory=list)

    @classmethod
    def start(cls, path: Path, cohort: str, judged_utc: str, cases: Sequence[ReviewCase], reader: str) -> Progress:
        """Go on with the file where it is there, else begin one.

        Parameters
        ----------
        path : Path
        cohort, judged_utc : str
            Which result or screening the cases are of, and when that was made.
        cases : sequence of ReviewCase
        reader : str

        Raises
        ------
        InputError
            Where the reader has no name, or the file is about another result.
        """
        if not reader.strip() or not reader.isprintable():
            raise InputError(f"--reader {reader!r}: give the name that the review shall carry")
        review = Review(cohort, judged_utc, version("reid-audit"), ())
        if path.exists():
            review = read_review(path)
            if (review.cohort, review.judged_utc) != (cohort, judged_utc):
                raise InputError(
                    f"{path.name}: is about {review.cohort} judged {review.judged_utc}, not about this one of "
                    f"{judged_utc}; give another file by --output"
                )
        return cls(path, cases, reader.strip(), review)

    def mine(self) -> dict[int, Reading]:
        """Return this reader's answers by the number of the case."""
        own = {r.scan: r for r in self.review.readings if r.reader == self.reader}
        keys = [(case.scan.subject, case.scan.visit, case.scan.condition) for case in self.cases]
        return {
            number: own[key]
            for number, (key, case) in enumerate(zip(keys, self.cases, strict=True))
            if key in own and own[key].image_sha256 == case.image_sha256
        }

    def answer(self, number: int, answer: Answer, note: str, pictures_sha256: str) -> None:
        """Keep an answer, instead of an earlier one of this reader on the same scan.

        Raises
        ------
        InputError
            Where no picture of the scan was shown.
        """
        case = self.cases[number]
        if not pictures_sha256:
            raise InputError(f"{case.scan.key}: no picture of it was shown, so that nothing can be said of it")
        scan = case.scan
        now = datetime.now(UTC).isoformat(timespec="seconds")
        shown = scan.subject, scan.visit, scan.condition, case.image_sha256, pictures_sha256
        reading = Reading(*shown, self.reader, answer, note.strip(), now)
        others = [r for r in self.review.readings if (r.reader, r.scan) != (self.reader, reading.scan)]
        self._before.append(self.review)
        self._keep(replace(self.review, readings=(*others, reading), tool_version=version("reid-audit")))

    def undo(self) -> bool:
        """Take the last answer of this sitting back; False where there is none."""
        if not self._before:
            return False
        self._keep(self._before.pop())
        return True

    def _keep(self, review: Review) -> None:
        write_private(self.path, to_json(review))
        self.review = review


def measure_agreement(review: Review) -> list[tuple[str, str, int, float]]:
    """Return (reader, reader, scans that both read, Cohen's kappa) of each two readers; NaN where it is not defined."""
    by_reader: dict[str, dict[tuple[str, ...], str]] = {}
    for reading in review.readings:
        by_reader.setdefault(reading.reader, {})[(*reading.scan, reading.image_sha256)] = reading.answer.value
    readers = list(by_reader)
    rows = []
    for place, first in enumerate(readers):
        for second in readers[place + 1 :]:
            common = sorted(by_reader[first].keys() & by_reader[second].keys())
            pairs = [(by_reader[first][scan], by_reader[second][scan]) for scan in common]
            rows.append((first, second, len(pairs), _kappa(pairs)))
    return rows


def _kappa(pairs: Sequence[tuple[str, str]]) -> float:
    """Cohen's kappa; NaN where both gave one and the same answer throughout, so that chance explains everything."""
    if len({answer for pair in pairs for answer in pair}) < 2:
        return float("nan")
    from sklearn.metrics import cohen_kappa_score

    return float(cohen_kappa_score([a for a, _ in pairs], [b for _, b in pairs]))
