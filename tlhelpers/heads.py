"""Simple heads on frozen features, as scikit-learn classifiers.

Each takes pictures where it has an ``extractor``, and rows of features where not.
"""

from __future__ import annotations

import json
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .errors import CourseError
from .features import FeatureExtractor, layer_names, stack_pictures
from .sources import load_source
from .surgery import freeze_batch_norm, replace_head, without_scaling
from .training import augment, fit, predict_proba

GP_LIMIT = 500


class Repurposer(ClassifierMixin, BaseEstimator):
    """What all repurposers share: features in, a head on top, save and load.

    A subclass stores its parameters in ``__init__`` and makes its head in
    ``_fit_head``; a head has ``predict_proba(features)``.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
        The labels, sorted; the columns of ``predict_proba``.
    features_ : ndarray, shape (n, n_features), float32
        Of the examples; new features are centred and scaled as these are.
    seed_ : int
        What ``random_state`` became; kept, so that loading gives the same again.
    """

    extractor: FeatureExtractor | None = None

    def fit(self, X: Any, y: Any) -> Repurposer:
        """Learn the head.

        Parameters
        ----------
        X : pictures, (n, 3, size, size), uint8; without extractor features, (n, d)
        y : array-like, shape (n,)
            Labels: numbers or names, at least two different ones.

        Raises
        ------
        CourseError, ValueError
            If there is one class only, a row for each class is missing, or features
            are not numbers.
        """
        features, y = validate_data(self, self._features(X), y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise CourseError(
                f"There is only one class, {self.classes_.tolist()[0]!r}.",
                "Give examples of at least two classes.",
            )
        if len(self.classes_) == len(y) > 20:
            raise CourseError(
                f"Each of the {len(y)} examples has a class of its own.",
                "Give several examples of most classes; are these numbers to predict?",
            )
        # In single precision, so that a repurposer that was kept is the very same.
        self.features_, self.codes_ = features.astype(np.float32), codes
        seed = check_random_state(getattr(self, "random_state", 0))
        self.seed_ = int(seed.randint(2**31))
        self.head_ = self._fit_head(self._scaled(self.features_), codes)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of the classes, shape (n, n_classes), float64."""
        check_is_fitted(self)
        features = self._features(X)
        features = validate_data(self, features, dtype=np.float64, reset=False)
        p = np.asarray(self.head_.predict_proba(self._scaled(features)), dtype=float)
        return p / p.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest class of each row, shape (n,)."""
        # Fitted first: there is no classes_ before.
        p = self.predict_proba(X)
        return self.classes_[p.argmax(axis=1)]

    def save(self, path: str | Path) -> Path:
        """Keep the fitted repurposer in a folder: JSON and safetensors, no pickle.

        What is kept are the features of the examples and their labels: ``load`` fits
        the head again, which takes seconds and gives the same head.
        """
        from safetensors.numpy import save_file

        check_is_fitted(self)
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {"features": self.features_, "codes": self.codes_.astype(np.int64)}
        save_file(arrays, folder / "examples.safetensors")
        parameters = self.get_params(deep=False)
        extractor = parameters.pop("extractor")
        kept = {
            "class": type(self).__name__,
            "parameters": parameters,
            "labels": self.classes_.tolist(),
            "n_features_in": self.n_features_in_,
            "seed": self.seed_,
        }
        if extractor is not None:
            kept["source"] = getattr(extractor.source, "name", "")
            kept["layer"] = extractor.layer
            kept["fingerprint"] = extractor.fingerprint()
        # A grid search sets numbers of NumPy, which JSON does not know.
        text = json.dumps(kept, indent=1, ensure_ascii=False, default=np.generic.item)
        (folder / "repurposer.json").write_text(text + "\n", encoding="utf-8")
        return folder

    def _features(self, X: Any) -> Any:
        return X if self.extractor is None else self.extractor.transform(X)

    def _scaling(self) -> tuple[np.ndarray, float]:
        examples = self.features_.astype(np.float64)
        # One scale for all: a feature that hardly varies shall not become loud.
        return examples.mean(axis=0), float(np.sqrt(examples.var(axis=0).mean())) or 1.0

    def _scaled(self, features: np.ndarray) -> np.ndarray:
        center, scale = self._scaling()
        return (features - center) / scale

    def _restore(self, folder: Path) -> None:
        self.head_ = self._fit_head(self._scaled(self.features_), self.codes_)

    def _fit_head(self, features: np.ndarray, y: np.ndarray) -> Any:
        raise NotImplementedError


def load_repurposer(
    path: str | Path, *, extractor: FeatureExtractor | None = None
) -> Repurposer:
    """Load what :meth:`Repurposer.save` kept.

    Parameters
    ----------
    path : folder
    extractor : FeatureExtractor or None
        None loads the source model by the name it was kept under.

    Raises
    ------
    CourseError
        If the folder holds no repurposer, or the network is not the one it was fitted
        with.
    """
    from safetensors.numpy import load_file

    folder = Path(path)
    if not (folder / "repurposer.json").is_file():
        raise CourseError(f"{folder} holds no repurposer.", "Check the path.")
    kept = json.loads((folder / "repurposer.json").read_text(encoding="utf-8"))
    kinds = {kind.__name__: kind for kind in Repurposer.__subclasses__()}
    if "fingerprint" in kept:
        if extractor is None and kept["source"]:
            extractor = FeatureExtractor(load_source(kept["source"]), kept["layer"])
        same = extractor is not None and extractor.fingerprint() == kept["fingerprint"]
        if not same or layer_names(extractor.layer) != layer_names(kept["layer"]):
            raise CourseError(
                "The network, or its layer, is not the one this repurposer was fitted "
                "with.",
                "Give the extractor with that network: load_repurposer(path, "
                "extractor=...).",
            )
    made = kinds[kept["class"]](extractor, **kept["parameters"])
    arrays = load_file(folder / "examples.safetensors")
    made.features_, made.codes_ = arrays["features"], arrays["codes"]
    made.classes_ = np.array(kept["labels"])
    made.n_features_in_, made.seed_ = kept["n_features_in"], kept["seed"]
    made._restore(folder)
    return made


class LogisticRepurposer(Repurposer):
    """Logistic regression: one linear layer, the yardstick of the course.

    Parameters
    ----------
    extractor : FeatureExtractor or None
    C : float
        Freedom of the weights, > 0; smaller is simpler.
    """

    def __init__(
        self, extractor: FeatureExtractor | None = None, *, C: float = 1.0
    ) -> None:
        self.extractor, self.C = extractor, C

    def _fit_head(self, features: np.ndarray, y: np.ndarray) -> Any:
        return LogisticRegression(C=self.C, max_iter=2000).fit(features, y)


class SVMRepurposer(Repurposer):
    """Support vector machine with a Gaussian kernel.

    Its probabilities come from a logistic curve over the decision values, fitted by
    cross-validation (Platt 1999) where each class has at least three examples.

    Parameters
    ----------
    extractor : FeatureExtractor or None
    C : float
        Freedom, > 0.
    random_state : int or None
        Seed of the cross-validation.
    """

    def __init__(
        self,
        extractor: FeatureExtractor | None = None,
        *,
        C: float = 3.0,
        random_state: int | None = 0,
    ) -> None:
        self.extractor, self.C, self.random_state = extractor, C, random_state

    def _fit_head(self, features: np.ndarray, y: np.ndarray) -> Any:
        machine = SVC(C=self.C, random_state=self.seed_)
        smallest = np.bincount(y).min()
        if smallest < 3:
            return _Softmax(machine.fit(features, y))
        folds = StratifiedKFold(min(5, smallest), shuffle=True, random_state=self.seed_)
        curve = CalibratedClassifierCV(machine, cv=folds, ensemble=False)
        return curve.fit(features, y)


class _Softmax:
    """Probabilities from decision values, where too few examples allow a curve."""

    def __init__(self, machine: SVC) -> None:
        self.machine = machine

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        values = self.machine.decision_function(features)
        return softmax(np.c_[-values, values] if values.ndim == 1 else values, axis=-1)


class KNNRepurposer(Repurposer):
    """The classes of the nearest examples, by the angle between features.

    Nearer ones weigh more, or a few examples, all of which vote, would always tie.

    Parameters
    ----------
    extractor : FeatureExtractor or None
    n_neighbors : int
        Examples that vote, >= 1; all of them where there are fewer.
    """

    def __init__(
        self, extractor: FeatureExtractor | None = None, *, n_neighbors: int = 5
    ) -> None:
        self.extractor, self.n_neighbors = extractor, n_neighbors

    def _fit_head(self, features: np.ndarray, y: np.ndarray) -> Any:
        k = min(self.n_neighbors, len(y))
        voters = KNeighborsClassifier(k, weights="distance", metric="cosine")
        return voters.fit(features, y)


class GPRepurposer(Repurposer):
    """Gaussian process with a Gaussian kernel, one class against the rest.

    The width of the kernel is the one that makes the labels likeliest, so nothing is
    left to choose; with fewer than three examples of a class, which show no width, it
    is the typical distance. Exact, hence for a few hundred examples.

    Parameters
    ----------
    extractor : FeatureExtractor or None

    Source
    ------
    Rasmussen and Williams 2006, chapter 3 (Laplace's approximation).
    """

    def __init__(self, extractor: FeatureExtractor | None = None) -> None:
        self.extractor = extractor

    def _fit_head(self, features: np.ndarray, y: np.ndarray) -> Any:
        if len(y) > GP_LIMIT:
            raise CourseError(
                f"{len(y)} examples are too many for an exact Gaussian process: its "
                f"time grows with their cube, {GP_LIMIT} are the limit.",
                "Take a sample, or LogisticRepurposer.",
            )
        width = np.sqrt(features.shape[1])
        kernel = ConstantKernel(10.0, (0.1, 1e3)) * RBF(width, (width / 10, width * 10))
        search = "fmin_l_bfgs_b" if np.bincount(y).min() >= 3 else None
        process = GaussianProcessClassifier(kernel, optimizer=search)
        with warnings.catch_warnings():
            # A width at the end of its range is a choice, not a failure.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return process.fit(features, y)


class BNNRepurposer(Repurposer):
    """A Bayesian last layer: many likely weight matrices instead of one.

    Logistic regression is the peak of a posterior over weights. Around it the
    posterior is approximated by a Gaussian (Laplace), weights are drawn from it, and
    their predictions averaged: far from the examples the draws disagree, and the
    average becomes undecided. The width of the prior is the one that makes the labels
    likeliest (the evidence). Where examples and classes are many, the directions in
    which the examples vary least are left to the prior (``BayesianLayer.LIMIT``).

    Parameters
    ----------
    extractor : FeatureExtractor or None
    temperature : float or None
        Of the posterior, 0 … 1: 1 is Bayes' rule, which with few examples of many
        features is much too modest; less is a "cold" posterior; 0 its peak alone. None
        takes what predicts held-out examples best.
    n_samples : int
        Weight matrices drawn, >= 1.
    random_state : int or None
        Seed of the draws.

    Source
    ------
    MacKay 1992, The Evidence Framework Applied to Classification Networks; Kristiadi,
    Hein and Hennig 2020, Being Bayesian, Even Just a Bit, Fixes Overconfidence; Wenzel
    et al. 2020, How Good is the Bayes Posterior in Deep Neural Networks Really?
    """

    TEMPERATURES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.0)

    def __init__(
        self,
        extractor: FeatureExtractor | None = None,
        *,
        temperature: float | None = None,
        n_samples: int = 200,
        random_state: int | None = 0,
    ) -> None:
        self.extractor, self.temperature = extractor, temperature
        self.n_samples, self.random_state = n_samples, random_state

    def _fit_head(self, features: np.ndarray, y: np.ndarray) -> Any:
        fits = [BayesianLayer(v).fit(features, y) for v in np.geomspace(1e-5, 1, 11)]
        best = max(fits, key=lambda layer: layer.evidence)
        cold = self.temperature
        if cold is None:
            cold = self._coldest(features, y, best.variance)
        return best.draw(self.n_samples, check_random_state(self.seed_), cold)

    def _coldest(self, features: np.ndarray, y: np.ndarray, variance: float) -> float:
        """Return the temperature under which held-out examples are likeliest."""
        smallest = np.bincount(y).min()
        if smallest < 3:
            return 1.0
        folds = StratifiedKFold(min(5, smallest), shuffle=True, random_state=self.seed_)
        surprise = dict.fromkeys(self.TEMPERATURES, 0.0)
        for learn, judge in folds.split(features, y):
            layer = BayesianLayer(variance).fit(features[learn], y[learn])
            for t in surprise:
                layer.draw(self.n_samples, check_random_state(self.seed_), t)
                p = layer.predict_proba(features[judge])[range(len(judge)), y[judge]]
                surprise[t] -= np.log(np.clip(p, 1e-12, 1)).sum()
        return min(surprise, key=surprise.get)


class BayesianLayer:
    """Laplace's approximation of multinomial logistic regression.

    Parameters
    ----------
    variance : float
        Of the Gaussian prior of each weight, > 0.

    Attributes
    ----------
    evidence : float
        Log of the probability of the labels, nats, under the approximation.
    """

    LIMIT = 2000  # rows of the Hessian; more would take gigabytes

    def __init__(self, variance: float) -> None:
        self.variance = variance

    def fit(self, x: np.ndarray, y: np.ndarray) -> BayesianLayer:
        """Find the peak and its curvature, in the directions the examples span."""
        k = int(y.max()) + 1
        # Weights off the span of the examples stay as the prior has them: exact.
        _, s, vt = np.linalg.svd(x, full_matrices=False)
        rank = max(1, min(int((s > 1e-6 * s[0]).sum()), self.LIMIT // k - 1))
        self.axes = vt[:rank].T
        z = np.c_[x @ self.axes, np.ones(len(x))]  # the bias as one more weight
        # Of two classes scikit-learn keeps the difference only, of twice the variance.
        c = self.variance * (2 if k == 2 else 1)
        head = LogisticRegression(C=c, max_iter=2000, tol=1e-6).fit(z[:, :-1], y)
        weights = np.c_[head.coef_, head.intercept_]
        self.peak = weights if k > 2 else np.r_[-weights, weights] / 2
        p = softmax(z @ self.peak.T, axis=-1)
        # Curvature of -log posterior: prior plus sum of (diag p - p pT) x (z zT).
        curvature = np.empty((k, rank + 1, k, rank + 1))
        for i in range(k):
            for j in range(k):
                share = p[:, i] * ((i == j) - p[:, j])
                curvature[i, :, j] = (z * share[:, None]).T @ z
        # A bias may be anything; a wide prior keeps the curvature invertible.
        prior = np.tile(np.r_[np.full(rank, 1 / self.variance), 1e-2], k)
        curvature = curvature.reshape(len(prior), -1) + np.diag(prior)
        self.cholesky = np.linalg.cholesky(curvature)
        flat = self.peak.ravel()
        fit = np.log(np.clip(p[np.arange(len(y)), y], 1e-300, 1)).sum()
        penalty = (prior * flat**2).sum() / 2 - np.log(prior).sum() / 2
        self.evidence = fit - penalty - np.log(np.diag(self.cholesky)).sum()
        return self

    def draw(
        self, n: int, rng: np.random.RandomState, temperature: float = 1.0
    ) -> BayesianLayer:
        """Draw ``n`` weight matrices from the posterior, its variance scaled."""
        from scipy.linalg import solve_triangular

        noise = rng.standard_normal((self.peak.size, n)) * np.sqrt(temperature)
        steps = solve_triangular(self.cholesky.T, noise, lower=False)
        self.draws = self.peak + steps.T.reshape(n, *self.peak.shape)
        self.noise = rng.standard_normal((n, len(self.peak))) * np.sqrt(temperature)
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Average the predictions of all draws, shape (n_rows, n_classes)."""
        inside = x @ self.axes
        logits = np.c_[inside, np.ones(len(x))] @ self.draws.transpose(0, 2, 1)
        # What lies off the span is decided by the prior alone.
        off = np.sqrt(np.maximum((x**2).sum(1) - (inside**2).sum(1), 0))
        logits += np.sqrt(self.variance) * off[None, :, None] * self.noise[:, None]
        return softmax(logits, axis=-1).mean(axis=0)


class FineTuneRepurposer(Repurposer):
    """Fine-tune the network, its head started as logistic regression.

    Layers that are frozen in the source model stay frozen.

    Without extractor the network is the head alone.

    Parameters
    ----------
    extractor : FeatureExtractor or None
        With a SourceModel; the layers it names do not matter here.
    epochs : int
        Passes over the examples, >= 1.
    lr, body_factor : float
        Rate of the head; the body learns at ``lr * body_factor``.
    batch_size : int
    random_state : int or None
        Seed of order and augmentation.
    """

    def __init__(
        self,
        extractor: FeatureExtractor | None = None,
        *,
        epochs: int = 8,
        lr: float = 1e-3,
        body_factor: float = 0.03,
        batch_size: int = 8,
        random_state: int | None = 0,
    ) -> None:
        self.extractor, self.epochs, self.lr = extractor, epochs, lr
        self.body_factor, self.batch_size = body_factor, batch_size
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> FineTuneRepurposer:
        """Learn head and body; see :meth:`Repurposer.fit`."""
        import torch

        if self.extractor is not None and self.extractor.layer is not None:
            raise CourseError(
                f"Fine-tuning keeps the whole network, not {self.extractor.layer!r}.",
                "Give FeatureExtractor(source), without a layer.",
            )
        super().fit(X, y)
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(self.seed_)  # of augmentation and dropout
            self.network_ = self._start()
            fit(
                self.network_,
                (self._inputs(X), torch.as_tensor(self.codes_)),
                epochs=int(self.epochs),
                lr=self.lr,
                body_factor=self.body_factor,
                batch_size=int(self.batch_size),
                seed=self.seed_,
                transform=self._normalize if self.extractor is None else self._augment,
            )
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of the classes, shape (n, n_classes), float64."""
        check_is_fitted(self)
        p = predict_proba(self.network_, self._inputs(X), transform=self._normalize)
        return p.astype(float) / p.sum(axis=1, keepdims=True, dtype=float)

    def save(self, path: str | Path) -> Path:
        """Keep the tuned network, too; see :meth:`Repurposer.save`."""
        from safetensors.torch import save_file

        folder = super().save(path)
        weights = {k: v.contiguous() for k, v in self.network_.state_dict().items()}
        save_file(weights, folder / "network.safetensors")
        return folder

    def _fit_head(self, features: np.ndarray, y: np.ndarray) -> Any:
        return LogisticRegression(max_iter=2000).fit(features, y)

    def _start(self) -> Any:
        """Give a copy of the network the head that logistic regression found."""
        from torch import nn

        head = without_scaling(self.head_, *self._scaling())
        k = len(self.classes_)
        if self.extractor is None:
            network = nn.Sequential(nn.Linear(self.n_features_in_, k))
            return replace_head(network, k, like=head)
        source = self.extractor.source
        network = replace_head(deepcopy(getattr(source, "model", source)), k, like=head)
        return freeze_batch_norm(network)

    def _inputs(self, X: Any) -> Any:
        import torch

        if self.extractor is None:
            X = validate_data(self, X, dtype=np.float32, reset=False)
            return torch.as_tensor(X)
        return torch.from_numpy(stack_pictures(X))

    def _normalize(self, batch: Any) -> Any:
        return batch if self.extractor is None else self.extractor.normalize(batch)

    def _augment(self, batch: Any) -> Any:
        return self._normalize(augment(batch))

    def _restore(self, folder: Path) -> None:
        from safetensors.torch import load_file

        super()._restore(folder)
        self.network_ = self._start()
        self.network_.load_state_dict(load_file(folder / "network.safetensors"))
