"""Heads on frozen features, and the fine-tuned network, as scikit-learn classifiers.

A head takes rows of features; in front of it stand, in a pipeline, a FeatureExtractor
and the CommonScaler. FineTuned takes the pictures themselves.
"""

import warnings
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.linalg import solve_triangular
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from .errors import CourseError
from .features import extract_features, stack_pictures
from .sources import SourceModel
from .surgery import freeze_batch_norm, replace_head, without_scaling
from .training import augment, fit, predict_proba

VARIANCES = np.geomspace(1e-5, 1, 11)
TEMPERATURES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.0)


class CommonScaler(TransformerMixin, BaseEstimator):
    """Centre each feature and divide all of them by one common scale.

    A scale for each feature would make one that hardly varies as loud as the others.

    Attributes
    ----------
    mean_ : ndarray, shape (n_features,), float64
    scale_ : float, > 0
        Root of the mean variance; 1 where nothing varies.
    """

    def fit(self, X: np.ndarray, y: np.typing.ArrayLike = None) -> "CommonScaler":
        """Learn centre and scale from rows of features, shape (n, n_features)."""
        X = validate_data(self, X, dtype=np.float64)
        self.mean_ = X.mean(axis=0)
        self.scale_ = float(np.sqrt(X.var(axis=0).mean())) or 1.0
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the scaled rows, shape (n, n_features), float64."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return (X - self.mean_) / self.scale_


class _Head(ClassifierMixin, BaseEstimator):
    """What our heads share; each learns in ``_learn`` and predicts in ``_average``."""

    def fit(self, X: np.typing.ArrayLike, y: np.typing.ArrayLike) -> "_Head":
        """Learn the head.

        Parameters
        ----------
        X : rows of features, (n, n_features), or pictures, (n, 3, size, size), uint8
        y : array-like, shape (n,)
            Labels: numbers or names, at least two different ones.

        Raises
        ------
        CourseError, ValueError
            If there is one class only, or rows and labels do not fit.
        """
        X, y = validate_data(self, y=y, **self._input(X))
        self.classes_, y = unique_labels(y), np.unique(y, return_inverse=True)[1]
        if len(self.classes_) < 2:
            one = self.classes_.tolist()[0]
            raise CourseError(f"There is only one class, {one!r}.", "Give two or more.")
        self._learn(X, y)
        return self

    def predict_proba(self, X: np.typing.ArrayLike) -> np.ndarray:
        """Return the probabilities of the classes, shape (n, n_classes), float64."""
        check_is_fitted(self)
        p = self._average(validate_data(self, reset=False, **self._input(X)))
        return p / p.sum(axis=1, keepdims=True, dtype=np.float64)

    def predict(self, X: np.typing.ArrayLike) -> np.ndarray:
        """Return the likeliest class of each row, shape (n,)."""
        p = self.predict_proba(X)  # fitted first: there is no classes_ before
        return self.classes_[p.argmax(axis=1)]

    def _input(self, X: np.typing.ArrayLike) -> dict[str, object]:
        return {"X": X, "dtype": np.float64}


class GaussianProcess(_Head):
    """Classify by a Gaussian process whose width comes from the data.

    It is scikit-learn's GaussianProcessClassifier, one class against the rest. The
    width of its kernel is the one that makes the labels likeliest (the evidence), so
    nothing is left to choose; with fewer than three examples of a class, which show no
    width, it is the typical distance of scaled features. Exact, hence for at most 500
    examples: its time grows with their cube.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
        The labels, sorted; the columns of ``predict_proba``.
    process_ : GaussianProcessClassifier

    Source
    ------
    Rasmussen and Williams 2006, chapter 3 (Laplace's approximation).
    """

    def _learn(self, x: np.ndarray, y: np.ndarray) -> None:
        if len(x) > 500:
            raise CourseError(f"{len(x)} examples; 500 are the limit.", "Take fewer.")
        width = np.sqrt(x.shape[1])
        kernel = ConstantKernel(10.0, (0.1, 1e3)) * RBF(width, (width / 10, width * 10))
        search = "fmin_l_bfgs_b" if np.bincount(y).min() >= 3 else None
        self.process_ = GaussianProcessClassifier(kernel, optimizer=search)
        with warnings.catch_warnings():
            # A width at the end of its range is a choice, not a failure.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.process_.fit(x, y)

    def _average(self, x: np.ndarray) -> np.ndarray:
        return self.process_.predict_proba(x)


@dataclass(eq=False, repr=False, kw_only=True)  # its __init__ only stores
class BayesianLogistic(_Head):
    """A Bayesian last layer: many likely weight matrices instead of one.

    Logistic regression is the peak of a posterior over weights. Around it the
    posterior is approximated by a Gaussian (Laplace), weights are drawn from it, and
    their predictions averaged: far from the examples the draws disagree, and the
    average becomes undecided. Where examples and classes are many, the directions in
    which the examples vary least are left to the prior.

    Parameters
    ----------
    variance : float or None
        Of the Gaussian prior of each weight, > 0, for features that vary by about 1.
        None takes the one that makes the labels likeliest (the evidence).
    temperature : float or None
        Of the posterior, 0 … 1: 1 is Bayes' rule, which with few examples of many
        features is much too modest; less is a "cold" posterior; 0 its peak alone. None
        takes what predicts held-out examples best.
    n_samples : int
        Weight matrices drawn, >= 1.
    random_state : int or None
        Seed of the draws.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
        The labels, sorted; the columns of ``predict_proba``.
    variance_, temperature_ : float
        As given, or as chosen.
    evidence_ : float
        Log of the probability of the labels, nats, under the approximation.
    axes_ : ndarray, shape (n_features, rank)
        Directions that the examples span; weights elsewhere are the prior's.
    peak_ : ndarray, shape (n_classes, rank + 1)
        Likeliest weights along the axes, the bias last.
    cholesky_ : ndarray, shape (n_classes * (rank + 1), n_classes * (rank + 1))
        Lower factor of the posterior's precision.
    steps_ : ndarray, shape (n_samples, n_classes, rank + 1)
        From the peak to the draws, at temperature 1.

    Source
    ------
    MacKay 1992, The Evidence Framework Applied to Classification Networks; Kristiadi,
    Hein and Hennig 2020, Being Bayesian, Even Just a Bit, Fixes Overconfidence; Wenzel
    et al. 2020, How Good is the Bayes Posterior in Deep Neural Networks Really?
    """

    variance: float | None = None
    temperature: float | None = None
    n_samples: int = 200
    random_state: int | None = 0

    def _learn(self, x: np.ndarray, y: np.ndarray) -> None:
        self.seed_ = np.random.RandomState(self.random_state).randint(2**31)
        best = self.variance or max(VARIANCES, key=lambda v: self._approximate(x, y, v))
        given = self.temperature
        self.temperature_ = self._held_out(x, y, best) if given is None else given
        self.evidence_ = self._approximate(x, y, best)

    def _held_out(self, x: np.ndarray, y: np.ndarray, variance: float) -> float:
        """Return the temperature under which held-out examples are likeliest."""
        if (smallest := np.bincount(y).min()) < 3:
            return 1.0
        loss = dict.fromkeys(TEMPERATURES, 0.0)
        folds = StratifiedKFold(min(5, smallest), shuffle=True, random_state=self.seed_)
        for learn, judge in folds.split(x, y):
            self._approximate(x[learn], y[learn], variance)
            for self.temperature_ in TEMPERATURES:
                p = self._average(x[judge])[range(len(judge)), y[judge]]
                loss[self.temperature_] -= np.log(p.clip(1e-12)).sum()
        return min(loss, key=loss.get)

    def _approximate(self, x: np.ndarray, y: np.ndarray, variance: float) -> float:
        """Find the posterior's peak and curvature, draw; return the log evidence."""
        self.variance_ = variance
        k = int(y.max()) + 1
        _, s, vt = np.linalg.svd(x, full_matrices=False)
        # More than 2,000 rows of the Hessian would take gigabytes.
        rank = max(1, min(int((s > 1e-6 * s[0]).sum()), 2000 // k - 1))
        self.axes_ = vt[:rank].T
        z = np.c_[x @ self.axes_, np.ones(len(x))]  # (n, rank + 1), 1 for the bias
        # Of two classes scikit-learn keeps the difference only, of twice the variance.
        c = variance * (2 if k == 2 else 1)
        head = LogisticRegression(C=c, max_iter=2000, tol=1e-6).fit(z[:, :-1], y)
        weights = np.c_[head.coef_, head.intercept_]
        self.peak_ = weights if k > 2 else np.r_[-weights, weights] / 2
        p = softmax(z @ self.peak_.T, axis=1)  # (n, k)
        # Curvature of -log posterior: prior plus sum of (diag p - p pT) x (z zT).
        shares = p.T[:, :, None] * (np.eye(k)[:, None] - p)  # (k, n, k)
        blocks = [z.T @ (q[..., None] * z[:, None]).reshape(len(z), -1) for q in shares]
        # A bias may be anything; a wide prior keeps the curvature invertible.
        prior = np.tile(np.r_[np.full(rank, 1 / variance), 1e-2], k)
        self.cholesky_ = np.linalg.cholesky(np.concatenate(blocks) + np.diag(prior))
        rng, size = np.random.RandomState(self.seed_), (k * (rank + 1), self.n_samples)
        steps = solve_triangular(self.cholesky_.T, rng.standard_normal(size)).T
        self.steps_ = steps.reshape(-1, k, rank + 1)
        self.noise_ = rng.standard_normal((self.n_samples, k))
        fit = np.log(p[range(len(y)), y].clip(1e-300)).sum()
        penalty = (prior @ self.peak_.ravel() ** 2 - np.log(prior).sum()) / 2
        return fit - penalty - np.log(np.diag(self.cholesky_)).sum()

    def _average(self, x: np.ndarray) -> np.ndarray:
        """Average the predictions of all draws."""
        along = x @ self.axes_  # (n, rank)
        weights = self.peak_ + np.sqrt(self.temperature_) * self.steps_
        logits = np.c_[along, np.ones(len(x))] @ weights.transpose(0, 2, 1)
        # What lies off the axes is decided by the prior alone.
        off = (x**2).sum(axis=1) - (along**2).sum(axis=1)  # (n,), squared lengths
        scale = np.sqrt(self.variance_ * self.temperature_ * off.clip(0))
        logits += scale[:, None] * self.noise_[:, None]  # (n_samples, n, k)
        return softmax(logits, axis=-1).mean(axis=0)


@dataclass(eq=False, repr=False, kw_only=True)  # its __init__ only stores
class FineTuned(_Head):
    """Fine-tune a copy of the network, its head started as logistic regression.

    It learns from eight pictures at a time. Layers that are frozen in the source model
    stay frozen, and so does batch-norm.

    Parameters
    ----------
    source : SourceModel, nn.Module or None
        A bare network takes the pictures as they are. None: the head alone, on rows of
        features.
    epochs : int
        Passes over the examples, >= 1.
    lr, body_factor : float
        Rate of the head, > 0; the body learns at ``lr * body_factor``.
    random_state : int or None
        Seed of order and augmentation.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
        The labels, sorted; the columns of ``predict_proba``.
    network_ : nn.Module
        The tuned copy; the source model stays as it is.

    Source
    ------
    Kumar et al. 2022, Fine-Tuning can Distort Pretrained Features.
    """

    source: SourceModel | torch.nn.Module | None = field(default=None, kw_only=False)
    epochs: int = 8
    lr: float = 1e-3
    body_factor: float = 0.03
    random_state: int | None = 0

    def _learn(self, x: np.ndarray, y: np.ndarray) -> None:
        k, x = len(self.classes_), torch.as_tensor(x)
        seed = np.random.RandomState(self.random_state).randint(2**31)
        normalize = getattr(self.source, "normalize", torch.nn.Identity())
        how = {n: getattr(self, n) for n in ("epochs", "lr", "body_factor")}
        how["transform"] = lambda b: normalize(augment(b) if b.ndim == 4 else b)
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(seed)  # of augmentation and dropout
            source = self.source or torch.nn.Sequential(torch.nn.Linear(x.shape[1], k))
            f = extract_features(source, x)
            scaler = CommonScaler().fit(f)
            head = LogisticRegression(max_iter=2000).fit(scaler.transform(f), y)
            head = without_scaling(head, scaler.mean_, scaler.scale_)
            network = deepcopy(getattr(source, "model", source))
            self.network_ = freeze_batch_norm(replace_head(network, k, like=head))
            fit(self.network_, (x, torch.as_tensor(y)), batch_size=8, seed=seed, **how)

    def _average(self, x: np.ndarray) -> np.ndarray:
        normalize = getattr(self.source, "normalize", None)
        return predict_proba(self.network_, torch.as_tensor(x), transform=normalize)

    def _input(self, X: np.typing.ArrayLike) -> dict[str, object]:
        X = X if self.source is None else stack_pictures(X)
        return {"X": X, "dtype": [np.float32, np.uint8], "allow_nd": True}
