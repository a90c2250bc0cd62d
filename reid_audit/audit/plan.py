"""What a run would do, told without opening a scan."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reid_audit.attack import SAMPLE, Attack, choose_attacks
from reid_audit.audit.acquire import Records, add_canaries, defaced_scans, know_scans, look_up
from reid_audit.audit.face_cache import FaceCache
from reid_audit.audit.settings import Engines, Settings, start_engines
from reid_audit.dataset import Cohort, take_subjects
from reid_audit.records import ScanRef
from reid_audit.work import Store


@dataclass(frozen=True, slots=True)
class RunPlan:
    """How much there is to do.

    Attributes
    ----------
    originals, defaced : int
        Scans.
    originals_kept, defaced_kept : int
        Those of them that every encoder has seen, by the store. A scan counts only where it is known not to have
        been touched.
    absent : tuple of str
        Keys of scans without a file.
    canaries, canaries_kept : int
        Originals that are weakly defaced in memory, and those of them that every encoder has seen.
    """

    originals: int
    originals_kept: int
    defaced: int
    defaced_kept: int
    absent: tuple[str, ...]
    canaries: int = 0
    canaries_kept: int = 0

    @property
    def to_do(self) -> int:
        """Scans that would be read."""
        kept = self.originals_kept + self.defaced_kept + self.canaries_kept
        return self.originals + self.defaced + self.canaries - kept - len(self.absent)


def plan_run(
    cohort: Cohort,
    *,
    settings: Settings = Settings(),
    attacks: Iterable[str] | None = None,
    store: Store | None = None,
    limit: int | None = None,
    canaries: int = SAMPLE,
) -> RunPlan:
    """Tell what a run would do: how many scans, and how many of them are in the store. Opens no scan.

    Parameters
    ----------
    cohort, settings, attacks, store, limit, canaries
        As for `reid_audit.audit`.

    Raises
    ------
    WeightsError, EngineError, InputError
        What would end the run before it began.
    """
    engines, chosen = start_engines(settings), choose_attacks(attacks)
    cache = None if store is None else FaceCache(store, engines)
    everything = add_canaries(take_subjects(cohort, limit), canaries)
    return plan_faces(everything, engines, attacks=chosen, cache=cache)


def plan_faces(
    cohort: Cohort, engines: Engines, *, attacks: Sequence[Attack] = (), cache: FaceCache | None = None
) -> RunPlan:
    """Tell what `acquire_faces` would do with the same arguments."""
    absent = cohort.find_absent_files()
    canaries = [scan for scan in cohort.scans if scan.is_canary]
    defaced = len(defaced_scans(cohort)) - len(canaries)
    records: Records = {}
    kept: set[ScanRef] = set()
    if cache is not None:
        cache.look_at_files(cohort.scans)
        for scans in (cohort.originals, defaced_scans(cohort)):
            missing = look_up(
                know_scans(cohort, scans, records, engines, attacks), records, cache=cache, attacks=attacks
            )
            kept |= set(scans) - set(missing)
            # Every original has a part in where a face is on average: one that is not known leaves all of it open.
            if not set(missing) <= set(absent):
                break
    return RunPlan(
        originals=len(cohort.originals),
        originals_kept=len(kept.intersection(cohort.originals)),
        defaced=defaced,
        defaced_kept=len(kept.difference(cohort.originals, canaries)),
        absent=tuple(scan.key for scan in absent),
        canaries=len(canaries),
        canaries_kept=len(kept.intersection(canaries)),
    )
