"""Numbers, records and terms as words: the same on the page, in the tables and on the command line."""

from reid_audit.records import Check, Decision, Estimate, Rate, SearchRates, Status, TestResult

STATUS_TEXT = {
    Status.OK: "face found",
    Status.MANY_FACES: "several faces found, the largest central one kept",
    Status.LOW_CONFIDENCE: "face found with low confidence",
    Status.NO_FACE: "no face found",
    Status.UNREADABLE: "not readable",
    Status.OTHER_GRID: "not on its original's grid",
    Status.NO_SKIN: "no skin surface",
    Status.RENDER_FAILED: "not rendered",
    Status.BACKEND_ERROR: "the encoder failed",
}

_STRONGER = "deface more strongly, or hold these scans back, and score again"
_LOOK = "look at the named scans (`reid-audit review`), and mend them or their labels"
_MENDS = {
    "canary": "score with canaries, and with an encoder that sees these subjects",
    "control_copies": "give two different acquisitions as the sessions of a subject",
    "unaltered": "deface the named scans",
    "copies": "screen the files that are named, take them out, or list them with --allow",
    "left_beside": "deface the structure sets and doses that are named, or leave them out of the release",
    "original_in_release": "deface the named scans",
    "unseen": "look at the scans that no attacker saw, or add an attacker that sees them",
    "unseen_scans": "mend the files that could not be read",
    "coverage": "add the missing scans",
    "image": "deface these images more strongly, or hold them back, and score again",
    "unseen_image": "look at these images, or judge the release without them",
    "subjects": "add subjects",
    "required_attacks": "run the attackers that the policy requires",
    "calibration_mismatch": "calibrate with the settings of this run",
    "limited": "score without --limit",
    "not_a_head": "take the scans that show no head out of the release, and score again",
    "readers_unsure": "let a further reader look: `reid-audit review`",
    Decision.FAIL: _STRONGER,
    Decision.REVIEW: "look at the named scans, or add subjects so that intervals narrow",
    Decision.INCOMPLETE: "add what is missing (subjects, attackers, readable files) and score again",
} | dict.fromkeys(("exposed", "labels", "two_labels", "unfit_scans"), _LOOK)
"""What mends a rule that was not met, by its name or else by its decision."""


# --- numbers as text ---


def percent(value: float, digits: int = 1) -> str:
    """Write a proportion as a percentage; ``"not measured"`` for NaN."""
    return "not measured" if value != value else f"{100 * value:.{digits}f} %"


def rate_text(rate: Rate) -> str:
    """Write a rate with its counts and interval: ``"3 of 70, 4.3 % (0.9 to 12.0 %)"``."""
    if rate.value != rate.value:
        return "not measured"
    interval = f"{100 * rate.low:.1f} to {percent(rate.high)}" if rate.low == rate.low else "no interval"
    return f"{rate.successes} of {rate.trials}, {percent(rate.value)} ({interval})"


def estimate_text(estimate: Estimate, digits: int = 3) -> str:
    """Write an estimate with its interval: ``"0.862 (0.801 to 0.907)"``."""
    why = f": {estimate.reason}" if estimate.reason else ""
    if estimate.value != estimate.value:
        return f"not measured{why}"
    if estimate.low != estimate.low:
        return f"{estimate.value:.{digits}f} (no interval{why})"
    return f"{estimate.value:.{digits}f} ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"


def rank1_text(search: SearchRates) -> str:
    """Write rank-1 with what guessing would reach."""
    if search.rank1.value != search.rank1.value:
        return f"not measured{f': {search.reason}' if search.reason else ''}"
    return f"{rate_text(search.rank1)}; chance {percent(search.chance1)}"


def p_text(p: float) -> str:
    """Write a p-value to four digits."""
    return "not measured" if p != p else f"{p:.4g}"


def test_text(test: TestResult) -> str:
    """Write a test with n, statistic, p and effect."""
    if test.p != test.p:
        return f"not measured{f': {test.reason}' if test.reason else ''}"
    n = " and ".join(str(count) for count in test.n)
    effect = f", {test.effect_name} {test.effect:.3f}" if test.effect == test.effect else ""
    return f"n = {n}, statistic {test.statistic:.6g}, p = {p_text(test.p)} ({test.method}){effect}"


def join_words(words: list[str]) -> str:
    """Write ``"a, b and c"``; ``"none"`` where there is none."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]])) or "none"


def counted(n: int, noun: str) -> str:
    """Write ``"1 rule"`` or ``"2 rules"``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def mend_text(check: Check) -> str:
    """Say what would mend a rule that was not met."""
    return _MENDS.get(check.name) or _MENDS[check.decision]
