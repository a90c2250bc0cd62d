"""A summary in Markdown for a data paper: a methods paragraph, the numbers, and what to cite."""

from __future__ import annotations

import math

from reid_audit.records import AttackEvidence, AuditResult, Decision, Estimate, Rate
from reid_audit.report.words import (
    control_at,
    distance_at,
    explain_verdict,
    match_at,
    name_attacker,
    of_strongest,
    percent,
    rate_text,
)

_ALWAYS = {
    "schwarz2019": "Schwarz CG, Kremers WK, Therneau TM, et al. Identification of anonymous MRI research participants "
    "with face-recognition software. N Engl J Med 2019;381:1684-1686. doi:10.1056/NEJMc1908881",
    "schwarz2021": "Schwarz CG, Kremers WK, Wiste HJ, et al. Changing the face of neuroimaging research: comparing a "
    "new MRI de-facing technique with popular alternatives. NeuroImage 2021;231:117845. "
    "doi:10.1016/j.neuroimage.2021.117845",
    "lorensen1987": "Lorensen WE, Cline HE. Marching cubes: a high resolution 3D surface construction algorithm. "
    "SIGGRAPH Comput Graph 1987;21:163-169. doi:10.1145/37402.37422",
    "schroeder2015": "Schroeder W, Maynard R, Geveci B. Flying edges: a high-performance scalable isocontouring "
    "algorithm. IEEE Symposium on Large Data Analysis and Visualization 2015:33-40.",
    "youden1950": "Youden WJ. Index for rating diagnostic tests. Cancer 1950;3:32-35.",
    "clopper1934": "Clopper CJ, Pearson ES. The use of confidence or fiducial limits illustrated in the case of the "
    "binomial. Biometrika 1934;26:404-413. doi:10.1093/biomet/26.4.404",
    "mann1947": "Mann HB, Whitney DR. On a test of whether one of two random variables is stochastically larger than "
    "the other. Ann Math Stat 1947;18:50-60. doi:10.1214/aoms/1177730491",
    "benjamini1995": "Benjamini Y, Hochberg Y. Controlling the false discovery rate. J R Stat Soc B 1995;57:289-300. "
    "doi:10.1111/j.2517-6161.1995.tb02031.x",
}
_ENGINES = {
    "dlib": "King DE. Dlib-ml: a machine learning toolkit. J Mach Learn Res 2009;10:1755-1758.",
    "facenet": "Schroff F, Kalenichenko D, Philbin J. FaceNet: a unified embedding for face recognition and "
    "clustering. CVPR 2015:815-823. doi:10.1109/CVPR.2015.7298682",
    "arcface": "Deng J, Guo J, Xue N, Zafeiriou S. ArcFace: additive angular margin loss for deep face recognition. "
    "CVPR 2019:4690-4699. doi:10.1109/CVPR.2019.00482",
    "retinaface": "Deng J, Guo J, Ververas E, Kotsia I, Zafeiriou S. RetinaFace: single-shot multi-level face "
    "localisation in the wild. CVPR 2020:5203-5212. doi:10.1109/CVPR42600.2020.00525",
}
_ATTACKERS = {
    "naive": "naive (detector and recogniser on the frontal portrait)",
    "aligned": "aligned (the recogniser looks where the face was in the original)",
    "registered": "registered (it looks where faces are on average, unless the detector is as sure as of originals)",
}
_SPECIAL = set("\\`*_{}[]<>()#+-.!|&~$")


def escape(text: str) -> str:
    """Return a label as Markdown that shows it and does nothing else."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return "".join(f"\\{c}" if c in _SPECIAL and c not in ".-()" else c for c in plain)


def _share(rate: Rate) -> str:
    return (
        rate_text(rate).replace("(", "(95 % interval ", 1) if math.isclose(rate.confidence, 0.95) else rate_text(rate)
    )


def _auc(found: Estimate) -> str:
    if found.value != found.value:
        return "not measured"
    return (
        f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})" if found.low == found.low else f"{found.value:.3f}"
    )


def _row(attack: AttackEvidence, threshold: str, decision: Decision, attacker: str) -> str:
    match = match_at(attack, threshold)
    cells = (
        escape(attack.condition),
        escape(attacker),
        rate_text(match.subjects),
        rate_text(match.non_mated),
        f"{rate_text(attack.search.rank1)}; chance {percent(attack.search.chance1)}",
        _auc(attack.linkability),
        rate_text(attack.fta),
        decision.value,
    )
    return f"| {' | '.join(cells)} |"


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "no attacker"


def _methods(result: AuditResult, cited: list[str]) -> str:
    def cite(*keys: str) -> str:
        for key in keys:
            if key not in cited:
                cited.append(key)
        return f"[{', '.join(str(cited.index(key) + 1) for key in keys)}]"

    settings, policy = result.settings, result.verdict.policy
    encoder, detector = (settings.get(key, "") for key in ("encoder", "detector"))
    engines = [key for key in _ENGINES if key in f"{encoder} {detector}".lower()]
    attackers = list(dict.fromkeys(one.attack for one in result.evidence.attacks))
    conditions = [escape(condition.condition) for condition in result.verdict.conditions]
    people = max((control.fta.subjects for control in result.evidence.controls), default=0)
    parts = [
        f"The risk that defaced head scans are linked to their people by face recognition {cite('schwarz2019')} was "
        f"measured with reid-audit {escape(result.tool_version)} on {people} people"
        + (f" ({len(result.scans)} scans)" if result.scans else "")
        + f" for {len(conditions)} {'defacer' if len(conditions) == 1 else 'defacers'} ({_list(conditions)})."
    ]
    if encoder:
        parts.append(
            f"The skin of each scan was meshed by marching cubes {cite('lorensen1987')}, as flying edges "
            f"{cite('schroeder2015')}, and drawn from the front ({escape(settings.get('renderer', 'not known'))}); "
            "level and camera of a defaced scan were those of its original. Faces were found and encoded by "
            f"{escape(detector or 'not known')} and {escape(encoder)}" + (f" {cite(*engines)}" if engines else "") + "."
        )
    else:
        parts.append("The cosine distances between scans were measured elsewhere.")
    distance = distance_at(result)
    rule = f"below {distance:.4f}" if distance == distance else "never, because the cohort offers no such threshold"
    chosen = f" {cite('youden1950')}" if policy.threshold == "youden" else ""
    parts.append(
        f"Two scans matched where their cosine distance lay {rule} (the {policy.threshold} threshold{chosen} of "
        f"{result.calibrations[0].subjects} people: {result.calibrations[0].same_pairs} comparisons of one and "
        f"{result.calibrations[0].different_pairs} of two people)."
    )
    parts.append(
        f"The attackers were {_list([_ATTACKERS.get(name, escape(name)) for name in attackers])}; detectors alone "
        f"understate the risk {cite('schwarz2021')}. A scan without a face counted as not matched. Proportions of "
        f"people have Clopper-Pearson intervals {cite('clopper1934')}; rates over pairs and AUC leave out one person "
        "at a time. "
        f"Distances were compared by Mann-Whitney tests {cite('mann1947')}, adjusted for their number "
        f"{cite('benjamini1995')}, and identities were permuted."
    )
    return " ".join(parts)


def result_to_markdown(result: AuditResult) -> str:
    """Write a summary for a data paper: verdict, methods with the numbers filled in, a table, limits, references.

    It names no person. Labels from the manifest are escaped.
    """
    cited: list[str] = []
    methods = _methods(of_strongest(result), cited)
    threshold = result.verdict.policy.threshold
    decisions = {condition.condition: condition.decision for condition in result.verdict.conditions}
    references = {**_ALWAYS, **_ENGINES}
    lines = [
        f"# Re-identification audit of {escape(result.cohort)}",
        "",
        f"**{result.verdict.decision.value}.** {escape(explain_verdict(result))}",
        "",
        "## Methods",
        "",
        methods,
        "",
        "## Results",
        "",
    ]
    for control in result.evidence.controls:
        own, non_mated = control_at(control, threshold)
        lines += [
            f"Before defacing (control, {escape(name_attacker(result, control))} attacker): own person matched "
            f"{_share(own)}; strangers matched {_share(non_mated)}; own person found first "
            f"{rate_text(control.search.rank1)}, by chance {percent(control.search.chance1)}; AUC {_auc(control.auc)}; "
            f"no vector from {rate_text(control.fta)}.",
            "",
        ]
    lines += [
        "| Defacer | Attacker | People matched | Strangers matched | Own person found first | "
        "Linkability (AUC, 0.5 = chance) | No vector | Verdict |",
        "|---|---|---|---|---|---|---|---|",
        *(
            _row(attack, threshold, decisions[attack.condition], name_attacker(result, attack))
            for attack in result.evidence.attacks
        ),
        "",
        "Counts, observed shares and 95 % intervals."
        if result.evidence.confidence == 0.95
        else f"Counts, observed shares and {100 * result.evidence.confidence:g} % intervals.",
        "",
        "## Limits",
        "",
        "These are measured lower bounds on what the named attackers can do with these scans. An attacker with a "
        "better recogniser, with photographs, or with more patience may do better. The comparisons are between scans. "
        "PASS means that the policy's limits held for these people, not that the data are anonymous.",
        "",
        "## References",
        "",
        *(f"{number}. {references[key]}" for number, key in enumerate(cited, 1)),
        "",
    ]
    return "\n".join(lines)
