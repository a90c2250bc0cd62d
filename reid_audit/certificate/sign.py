"""Sign a file with the user's own SSH key, and check such a signature, by OpenSSH's ``ssh-keygen``."""

import shutil
import subprocess
from pathlib import Path

from reid_audit.records import InputError

NAMESPACE = "reid-audit-certificate"
"""A signature made for another purpose with the same key is none of a certificate."""
SIGNATURE_ENDING = ".sig"


def _keygen() -> str:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise InputError(
            "ssh-keygen: is not installed, and signatures are made and checked by it; install OpenSSH 8.2+"
        )
    return program


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr or done.stdout or "").strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"


def sign(path: Path, key: Path) -> Path:
    """Sign a file; ``ssh-keygen`` asks for the key's passphrase where there is one.

    Parameters
    ----------
    path : Path
    key : Path
        Private key, or the public one of a key that ssh-agent holds.

    Returns
    -------
    Path
        The signature, beside the file.

    Raises
    ------
    InputError
        Where ``ssh-keygen`` is missing or refuses the key.
    """
    program = _keygen()
    if not key.is_file():
        raise InputError(f"--sign {key.name}: there is no such key; `ssh-keygen -t ed25519` makes one")
    signature = path.with_name(path.name + SIGNATURE_ENDING)
    signature.unlink(missing_ok=True)  # ssh-keygen would ask whether to replace it
    done = subprocess.run(
        [program, "-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(path)],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode or not signature.is_file():
        raise InputError(f"--sign {key.name}: ssh-keygen did not sign with it: {_last_line(done)}")
    return signature


def check_signature(path: Path, signers: Path | None = None) -> str:
    """Check the signature that lies beside a file.

    Parameters
    ----------
    path : Path
    signers : Path, optional
        An ``allowed_signers`` file of OpenSSH: who may sign, with which public key. Without it the signature shows that
        the file is whole, and not who made it.

    Returns
    -------
    str
        Who signed, as ``signers`` names them; without it the fingerprint of the key.

    Raises
    ------
    InputError
        Where there is no signature, it does not fit the file, or nobody of ``signers`` made it.
    """
    signature = path.with_name(path.name + SIGNATURE_ENDING)
    if not signature.is_file():
        raise InputError(f"{signature.name}: there is no signature beside the certificate; sign it with --sign KEY")
    program = _keygen()
    how = ["-s", str(signature), "-n", NAMESPACE]
    if signers is None:
        who, arguments = "", ["-Y", "check-novalidate", *how]
    else:
        if not signers.is_file():
            raise InputError(
                f"--signers {signers.name}: there is no such file; one line per signer: NAME ssh-ed25519 AAAA..."
            )
        asked = [program, "-Y", "find-principals", "-s", str(signature), "-f", str(signers)]
        checked = subprocess.run(asked, capture_output=True, text=True, check=False)
        if checked.returncode or not checked.stdout.strip():
            raise InputError(f"{signature.name}: nobody of {signers.name} made this signature")
        who = checked.stdout.split()[0]
        arguments = ["-Y", "verify", *how, "-f", str(signers), "-I", who]
    with path.open("rb") as stream:
        done = subprocess.run([program, *arguments], stdin=stream, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(
            f"{signature.name}: does not fit {path.name}: the certificate was changed after it was signed, "
            "or the signature is of another file or purpose"
        )
    return who or _last_line(done).partition("key ")[2] or "a key that is not named"
