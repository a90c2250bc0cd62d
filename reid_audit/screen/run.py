"""Screen a release: one task per image, kept in the store, with masks on request."""

from concurrent.futures import Executor
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

from reid_audit import portrait, surface
from reid_audit.dataset.copies import MESHES, PICTURES
from reid_audit.face import Encoder, make_encoder
from reid_audit.portrait import ScanContext
from reid_audit.records import FRAMES, ORIGINAL, InputError, Review, ScanRef, group_by, read_json, settle
from reid_audit.render import Renderer, make_renderer
from reid_audit.screen.copies import screen_mesh, screen_picture
from reid_audit.screen.find import Images, ScreenImage
from reid_audit.screen.judge import STAGE_VERSION, screen_context
from reid_audit.screen.records import ImageScreening, Screening, ScreenState
from reid_audit.volume import READERS, write_labels
from reid_audit.volume.stored import ending
from reid_audit.work import Progress, SerialExecutor, Store, digest_of, digest_of_state, pack, run_all, unpack

_VERSIONS = (STAGE_VERSION, portrait.STAGE_VERSION, surface.STAGE_VERSION)


@lru_cache(maxsize=1)
def _engines(detector: str) -> tuple[Encoder, Renderer]:
    """Return this process's detector, within an encoder that takes it, and its renderer."""
    return make_encoder("dlib", detector=detector), make_renderer("auto")


def _screen_image(image: ScreenImage, detector: str, mask: Path | None) -> ImageScreening:
    encoder, renderer = _engines(detector)
    told = ImageScreening(image.name, ScreenState.UNKNOWN, "", claims=image.claims, detector=encoder.detector)
    if ending(image.path) in PICTURES:
        return screen_picture(image.path, encoder, told)
    if ending(image.path) in MESHES:
        return screen_mesh(image.path, encoder, renderer, told)
    scan = ScanRef("", "", ORIGINAL, image.path, image.modality, image.series)
    context = ScanContext(scan, renderer)
    is_drawn = image.path.is_file() and ending(image.path) not in READERS
    judged = screen_context(context, encoder, name=image.name, claims=image.claims, is_drawn=is_drawn)
    if mask is None or judged.mask is None or not judged.mask.any():
        return judged.screening
    write_labels(judged.mask.astype(np.uint8), context.read().voxel_to_ras_mm, mask)
    return replace(judged.screening, mask=mask.name)


def _lost(image: ScreenImage, detector: str, mask: Path | None) -> ImageScreening:
    reason = "the process that looked at it was ended from outside, as a rule because memory ran out"
    return ImageScreening(image.name, ScreenState.UNKNOWN, reason, claims=image.claims)


def _name_mask(image: ScreenImage, folder: Path) -> Path:
    name = image.name.replace("/", "__") if image.series in ("", *FRAMES) else f"series-{image.series}"
    return folder / f"{name.removesuffix(ending(Path(name)))}_altered.nii.gz"


def screen(
    images: Images,
    *,
    expect_defaced: bool = False,
    masks: Path | None = None,
    detector: str = "dlib",
    review: Review | None = None,
    store: Store | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Screening:
    """Look at every image: is there a face, was it altered, where and how.

    Parameters
    ----------
    images : Images
        From `list_images`.
    expect_defaced : bool
        Whether a face is a fault; see `Screening.exit_code`.
    masks : Path, optional
        Folder for the altered areas as NIfTI, made if absent, for the owner alone; images without one get none.
    detector : str
        One that the encoder dlib takes.
    review : Review, optional
        What readers saw in this release; answers on other images do not count.
    store : Store, optional
        Where finished judgements are kept, without names, so that a run that was stopped continues.
    executor : concurrent.futures.Executor, optional
    progress : callable, optional

    Returns
    -------
    Screening
        The images in their order.

    Raises
    ------
    InputError
        Where the folder for masks cannot be made.
    EngineError, WeightsError
        Where a package or a model file is missing.
    """
    _engines(detector)  # what is missing ends the run before it begins
    if masks is not None:
        try:
            masks.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--masks {masks.name} cannot be made: {error.strerror}") from error
    done: dict[int, ImageScreening] = {}
    calls: list[tuple[ScreenImage, str, Path | None]] = []
    places: dict[int, int] = {}
    keys: dict[str, str] = {}
    for place, image in enumerate(images.images):
        mask = None if masks is None else _name_mask(image, masks)
        state = digest_of_state(image.path)
        if store is not None and state is not None and state.settled:
            keys[image.name] = digest_of("screen", _VERSIONS, state.digest, image.series, str(image.modality), detector)
            kept = store.get(keys[image.name])
            if kept is not None:
                told = unpack(kept, ImageScreening)
                if mask is None or not told.altered_cm3 > 0 or mask.is_file():
                    named = replace(told, name=image.name, claims=image.claims)
                    done[place] = replace(named, mask=mask.name if mask is not None and mask.is_file() else "")
                    continue
        places[len(calls)] = place
        calls.append((image, detector, mask))

    def keep(told: ImageScreening) -> None:
        key = keys.get(told.name)
        if store is not None and key is not None and told.state is not ScreenState.UNKNOWN:  # that may be mended
            store.put(key, pack(replace(told, name="", claims=(), mask="")))

    results = run_all(
        executor or SerialExecutor(), _screen_image, calls, done=keep, lost=_lost, progress=progress, stage="screening"
    )
    done |= {places[number]: told for number, told in enumerate(results)}
    in_order = tuple(
        replace(told, allowed=why, reason=f"{told.reason}; allowed: {why}") if (why := image.allowed) else told
        for image, told in ((image, done[place]) for place, image in enumerate(images.images))
    )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    screening = Screening(images.source, in_order, images.aside, expect_defaced, version("reid-audit"), now)
    return screening if review is None else _fold(screening, review)


def _fold(screening: Screening, review: Review) -> Screening:
    """Tell of each image what its readers said; InputError where nothing was said of any."""
    answers = group_by(review.readings, lambda reading: (reading.subject, reading.image_sha256))
    images = []
    for image in screening.images:
        readings = answers.get((image.name, image.image_sha256)) if image.image_sha256 else None
        said = None if readings is None else settle(readings)
        images.append(image if said is None else replace(image, reviewed=said, reason=f"{image.reason}; seen: {said}"))
    if not any(image.reviewed for image in images):
        raise InputError(
            f"--review: none of its {len(review.readings)} answers is about an image of {screening.source}; run "
            "`reid-audit review` on its screening"
        )
    return replace(screening, images=tuple(images))


def read_screening(path: Path) -> Screening:
    """Read what `reid-audit screen` wrote as JSON. InputError where it is none."""
    return read_json(path, Screening, made_by="reid-audit screen RELEASE -o screening.json")
