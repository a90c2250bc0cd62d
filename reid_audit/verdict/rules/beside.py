"""Rules about evidence that is no square of comparisons: the aligned attacker's control, and the defaced gallery."""

from reid_audit.records import AttackEvidence, Check, CrossedEvidence, Decision, Policy


def check_crossed(crossed: CrossedEvidence, policy: Policy) -> Check:
    """Check that the aligned attacker finds the owner of the pixels, and not that of the landmarks it was given.

    Measured by the policy's own limits: what landmarks alone may not link without making the evidence doubtful.
    """
    limit = policy.max_rank1_over_chance + crossed.chance
    rate, auc = crossed.landmarks_first, crossed.landmarks_auc
    misled = crossed.landmarks_at_least > limit or auc.at_least > policy.max_linkability  # False for NaN
    text = (
        f"aligned: one person's landmarks on another's portrait find the pixels' owner first in "
        f"{crossed.pixels_first.successes} and the landmarks' owner in {rate.successes} of {rate.trials} searches, "
        f"where guessing finds {crossed.chance * rate.trials:.3g}"
    )
    if not rate.trials:
        text = "aligned: no crossed portrait could be looked up: whether it reads its own hint was not shown."
    elif misled:
        text += ": it reads its own hint, and its evidence is doubtful; registered is free of it."
    else:
        text += "."
    decision = Decision.REVIEW if misled else Decision.PASS
    measured = rate.value, crossed.landmarks_at_least, limit
    return Check("crossed", decision, text, *measured, "aligned", crossed.encoder, crossed.condition)


def check_defaced_gallery(evidence: AttackEvidence, policy: Policy) -> list[Check]:
    """Ask for a human where defaced scans of one person are shown to be near each other; empty where they are not.

    The policy has no limit of its own for an attacker who defaces the gallery too.
    """
    estimate = evidence.defaced_gallery
    if not estimate.at_least > policy.max_linkability:  # also NaN
        return []
    text = (
        f"{evidence.attack}: two defaced scans of one person are nearer to each other than to other people's with "
        f"probability {estimate.value:.3g}, at least {estimate.at_least:.3g} (one-sided, {policy.confidence:.0%}). An "
        "attacker who defaces a gallery of originals the same way can use this."
    )
    measured = estimate.value, estimate.at_least, policy.max_linkability
    who = evidence.attack, evidence.encoder, evidence.condition
    return [Check("defaced_gallery", Decision.REVIEW, text, *measured, *who)]
