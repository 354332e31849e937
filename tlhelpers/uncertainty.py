"""Judge probabilities: are they right as often as they say, do they know their limits?

Everywhere ``p`` holds probabilities, ndarray, shape (n, n_classes), float, rows that
sum to 1, and ``y`` the true class numbers, shape (n,), int, 0 … n_classes - 1; other
input is refused with a CourseError.
"""

from collections import namedtuple

import numpy as np
from scipy import optimize, special, stats

from .errors import CourseError

#: What a reliability diagram shows, one entry per bin that holds a row, ndarrays of the
#: shape (n_filled_bins,): the mean probability of the predicted class, 0 … 1, the share
#: that was right, 0 … 1, and the number of rows.
Reliability = namedtuple("Reliability", "confidence accuracy count")


def reliability(p: np.ndarray, y: np.ndarray, *, n_bins: int = 10) -> Reliability:
    """Sort predictions into bins of confidence and count how many are right.

    Parameters
    ----------
    p, y : see the module
    n_bins : int, >= 1
        Bins of equal width on 0 … 1; an edge belongs to the lower one.

    Returns
    -------
    Reliability

    Source
    ------
    Guo et al. 2017, On Calibration of Modern Neural Networks.
    """
    p, y = _checked(p, y)
    sure, right = p.max(axis=1), p.argmax(axis=1) == y
    bins = np.ceil(sure * n_bins).clip(1, n_bins)
    _, bins, n = np.unique(bins, return_inverse=True, return_counts=True)
    return Reliability(np.bincount(bins, sure) / n, np.bincount(bins, right) / n, n)


def ece(p: np.ndarray, y: np.ndarray, *, n_bins: int = 10) -> float:
    """Return the expected calibration error: mean gap of confidence and accuracy.

    Parameters
    ----------
    p, y : see the module
    n_bins : int, >= 1

    Returns
    -------
    float, 0 … 1
        0 is perfect. With few test rows it is biased upwards, for every model alike.

    Source
    ------
    Naeini et al. 2015; Guo et al. 2017.
    """
    confidence, accuracy, count = reliability(p, y, n_bins=n_bins)
    return float(np.average(np.abs(confidence - accuracy), weights=count))


def abstention_curve(p: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Let the model answer only where its entropy is smallest.

    Parameters
    ----------
    p, y : see the module

    Returns
    -------
    coverage, accuracy : ndarray, shape (n,), 0 … 1
        Share of the rows that get an answer, and accuracy on them.

    Source
    ------
    El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017.
    """
    p, y = _checked(p, y)
    # Rows of equal doubt share their accuracy, so the order of the rows is no matter.
    _, ties = np.unique(stats.entropy(p, axis=1).round(9), return_inverse=True)
    right = np.bincount(ties, p.argmax(axis=1) == y) / np.bincount(ties)
    answered = np.arange(1, len(y) + 1)
    return answered / len(y), np.cumsum(right[np.sort(ties)]) / answered


def fit_temperature(p: np.ndarray, y: np.ndarray) -> float:
    """Find the temperature that makes held-out probabilities fit best.

    Parameters
    ----------
    p, y : see the module
        Predictions for rows that the model was **not** fitted on.

    Returns
    -------
    float, 0.05 … 20
        The one with the smallest log loss. Above 1: the model was too certain.

    Source
    ------
    Guo et al. 2017.
    """

    def loss(log_temperature: float) -> float:
        q, labels = _checked(apply_temperature(p, np.exp(log_temperature)), y)
        return -np.log(q[np.arange(len(q)), labels].clip(1e-12)).mean()

    return float(np.exp(optimize.minimize_scalar(loss, bounds=np.log([0.05, 20])).x))


def apply_temperature(p: np.ndarray, temperature: float) -> np.ndarray:
    """Soften (above 1) or sharpen (below 1) probabilities; the order stays.

    Parameters
    ----------
    p : see the module
    temperature : float, > 0
        Divides the logits.

    Returns
    -------
    ndarray, shape (n, n_classes), float64, rows that sum to 1
    """
    p, _ = _checked(p, np.argmax(p, axis=-1))
    if not temperature > 0:
        raise CourseError(f"A temperature of {temperature} is none.", "Give one > 0.")
    return special.softmax(np.log(p.clip(1e-12)) / temperature, axis=1)


def _checked(p: object, y: object) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and class numbers as arrays that fit each other."""
    p, y = np.atleast_1d(np.asarray(p, dtype=float)), np.asarray(y)
    fits = p.ndim == 2 and p.size and y.shape == p.shape[:1] and y.dtype.kind in "iu"
    fits = fits and p.min() >= 0 and np.allclose(p.sum(axis=1), 1, atol=1e-3)
    if not fits or not np.isin(y, range(p.shape[1])).all():
        got = f"got {p.shape} and {y.dtype}, {y.shape}"
        wanted = f"rows of sum 1, and {len(p)} class numbers, 0 … {p.shape[-1] - 1}"
        hint = "Give predict_proba's; for names `np.searchsorted(model.classes_, y)`."
        raise CourseError(f"Probabilities were expected, {wanted}; {got}.", hint)
    return p, y
