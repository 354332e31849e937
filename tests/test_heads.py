"""One contract for all heads; the Bayesian one against slower, surer ways."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, logsumexp, softmax
from scipy.stats import norm
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

import tlhelpers as tl

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    # The best kernel of a toy problem may well lie at the end of the range.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

#: What the lessons put behind an extractor and the common scale.
HEADS = {
    "logistic": LogisticRegression(max_iter=2000),
    "svm": CalibratedClassifierCV(SVC(C=3, random_state=0), cv=3, ensemble=False),
    "k-nn": KNeighborsClassifier(5, weights="distance", metric="cosine"),
    "gp": tl.GaussianProcess(),
    "bnn": tl.BayesianLogistic(n_samples=50),
}
KINDS = [*HEADS, "fine-tuned"]
COLOURS = np.array(
    [[200, 50, 50], [50, 50, 200], [50, 200, 50], [200, 200, 50], [50, 200, 200]]
)


@parametrize_with_checks(
    [
        tl.CommonScaler(),
        tl.GaussianProcess(),
        tl.BayesianLogistic(n_samples=50),
        tl.FineTuned(epochs=2),
    ]
)
def test_scikit_learn_agrees(estimator, check):
    check(estimator)


# --- one contract for all ---------------------------------------------------------


def pictures(n_per_class: int, n_classes: int = 3, seed: int = 0):
    """Noisy coloured squares, 12 px, uint8, class after class: x, class numbers."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(n_classes), n_per_class)
    noise = rng.normal(0, 30, (len(codes), 3, 12, 12))
    x = COLOURS[codes][:, :, None, None] + noise
    return x.clip(0, 255).astype(np.uint8), codes


def tiny_source(seed: int = 0) -> tl.SourceModel:
    """A seeded network with a convolution, batch-norm, dropout and a head."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(8, 4),
        )
    return tl.SourceModel("tiny", "tiny", model, (0.5,) * 3, (0.25,) * 3)


def tiny_extractor(layer=None) -> tl.FeatureExtractor:
    return tl.FeatureExtractor(tiny_source(), layer)


def on_rows(kind: str, **parameters):
    """The head on rows of features."""
    if kind == "fine-tuned":
        return tl.FineTuned(epochs=2, **parameters)
    head = clone(HEADS[kind]).set_params(**parameters)
    return make_pipeline(tl.CommonScaler(), head)


def on_pictures(kind: str, source: tl.SourceModel | None = None):
    """The head behind an extractor; what is fine-tuned needs none."""
    source = source or tiny_source()
    if kind == "fine-tuned":
        return tl.FineTuned(source, epochs=2)
    extractor = tl.FeatureExtractor(source)
    return make_pipeline(extractor, tl.CommonScaler(), clone(HEADS[kind]))


def names_of(codes):
    return np.array(["red", "blue", "green", "yellow", "cyan"])[codes]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


class TestContract:
    """What every head promises."""

    def test_clone_forgets_the_fit_and_learns_the_same(self, kind):
        x, y = pictures(3)
        fitted = on_pictures(kind).fit(x, y)
        copy = clone(fitted)
        with pytest.raises(NotFittedError):
            copy.predict(x)
        p = copy.fit(x, y).predict_proba(x)
        assert np.array_equal(p, fitted.predict_proba(x))

    def test_unfitted_it_predicts_nothing(self, kind):
        one, (x, _) = on_pictures(kind), pictures(1)
        for call in (one.predict, one.predict_proba):
            with pytest.raises(NotFittedError):
                call(x)

    @pytest.mark.parametrize("n_classes", [2, 5])
    def test_it_learns_and_its_probabilities_sum_to_one(self, kind, n_classes):
        fitted = on_pictures(kind).fit(*pictures(8, n_classes))
        x, y = pictures(6, n_classes, seed=1)
        p = fitted.predict_proba(x)
        assert p.shape == (len(x), n_classes) and p.dtype == np.float64
        assert p.min() >= 0
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-12)
        assert (fitted.predict(x) == y).mean() > 0.9
        assert fitted.score(x, y) == (p.argmax(axis=1) == y).mean()

    # Cross-validation of the SVM needs more, and so do five votes.
    @pytest.mark.parametrize("kind", ["logistic", "gp", "bnn", "fine-tuned"])
    @pytest.mark.parametrize("n_classes", [2, 5])
    def test_one_example_of_each_class_is_enough(self, kind, n_classes):
        x, y = pictures(1, n_classes)
        fitted = on_pictures(kind).fit(x, y)
        new, truth = pictures(4, n_classes, seed=1)
        assert (fitted.predict(new) == truth).mean() > 0.9

    def test_labels_may_be_names(self, kind):
        x, y = pictures(4)
        fitted = on_pictures(kind).fit(x, names_of(y))
        assert fitted.classes_.tolist() == ["blue", "green", "red"]
        new, truth = pictures(4, seed=1)
        assert (fitted.predict(new) == names_of(truth)).all()

    def test_order_of_the_rows_does_not_order_the_classes(self, kind):
        x, y = pictures(4)
        new, _ = pictures(4, seed=1)
        rows = np.random.default_rng(0).permutation(len(x))
        a, b, c = (
            on_pictures(kind).fit(x[r], names_of(y[r]))
            for r in (np.arange(len(x)), rows, rows[::-1])
        )
        assert a.classes_.tolist() == b.classes_.tolist() == c.classes_.tolist()
        assert (a.predict(new) == b.predict(new)).all()
        assert (a.predict(new) == c.predict(new)).all()

    def test_same_seed_same_result_whatever_happened_before(self, kind):
        x, y = pictures(4)
        results = []
        for noise in (1, 2):
            torch.manual_seed(noise)
            np.random.seed(noise)
            results.append(on_pictures(kind).fit(x, y).predict_proba(x))
        assert np.array_equal(*results)

    def test_fitting_leaves_network_and_global_generators_alone(self, kind):
        source, (x, y) = tiny_source(), pictures(4)
        before, torch_state = tl.snapshot(source.model), torch.get_rng_state()
        numpy_state = np.random.get_state()[1].copy()
        on_pictures(kind, source).fit(x, y).predict(x)
        after = source.model.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[k], after[k]) for k in before)
        assert torch.equal(torch.get_rng_state(), torch_state)
        assert np.array_equal(np.random.get_state()[1], numpy_state)

    @pytest.mark.parametrize("form", ["tensor", "list"])
    def test_pictures_may_be_a_tensor_or_a_list(self, kind, form):
        x, y = pictures(4)
        given = torch.from_numpy(x) if form == "tensor" else list(x)
        a, b = (on_pictures(kind).fit(v, y).predict_proba(v) for v in (x, given))
        assert np.array_equal(a, b)

    def test_without_extractor_it_takes_rows_of_features(self, kind):
        x, y = pictures(5)
        rows = tiny_extractor().transform(x)
        fitted = on_rows(kind).fit(rows, y)
        assert fitted.score(rows, y) > 0.9 and fitted.n_features_in_ == 8

    def test_search_over_it_extracts_each_picture_once(self, kind):
        (x, y), grid = pictures(6), {"lr": [1e-3, 1e-4]}
        one = on_pictures(kind)
        if kind != "fine-tuned":
            layers = [one[0], tiny_extractor("0")]
            grid = {"featureextractor": layers, "commonscaler": [tl.CommonScaler()]}
        found = GridSearchCV(one, grid, cv=3).fit(x, y)
        assert found.best_score_ > 0.9
        found.predict(x)
        if kind != "fine-tuned":
            assert [e.computed for e in layers] == [18, 18]
            assert found.best_estimator_[0] in layers

    def test_features_that_are_not_numbers_are_refused(self, kind):
        rows = np.ones((4, 2))
        rows[1, 1] = np.nan
        with pytest.raises(ValueError, match="NaN"):
            on_rows(kind).fit(rows, [0, 0, 1, 1])

    # Neighbours may all be of one class.
    @pytest.mark.parametrize("kind", [k for k in KINDS if k != "k-nn"])
    def test_one_class_is_refused(self, kind):
        with pytest.raises(ValueError, match="class"):
            on_pictures(kind).fit(pictures(2)[0], ["red"] * 6)

    def test_pictures_of_different_sizes_are_refused(self, kind):
        x = [np.zeros((3, 8, 8), np.uint8), np.zeros((3, 8, 9), np.uint8)]
        with pytest.raises(tl.CourseError, match="differ in size") as caught:
            on_pictures(kind).fit(x, [0, 1])
        assert "tensors(size)" in caught.value.next_step

    def test_as_many_labels_as_pictures_are_needed(self, kind):
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            on_pictures(kind).fit(pictures(2)[0], [0, 1])

    def test_another_number_of_features_is_refused(self, kind):
        rows = np.eye(8)
        fitted = on_rows(kind).fit(rows, [0, 0, 0, 0, 1, 1, 1, 1])
        with pytest.raises(ValueError, match="3 features.*expecting 8"):
            fitted.predict(np.eye(3))


def test_search_over_layers_and_heads_extracts_each_picture_once():
    x, y = pictures(6)
    layers = [tiny_extractor(), tiny_extractor("0"), tiny_extractor(["0", "2"])]
    heads = [HEADS["logistic"], HEADS["k-nn"], HEADS["bnn"]]
    steps = [("extract", layers[0]), ("scale", tl.CommonScaler()), ("head", heads[0])]
    grid = GridSearchCV(Pipeline(steps), {"extract": layers, "head": heads}, cv=3)
    assert grid.fit(x, y).best_score_ > 0.9
    assert len(grid.cv_results_["params"]) == 9
    assert [e.computed for e in layers] == [18, 18, 18]
    grid.predict(x)
    assert [e.computed for e in layers] == [18, 18, 18]


@pytest.mark.parametrize(
    "head", [tl.GaussianProcess(), tl.BayesianLogistic(), tl.FineTuned()]
)
def test_our_own_heads_name_the_only_class(head):
    with pytest.raises(tl.CourseError, match="only one class, 'red'") as caught:
        head.fit(np.eye(3), ["red"] * 3)
    assert "two" in caught.value.next_step


# --- fine-tuning ------------------------------------------------------------------


def test_fine_tuning_moves_the_body_but_no_statistics_of_batch_norm():
    source = tiny_source()
    tuned = tl.FineTuned(source, epochs=3, lr=0.01, body_factor=1.0)
    before = tl.snapshot(source.model)
    tuned.fit(*pictures(4))
    moved = tl.drift(before, tuned.network_)
    assert moved["0"] > 1e-3 and moved["1"] == 0.0 and "6" not in moved


def test_fine_tuning_leaves_frozen_layers_frozen():
    source = tiny_source()
    tl.freeze(source.model, "0")
    tuned = tl.FineTuned(source, epochs=2, lr=0.01, body_factor=1.0)
    moved = tl.drift(tl.snapshot(source.model), tuned.fit(*pictures(4)).network_)
    assert moved["0"] == 0.0


@pytest.mark.parametrize("n_classes", [2, 3])
def test_fine_tuning_starts_as_logistic_regression(n_classes):
    x, y = pictures(6, n_classes)
    source = tiny_source()
    still = tl.FineTuned(source, epochs=1, lr=1e-9).fit(x, y)
    logistic = on_pictures("logistic", source).fit(x, y)
    p, q = still.predict_proba(x), logistic.predict_proba(x)
    np.testing.assert_allclose(p, q, atol=0.02)
    assert np.ptp(q) > 0.9


def test_fine_tuning_takes_a_bare_network():
    x, y = pictures(4)
    x = x.astype(np.float32) / 255
    tuned = tl.FineTuned(tiny_source().model, epochs=1)
    assert tuned.fit(x, y).score(x, y) > 0.9


# --- the common scale -------------------------------------------------------------


def test_common_scale_by_hand():
    scaler = tl.CommonScaler().fit([[0, 0], [2, 4]])
    # Variances of 1 and 4: 2.5 on average.
    assert scaler.mean_.tolist() == [1, 2]
    assert scaler.scale_ == pytest.approx(2.5**0.5)
    got = scaler.transform([[1, 2], [3, 2]])
    np.testing.assert_allclose(got, [[0, 0], [2 / 2.5**0.5, 0]])


def test_common_scale_agrees_with_scikit_learn_where_all_features_vary_alike():
    x = np.random.default_rng(0).normal(5, 3, (50, 4))
    x = 2 + 7 * StandardScaler().fit_transform(x)
    theirs = StandardScaler().fit_transform(x)
    np.testing.assert_allclose(tl.CommonScaler().fit_transform(x), theirs)


def test_common_scale_of_what_never_varies_is_one():
    scaler = tl.CommonScaler().fit(np.full((3, 2), 7.0))
    assert scaler.scale_ == 1.0 and not scaler.transform([[7, 7]]).any()


# --- heads on rows of features ---------------------------------------------------


def blobs(n: int, k: int = 2, d: int = 2, *, gap: float = 1.5, seed: int = 0):
    """Overlapping Gaussian blobs on a circle, centred: x, class numbers."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    angle = 2 * np.pi * y / k
    x = rng.normal(size=(n, d))
    x[:, 0] += gap * np.cos(angle)
    x[:, -1] += gap * np.sin(angle)
    return x - x.mean(axis=0), y


@pytest.mark.parametrize("kind", ["logistic", "svm", "gp", "bnn"])
def test_units_of_the_features_do_not_matter(kind):
    x, y = blobs(30)
    a = on_rows(kind).fit(x, y).predict_proba(x)
    b = on_rows(kind).fit(x * 1000 + 7, y).predict_proba(x * 1000 + 7)
    np.testing.assert_allclose(a, b, atol=0.05)


def test_feature_that_hardly_varies_is_not_blown_up():
    x, y = blobs(30, gap=3)
    x = np.c_[x, 1e-6 * np.random.default_rng(1).normal(size=30)]
    fitted = on_rows("logistic").fit(x, y)
    moved = x + [0, 0, 1e-2]
    np.testing.assert_allclose(
        fitted.predict_proba(moved), fitted.predict_proba(x), atol=0.02
    )


# --- the Gaussian process ---------------------------------------------------------


def test_gaussian_process_is_undecided_far_away():
    x, y = blobs(40)
    far = tl.GaussianProcess().fit(x, y).predict_proba([[1e4, 0.0], [0.0, -1e4]])
    np.testing.assert_allclose(far, 0.5, atol=1e-3)


@pytest.mark.parametrize("k", [2, 3])
def test_gaussian_process_is_scikit_learns_with_the_likeliest_width(k):
    x, y = blobs(40, k)
    ours = tl.GaussianProcess().fit(x, y)
    theirs = GaussianProcessClassifier(ours.process_.kernel).fit(x, y)
    p, q = ours.predict_proba(x), theirs.predict_proba(x)
    np.testing.assert_allclose(p, q, atol=1e-12)
    start = ours.process_.kernel.theta
    if k == 2:
        found = ours.process_.kernel_.theta
        at = ours.process_.log_marginal_likelihood
        assert at(found) > at(start) + 0.1
        for step in ([0.2, 0], [-0.2, 0], [0, 0.2], [0, -0.2]):
            assert at(found) >= at(found + step) - 1e-6
    assert np.exp(start[1]) == pytest.approx(2**0.5)


def test_gaussian_process_of_very_few_examples_keeps_the_typical_width():
    x, y = blobs(4, d=9)
    fitted = tl.GaussianProcess().fit(x, y)
    assert np.exp(fitted.process_.kernel_.theta) == pytest.approx([10, 3])


def test_exact_gaussian_process_has_a_limit():
    rows, y = np.random.default_rng(0).normal(size=(501, 2)), np.arange(501) % 2
    with pytest.raises(tl.CourseError, match="501 examples.*500 are the limit"):
        tl.GaussianProcess().fit(rows, y)


# --- the Bayesian last layer ------------------------------------------------------

BIAS_VARIANCE = 100.0


def log_posterior(w, x, y, variance):
    """Up to a constant; weights w, shape (chains, k, d + 1), the bias last."""
    z = np.c_[x, np.ones(len(x))]
    logp = log_softmax(np.einsum("ckd,nd->cnk", w, z), axis=-1)
    prior = np.r_[np.full(x.shape[1], variance), BIAS_VARIANCE]
    return logp[:, np.arange(len(y)), y].sum(1) - (w**2 / prior).sum((1, 2)) / 2


def metropolis(x, y, variance, test, *, chains=100, steps=2400, seed=0):
    """Average the predictions over a random walk through the exact posterior."""
    rng = np.random.default_rng(seed)
    w = rng.normal(0, 0.3, (chains, y.max() + 1, x.shape[1] + 1))
    value, total, kept = log_posterior(w, x, y, variance), 0.0, 0
    for step in range(steps):
        proposal = w + rng.normal(0, 0.4, w.shape)
        new = log_posterior(proposal, x, y, variance)
        yes = np.log(rng.random(chains)) < new - value
        w[yes], value[yes] = proposal[yes], new[yes]
        if step >= steps // 3 and step % 10 == 0:
            logits = np.einsum("ckd,nd->cnk", w, np.c_[test, np.ones(len(test))])
            total, kept = total + softmax(logits, axis=-1).mean(0), kept + 1
    return total / kept


def posterior(variance, n_samples=3):
    """Bayes' rule, as it is, for a prior that is given."""
    return tl.BayesianLogistic(variance=variance, temperature=1.0, n_samples=n_samples)


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize(("variance", "tolerance"), [(0.1, 0.03), (1.0, 0.07)])
def test_bayesian_layer_agrees_with_monte_carlo(k, variance, tolerance):
    x, y = blobs(20, k, gap=0.8)
    test = np.array([[0, 0], [1, 1], [-2, 0.5], [3, -3], [0, 6], [-8, -8.0]])
    wanted = metropolis(x, y, variance, test)
    got = posterior(variance, 5000).fit(x, y).predict_proba(test)
    # A Gaussian is the worse an approximation, the wider the prior.
    assert np.abs(got - wanted).max() < tolerance
    # Not for want of something to tell apart:
    assert wanted.max() > 0.8 and np.ptp(wanted[:, 0]) > 0.3


def turned(layer, x):
    """The examples in the axes of the layer, with a column for the bias."""
    return np.c_[x @ layer.axes_, np.ones(len(x))]


@pytest.mark.parametrize("k", [2, 3])
def test_curvature_is_the_second_derivative_at_the_peak(k):
    (x, y), v = blobs(20, k), 0.5
    layer = posterior(v, 100_000).fit(x, y)
    z, size, h = turned(layer, x)[:, :-1], layer.peak_.size, 1e-3
    steps = np.eye(size) * h

    def f(flat):
        return -log_posterior(flat.reshape(1, k, -1), z, y, v)[0]

    at = layer.peak_.ravel()
    gradient = [(f(at + s) - f(at - s)) / (2 * h) for s in steps]
    # Only the wide prior of the bias, which the peak leaves out, still pulls.
    np.testing.assert_allclose(gradient, np.zeros(size), atol=0.01)
    curvature = [
        [
            (f(at + a + b) - f(at + a - b) - f(at - a + b) + f(at - a - b)) / (4 * h**2)
            for a in steps
        ]
        for b in steps
    ]
    got = layer.cholesky_ @ layer.cholesky_.T
    np.testing.assert_allclose(got, curvature, atol=1e-3)
    draws = (layer.peak_ + layer.steps_).reshape(-1, size)
    inverse = np.linalg.inv(curvature)
    np.testing.assert_allclose(draws.mean(0), at, atol=0.03 * inverse.max() ** 0.5)
    np.testing.assert_allclose(np.cov(draws.T), inverse, atol=0.02 * inverse.max())


@pytest.mark.parametrize("variance", [0.05, 0.5, 5.0])
def test_evidence_agrees_with_integration(variance):
    x, y = blobs(20, d=1)
    # Of two classes only differences matter: slope and bias of twice the variance.
    w, b = np.linspace(-12, 12, 601), np.linspace(-40, 40, 801)
    logits = w[:, None, None] * x[:, 0] + b[None, :, None]
    fit = -np.logaddexp(0, np.where(y == 1, -logits, logits)).sum(-1)
    prior = norm.logpdf(w, 0, (2 * variance) ** 0.5)[:, None]
    prior = prior + norm.logpdf(b, 0, (2 * BIAS_VARIANCE) ** 0.5)
    wanted = logsumexp(fit + prior) + np.log((w[1] - w[0]) * (b[1] - b[0]))
    assert posterior(variance).fit(x, y).evidence_ == pytest.approx(wanted, abs=0.15)


def scaled(x):
    return tl.CommonScaler().fit_transform(x)


def test_evidence_chooses_the_prior():
    def chosen(gap):
        x, y = blobs(60, gap=gap)
        return tl.BayesianLogistic().fit(scaled(x), y).variance_

    values = [chosen(gap) for gap in (0.0, 0.7, 2.0)]
    assert all(a < b for a, b in pairwise(values))


@pytest.mark.parametrize("k", [2, 3])
def test_weights_off_the_span_are_exact(k):
    # Fewer examples than features: the same without turning and cutting the axes.
    (x, y), v, d = blobs(9, k, 12), 0.5, 12
    layer = posterior(v, 40_000).fit(x, y)
    assert layer.axes_.shape == (d, 8)
    head = LogisticRegression(C=v * (2 if k == 2 else 1), tol=1e-8, max_iter=5000)
    head.fit(x, y)
    peak = np.c_[head.coef_, head.intercept_]
    peak = peak if k > 2 else np.r_[-peak, peak] / 2
    z = np.c_[x, np.ones(len(x))]
    p = softmax(z @ peak.T, axis=1)
    curvature = np.diag(np.tile(np.r_[np.full(d, 1 / v), 1 / BIAS_VARIANCE], k))
    for row, q in zip(z, p):
        curvature += np.kron(np.diag(q) - np.outer(q, q), np.outer(row, row))
    # Evidence: log joint at the peak + d/2 log 2 pi - half the log determinant.
    prior = np.tile(np.r_[np.full(d, v), BIAS_VARIANCE], k)
    evidence = np.log(p[np.arange(9), y]).sum()
    evidence += norm.logpdf(peak.ravel(), 0, prior**0.5).sum()
    evidence += peak.size / 2 * np.log(2 * np.pi)
    evidence -= np.linalg.slogdet(curvature)[1] / 2
    assert layer.evidence_ == pytest.approx(evidence, abs=1e-3)
    # Predictions, in and off the span.
    test = np.random.default_rng(1).normal(0, 2, (6, d))
    weights = np.random.default_rng(2).multivariate_normal(
        peak.ravel(), np.linalg.inv(curvature), 40_000
    )
    logits = weights.reshape(-1, k, d + 1) @ np.c_[test, np.ones(6)].T
    wanted = softmax(logits, axis=1).mean(0).T
    np.testing.assert_allclose(layer.predict_proba(test), wanted, atol=0.01)


def test_far_from_the_examples_the_average_is_undecided_and_the_peak_is_not():
    x, y = blobs(30, gap=1.5)
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    far = 100 * np.c_[np.cos(angle), np.sin(angle)]
    logistic = on_rows("logistic").fit(x, y)
    bayesian = on_rows("bnn", temperature=1.0, n_samples=2000).fit(x, y)
    peak, bayes = (m.predict_proba(far).max(1) for m in (logistic, bayesian))
    assert peak.mean() > 0.99 and bayes.mean() < 0.95
    assert bayes.min() < 0.6 and (bayes <= peak + 0.05).all()
    # Near them both agree.
    assert (logistic.predict(x) == bayesian.predict(x)).mean() > 0.9


def test_posterior_without_temperature_is_its_peak():
    x, y = blobs(30, 3, 8)
    x = scaled(x)
    cold = tl.BayesianLogistic(temperature=0.0, n_samples=3).fit(x, y)
    peak = LogisticRegression(C=cold.variance_, tol=1e-8).fit(x, y)
    ours, theirs = cold.predict_proba(x), peak.predict_proba(x)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_temperature_is_the_one_that_predicts_held_out_examples_best():
    x, y = blobs(24, 3, 200, gap=8)  # many features, few examples
    x_new, y_new = blobs(300, 3, 200, gap=8, seed=1)
    chosen, bayes = on_rows("bnn"), on_rows("bnn", temperature=1.0)
    few = on_rows("bnn").fit(x[:6], y[:6])  # two of a class: nothing to hold out
    plain = on_rows("bnn", temperature=1.0).fit(x[:6], y[:6])
    np.testing.assert_array_equal(few.predict_proba(x), plain.predict_proba(x))
    p, modest = (m.fit(x, y).predict_proba(x_new) for m in (chosen, bayes))
    assert log_loss(y_new, p) < log_loss(y_new, modest) - 0.05
    assert chosen[-1].temperature_ < 1 == bayes[-1].temperature_


def test_off_the_span_the_prior_alone_decides():
    x, y = blobs(6, d=20, gap=3)
    _, _, vt = np.linalg.svd(x)
    p = posterior(1.0, 4000).fit(x, y).predict_proba(1e6 * vt[-1:])
    np.testing.assert_allclose(p, 0.5, atol=0.03)


def test_logistic_regression_inside_the_bayesian_one_converges():
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        for gap in (0.0, 5.0):
            on_rows("bnn").fit(*blobs(60, 3, 30, gap=gap))


def test_pictures_that_are_scaled_already_are_refused_by_what_is_fine_tuned():
    x, y = pictures(3)
    with pytest.raises(tl.CourseError, match="Pictures are uint8"):
        tl.FineTuned(tiny_source(), epochs=1).fit(x / 255, y)
    fitted = tl.FineTuned(tiny_source(), epochs=1).fit(x, y.astype(np.int32))
    with pytest.raises(tl.CourseError, match="Pictures are uint8"):
        fitted.predict(x / 255)
