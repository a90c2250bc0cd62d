"""The page of what the protection cost: what it says, what it leaves out, and that it shows no head unasked."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_utility import AFFINE, NAMES, make_head, make_utility

from reid_audit import InputError, ScanRef
from reid_audit.plots import Bar, DvhCurve, draw_bars, draw_boxes, draw_dvh, new_figure, stars
from reid_audit.records import TradeOff
from reid_audit.report.utility_figures import draw_risk, list_utility_figures
from reid_audit.report.utility_page import utility_to_html, write_utility_page
from reid_audit.report.utility_tables import list_tables, number
from reid_audit.report.utility_words import list_missing, list_worst, say_costs, say_headline
from reid_audit.utility import CaseUtility, Utility, read_pictures
from reid_audit.utility.pictures import picture_change, picture_contours, write_pictures
from reid_audit.utility.structures import structures_from_labels
from reid_audit.utility.summarize import summarize_cases


@pytest.fixture(scope="module")
def utility() -> Utility:
    return make_utility()


def test_costs_in_a_sentence(utility: Utility) -> None:
    assert say_headline(utility) == "The brain is untouched in every scan after 1 of 2 defacers"
    costs = say_costs(utility)
    brain = max(m.value for c in utility.cases for m in c.measures if m.metric == "brain_changed")
    assert costs["cut"].startswith(f"brain changed in 1 of 4 scans (at most {100 * brain:.2f} % of it); Dice ")
    assert "1 of 12 structures lost completely" in costs["cut"]  # the eye of the last person
    assert "D0.01cc moves most in eye, by " in costs["cut"]
    assert "; air moves by 0 HU (median)" in costs["cut"]
    assert costs["cover"].startswith("brain untouched in 4 of 4 scans; share of voxels kept 0.667 on the face")
    assert "nCR" not in costs["cover"]
    alone = replace(utility, cases=tuple(c for c in utility.cases if c.condition == "cut"))
    assert say_headline(alone) == "The brain was changed in 1 of 4 scans"


def test_what_is_missing_says_what_it_needs(utility: Utility) -> None:
    missing = dict(list_missing(utility, audited=False, pictured=False))
    assert "segmentations of the defaced scans" in missing["Dice and distances between contours of cover"]
    assert "--volumes" in missing["Volumes, CR and nCR of cover"]
    assert missing["Dose of cover"].startswith("a dose, but neither a dose nor a segmentation of the defaced scan")
    assert "Scans that lie far out (C2, C3) of cut and cover" in missing
    assert not any(what.startswith(("Structures", "Brain", "Shift", "Intervals")) for what in missing)
    with_all = dict(list_missing(replace(utility, examined=8), audited=True, pictured=True))
    assert set(missing) - set(with_all) == {
        "Whether eyes, nose and mouth are gone (QC)",
        "Risk, and its trade-off against cost",
        "Pictures of the change and of the worst contours",
    }


def test_mr_has_no_hounsfield_units(utility: Utility) -> None:
    cases = tuple(
        replace(
            case,
            measures=tuple(
                replace(m, unit="units of the scan") if m.unit == "HU" else m
                for m in case.measures
                if m.structure not in ("air", "soft_tissue", "bone")
            ),
        )
        for case in utility.cases
    )
    of_mr = replace(utility, cases=cases, values=summarize_cases(cases))
    (tissue,) = list_tables(of_mr, "tissue")
    assert "hu shift [units of the scan]" in tissue.header
    assert "air moves" not in say_costs(of_mr)["cut"]
    missing = dict(list_missing(of_mr, audited=True, pictured=True))
    assert missing["Shift of air, soft tissue and bone"].startswith("CT")


def test_the_worst_cases_come_first(utility: Utility) -> None:
    (worst,) = list_worst(utility)
    dice = [row for row in worst.rows if row[:2] == ["cut", "Dice"]]
    assert dice[0][3:5] == ["p3/1", "eye"]
    assert [float(row[2]) for row in dice] == sorted(float(row[2]) for row in dice)
    assert [row[3] for row in worst.rows if row[1] == "brain changed"] == ["p3/1"]


@pytest.mark.slow
def test_the_page_holds_what_was_measured_and_nothing_else(utility: Utility) -> None:
    page = utility_to_html(utility)
    assert re.findall(r'<h2 id="(\w+)"', page) == [
        *("structures", "places", "intensities", "dose", "volumes", "scans", "missing")
    ]
    for words in ("Dice by structure", "Dice by place", "dose before and after", "volume of eye", "Worst cases"):
        assert words in page
    for absent in ("<script", "http://", "https://", ">nan", "data:image", "(0.292 to 1.000)"):
        assert absent not in page.replace('xmlns="http://www.w3.org/2000/svg"', "").replace(
            'xmlns:xlink="http://www.w3.org/1999/xlink"', ""
        ), absent


def test_the_figures_of_the_papers_are_drawn_with_their_numbers(utility: Utility) -> None:
    """The cut leaves the hindmost of the eye's three layers; the dose grows by 66 / 21 Gy from layer to layer."""
    told = {figure.name: figure.alt for figure in list_utility_figures(utility)}
    for name, median in {
        "Dice by structure": "0.500",  # 2 * 1 / (3 + 1)
        "HD95, mm by structure": "6.000",  # two layers of 3 mm
        "surface Dice at 2 mm by structure": "0.611",
        "D0.01cc moved, cGy by structure": "628.571",
    }.items():
        assert f"cut: eye {median}, brain " in told[name]
    assert told["Dice by place"].startswith("Dice, medians. cut: overlapping 0.500, same slices 1.000")
    assert "eye, cut: 0.250 (0.167); eye, cover: 0.667 (0.000)" in told["voxels that were not removed"]
    # Lost: 12 of 18 voxels of 27 mm3 in three people, all in the fourth. CR = 1.96 sqrt((3 0.324^2 + 0.486^2) / 4).
    assert told["volume of eye"] == "cut: bias -0.364 cm3, CR 0.728 cm3"
    assert "cut: eye 628.6, " in told["dose before and after"]


def test_a_page_of_scans_that_could_not_be_read() -> None:
    case = CaseUtility("p0", "1", "cut", "p0.nii.gz", reason="p0.nii.gz: damaged")
    page = utility_to_html(Utility("cohort.csv", 2.0, 5.0, (case,), (), (), ()))
    assert "no scan of it was measured" in page
    assert "p0.nii.gz: damaged" in page


@pytest.mark.slow
def test_slices_are_kept_and_shown_when_asked_for(utility: Utility, tmp_path: Path) -> None:
    volume, labels = make_head(0)
    after = labels.copy()
    after[:, 16:, 9:] = 0
    cut = volume.intensity.copy()
    cut[:, 16:, 9:] = -1000
    defaced = replace(volume, intensity=cut)
    case = next(c for c in utility.cases if (c.subject, c.condition) == ("p0", "cut"))
    before, now = (structures_from_labels(each, AFFINE, names=NAMES) for each in (labels, after))
    pictures = picture_change(volume, defaced)
    assert [picture.plane for picture in pictures] == ["sagittal", "coronal", "axial"]
    assert pictures[1].difference.min() == (cut - volume.intensity).min()
    assert picture_change(volume, volume) == ()
    contours = picture_contours(volume, defaced, before, now, case)
    assert contours is not None
    assert contours.structure == "eye"
    assert contours.before.sum() == 9
    assert contours.after.sum() == 3
    write_pictures([*pictures, contours], tmp_path, ScanRef("p0", "1", "cut", Path("p0.nii.gz")))
    read = read_pictures(tmp_path, case)
    np.testing.assert_array_equal(read[3].before, contours.before)
    assert (read[3].dice, read[0].spacing_mm) == (contours.dice, (3.0, 3.0))
    page = write_utility_page(utility, tmp_path, pictures=tmp_path)
    assert page.stat().st_mode & 0o777 == 0o600
    text = page.read_text()
    assert "Keep it as safe as the originals" in text
    assert text.count("data:image/png") >= 4
    (tmp_path / "p0_1_cut_pictures.npz").write_bytes(b"no arrays")
    with pytest.raises(InputError, match=r"p0_1_cut_pictures\.npz"):
        read_pictures(tmp_path, case)


def test_numbers_are_not_rounded_to_what_they_are_not() -> None:
    assert [number(v) for v in (0.0, 0.0004, 0.99996, 1.0, math.nan)] == ["0.000", "<0.001", ">0.999", "1.000", "-"]
    assert number(0.97, 1) == "1.0"


def test_boxes_are_of_quartiles_and_few_cases_are_points() -> None:
    _, (axes,) = new_figure(1)
    draw_boxes(axes, {"many": [0.1, 0.2, 0.3, 0.4, 0.5, 5.0], "few": [0.7, math.nan], "none": [math.nan]}, label="x")
    (box,) = axes.patches
    assert (box.get_x(), box.get_x() + box.get_width()) == (pytest.approx(0.225), pytest.approx(0.475))
    points = [line.get_xdata().tolist() for line in axes.lines if line.get_marker() == "o"]
    assert points == [[5.0], [0.7]]
    assert [text.get_text() for text in axes.texts] == ["no number"]


def test_stars_are_those_of_the_paper() -> None:
    assert [stars(p) for p in (0.2, 0.05, 0.01, 1e-4, 1e-5, math.nan)] == ["ns", "*", "**", "***", "****", ""]
    _, (axes,) = new_figure(1)
    draw_bars(axes, [Bar("eye", "cut", 0.5, 0.1, 8, "**"), Bar("eye", "blur", math.nan, 0.1, 0)], label="Dice")
    (bar,) = axes.patches
    assert bar.get_height() == 0.5
    assert axes.lines[0].get_ydata() == pytest.approx([0.4, 0.6])
    assert [text.get_text() for text in axes.texts] == ["**\n8"]


def test_risk_has_whiskers_and_the_best_are_filled() -> None:
    points = [TradeOff("cut", 3.0, 0.2, 1.0, 0.1), TradeOff("blur", 9.0, 0.3, 2.0), TradeOff("none", math.nan, 0.0)]
    (figure,) = draw_risk(points)
    (axes,) = figure.make().axes
    marks = {line.get_label(): line for line in axes.lines if line.get_marker() != "None"}
    assert {name: (*line.get_xdata(), *line.get_ydata()) for name, line in marks.items()} == {
        "cut": (0.2, 3.0),
        "blur": (0.3, 9.0),
    }
    assert marks["blur"].get_markerfacecolor() == "none" != marks["cut"].get_markerfacecolor()
    spans = [(line.get_xdata(), line.get_ydata()) for line in axes.lines if line.get_marker() == "None"]
    assert spans[0][0] == pytest.approx([0.1, 0.3])
    assert spans[1][1] == pytest.approx([2.0, 4.0])
    assert len(spans) == 3
    assert list(draw_risk(points[2:])) == []


def test_the_histogram_of_doses_is_drawn_before_and_after() -> None:
    _, (axes,) = new_figure(1)
    draw_dvh(
        axes,
        {
            "eye": (DvhCurve([3, 2, 1], [0, 50, 100]), DvhCurve([2, 1, 0], [0, 50, 100])),
            "cord": (DvhCurve([], []),) * 2,
        },
    )
    assert [(line.get_xdata()[0], line.get_linestyle()) for line in axes.lines] == [(3, "-"), (2, "--")]
