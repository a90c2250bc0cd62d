"""Options that say which scans of a dataset are meant, shared by every command that reads one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reid_audit.dataset import Choice
from reid_audit.records import InputError

_PANEL = "Which scans"

CohortArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DATASET",
        help="A manifest (CSV or TSV with the columns subject, session, condition, path), a BIDS dataset, or a folder "
        "of DICOM files.",
        show_default=False,
    ),
]
SuffixOption = Annotated[
    str,
    typer.Option(
        "--suffix", help="The kind of image: T1w, T2w, FLAIR, PDw, CT; in DICOM CT, MR.", rich_help_panel=_PANEL
    ),
]
RunOption = Annotated[
    str,
    typer.Option(
        "--run",
        help="Of several runs (DICOM: series) of a visit: first, a run (a series number), or all, each as a visit.",
        rich_help_panel=_PANEL,
    ),
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="KEY=PATTERN",
        help="Only images with this BIDS entity or DICOM description, e.g. acq=mprage, SeriesDescription=*AXIAL*. "
        "May be given more than once.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
DerivativeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--derivative",
        metavar="NAME",
        help="Only these folders of BIDS derivatives as conditions.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
ConditionOption = Annotated[
    list[str] | None,
    typer.Option(
        "--condition",
        metavar="NAME=PATH",
        help="A tree of defaced scans and what defaced them. May be given more than once.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
LayoutOption = Annotated[str, typer.Option("--layout", help="auto, bids or dicom.", rich_help_panel=_PANEL)]
SaltOption = Annotated[
    Path | None,
    typer.Option(
        "--salt-file",
        help="Secret behind the pseudonyms of a DICOM tree; made where it is absent. Your own by default.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
OutsideOption = Annotated[
    bool, typer.Option("--allow-outside", help="Accept paths and links out of the folder.", rich_help_panel=_PANEL)
]


def _pairs_of(option: str, texts: list[str] | None) -> list[tuple[str, str]]:
    pairs = []
    for text in texts or ():
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise InputError(f"{option} must read NAME=VALUE; got {text!r}")
        pairs.append((name, value))
    return pairs


def choice_of(
    suffix: str,
    run: str,
    where: list[str] | None,
    derivative: list[str] | None,
    condition: list[str] | None,
) -> Choice:
    """Return the choice that the options stand for."""
    return Choice(
        suffix=suffix,
        run=run,
        where=tuple(_pairs_of("--where", where)),
        derivatives=tuple(derivative or ()),
        conditions=tuple((name, Path(path)) for name, path in _pairs_of("--condition", condition)),
    )
