"""What identity lies beside the face: the skull of a CT, and the brain of a CT or MR.

No defacer of faces can change them: what is linked by them stays, however well a face is defaced. No rule of the
verdict asks them. `Brain` uses the pose of the person's original beside that of what is left: its registration begins
there. `Skull` uses nothing of the person's original.

Words
-----
skull
    The back of the braincase at `BONE_HU`, as a depth map seen from behind, compared as `Shape` compares the face.
brain
    What lies in the braincase after an affine registration of the average synthetic head to the scan (mutual
    information), less what is smooth; compared by its correlation inside the average brain. Size and proportions are
    gone by then: what is left are ventricles and folds.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid_audit.attack.base import Attack, Hints, Side, Target
from reid_audit.attack.lay import lay_average_head
from reid_audit.attack.occlusion import find_average_skin
from reid_audit.attack.shape import HEIGHT_MM, SIDE_MM, USUAL_SHARE, Shape, map_depth
from reid_audit.records import Face, InputError, Modality, RenderError, Status, View, Volume
from reid_audit.render import turn_view
from reid_audit.render.camera import place_camera

BONE_HU = 300.0
CHANNELS = "channels"
"""The family by which both are asked for."""

_BACK = np.asarray((SIDE_MM < 72) & (HEIGHT_MM >= -10) & (HEIGHT_MM < 90))
_FINE = 2  # voxels of a cell along each axis, whose mean it is
_MARGIN_MM = 8.0  # around the brain: its edge to the skull says where it is
_BROW_MM = 40.0  # over the eyes: below it, and before the ears, lies what a defacer may have taken
_DETAIL_MM, _SMOOTH_MM = 2.0, 10.0
_BRAIN_HU = (-10.0, 90.0)
_ITERATIONS = 60  # at each of two levels: at first on smooth images, so that folds do not catch each other
_BLUR_MM = 6.0
_FIRST_STEP_MM, _LAST_STEP_MM, _RELAXATION = 2.0, 1e-2, 0.7
_BINS = 32

Cells = NDArray[np.float32]


class Skull(Shape):
    """Compares the back of the skull of a CT."""

    name = encoder = "skull"
    family = CHANNELS
    channel = "skull"
    share = USUAL_SHARE
    judged = selected_by_default = False

    def __init__(self) -> None:
        super().__init__(self.name, _BACK)

    def describe(self) -> str:  # noqa: D102
        return "the back of the skull in a CT, bone seen from behind; shown beside, and no rule asks it"

    def look(self, target: Target, hints: Hints) -> tuple[Face, ...]:  # noqa: D102
        context = target.context
        if not context.read().is_hu:
            return (Face(Status.NO_SKIN, self.encoder, reason="only a CT shows bone"),)
        try:
            bone = context.extract(BONE_HU)
            view = lay_average_head(context, target.skin).view
        except (InputError, RenderError) as error:
            return (Face(Status.NO_SKIN, self.encoder, reason=str(error)),)
        return (self._take(map_depth(bone, turn_view(view, azimuth_deg=180.0))),)


class Brain(Attack):
    """Compares the brain of a CT or MR."""

    name = encoder = "brain"
    family = CHANNELS
    channel = "brain"
    sees = Side.BOTH
    judged = False

    def describe(self) -> str:  # noqa: D102
        return "the brain, registered to an average one and correlated; shown beside, and no rule asks it"

    def look(self, target: Target, hints: Hints) -> tuple[Face, ...]:  # noqa: D102
        context = target.context
        volume = context.read()
        if volume.modality not in (Modality.CT, Modality.MR):
            return (Face(Status.NO_SKIN, self.encoder, reason="only CT and MR show the brain"),)
        return tuple(self._take(read_brain(volume, view)) for view in _list_poses(target))

    def _take(self, detail: Cells) -> Face:
        """Keep what is compared, unless the scan ends before the brain does or has nothing there."""
        if not (np.isfinite(detail).all() and np.ptp(detail) > 0):
            return Face(Status.NO_SKIN, self.encoder, reason="no whole brain lies in the scan")
        return Face(Status.OK, self.encoder, detail / np.linalg.norm(detail))


def _list_poses(target: Target) -> tuple[View, ...]:
    """Return the pose that a scan's original had, where there is one, and that of what is left, where it shows one."""
    try:
        own = target.context.find_view(target.skin)
    except RenderError:
        return (target.view,)
    return tuple(dict.fromkeys((target.view, own)))


class _Average(NamedTuple):
    """The average head in cells: intensity, the brain, the brain with a margin, how it faces, where its cells lie."""

    cells: Cells
    brain: NDArray[np.bool_]
    around: NDArray[np.bool_]
    view: View
    voxel_to_head_mm: NDArray[np.float64]

    @property
    def cell_mm(self) -> float:
        """Edge of a cell, of `_FINE` voxels."""
        return _FINE * float(self.voxel_to_head_mm[0, 0])

    def as_image(self, cells: NDArray[Any]) -> Any:
        """Return cells as an image of SimpleITK."""
        import SimpleITK as sitk

        image = sitk.GetImageFromArray(cells)
        image.SetSpacing([self.cell_mm] * 3)
        return image


def _in_cells(fine: NDArray[Any]) -> Cells:
    """Return the means of blocks of voxels."""
    i, j, k = (n // _FINE for n in fine.shape)
    whole = fine[: i * _FINE, : j * _FINE, : k * _FINE].astype(np.float32)
    return np.asarray(whole.reshape(i, _FINE, j, _FINE, k, _FINE).mean(axis=(1, 3, 5)), np.float32)


@lru_cache(maxsize=2)
def _average(modality: Modality) -> _Average:
    from reid_audit.phantom import make_average_head, measure_brain_distance

    head = make_average_head(modality)
    _, view = find_average_skin(modality)
    brain, around = _in_cells(head.brain) > 0.99, _in_cells(measure_brain_distance()) < _MARGIN_MM
    _, j, k = np.indices(around.shape)
    front, up = (
        head.voxel_to_head_mm[axis, 3] + (n + 0.5) * _FINE * head.voxel_to_head_mm[axis, axis]
        for axis, n in ((1, j), (2, k))
    )
    out_of_reach = (up > _BROW_MM) | (front < 0)
    return _Average(_in_cells(head.intensity), brain & out_of_reach, around & out_of_reach, view, head.voxel_to_head_mm)


def read_brain(volume: Volume, view: View) -> Cells:
    """Return the detail of what lies in the brain of the average head when it is laid on a scan.

    Parameters
    ----------
    volume : Volume
        CT or MR.
    view : View
        That faces the head: where the registration begins.

    Returns
    -------
    (n,) float32
        One number per cell of 4 mm, with mean 0; NaN where the scan does not reach.
    """
    import SimpleITK as sitk
    from scipy.ndimage import gaussian_filter

    average = _average(volume.modality)
    moving = _sample(volume, view, average)
    low, high = _BRAIN_HU if volume.is_hu else np.nanpercentile(moving[average.brain], (1, 99))
    still, image, missing, mask = (
        average.as_image(cells)
        for cells in (
            average.cells,
            np.nan_to_num(moving),
            np.isnan(moving).astype(np.float32),
            average.around.astype(np.uint8),
        )
    )
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricFixedMask(mask)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel([1, 1])
    method.SetSmoothingSigmasPerLevel([_BLUR_MM, 0.0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetOptimizerAsRegularStepGradientDescent(_FIRST_STEP_MM, _LAST_STEP_MM, _ITERATIONS, _RELAXATION)
    method.SetOptimizerScalesFromPhysicalShift()
    affine = sitk.AffineTransform(3)
    middle = np.argwhere(average.brain).mean(axis=0)[::-1]  # an image counts its axes the other way round
    affine.SetCenter((average.cell_mm * middle).tolist())
    method.SetInitialTransform(affine, inPlace=True)
    method.Execute(still, image)
    laid, beyond = (
        sitk.GetArrayFromImage(sitk.Resample(each, still, affine, sitk.sitkLinear, fill))
        for each, fill in ((image, 0.0), (missing, 1.0))
    )
    inside = average.brain.astype(np.float32)

    def smooth(sigma_mm: float) -> Cells:
        sigma = sigma_mm / average.cell_mm
        return np.asarray(
            gaussian_filter(np.clip(laid, low, high) * inside, sigma)
            / np.maximum(gaussian_filter(inside, sigma), np.float32(1e-3))
        )

    detail = np.where(beyond > 0.5, np.float32(np.nan), smooth(_DETAIL_MM) - smooth(_SMOOTH_MM))[average.brain]
    return np.asarray(detail - detail.mean(), np.float32)


def _sample(volume: Volume, view: View, average: _Average) -> Cells:
    """Sample a scan in the cells of the average head, as the two lie when they face the same way; NaN beyond it."""
    from scipy.ndimage import map_coordinates

    # The same place is as far to the left, up and to the front of what both cameras look at.
    turn = place_camera(view).axes.T @ place_camera(average.view).axes
    head_to_ras = np.eye(4)
    head_to_ras[:3, :3] = turn
    head_to_ras[:3, 3] = np.asarray(view.target_ras_mm) - turn @ np.asarray(average.view.target_ras_mm)
    m = np.linalg.inv(volume.voxel_to_ras_mm) @ head_to_ras @ average.voxel_to_head_mm
    i, j, k = np.ogrid[tuple(slice(0, _FINE * n) for n in average.brain.shape)]
    index = np.array([m[a, 0] * i + m[a, 1] * j + m[a, 2] * k + m[a, 3] for a in range(3)])
    return _in_cells(map_coordinates(volume.intensity, index, order=1, cval=np.nan))
