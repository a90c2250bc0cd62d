"""Which files of a release a verdict is about, written so that it can be checked later, and signed.

A released image was judged where its voxels and its place are those of a scan that the audit read; names and headers
count for nothing. What was not judged is listed and lowers the verdict. Every file is held to its SHA-256.

Words
-----
certificate
    Verdict, policy, attackers and canaries of a result, with the SHA-256 of every file of one release. It names no
    subject beyond the names of these files, so that it can be published beside the release.
judged
    A file of an image that the audit measured.
signature
    By the user's own SSH key (``ssh-keygen -Y sign``), in the namespace `NAMESPACE`.
"""

from reid_audit.certificate.make import make_certificate
from reid_audit.certificate.records import (
    CERTIFICATE_COMMAND,
    Certificate,
    CertifiedFile,
    FileKind,
    ReleasedCondition,
    UnmetRule,
    Verification,
)
from reid_audit.certificate.sign import SIGNATURE_ENDING, check_signature, sign
from reid_audit.certificate.verify import verify_release

__all__ = [
    "CERTIFICATE_COMMAND",
    "SIGNATURE_ENDING",
    "Certificate",
    "CertifiedFile",
    "FileKind",
    "ReleasedCondition",
    "UnmetRule",
    "Verification",
    "check_signature",
    "make_certificate",
    "sign",
    "verify_release",
]
