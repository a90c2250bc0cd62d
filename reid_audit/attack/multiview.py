"""Seven portraits of each head, originals and defaced alike: the frontal one and those of `views_around`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reid_audit.attack.base import Attack, Hints, Side, Target, distances_of_looks, list_looks, nearest
from reid_audit.records import Face, FaceRecord, Status, View
from reid_audit.render import views_around


class MultiView(Attack):
    """What both multi-view attackers have in common: the faces."""

    family = "multiview"
    sees = Side.BOTH

    def look(self, target: Target, hints: Hints) -> tuple[Face, ...]:  # noqa: D102
        def face_from(view: View) -> Face:
            return target.encode(lambda: target.context.draw(target.skin, view))

        key = "multiview", target.encoder.name, id(target.skin), target.view
        sides = target.context.once(key, lambda: tuple(face_from(view) for view in views_around(target.view)))
        return (target.face, *sides)


class MultiViewMin(MultiView):
    """Compares equal views and keeps the smallest distance."""

    name = "multiview-min"

    def describe(self) -> str:  # noqa: D102
        return "seven views of each head, originals and defaced alike; the smallest distance over equal views"

    def score(self, probes: Sequence[FaceRecord], references: Sequence[FaceRecord]) -> NDArray[np.float64]:  # noqa: D102
        probe_views, reference_views = (
            list_looks([self.looks_of(record) for record in records]) for records in (probes, references)
        )
        return nearest(distances_of_looks(a, b) for a, b in zip(probe_views, reference_views, strict=False))


class MultiViewMean(MultiView):
    """Compares the mean vectors of all views."""

    name = "multiview-mean"

    def describe(self) -> str:  # noqa: D102
        return "seven views of each head, originals and defaced alike; the distance of the mean vectors"

    def looks_of(self, record: FaceRecord) -> tuple[Face, ...]:  # noqa: D102
        return (average_faces(super().looks_of(record)),)


def average_faces(faces: Sequence[Face]) -> Face:
    """Return a face with the mean of the vectors, unit length; faces without one are left out.

    Without any vector it is the first face, with its status.
    """
    vectors = [np.asarray(face.vector, dtype=np.float64) for face in faces if face.vector is not None]
    if not vectors:
        return faces[0]
    mean = np.mean(vectors, axis=0)
    length = float(np.linalg.norm(mean))
    if not length > 0:  # opposite vectors: there is no mean direction
        return Face(Status.NO_FACE, faces[0].encoder, reason="the views cancel each other")
    return Face(Status.OK, faces[0].encoder, vector=(mean / length).astype(np.float32))
