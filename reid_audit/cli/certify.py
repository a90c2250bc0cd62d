"""Which files a verdict is about, written, signed and checked: `certify`."""

import hashlib
from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from reid_audit.certificate import (
    CERTIFICATE_COMMAND,
    SIGNATURE_ENDING,
    Certificate,
    FileKind,
    Verification,
    check_signature,
    make_certificate,
    sign,
    verify_release,
)
from reid_audit.cli.options import OverwriteOption, ReviewOption, WorkersOption, show_progress
from reid_audit.cli.running import start_run
from reid_audit.cli.words import COLOURS, err, out
from reid_audit.records import (
    Decision,
    InputError,
    Policy,
    listed,
    prepare_file,
    read_json,
    to_json,
    worst,
    write_private,
)
from reid_audit.report import RESULT_FILE, read_result
from reid_audit.report.page import render_page
from reid_audit.report.words import counted
from reid_audit.review import read_review
from reid_audit.verdict import fold_review

CERTIFICATE_FILE = "certificate.json"


def certify(
    result: Annotated[
        Path, typer.Argument(help="Folder that `score` wrote, or its result.json; with --verify the certificate.")
    ],
    release: Annotated[Path, typer.Option("--release", help="The folder as it is, or will be, released.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Say whether the release still is what was judged; write nothing.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write; certificate.json beside the result if left out."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--sign", help="Your SSH key: sign the certificate by ssh-keygen.")
    ] = None,
    signers: Annotated[
        Path | None,
        typer.Option("--signers", help="With --verify: OpenSSH's file of who may sign, and then somebody must."),
    ] = None,
    review: ReviewOption = None,
    workers: WorkersOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Write down which files a verdict is about, each with its SHA-256; later say whether they still are the same.

    Exit codes: as the verdict on this release: 0 PASS, 1 FAIL, 2 wrong use, input or signature, 3 REVIEW, 4 INCOMPLETE;
    with --verify also 4 where a file was changed, is missing or is new: nobody judged it so.

    Example: [bold]reid-audit certify result --release defaced --sign ~/.ssh/id_ed25519[/]
    """
    if verify:
        if key is not None or output is not None or review is not None:
            raise InputError("--verify writes nothing; leave --sign, --output and --review out")
        raise typer.Exit(_verify(result, release, signers))
    if signers is not None:
        raise InputError("--signers is for --verify; --sign KEY signs")
    source = result / RESULT_FILE if result.is_dir() else result
    output = output or source.parent / CERTIFICATE_FILE
    if output.suffix.lower() != ".json":
        raise InputError(f"--output {output.name}: give a name that ends with .json; the page lies beside it")
    if output.resolve().is_relative_to(release.resolve()):
        raise InputError(
            f"--output {output.name} lies in the release, which it describes; write it elsewhere, then copy"
        )
    page = output.with_suffix(".html")
    prepare_file(output, mark=b'"release"', overwrite=overwrite)
    prepare_file(page, mark=b"<!doctype html>", overwrite=overwrite)
    read = read_result(result)
    if review is not None:
        read = fold_review(read, read_review(review))
    with start_run(workers=workers) as run:
        certificate = make_certificate(
            read,
            release,
            result_sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
            executor=run.executor,
            progress=run.progress,
        )
    write_private(output, to_json(certificate))
    write_private(page, _to_html(certificate))
    output.with_name(output.name + SIGNATURE_ENDING).unlink(missing_ok=True)  # of an older certificate
    signature = None if key is None else sign(output, key)
    _say(certificate)
    for what, path in (("Certificate", output), ("Page", page), ("Signature", signature)):
        if path is not None:
            out.say(f"{what}: {escape(str(path))}")
    out.print(f"Check it later: {CERTIFICATE_COMMAND} {escape(output.name)} --release {escape(release.name)} --verify")
    raise typer.Exit(certificate.decision.exit_code)


def _to_html(certificate: Certificate) -> str:
    policy = [(field.name, getattr(certificate.policy, field.name)) for field in fields(Policy)]
    return render_page("certificate.html", certificate=certificate, kinds=list(FileKind), policy=policy)


def _say(certificate: Certificate) -> None:
    decision = certificate.decision
    out.print(f"[{COLOURS[decision]}]{decision.value}[/]  release {escape(certificate.release)}: {certificate.reason}")
    for each in certificate.conditions:
        out.print(
            f"{escape(each.condition)}: {each.released} of {counted(each.judged, 'judged image')} released, "
            f"verdict {each.decision.value}"
        )
    for kind in FileKind:
        files = certificate.of_kind(kind)
        if kind in (FileKind.JUDGED, FileKind.TEXT) or not files:
            out.print(f"{counted(len(files), 'file')}: {kind.value}")
        else:
            count = f"[{COLOURS[Decision.INCOMPLETE]}]{counted(len(files), 'file')}[/]"
            out.say(f"{count}: {kind.value}: {escape(listed(file.path for file in files))}")
    out.say(f"SHA-256 of the tree: {certificate.tree_sha256}")


def _verify(path: Path, release: Path, signers: Path | None) -> int:
    """Check signature and tree, print what came of it, and return the exit code."""
    path = path / CERTIFICATE_FILE if path.is_dir() else path
    certificate = read_json(path, Certificate, made_by=CERTIFICATE_COMMAND)
    signature = path.with_name(path.name + SIGNATURE_ENDING)
    own = [path.read_bytes(), _to_html(certificate).encode()]
    if signature.is_file() or signers is not None:
        who = check_signature(path, signers)
        own.append(signature.read_bytes())
        unknown = f"signed by a key that nobody vouched for ({who}); give --signers"
        told = unknown if signers is None else f"signed by {who}"
        out.say(f"Signature: {escape(told)}")
    else:
        out.print("Signature: none, so that anybody could have written this certificate")
    with show_progress() as progress:
        verification = verify_release(
            certificate, release, without={hashlib.sha256(content).hexdigest() for content in own}, progress=progress
        )
    _say_verification(certificate, verification)
    return worst([certificate.decision, *([] if verification.is_same else [Decision.INCOMPLETE])]).exit_code


def _say_verification(certificate: Certificate, verification: Verification) -> None:
    decided = f"{certificate.decision.value} of {certificate.created_utc}"
    if verification.is_same:
        out.print(
            f"[{COLOURS[Decision.PASS]}]UNCHANGED[/]  all {counted(len(certificate.files), 'file')} are those that "
            f"were certified. Verdict: {decided}."
        )
        return
    out.print(
        f"[{COLOURS[Decision.FAIL]}]CHANGED[/]  the release is not what was certified ({decided}); score it again."
    )
    for what, names in (
        ("changed", verification.changed),
        ("missing", verification.missing),
        ("new", verification.new),
    ):
        if names:
            out.say(f"{counted(len(names), 'file')} {what}: {escape(listed(names))}")
    err.print("What was changed or is new was not judged, whatever the certificate says.")
