"""Judge probabilities: are they right as often as they say, do they know their limits?

Everywhere ``p`` holds probabilities, ndarray, shape (n, n_classes), float, rows that
sum to 1, and ``y`` the true class numbers, shape (n,), int, 0 … n_classes - 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import CourseError

TINY = 1e-12


def entropy(p: np.ndarray) -> np.ndarray:
    """Return how undecided each row is: nats, shape (n,), 0 … log(n_classes)."""
    p = _probabilities(p)
    return -(p * np.log(np.clip(p, TINY, 1))).sum(axis=1)


def nll(p: np.ndarray, y: np.ndarray) -> float:
    """Return the negative log-likelihood: mean of -log p of the true class, nats."""
    p, y = _pair(p, y)
    return float(-np.log(np.clip(p[np.arange(len(y)), y], TINY, 1)).mean())


def brier(p: np.ndarray, y: np.ndarray) -> float:
    """Return the Brier score: mean squared distance to the truth, 0 … 2.

    Source
    ------
    Brier 1950, over all classes.
    """
    p, y = _pair(p, y)
    return float(((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1).mean())


@dataclass(frozen=True)
class Reliability:
    """What a reliability diagram shows, one entry per bin that holds a row.

    Attributes
    ----------
    confidence, accuracy : ndarray, shape (n_filled_bins,), 0 … 1
        Mean probability of the predicted class, and the share that was right.
    count : ndarray, shape (n_filled_bins,), int
        Rows in the bin.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray


def reliability(p: np.ndarray, y: np.ndarray, *, n_bins: int = 10) -> Reliability:
    """Sort predictions into bins of confidence and count how many are right.

    Parameters
    ----------
    p, y : see the module
    n_bins : int
        Bins of equal width on 0 … 1.

    Source
    ------
    Guo et al. 2017, On Calibration of Modern Neural Networks.
    """
    p, y = _pair(p, y)
    sure, right = p.max(axis=1), p.argmax(axis=1) == y
    # Half-open bins (low, high], as in the paper.
    bins = np.clip(np.ceil(sure * n_bins).astype(int) - 1, 0, n_bins - 1)
    count = np.bincount(bins, minlength=n_bins)
    used = count > 0
    means = [
        np.bincount(bins, weights=v, minlength=n_bins)[used] / count[used]
        for v in (sure, right)
    ]
    return Reliability(*means, count[used])


def ece(p: np.ndarray, y: np.ndarray, *, n_bins: int = 10) -> float:
    """Return the expected calibration error: mean gap of confidence and accuracy.

    0 is perfect. With few test rows it is biased upwards, for every model alike.

    Source
    ------
    Naeini et al. 2015; Guo et al. 2017.
    """
    table = reliability(p, y, n_bins=n_bins)
    gaps = np.abs(table.confidence - table.accuracy)
    return float((gaps * table.count).sum() / table.count.sum())


def abstention_curve(
    p: np.ndarray, y: np.ndarray, *, doubt: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Let the model answer only where its doubt is smallest.

    Parameters
    ----------
    p, y : see the module
    doubt : ndarray, shape (n,), or None
        Larger is less certain; None takes the entropy.

    Returns
    -------
    coverage, accuracy : ndarray, shape (n,), 0 … 1
        Share of the rows that get an answer, and accuracy on them.

    Source
    ------
    El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017.
    """
    p, y = _pair(p, y)
    # Rows of equal doubt share their accuracy, so the order of the rows is no matter.
    doubt = np.round(entropy(p) if doubt is None else doubt, 9)
    _, ties = np.unique(doubt, return_inverse=True)
    right = np.bincount(ties, p.argmax(axis=1) == y) / np.bincount(ties)
    right = right[np.sort(ties)]
    answered = np.arange(1, len(y) + 1)
    return answered / len(y), np.cumsum(right) / answered


def abstention_score(p: np.ndarray, y: np.ndarray) -> float:
    """Return the area under the abstention curve, 0 … 1, higher is better."""
    return float(abstention_curve(p, y)[1].mean())


def unknown_score(known: np.ndarray, unknown: np.ndarray) -> float:
    """Return how well doubt tells pictures of no known class from the others.

    Parameters
    ----------
    known, unknown : ndarray, shape (n, n_classes)
        Probabilities for pictures of the known classes, and of none of them.

    Returns
    -------
    float
        Share of the pairs in which the unknown picture has the higher entropy (area
        under the ROC curve): 1 always, 0.5 no better than chance.

    Source
    ------
    Hendrycks and Gimpel 2017.
    """
    from sklearn.metrics import roc_auc_score

    doubt = np.concatenate([entropy(known), entropy(unknown)])
    return float(roc_auc_score(np.repeat([0, 1], [len(known), len(unknown)]), doubt))


def fit_temperature(p: np.ndarray, y: np.ndarray) -> float:
    """Find the temperature that makes held-out probabilities fit best.

    Parameters
    ----------
    p, y : see the module
        Predictions for rows that the model was **not** fitted on.

    Returns
    -------
    float, 0.05 … 20
        Above 1: the model was too certain.

    Source
    ------
    Guo et al. 2017.
    """
    from scipy.optimize import minimize_scalar

    p, y = _pair(p, y)
    found = minimize_scalar(
        lambda t: nll(apply_temperature(p, np.exp(t)), y),
        bounds=(np.log(0.05), np.log(20)),
        method="bounded",
    )
    return float(np.exp(found.x))


def apply_temperature(p: np.ndarray, temperature: float) -> np.ndarray:
    """Soften (above 1) or sharpen (below 1) probabilities; the order stays."""
    if not temperature > 0:
        raise CourseError(f"A temperature of {temperature} is none.", "Give one > 0.")
    logits = np.log(np.clip(_probabilities(p), TINY, 1)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _probabilities(p: Any) -> np.ndarray:
    p = np.asarray(p, dtype=float)
    sums = p.sum(axis=1) if p.ndim == 2 and len(p) and p.min() >= 0 else 0
    if not np.allclose(sums, 1, atol=1e-3):
        raise CourseError(
            f"Probabilities were expected, rows that sum to 1; got shape {p.shape}.",
            "Give what predict_proba returns.",
        )
    return p


def _pair(p: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    p, y = _probabilities(p), np.asarray(y)
    if y.shape != p.shape[:1] or y.dtype.kind not in "iu" or not _inside(y, p):
        raise CourseError(
            f"{len(p)} rows need {len(p)} class numbers, 0 … {p.shape[1] - 1}; got "
            f"shape {y.shape}, {y.dtype}.",
            "Turn names into numbers: `np.searchsorted(model.classes_, y)`.",
        )
    return p, y


def _inside(y: np.ndarray, p: np.ndarray) -> bool:
    return bool(0 <= y.min() and y.max() < p.shape[1])
