"""Model files: which exist, where they lie, how they are verified, and how they are fetched.

Words
-----
record
    What is known of a model file before it is opened: `ModelFile`.
weights home
    ``$DEEPFACE_HOME/.deepface/weights`` (``DEEPFACE_HOME`` is the user's home unless set): the folder that DeepFace
    reads too, so that a file has to be put in place once.
pinned
    The SHA-256 of the file is written in `MODEL_FILES`; any other content is refused.
recorded
    A file whose publisher gives no digest cannot be pinned. Its digest is written down when it is first fetched,
    imported or verified, in ``reid-audit-sha256.json`` in the weights home, and any other content is refused from then
    on. Its digest is a part of the encoder's identity too, so that two audits show whether they used one file.

Only `fetch_weights` opens a connection. Only `fetch_weights`, `import_weights` and `verify_weights` write, and nowhere
but in the weights home; what looks for a file and checks it before use writes nothing.
"""

from reid_audit.weights.catalogue import MODEL_FILES, ModelFile
from reid_audit.weights.fetch import fetch_weights
from reid_audit.weights.local import find_weights, missing, require, sha256_of, verify, weights_home
from reid_audit.weights.store import State, WeightsFile, import_weights, list_weights, verify_weights

__all__ = [
    "MODEL_FILES",
    "ModelFile",
    "State",
    "WeightsFile",
    "fetch_weights",
    "find_weights",
    "import_weights",
    "list_weights",
    "missing",
    "require",
    "sha256_of",
    "verify",
    "verify_weights",
    "weights_home",
]
