"""Attackers: what somebody who holds a defaced scan may do before the recogniser looks at it.

Words
-----
naive
    Detector and recogniser on the frontal portrait, as the literature judges defacers.
aligned
    The recogniser looks where the face was in the *original*, whether or not the detector finds one in the defaced
    scan. Same grid, same camera. An upper bound on careful cropping by hand: the place carries a little of the
    original's geometry.
registered
    The recogniser looks where a face is *on average*: box and landmarks are the means over other people's originals,
    on a portrait whose camera was placed by what is left of the defaced head (its top and sides). Where the detector
    is as sure of that portrait as of originals, its own place is taken: the head was hardly touched. Nothing of the
    person's original is used; what `aligned` finds beyond it is that leak.
multiview
    Seven portraits of each head, originals and defaced alike: the frontal one and those of
    `reid_audit.render.views_around`. Two scores, each an attacker with thresholds of its own: ``multiview-min``, the
    smallest distance over equal views, and ``multiview-mean``, the distance of the mean vectors.
fillin
    What was cut away is filled with an average head, laid onto what is left, before the detector looks (Schwarz 2021).
    Camera and place come from the filled head; nothing of the original is used but its skin level.
defaced_gallery
    The gallery is defaced too: defaced visits are compared with defaced visits. Only where people have two of them.
photos
    The gallery is photographs instead of scans (the population-to-sample attack of Schwarz 2019). Only with a gallery.
crossed
    Not an attacker but the control of the aligned one: the landmarks of one person on the portrait of another. It must
    find the owner of the pixels; where it finds the owner of the landmarks, aligned reads its own hint.

Originals stay as they are under every attacker but multiview: it is the release that is attacked.
"""

from reid_audit.attack.fill import HeadShape, Laid, fill_head, lay_head
from reid_audit.attack.names import ATTACKS, CROSSED, DEFACED_GALLERY, DEFAULT_ATTACKS, PHOTOS, check_attacks
from reid_audit.attack.places import average_places, choose_crossings, faces_of_attack
from reid_audit.attack.views import MULTIVIEW_MEAN, MULTIVIEW_MIN, average_views, keep_nearest, list_views, see_from

__all__ = [
    "ATTACKS",
    "CROSSED",
    "DEFACED_GALLERY",
    "DEFAULT_ATTACKS",
    "MULTIVIEW_MEAN",
    "MULTIVIEW_MIN",
    "PHOTOS",
    "HeadShape",
    "Laid",
    "average_places",
    "average_views",
    "check_attacks",
    "choose_crossings",
    "faces_of_attack",
    "fill_head",
    "keep_nearest",
    "lay_head",
    "list_views",
    "see_from",
]
