"""Hold a tree against its certificate."""

from collections.abc import Collection
from pathlib import Path

from reid_audit.certificate.records import Certificate, Verification
from reid_audit.certificate.tree import digest_tree, hash_tree, list_tree
from reid_audit.records import InputError
from reid_audit.work import Progress


def verify_release(
    certificate: Certificate, release: Path, *, without: Collection[str] = (), progress: Progress | None = None
) -> Verification:
    """Say which files of a release are no longer those that were certified.

    Parameters
    ----------
    certificate : Certificate
    release : Path
    without : collection of str
        SHA-256 of files that may lie there without being certified: the certificate itself, its page and signature.
    progress : callable, optional

    Raises
    ------
    InputError
        Where the certificate's list of files does not fit its own digest, or a file of the tree cannot be read.
    """
    certified = {file.path: file.sha256 for file in certificate.files}
    if digest_tree(certified.items()) != certificate.tree_sha256:
        raise InputError(
            "the certificate's files do not fit its tree_sha256: it was edited; take the one that was made"
        )
    hashed = hash_tree(release, list_tree(release), progress=progress)
    there = {name: digest for name, (digest, _) in hashed.items() if name in certified or digest not in without}
    return Verification(
        changed=tuple(name for name in certified if name in there and there[name] != certified[name]),
        missing=tuple(name for name in certified if name not in there),
        new=tuple(name for name in there if name not in certified),
    )
