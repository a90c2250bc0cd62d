"""Slices of heads for a private page: what changed most, and the contours that agree least (Ammar 2025)."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from reid_audit import plots
from reid_audit.report.figure import Figure
from reid_audit.report.utility_tables import number
from reid_audit.report.utility_words import list_conditions
from reid_audit.utility import CaseUtility, SlicePicture, Utility, read_pictures

_SHOWN = 3
_CHANGE_HU = 1000.0
_SOFT_TISSUE_HU = (-160.0, 240.0)  # level 40, width 400

Pictures = Sequence[tuple[CaseUtility, SlicePicture]]


def _is_hu(case: CaseUtility) -> bool:
    return any(m.unit == "HU" for m in case.measures)


def _changed_cm3(case: CaseUtility) -> float:
    return next((m.value for m in case.measures if m.metric == "changed_volume"), 0.0)


def _draw_change(condition: str, case: CaseUtility, pictures: Sequence[SlicePicture]) -> Figure:
    limit = _CHANGE_HU if _is_hu(case) else float(max(np.abs(picture.original).max() for picture in pictures))
    unit = "HU" if _is_hu(case) else "units of the scan"
    who = f"{case.subject}/{case.session}"
    return Figure(
        f"what changed, {condition}",
        f"{condition}, {who}, the scan that changed most: the slices on which it changed most, defaced minus original. "
        "As radiologists see them: the subject's right is at the left.",
        f"{who}: {_changed_cm3(case):.0f} cm3 changed.",
        tuple(
            partial(
                plots.draw_difference,
                original=picture.original,
                difference=picture.difference,
                spacing_mm=picture.spacing_mm,
                plane=picture.plane,
                limit=limit,
                unit=unit,
            )
            for picture in pictures
        ),
        legend=False,
    )


def _draw_contours(condition: str, worst: Pictures) -> Figure:
    def window(case: CaseUtility, picture: SlicePicture) -> tuple[float, float]:
        return _SOFT_TISSUE_HU if _is_hu(case) else (float(picture.original.min()), float(picture.original.max()))

    named = [f"{case.subject}/{case.session} {picture.structure}: {number(picture.dice)}" for case, picture in worst]
    return Figure(
        f"worst contours, {condition}",
        f"{condition}: the scans whose worst structure agrees least, by Dice, each on the slice where its contours "
        "differ most. Solid before, dashed after defacing.",
        "; ".join(named),
        tuple(
            partial(
                plots.draw_contours,
                image=picture.original,
                before=picture.before,
                after=picture.after,
                spacing_mm=picture.spacing_mm,
                title=title,
                window=window(case, picture),
            )
            for title, (case, picture) in zip(named, worst, strict=True)
        ),
        legend=False,
    )


def list_pictures(utility: Utility, folder: Path) -> Iterator[Figure]:
    """Yield for each defacer what changed in the scan that changed most, and the contours that agree least.

    Parameters
    ----------
    utility : Utility
    folder : Path
        Where ``utility --maps`` wrote.
    """
    for condition in list_conditions(utility):
        cases = [case for case in utility.cases if case.condition == condition and not case.reason]
        cases.sort(key=_changed_cm3, reverse=True)
        pictures = [(case, picture) for case in cases for picture in read_pictures(folder, case)]
        changes = [(case, picture) for case, picture in pictures if not picture.structure]
        if changes:
            first = changes[0][0]
            yield _draw_change(condition, first, [picture for case, picture in changes if case is first])
        worst = sorted(((c, p) for c, p in pictures if p.structure), key=lambda pair: pair[1].dice)[:_SHOWN]
        if worst:
            yield _draw_contours(condition, worst)
