"""What the protection cost in sentences: of each defacer; the worst cases; and what was not measured, and why."""

import math
from collections.abc import Iterator

from reid_audit.records import UtilityValue
from reid_audit.report.utility_tables import POSITION_TEXT, Listing, number
from reid_audit.report.words import counted, join_words, percent
from reid_audit.utility import FEWEST_FOR_FENCES, Measure, Position, Utility

_WORST = 5
_WHERE = {Position.ON_FACE: "on the face", Position.SAME_SLICES: "on the same slices", Position.ELSEWHERE: "elsewhere"}


def list_conditions(utility: Utility) -> list[str]:
    """Return the defacers in the order of the manifest."""
    return list(dict.fromkeys(case.condition for case in utility.cases))


def list_measures(utility: Utility, metric: str, condition: str) -> list[Measure]:
    """Return one metric of the summarised scans of a defacer; a surface Dice under whatever tolerance."""
    return [m for case in utility.kept if case.condition == condition for m in case.measures if m.metric == metric]


def _value(utility: Utility, condition: str, metric: str, structure: str, position: Position) -> UtilityValue | None:
    key = condition, metric, structure, position.value
    return next((v for v in utility.values if (v.condition, v.metric, v.structure, v.position) == key), None)


def _say_brain(utility: Utility, condition: str) -> Iterator[str]:
    changed = [m.value for m in list_measures(utility, "brain_changed", condition)]
    touched = [value for value in changed if value > 0]
    if touched:
        most = percent(max(touched), 2)
        yield f"brain changed in {len(touched)} of {counted(len(changed), 'scan')} (at most {most} of it)"
    elif changed:
        yield f"brain untouched in {len(changed)} of {counted(len(changed), 'scan')}"


def _say_structures(utility: Utility, condition: str) -> Iterator[str]:
    for metric, name in (("dice", "Dice"), ("preserved", "share of voxels kept")):
        places = {p: _value(utility, condition, metric, "all", p) for p in _WHERE}
        told = [f"{number(v.mean)} {_WHERE[p]}" for p, v in places.items() if v is not None]
        if told:
            yield f"{name} {join_words(told)}"
            break
    lost = next((a for a in utility.available if (a.condition, a.structure) == (condition, "all")), None)
    if lost is not None:
        yield f"{lost.lost} of {counted(lost.total, 'structure')} lost completely"
    deleted = {m.structure for m in list_measures(utility, "dice", condition) if m.position == Position.DELETED.value}
    if deleted:
        yield f"deleted on purpose and in no average: {join_words(sorted(deleted))}"


def _say_numbers(utility: Utility, condition: str) -> Iterator[str]:
    ncr = _value(utility, condition, "ncr", "all", Position.ALL)
    if ncr is not None and not math.isnan(ncr.mean):
        yield f"volumes repeat to nCR {number(ncr.mean)}"
    doses = [v for v in utility.values if (v.condition, v.metric) == (condition, "dose_d0.01cc_absolute")]
    doses = [v for v in doses if v.structure != "all" and v.position != Position.DELETED.value and v.mean == v.mean]
    if doses:
        most = max(doses, key=lambda v: v.mean)
        moves = f"moves most in {most.structure}, by {most.mean:.1f} cGy on average" if most.mean else "moves nowhere"
        yield f"D0.01cc {moves}"
    shifts = [v for v in utility.values if (v.condition, v.metric) == (condition, "hu_shift_median")]
    shifts = [v for v in shifts if v.structure == "air" and v.mean == v.mean]
    yield from (f"air moves by {v.mean:.0f} HU (median)" for v in shifts)
    depths = [m.value for m in list_measures(utility, "depth_max", condition) if m.value == m.value]
    if depths:
        yield f"changes reach at most {max(depths):.0f} mm behind the facial skin"


def say_costs(utility: Utility) -> dict[str, str]:
    """Say in one sentence what each defacer cost."""
    costs = {}
    for condition in list_conditions(utility):
        parts = [part for say in (_say_brain, _say_structures, _say_numbers) for part in say(utility, condition)]
        costs[condition] = "; ".join(parts) or "no scan of it was measured"
    return costs


def say_headline(utility: Utility) -> str:
    """Say after how many defacers the brain is as it was; without a brain, what was compared."""
    told = {c: [m.value for m in list_measures(utility, "brain_changed", c)] for c in list_conditions(utility)}
    told = {condition: values for condition, values in told.items() if values}
    if not told:
        return f"{counted(len(list_conditions(utility)), 'defacer')} measured; no structure is named as the brain"
    whole = [condition for condition, values in told.items() if not any(values)]
    if len(told) > 1:
        return f"The brain is untouched in every scan after {len(whole)} of {len(told)} defacers"
    (values,) = told.values()
    touched = sum(value > 0 for value in values)
    return f"The brain was changed in {touched} of {len(values)} scans" if touched else "The brain is untouched"


def list_worst(utility: Utility) -> Iterator[Listing]:
    """List the scans and structures that lost most, a few of each measure and defacer; deleted ones are left out."""
    rows = []
    for condition in list_conditions(utility):
        for metric, name, digits in (
            ("dice", "Dice", 3),
            ("hd95", "HD95 [mm]", 1),
            ("preserved", "voxels kept", 3),
            ("brain_changed", "brain changed", 5),
            ("dose_d0.01cc_absolute", "D0.01cc moved [cGy]", 1),
            ("depth_max", "depth [mm]", 1),
        ):
            known = [m for m in list_measures(utility, metric, condition) if m.value == m.value]
            known = [m for m in known if m.position != Position.DELETED.value]
            smallest_first = metric in ("dice", "preserved")
            best = 1.0 if smallest_first else 0.0
            worst = sorted((m for m in known if m.value != best), key=lambda m: m.value, reverse=not smallest_first)
            for m in worst[:_WORST]:
                structure = "" if m.structure == "all" else m.structure
                place = POSITION_TEXT[m.position] if structure else ""
                rows.append([condition, name, f"{m.value:.{digits}f}", f"{m.subject}/{m.session}", structure, place])
    yield Listing("Worst cases", ("defacer", "measure", "value", "subject/session", "structure", "position"), rows)


def list_missing(utility: Utility, *, audited: bool, pictured: bool) -> Iterator[tuple[str, str]]:
    """List what was not measured, and what it needs."""
    conditions = list_conditions(utility)
    metrics = {(m.condition, m.metric) for case in utility.cases for m in case.measures}

    def without(metric: str) -> list[str]:
        return [condition for condition in conditions if (condition, metric) not in metrics]

    bare = without("preserved")
    half = [condition for condition in without("dice") if condition not in bare]
    if bare:
        yield f"Structures of {join_words(bare)}", "segmentations of the originals (--segmentations)"
    if half:
        needs = "segmentations of the defaced scans, beside those of the originals (--segmentations)"
        yield f"Dice and distances between contours of {join_words(half)}", needs
    if unsized := without("volume_difference"):
        needs = "segmentations before and after, or volumes that another program measured (--volumes)"
        yield f"Volumes, CR and nCR of {join_words(unsized)}", needs
    if len(bare) < len(conditions) and len(without("brain_changed")) == len(conditions):
        yield "Brain (C1, C3)", "structures with the names that --brain gives"
    if undosed := without("dose_mean_difference"):
        reasons = [f.text for case in utility.cases for f in case.findings if f.code == "no_dose_after"]
        needs = reasons[0] if reasons else "doses and segmentations of the originals (--doses, --segmentations)"
        yield f"Dose of {join_words(undosed)}", needs
    if not any(m.structure == "air" for case in utility.cases for m in case.measures):
        yield "Shift of air, soft tissue and bone", "CT: other intensities have no unit"
    if not utility.examined:
        yield "Whether eyes, nose and mouth are gone (QC)", "the quality.csv of deface --quality, or a human's (--qc)"
    measured = [case.condition for case in utility.cases if not case.reason]
    few = [condition for condition in conditions if measured.count(condition) < FEWEST_FOR_FENCES]
    if few:
        yield f"Scans that lie far out (C2, C3) of {join_words(few)}", f"{FEWEST_FOR_FENCES} scans or more"
    if utility.matrix is None:
        yield "Models trained and tested on originals and defaced scans", "a table of their scores (--models)"
    if not audited:
        yield "Risk, and its trade-off against cost", "an audit of the same defacers (--audit)"
    if not pictured:
        yield "Pictures of the change and of the worst contours", "a private folder (--maps), for they show faces"
    if len({case.subject for case in utility.kept}) < 2:
        yield "Intervals and tests", "two subjects or more"
