"""Thresholds from a cohort's originals, and whether those that somebody gives fit a run."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from reid_audit.accuracy import assign_calibrations, calibrate_scores, check_fingerprint
from reid_audit.audit.acquire import acquire_faces
from reid_audit.audit.face_cache import FaceCache
from reid_audit.audit.settings import Engines, Settings, fingerprints_of, start_engines
from reid_audit.audit.side_effects import contain_side_effects
from reid_audit.dataset import Cohort, read_manifest, take_subjects
from reid_audit.match import compare_faces
from reid_audit.records import Calibration, FaceRecord, Group, InputError
from reid_audit.work import Progress, Store


def require_control(cohort: Cohort, *, mend: str) -> None:
    """Raise where the manifest alone shows that no threshold can come of these originals."""
    for pair in cohort.pair_accounting():
        if pair.group in (Group.SAME, Group.DIFFERENT) and pair.possible == 0:
            reasons = "; ".join(pair.reasons)
            raise InputError(f"{cohort.source}: no comparison of the group {pair.group.value!r}: {reasons}; {mend}")


def check_calibrations(calibrations: Sequence[Calibration], engines: Engines, *, allow_mismatch: bool) -> None:
    """Refuse calibrations of other settings before the work is done; only the modality is not known yet."""
    if not calibrations:
        return
    by_encoder = assign_calibrations(calibrations, engines.encoders)
    for expected in fingerprints_of(engines, []):
        for calibration in by_encoder[expected.encoder].values():
            known = replace(expected, modality=calibration.fingerprint.modality)
            check_fingerprint(calibration, known, allow=allow_mismatch)


class Calibrated(NamedTuple):
    """What `calibrate` gives.

    Attributes
    ----------
    calibrations : tuple of Calibration
        One per encoder, in the order of the settings.
    records : list of FaceRecord
        What became of each original, by each encoder.
    notices : tuple of str
        Fallbacks that the engines took.
    """

    calibrations: tuple[Calibration, ...]
    records: list[FaceRecord]
    notices: tuple[str, ...]


@contain_side_effects()
def calibrate(
    cohort: Cohort | Path | str,
    *,
    settings: Settings = Settings(),
    seed: int = 0,
    draws: int = 2000,
    executor: Executor | None = None,
    progress: Progress | None = None,
    store: Store | None = None,
    limit: int | None = None,
) -> Calibrated:
    """Find the thresholds at which each encoder tells the originals of a cohort apart.

    Parameters
    ----------
    cohort : Cohort, Path or str
        Only its originals are read.
    settings, seed, draws, executor, progress, store, limit
        As for `audit`.

    Raises
    ------
    InputError
        Where the cohort has no mated or no non-mated comparison to calibrate with, or two encoders have one name.
    """
    cohort = cohort if isinstance(cohort, Cohort) else read_manifest(Path(cohort))
    originals = take_subjects(replace(cohort, scans=cohort.originals), limit)
    require_control(originals, mend="calibrate on a cohort with two or more people in two visits")
    engines = start_engines(settings)
    cache = None if store is None else FaceCache(store, engines)
    records = acquire_faces(originals, engines, executor=executor, progress=progress, cache=cache)
    calibrations = []
    for recogniser in engines.recognisers:
        own = [record for record in records if record.face.encoder == recogniser.name]
        (fingerprint,) = fingerprints_of(replace(engines, recognisers=(recogniser,)), own)
        calibration = calibrate_scores(compare_faces(own), fingerprint=fingerprint, seed=seed, draws=draws)
        # A file of thresholds goes further than the screen: what must be known of its recogniser goes with it.
        notices = [notice for notice in (recogniser.notice, engines.drawing_notice) if notice]
        calibrations.append(replace(calibration, notes=(*notices, *calibration.notes)))
    return Calibrated(tuple(calibrations), records, engines.notices)
