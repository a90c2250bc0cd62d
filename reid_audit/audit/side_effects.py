"""An audit leaves the process that runs it as it was."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def contain_side_effects() -> Iterator[None]:
    """Undo what libraries do to warning filters and environment when they are first imported; also a decorator.

    scikit-learn sets OpenMP's variables; scikit-learn, statsmodels and what nibabel imports add filters. Both are the
    caller's, who asked for an audit. Filters belong to the whole process: not for several threads at once.
    """
    before = dict(os.environ)
    with warnings.catch_warnings():
        try:
            yield
        finally:
            for name in os.environ.keys() - before.keys():
                del os.environ[name]
            os.environ.update(before)
