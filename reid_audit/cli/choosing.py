"""Options that say which scans of a dataset are meant, shared by every command that reads one."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, TypedDict

import typer

from reid_audit.cli.options import pair_of
from reid_audit.dataset import Choice

_option = partial(typer.Option, rich_help_panel="Which scans")

CohortArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DATASET",
        help="A manifest (CSV or TSV with the columns subject, session, condition, path), a BIDS dataset, or a folder "
        "of DICOM files.",
    ),
]


class Reading(TypedDict):
    """How a dataset is read."""

    choice: Choice
    layout: str
    salt_file: Path | None
    allow_outside: bool


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """Which images of a dataset are taken."""

    suffix: Annotated[str, _option("--suffix", help="Only this kind of image: T1w, T2w, CT ...; in DICOM CT, MR.")] = ""
    which_run: Annotated[
        str,
        _option(
            "--run",
            help="Of several runs (DICOM: series) of a visit: first, one by its number, or all, each as a visit. By "
            "default each is an image of its visit.",
        ),
    ] = ""
    where: Annotated[
        list[str] | None,
        _option(
            "--where",
            metavar="KEY=PATTERN",
            help="Only images with this BIDS entity or DICOM description, e.g. acq=mprage, SeriesDescription=*AXIAL*. "
            "May be given more than once.",
        ),
    ] = None
    derivative: Annotated[
        list[str] | None,
        _option("--derivative", metavar="NAME", help="Only these folders of BIDS derivatives as conditions."),
    ] = None
    condition: Annotated[
        list[str] | None,
        _option(
            "--condition",
            metavar="NAME=PATH",
            help="A tree of defaced scans and what defaced them. May be given more than once.",
        ),
    ] = None
    four_d: Annotated[
        str,
        _option(
            "--four-d",
            help="Judge 4-D images of BIDS too (bold, dwi, asl): by their first volume, or the mean of all.",
            metavar="first|mean",
        ),
    ] = ""
    trust_originals: Annotated[
        bool,
        _option(
            "--trust-originals",
            help="Take images as originals although names, sidecars or headers say that they were defaced.",
        ),
    ] = False
    allow: Annotated[
        Path | None, _option("--allow", help="Files that may show a face: a CSV with the columns sha256 and reason.")
    ] = None
    allow_outside: Annotated[bool, _option("--allow-outside", help="Accept paths and links out of the folder.")] = False

    @property
    def choice(self) -> Choice:
        """What the options stand for.

        Raises
        ------
        InputError
            Where one has no sign of equality.
        """
        pairs = (pair_of("--condition", text) for text in self.condition or ())
        return Choice(
            suffix=self.suffix,
            run=self.which_run,
            where=tuple(pair_of("--where", text, may_be_empty=True) for text in self.where or ()),
            derivatives=tuple(self.derivative or ()),
            conditions=tuple((name, Path(path)) for name, path in pairs),
            trust_originals=self.trust_originals,
            allow=self.allow,
            frames=self.four_d,
        )


@dataclass(frozen=True, kw_only=True)
class DatasetOptions(ImageOptions):
    """The same, and how a dataset is read that may be a manifest, BIDS or DICOM."""

    layout: Annotated[str, _option("--layout", help="auto, bids or dicom.")] = "auto"
    salt_file: Annotated[
        Path | None,
        _option(
            "--salt-file",
            help="Secret behind the pseudonyms of a DICOM tree; made where it is absent. Your own by default.",
        ),
    ] = None

    @property
    def reading(self) -> Reading:
        """Arguments of `reid_audit.read_cohort` and `reid_audit.dataset.take_inventory`."""
        return {
            "choice": self.choice,
            "layout": self.layout,
            "salt_file": self.salt_file,
            "allow_outside": self.allow_outside,
        }
