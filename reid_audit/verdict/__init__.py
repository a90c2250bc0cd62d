"""Policy and evidence become a decision that a data steward can sign, with a sentence for each rule.

Words
-----
check
    One rule, applied once to one attacker or to the whole audit. Its bound is one-sided at the policy's confidence.
finding
    A check that another room made. On one defacer's scans it is that defacer's alone; else it concerns all of them.
PASS
    The upper bound lies at or below the limit.
FAIL
    The lower bound lies above the limit: it was shown. Also a finding such as an original file in the release.
REVIEW
    The limit lies between the bounds, or a human must look: no face where no stronger attacker was tried.
INCOMPLETE
    Nothing was shown: too few subjects, an attacker that was not run or does not link canaries, or scans, people or a
    stratum that no attacker saw.

How the decisions combine
-------------------------
The worst counts, in the order PASS < REVIEW < INCOMPLETE < FAIL. What was shown stays shown: linkage that even a weak
attacker or a small cohort proves is FAIL, not INCOMPLETE. The policy's required attackers bind; what the others show
beyond a limit is REVIEW, and FAIL where an attacker needs nothing of a person's original and is asked by default
(`reid_audit.attack.Attack.fails_unrequired`). `reid_audit.verdict.rules` has the rules.

A gallery that is defaced too (defaced_gallery) has no limit in the policy: where it is shown to link more than
``max_linkability``, a human must look.

Where no face was found
-----------------------
A detector that finds nothing is not a subject who cannot be found: eye-plane cuts left 69-87 % of subjects at rank 1
once their landmarks were set by hand. So a scan that no attacker got a vector from who links canaries makes the defacer
INCOMPLETE, and the sentence names whose scans these are.
"""

from reid_audit.verdict.decision import decide
from reid_audit.verdict.plan import TARGETS, CohortPlan, plan_cohort
from reid_audit.verdict.policy import read_policy
from reid_audit.verdict.review import fold_review
from reid_audit.verdict.rules import adjust_confidence

__all__ = ["TARGETS", "CohortPlan", "adjust_confidence", "decide", "fold_review", "plan_cohort", "read_policy"]
