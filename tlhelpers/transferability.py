"""Compare representations before and after training."""

from __future__ import annotations

import numpy as np

from .errors import CourseError


def cka(a: np.ndarray, b: np.ndarray) -> float:
    """Measure how similar two representations of the same pictures are.

    Parameters
    ----------
    a, b : ndarray, shape (n, d_a) and (n, d_b)
        Features of the same n pictures, n >= 2, from two layers or two networks.

    Returns
    -------
    float, 0 … 1
        1 where one is a rotation, a reflection or a multiple of the other.

    Source
    ------
    Kornblith et al. 2019, linear centred kernel alignment.
    """
    a, b = (np.asarray(v, dtype=float) for v in (a, b))
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b) or len(a) < 2:
        raise CourseError(
            f"Features of the shapes {a.shape} and {b.shape} cannot be compared.",
            "Compute rows of features for the same pictures, two at least.",
        )
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    norms = np.linalg.norm(a @ a.T) * np.linalg.norm(b @ b.T)
    return float(((a @ a.T) * (b @ b.T)).sum() / max(norms, 1e-30))
