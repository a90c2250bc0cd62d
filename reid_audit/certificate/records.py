"""What a certificate says, and what its verification found."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from reid_audit.records import Canary, Decision, Policy

CERTIFICATE_COMMAND = "reid-audit certify"


class FileKind(StrEnum):
    """What a released file is to the verdict."""

    JUDGED = "judged"
    UNJUDGED_IMAGE = "image that was not judged"
    MAY_SHOW = "not judged, may show a face"
    TEXT = "text, not judged"


@dataclass(frozen=True, slots=True)
class CertifiedFile:
    """One file of the release. ``condition`` names the defacer of a judged image."""

    path: str
    sha256: str
    size_bytes: int
    kind: FileKind
    condition: str = ""


@dataclass(frozen=True, slots=True)
class ReleasedCondition:
    """One defacer's scans: how many the audit judged, how many of these images are in the release, the decision."""

    condition: str
    judged: int
    released: int
    decision: Decision


@dataclass(frozen=True, slots=True)
class UnmetRule:
    """A rule that was not met, without the people whom it names."""

    name: str
    decision: Decision
    condition: str = ""
    attack: str = ""
    encoder: str = ""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was decided on one release, and on which bytes.

    Attributes
    ----------
    release : str
        Name of the folder.
    created_utc, judged_utc : str
        When the certificate was made, and when the audit ended; ISO 8601.
    tool_version, judged_version : str
        Of reid-audit, at these times.
    result_sha256 : str
        Of the ``result.json`` that it rests on.
    decision : Decision
        The worst of the released conditions, of the rules that concern all, and of what was not judged.
    reason : str
    rules : tuple of UnmetRule
    attackers, encoders : tuple of str
    canaries : tuple of Canary
    settings, software : mapping of str to str
    weights : mapping of str to mapping of str to str
        Model files and their digests, by encoder.
    files : tuple of CertifiedFile
        Every file below the folder, in the order of their names, but those of ``.git``.
    tree_sha256 : str
        Of all paths and digests: one line that stands for the tree.
    review : mapping of str to str
        Who looked at scans and what came of it; empty where nobody did.
    """

    release: str
    created_utc: str
    tool_version: str
    cohort: str
    judged_utc: str
    judged_version: str
    result_sha256: str
    decision: Decision
    reason: str
    conditions: tuple[ReleasedCondition, ...]
    rules: tuple[UnmetRule, ...]
    policy: Policy
    attackers: tuple[str, ...]
    encoders: tuple[str, ...]
    canaries: tuple[Canary, ...]
    settings: Mapping[str, str]
    software: Mapping[str, str]
    weights: Mapping[str, Mapping[str, str]]
    files: tuple[CertifiedFile, ...]
    tree_sha256: str
    review: Mapping[str, str]
    schema_version: int = 1

    def of_kind(self, kind: FileKind) -> list[CertifiedFile]:
        """Return the files of one kind."""
        return [file for file in self.files if file.kind is kind]


@dataclass(frozen=True, slots=True)
class Verification:
    """How a tree differs from the one that was certified. Paths are relative to the release."""

    changed: tuple[str, ...]
    missing: tuple[str, ...]
    new: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """Whether the tree still is what was judged."""
        return not (self.changed or self.missing or self.new)
