"""Guess before training how well a source model will transfer; compare features."""

import numpy as np
from scipy.linalg import solve
from scipy.optimize import minimize_scalar
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import KNeighborsClassifier

from .errors import CourseError


def logme(features: np.ndarray, y: np.ndarray) -> float:
    """Score features by the evidence of linear models on them.

    For each class a Bayesian linear regression predicts "this class, or another". Its
    evidence is the probability of the labels with all weights averaged over; strength
    of the prior and noise are the ones that make it largest.

    Parameters
    ----------
    features : ndarray, shape (n, d)
        What the source model's body says about n labelled target examples.
    y : ndarray, shape (n,)
        Their classes, two different ones at least.

    Returns
    -------
    float
        Mean log evidence per example and class, nats; larger is better. Unbounded, to
        be compared among source models on the same examples only.

    Raises
    ------
    CourseError
        If rows and labels do not fit.

    Source
    ------
    You et al. 2021, LogME: Practical Assessment of Pre-trained Models.
    """
    f, targets = _pair(features, y)
    u, s, _ = np.linalg.svd(f, full_matrices=False)
    seen = (u.T @ targets) ** 2  # (rank, n_classes), their power along each direction
    rest = targets.sum(axis=0) - seen.sum(axis=0)

    def nll(log_ratio: float, seen: np.ndarray, rest: float) -> float:
        """Of prior and noise in this ratio the best strength of both is known."""
        spread = 1 + (s / max(s[0], 1e-30)) ** 2 / np.exp(log_ratio)
        noise = ((seen / spread).sum() + rest) / len(f)
        return (np.log(2 * np.pi * np.e * noise) + np.log(spread).sum() / len(f)) / 2

    found = [minimize_scalar(nll, bounds=(-20, 20), args=a) for a in zip(seen.T, rest)]
    return -float(np.mean([best.fun for best in found]))


def leep(probabilities: np.ndarray, y: np.ndarray) -> float:
    """Score a source model by what its source classes tell about the target's.

    Parameters
    ----------
    probabilities : ndarray, shape (n, n_source_classes)
        The source model's own answers to n labelled target examples.
    y : ndarray, shape (n,)

    Returns
    -------
    float, <= 0
        Mean log probability of the right class, nats, if each source class is
        translated into the target classes it was seen with; larger is better.

    Source
    ------
    Nguyen et al. 2020, LEEP: A New Measure to Evaluate Transferability.
    """
    p, targets = _pair(probabilities, y)
    joint = targets.T @ p / len(p)  # (n_classes, n_source_classes)
    given = joint / np.maximum(joint.sum(axis=0), 1e-30)
    return float(np.log(np.maximum((p @ given.T)[targets.astype(bool)], 1e-30)).mean())


def h_score(features: np.ndarray, y: np.ndarray) -> float:
    """Score features by how far apart the classes lie, for their spread.

    The spread is estimated with shrinkage: with fewer examples than features the plain
    covariance is singular, and every source model would get the same, highest score.

    Parameters
    ----------
    features : ndarray, shape (n, d)
    y : ndarray, shape (n,)

    Returns
    -------
    float, 0 … n_classes - 1
        Larger is better.

    Source
    ------
    Bao et al. 2019, An Information-Theoretic Approach to Transferability; shrinkage:
    Ibrahim et al. 2021, Newer Is Not Always Better; Ledoit and Wolf 2004.
    """
    f, targets = _pair(features, y)
    shrunk = LedoitWolf(store_precision=False).fit(f)
    means = targets.T @ f / targets.sum(axis=0)[:, None] - shrunk.location_
    spread = shrunk.covariance_ + 1e-30 * np.eye(f.shape[1])
    share = solve(spread, means.T, assume_a="pos").T * means
    return float((1 - shrunk.shrinkage_) * share.sum(axis=1) @ targets.mean(axis=0))


def knn_score(features: np.ndarray, y: np.ndarray, *, n_neighbors: int = 5) -> float:
    """Score features by asking each example's neighbours for its class.

    Parameters
    ----------
    features : ndarray, shape (n, d)
    y : ndarray, shape (n,)
    n_neighbors : int
        Others that vote, 1 … n - 1, the nearer the more; nearness is the angle between
        centred features.

    Returns
    -------
    float, 0 … 1
        Accuracy, each example left out in turn.

    Source
    ------
    Renggli et al. 2022, Which Model to Transfer?
    """
    f, _ = _pair(features, y)
    voters = KNeighborsClassifier(n_neighbors, weights="distance", metric="cosine")
    # Without rows to predict it leaves out each of its own in turn.
    return float(voters.fit(f - f.mean(axis=0), y).score(None, y))


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
        problem = f"Features of shapes {a.shape} and {b.shape} cannot be compared."
        raise CourseError(problem, "Give rows for the same pictures, two at least.")
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    norms = np.linalg.norm(a @ a.T) * np.linalg.norm(b @ b.T)
    return float(((a @ a.T) * (b @ b.T)).sum() / max(norms, 1e-30))


def rank_agreement(
    scores: np.ndarray, truth: np.ndarray, *, n_draws: int = 1000, seed: int = 0
) -> tuple[float, float, float]:
    """Tell how well scores order source models, and how sure that is.

    Parameters
    ----------
    scores, truth : ndarray, shape (n_targets, n_sources)
        A score before training, and what was reached after it.
    n_draws : int
        Bootstrap draws of the source models.
    seed : int

    Returns
    -------
    tau, low, high : float, -1 … 1
        Kendall's rank correlation within each target, averaged; and its 95 % interval:
        where it would lie with other source models like these.

    Source
    ------
    Kendall 1938; Efron 1979 (bootstrap).
    """
    # Who is ahead of whom, (n_targets, n_sources, n_sources).
    a, b = (np.sign(v[:, :, None] - v[:, None, :]) for v in (scores, truth))

    def tau(columns: np.ndarray) -> float:
        p, q = (v[:, columns][:, :, columns] for v in (a, b))
        pairs = np.sqrt((p**2).sum((1, 2)) * (q**2).sum((1, 2)))
        return float(((p * q).sum((1, 2)) / np.maximum(pairs, 1)).mean())

    rng, k = np.random.default_rng(seed), a.shape[1]
    draws = [tau(rng.integers(k, size=k)) for _ in range(n_draws)]
    return tau(np.arange(k)), *map(float, np.quantile(draws, (0.025, 0.975)))


def _pair(rows: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows as float64 and the classes as columns of zeros and ones."""
    rows, y = np.asarray(rows, dtype=np.float64), np.asarray(y)
    classes = np.unique(y)
    if rows.ndim != 2 or y.shape != rows.shape[:1] or len(classes) < 2:
        problem = f"Got rows of shape {rows.shape}, {y.shape} labels: {classes[:9]}."
        raise CourseError(problem, "Give a row and a label per example, two classes.")
    return rows, (y[:, None] == classes).astype(np.float64)
