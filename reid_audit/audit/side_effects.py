"""An audit leaves the process that runs it as it was."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from threadpoolctl import threadpool_limits


@contextmanager
def contain_side_effects() -> Iterator[None]:
    """Undo what libraries do to warning filters and environment when they are first imported; also a decorator.

    scikit-learn sets OpenMP's variables; scikit-learn, statsmodels and what nibabel imports add filters. Both are the
    caller's, who asked for an audit. Filters belong to the whole process: not for several threads at once.

    Meanwhile linear algebra has one thread, unless OMP_NUM_THREADS says otherwise: its products are small, and further
    threads spin while they wait for them.
    """
    before = dict(os.environ)
    one_thread = nullcontext() if "OMP_NUM_THREADS" in before else threadpool_limits(limits=1, user_api="blas")
    with warnings.catch_warnings(), one_thread:
        try:
            yield
        finally:
            for name in os.environ.keys() - before.keys():
                del os.environ[name]
            os.environ.update(before)
