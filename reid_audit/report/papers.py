"""A result as O'Sullivan-Steben 2025 and Molchanova 2023 tell theirs, and beside it what their tests do not see."""

from reid_audit.accuracy import list_recognisers
from reid_audit.attack import BASELINE
from reid_audit.records import ORIGINAL, AttackEvidence, AuditResult, Group, TestResult
from reid_audit.report.utility_tables import list_risks
from reid_audit.report.words import estimate_text, rank1_text, rate_text, test_text
from reid_audit.utility import measure_same_scan

ALPHA = 0.005  # O'Sullivan-Steben 2025, II.C.4
_GROUPS = (Group.SAME, Group.DIFFERENT, Group.DEFACED_SAME, Group.DEFACED_DIFFERENT)
_EXPECTED = (
    ("same vs different", "mann_whitney", True),
    ("same vs defaced_same", "wilcoxon_signed_rank", True),
    ("defaced_same vs different", "mann_whitney", False),
)


def say_test(test: TestResult, *, expect_different: bool) -> str:
    """Return one line of Table 2: the test, and whether it ends as O'Sullivan-Steben 2025 expects."""
    different = test.p < ALPHA
    ends = "differ" if different else "indistinguishable"
    expected = "as expected" if different is expect_different else "NOT as expected"
    if different and not expect_different:
        side = "farther apart than" if test.effect < 0.5 else "closer to each other than"
        expected += f" (mated scans lie {side} non-mated ones)"
    return f"  {test.compared:26} {test.name:21} {ends}, {expected}: {test_text(test)}"


def _say_attack(attack: AttackEvidence) -> list[str]:
    permutation = next(test for test in attack.tests if test.name == "identity_permutation")
    lines = [f"{attack.attack} attacker"]
    for match in attack.matches:
        if match.threshold == "youden":
            lines.append(f"  matched at Youden's threshold   {rate_text(match.counted)}")
            lines.append(f"  non-mated comparisons matched   {rate_text(match.non_mated)}")
    return [
        *lines,
        f"  rank 1                          {rank1_text(attack.search)}",
        f"  linkability                     {estimate_text(attack.shown_linkability)}; 0.5 = no link left",
        f"  identity permutation            {test_text(permutation)}",
        f"  no face found                   {rate_text(attack.fta)}",
    ]


def _say_distances(result: AuditResult, encoder: str, condition: str) -> list[str]:
    if result.scores is None:
        return []
    frame = result.scores.frame
    frame = frame[(frame["attack"] == BASELINE.name) & (frame["encoder"] == encoder)]
    lines = ["Cosine distances, naive attacker: mean (5 to 95 %)"]
    for group in _GROUPS:
        own = (frame["group"] == group.value) & frame["condition"].isin((ORIGINAL, condition))
        distances = frame.loc[own, "distance"].dropna()
        low, high = distances.quantile([0.05, 0.95]) if len(distances) else (float("nan"),) * 2
        lines.append(f"  {group.value:18} {distances.mean():.3f} ({low:.3f} to {high:.3f}), {len(distances)} pairs")
    return [*lines, ""]


def _say_osullivan(result: AuditResult, condition: str) -> list[str]:
    control = next((c for c in result.evidence.controls if c.attack == BASELINE.name), None)
    if control is None or not any(t.name == "youden" for c in result.calibrations for t in c.thresholds):
        return ["  not possible: there are no comparisons of originals"]
    naive = result.evidence.attack(condition)
    tmr, fmr = control.rate("youden")
    tests = {(test.compared, test.name): test for test in (*control.tests, *naive.tests)}
    lines = [f"Before defacing: {rate_text(tmr)} matched, different patients {rate_text(fmr)}.", ""]
    lines += [f"Table 2 of O'Sullivan-Steben 2025 (different = p < {ALPHA}), naive attacker:"]
    for compared, name, differ in _EXPECTED:
        test = tests.get((compared, name))
        absent = f"  {compared:26} {name:21} not possible: it takes two sessions of each subject"
        lines.append(absent if test is None else say_test(test, expect_different=differ))
    lines += ["", "What the linkability tests say:"]
    attacks = [attack for attack in result.evidence.attacks if attack.condition == condition]
    return lines + [line for attack in attacks for line in _say_attack(attack)]


def say_papers(result: AuditResult) -> str:
    """Return the tables of the papers for each encoder and defacer as text.

    Parameters
    ----------
    result : AuditResult
        With ``scores`` the distances are summarised too, and Table 5 of Molchanova 2023 is printed.
    """
    lines = []
    for encoder in list_recognisers(result.evidence):
        lines += ["", f"Encoder {encoder}"]
        own = result.of_encoder(encoder)
        for condition in dict.fromkeys(v.condition for v in own.verdict.conditions):
            lines += ["", f"Defacer {condition}", *_say_distances(result, encoder, condition)]
            lines += _say_osullivan(own, condition)
    if result.scores is not None:
        table = list_risks(measure_same_scan(result))
        cells = [table.header, *table.rows]
        widths = [max(len(row[i]) for row in cells) for i in range(len(table.header))]
        rows = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
        lines += ["", f"Table 5 of Molchanova 2023. {table.title}, naive attacker:", *rows]
    return "\n".join(lines).lstrip("\n") + "\n"
