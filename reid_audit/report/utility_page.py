"""The page of what the protection cost: one file without network and script, as that of an audit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reid_audit.records import AuditResult, write_private
from reid_audit.report import utility_figures as figures
from reid_audit.report.figure import Figure
from reid_audit.report.page import render_page
from reid_audit.report.utility_pictures import list_pictures
from reid_audit.report.utility_tables import Listing, list_risks, list_tables, list_trade_off
from reid_audit.report.utility_words import list_missing, list_worst, say_costs, say_headline
from reid_audit.utility import Utility, measure_same_scan, trade_offs

UTILITY_PAGE = "utility.html"


@dataclass(frozen=True, slots=True)
class _Section:
    """A part of the page; without figures and tables it is left out."""

    key: str
    title: str
    text: str
    figures: tuple[Figure, ...]
    shown: tuple[Listing, ...] = ()
    folded: tuple[Listing, ...] = ()


def _filled(listings: Iterable[Listing]) -> tuple[Listing, ...]:
    return tuple(listing for listing in listings if listing.rows or not listing.header)


def _list_sections(
    utility: Utility, audited: AuditResult | None, pictures: Path | None, programs: Sequence[Listing]
) -> Sequence[_Section]:
    def tables(*names: str) -> tuple[Listing, ...]:
        return tuple(list_tables(utility, *names))

    boxes = [figure for metric in figures.BOXES for figure in figures.draw_structures(utility, metric)]
    boxes = [replace(figure, folded=rank > 1) for rank, figure in enumerate(boxes)]
    boxes += [replace(figure, folded=bool(boxes)) for figure in figures.draw_preserved(utility)]
    risk: tuple[Listing, ...] = ()
    plot: tuple[Figure, ...] = ()
    if audited is not None:
        points = trade_offs(audited)
        risk = _filled([list_trade_off(points), list_risks(measure_same_scan(audited))])
        plot = tuple(figures.draw_risk(points))
    sections = (
        _Section(
            "structures",
            "Structures",
            "Agreement of each structure before and after defacing, and what is left of its voxels. Intervals are of "
            "the mean over subjects, 95 %; where all subjects have one number there is none.",
            tuple(boxes),
            folded=(*tables("segmentation", "voxels", "available", "comparisons"), *programs),
        ),
        _Section(
            "places",
            "By place",
            "A structure may lie on the change, on the same slices, or below and above all of it.",
            tuple(figures.draw_places(utility)),
            tables("targets"),
            tables("places"),
        ),
        _Section(
            "intensities",
            "Intensities and extent",
            "What became of air, soft tissue and bone over the whole scan, and how much of it was changed.",
            () if pictures is None else tuple(list_pictures(utility, pictures)),
            tables("tissue", "scan"),
            tables("changes"),
        ),
        _Section(
            "dose",
            "Dose",
            "Of the structures before and after in the doses before and after; without a dose of the defaced scan that "
            "of the original counts for both.",
            (*figures.draw_doses(utility), *figures.draw_structures(utility, "dose_d0.01cc_absolute")),
            folded=tables("dose"),
        ),
        _Section(
            "volumes",
            "Volumes",
            "CR: coefficient of repeatability with the bias in it. nCR: of all structures, each scaled by the smallest "
            "and the largest of the originals.",
            tuple(figures.draw_volumes(utility)),
            folded=tables("volumes"),
        ),
        _Section("risk", "Risk against cost", "Smaller is better in both.", plot, risk),
        _Section("models", "Models trained and tested", "", tuple(figures.draw_models(utility)), tables("matrix")),
        _Section(
            "scans",
            "Scans",
            "Personal: for whoever mends single scans, not for publication.",
            (),
            tables("findings", "exclusions"),
            _filled(list_worst(utility)),
        ),
    )
    return [section for section in sections if section.figures or section.shown or section.folded]


def utility_to_html(
    utility: Utility,
    *,
    audited: AuditResult | None = None,
    pictures: Path | None = None,
    programs: Sequence[Listing] = (),
) -> str:
    """Write the page of a utility result: one file, no network, no script; no picture of a head unless asked for.

    Parameters
    ----------
    utility : Utility
    audited : AuditResult, optional
        Of the same defacers, with ``utility`` and ``scores``: the trade-off is shown.
    pictures : Path, optional
        Where ``utility --maps`` wrote. The page then shows slices through heads, and says so.
    programs : sequence of Listing
        See `reid_audit.report.utility_tables.list_programs`.
    """
    return render_page(
        "utility.html",
        utility=utility,
        headline=say_headline(utility),
        costs=say_costs(utility),
        sections=_list_sections(utility, audited, pictures, programs),
        missing=list(list_missing(utility, audited=audited is not None, pictured=pictures is not None)),
        pictured=pictures is not None,
    )


def write_utility_page(
    utility: Utility,
    folder: Path,
    *,
    audited: AuditResult | None = None,
    pictures: Path | None = None,
    programs: Sequence[Listing] = (),
) -> Path:
    """Write the page into a folder, for its owner alone; see `utility_to_html`."""
    page = utility_to_html(utility, audited=audited, pictures=pictures, programs=programs)
    write_private(folder / UTILITY_PAGE, page)
    return folder / UTILITY_PAGE
