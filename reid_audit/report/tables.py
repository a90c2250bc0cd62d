"""Tables of a result: columns with their meanings, rows, and both as CSV."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from reid_audit.records import ORIGINAL, AuditResult, Estimate, format_csv
from reid_audit.report.rows import list_risks, list_rows

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Table(NamedTuple):
    """Rows under columns, each column with its meaning."""

    columns: Mapping[str, str]
    rows: Sequence[Sequence[object]]


def _interval(name: str, meaning: str) -> dict[str, str]:
    ends = {f"{name}_low": "Lower end of its two-sided interval", f"{name}_high": "Upper end of its two-sided interval"}
    return {name: meaning} | ends


_WHO = {
    "condition": "'original', or the name of the defacer",
    "attack": "The attacker",
    "encoder": "The network; empty where it is not known",
}
RATE_COLUMNS = {
    **_WHO,
    "subjects": "Subjects with such a comparison",
    **_interval("tmr", "True match rate: share of mated comparisons below the policy's threshold"),
    **_interval("fmr", "False match rate: share of non-mated comparisons below the policy's threshold"),
    **_interval("rank1", "Share of searches that put the probe's own subject first"),
    "chance1": "What guessing would reach at rank 1",
    "gallery": "References searched",
    **_interval("linkability", "AUC of mated against non-mated distances, as the rules judge it; 0.5 = chance"),
    **_interval("fta", "Failure to acquire: share of scans without a vector"),
    "verdict": "Decision on the defacer",
}
_GALLERIES = 100, 1_000, 10_000, 100_000, 1_000_000
MEASURE_COLUMNS = {
    **_WHO,
    "subjects": "Subjects that were measured",
    **_interval("bits", "Information on identity that is left"),
    "possible_bits": "log2 of the subjects: what would name everybody",
    **_interval("anonymity_set", "Subjects among whom a search leaves a scan on average"),
    **_interval("excess", "Excess of the AUC over chance, as a share of that of the originals"),
    **_interval("cllr", "Cost of likelihood ratios in bits; 1 = the distances say nothing"),
    **_interval("min_cllr", "The same with the best ratios for these very distances"),
    **_interval("fnir_fpir10", "Miss rate of searches (FNIR) where 10 % of non-mated searches return somebody"),
    **_interval("fnir_fpir1", "Miss rate of searches (FNIR) where 1 % of non-mated searches return somebody"),
    **{
        column: meaning
        for size in _GALLERIES
        for column, meaning in (
            _interval(f"rank1_in_{size}", f"Rank-1 among {size} references: an extrapolation")
            | _interval(f"fpir_in_{size}", f"FPIR among {size} references at the Youden threshold: an extrapolation")
        ).items()
    },
}
SUBJECT_COLUMNS = {
    **_WHO,
    "subject": "Label of the subject in the manifest",
    "distance_before": "Smallest cosine distance between the subject's originals",
    "distance_after": "Smallest cosine distance to the subject's own original after defacing",
    "rank_before": "Best rank of the subject's own original before defacing; 1 = found first",
    "rank_after": "Best rank of the subject's own original after defacing; 1 = found first",
    "matched_before": "Whether the subject matched at the Youden threshold before defacing",
    "matched_after": "Whether the subject matched at the Youden threshold after defacing",
    "unacquired": "Defaced scans that gave no vector",
}
SCAN_COLUMNS = {
    "subject": "Label of the subject in the manifest",
    "session": "Label of the session",
    "condition": _WHO["condition"],
    "file": "Name of the file, without folders",
    "status": "How far the scan came",
    "reason": "One sentence where the status is not ok",
    "confidence": "The detector's own score",
    "skin_level": "Intensity of the skin's isosurface, in the scan's own units",
    "findings": "Codes of what was noticed",
    "seconds": "Wall time in seconds",
    "attack": "The attacker that finds it best; of several encoders, with its encoder",
    "rank": "Best rank of the subject's own original after defacing; 1 = found first",
    "distance": "Smallest cosine distance to the subject's own original after defacing",
    "matched": "Whether any attacker matched it at the Youden threshold",
}


def tabulate_rates(result: AuditResult) -> Table:
    """Return the numbers that carry the verdict: the control, then each defacer and attacker."""
    rows = []
    for row in list_rows(result):
        parts = (row.mated, row.non_mated, row.search.rank1, row.linkability, row.fta)
        tmr, fmr, rank1, linkability, fta = ((part.value, part.low, part.high) for part in parts)
        search = (*rank1, row.search.chance1, row.search.gallery)
        who = (row.condition, row.attack, row.encoder, row.subjects)
        rows.append((*who, *tmr, *fmr, *search, *linkability, *fta, row.decision.value if row.decision else ""))
    return Table(RATE_COLUMNS, rows)


def tabulate_measures(result: AuditResult) -> Table:
    """Return the measures for deciders of each defacer and attacker."""
    unmeasured = Estimate(math.nan)
    rows = []
    for attack in result.evidence.attacks:
        measures = attack.measures
        if measures is None:
            continue
        fnir = {round(100 * miss.fpir): miss.fnir for miss in measures.misses}
        galleries = {gallery.size: (gallery.rank1, gallery.fpir) for gallery in measures.galleries}
        parts = [measures.anonymity_set, measures.excess, measures.cllr, measures.min_cllr]
        parts += [fnir.get(percentage, unmeasured) for percentage in (10, 1)]
        parts += [rate for size in _GALLERIES for rate in galleries.get(size, (unmeasured, unmeasured))]
        bits = measures.bits
        row: list[object] = [attack.condition, attack.attack, attack.encoder, measures.subjects]
        row += [bits.value, bits.low, bits.high, measures.possible_bits]
        rows.append([*row, *(number for part in parts for number in (part.value, part.low, part.high))])
    return Table(MEASURE_COLUMNS, rows)


def tabulate_subjects(result: AuditResult) -> Table:
    """Return every subject per defacer and attacker. Personal."""
    return Table(
        SUBJECT_COLUMNS, [tuple(getattr(record, name) for name in SUBJECT_COLUMNS) for record in result.subjects]
    )


def tabulate_scans(result: AuditResult) -> Table:
    """Return every scan with what became of it, the most exposed first. Personal."""
    from_scan = list(SCAN_COLUMNS)[: list(SCAN_COLUMNS).index("findings")]
    rows = []
    for risk in list_risks(result):
        scan = risk.scan
        told = "; ".join(finding.code for finding in scan.findings), round(scan.seconds, 3)
        risky = (risk.attack, risk.rank, risk.distance)
        matched = None if scan.condition == ORIGINAL else risk.matched
        rows.append((*(getattr(scan, name) for name in from_scan), *told, *risky, matched))
    return Table(SCAN_COLUMNS, rows)


def cell(value: object) -> str:
    """Write a value for a table: NaN and None empty, numbers with six digits, true and false."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def to_csv(table: Table) -> str:
    """Write a table as CSV text.

    Text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    rows = ((f"'{v}" if isinstance(v, str) and v.startswith(_FORMULA) else cell(v) for v in row) for row in table.rows)
    return format_csv(table.columns, rows)
