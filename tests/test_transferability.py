"""Scores by hand, by their definitions, and what they must not see."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import kendalltau, multivariate_normal, ortho_group
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import BayesianRidge
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

import tlhelpers as tl


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_by_hand():
    # Centred: a = (-1, 0, 1), b = (-1, 2, -1); orthogonal, and a with itself.
    a, b = np.array([[0.0], [1], [2]]), np.array([[0.0], [3], [0]])
    assert tl.cka(a, b) == pytest.approx(0, abs=1e-12)
    assert tl.cka(a, 5 - 3 * a) == pytest.approx(1)
    # One feature each: the squared correlation; here (2 / sqrt(2 · 14/3))² = 3/7.
    c = np.array([[0.0], [1], [3]])
    assert tl.cka(a, c) == pytest.approx(np.corrcoef(a.T, c.T)[0, 1] ** 2)
    assert tl.cka(a, np.c_[a, b]) == pytest.approx(2 / np.sqrt(2**2 + 6**2))


def test_is_the_normalised_independence_criterion(rng):
    a, b = rng.normal(size=(20, 3)), rng.normal(size=(20, 7)) + 2
    b[:, :3] += a
    h = np.eye(20) - 1 / 20

    def hsic(k, m):
        return np.trace(k @ h @ m @ h) / 19**2

    k, m = a @ a.T, b @ b.T
    assert tl.cka(a, b) == pytest.approx(hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m)))
    assert tl.cka(a, b) == pytest.approx(tl.cka(b, a))


def test_sees_no_rotation_no_scale_and_no_shift(rng):
    a, b = rng.normal(size=(30, 4)), rng.normal(size=(30, 6))
    turn = ortho_group.rvs(4, random_state=0)
    assert tl.cka(a, 7 * a @ turn + 3) == pytest.approx(1)
    assert tl.cka(0.1 * a @ turn - 1, b) == pytest.approx(tl.cka(a, b))
    order = rng.permutation(30)
    assert tl.cka(a[order], b[order]) == pytest.approx(tl.cka(a, b))
    assert tl.cka(a[order], b) != pytest.approx(tl.cka(a, b))


def test_sees_other_linear_maps(rng):
    a = rng.normal(size=(300, 4))
    assert tl.cka(a, a * [10, 1, 1, 1]) < 0.8


def test_independent_features_are_dissimilar(rng):
    a, b = rng.normal(size=(2000, 5)), rng.normal(size=(2000, 8))
    assert 0 <= tl.cka(a, b) < 0.02


def test_features_that_never_vary_resemble_nothing(rng):
    assert tl.cka(np.ones((10, 3)), rng.normal(size=(10, 3))) == 0


@pytest.mark.parametrize(
    ("a", "b"), [((4, 2), (5, 2)), ((1, 2), (1, 2)), ((5,), (5,)), ((3, 2), (3, 2, 2))]
)
def test_what_cannot_be_compared_is_refused(a, b):
    with pytest.raises(tl.CourseError, match="cannot be compared") as caught:
        tl.cka(np.ones(a), np.ones(b))
    assert "same pictures" in caught.value.next_step


# --- scores before training ----------------------------------------------------------


@pytest.fixture
def task(rng):
    """Examples of three classes: features that tell them, features that don't."""
    y = np.repeat([0, 1, 2], 12)
    good = rng.normal(size=(36, 6))
    good[:, :3] += 2 * np.eye(3)[y]
    return good, rng.normal(size=(36, 6)), y


def evidence(features, y):
    """LogME by its definition: the largest evidence of a Bayesian regression."""
    found = []
    for c in np.unique(y):
        t = (y == c).astype(float)

        def loss(logs, t=t):
            prior, noise = np.exp(logs)
            cover = features @ features.T / prior + np.eye(len(t)) / noise
            return -multivariate_normal(np.zeros(len(t)), cover).logpdf(t)

        best = minimize(loss, (1.0, 1.0), method="Nelder-Mead", tol=1e-8)
        found.append(-best.fun / len(t))
    return np.mean(found)


def test_logme_is_the_largest_evidence(task):
    good, poor, y = task
    for features in (good, poor + 1, np.c_[good, poor]):
        assert tl.logme(features, y) == pytest.approx(evidence(features, y), abs=1e-5)


def test_logme_with_more_features_than_examples(rng):
    y = np.arange(12) % 2
    features = rng.normal(size=(12, 40))
    features[:, 0] += 3 * y
    assert tl.logme(features, y) == pytest.approx(evidence(features, y), abs=1e-3)


@pytest.mark.parametrize("shape", [(60, 8), (30, 12)])
def test_logme_agrees_with_the_evidence_of_scikit_learns_bayesian_ridge(rng, shape):
    y = np.arange(shape[0]) % 3
    features = rng.normal(size=shape) + np.eye(shape[1])[y]
    flat = {"alpha_1": 0, "alpha_2": 0, "lambda_1": 0, "lambda_2": 0, "tol": 1e-9}
    ridge = BayesianRidge(fit_intercept=False, compute_score=True, **flat)
    scores = [ridge.fit(features, y == c).scores_[-1] / len(y) for c in range(3)]
    assert tl.logme(features, y) == pytest.approx(np.mean(scores), abs=1e-7)


def test_logme_of_noise_in_many_dimensions_is_still_the_largest(rng):
    # Where the usual updates of prior and noise take hundreds of steps.
    features, y = np.abs(rng.normal(size=(40, 400))), np.arange(40) % 4
    assert tl.logme(features, y) == pytest.approx(evidence(features, y), abs=1e-4)


def test_logme_by_hand():
    # One feature that is 1 everywhere and two classes in equal parts: the model is a
    # mean of 1/2 with noise of variance v; n = 4, direction (1, 1, 1, 1) / 2.
    # Along it the label has power 1, off it 1 in three dimensions: v = 1/3, and the
    # prior makes the variance along it 1: -(4 ln 2 pi + 3 ln 1/3 + 1 + 3) / 8.
    y = np.array([0, 0, 1, 1])
    wanted = -(4 * np.log(2 * np.pi) + 3 * np.log(1 / 3) + 4) / 8
    assert tl.logme(np.ones((4, 1)), y) == pytest.approx(wanted, abs=1e-6)


def test_leep_by_hand():
    # Two source classes; of the first 0.9 + 0.6 = 1.5 is class 0 and 0.5 class 1.
    p = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]])
    y = np.array([0, 0, 1, 1])
    first, second = 1.5 / 2.0, 0.5 / 2.0  # P(class 0 | source class)
    zero = p @ [first, second]
    wanted = np.mean(np.log([zero[0], zero[1], 1 - zero[2], 1 - zero[3]]))
    assert tl.leep(p, y) == pytest.approx(wanted)


def test_leep_is_zero_where_source_classes_are_the_targets_own():
    y = np.array([2, 0, 1, 1, 0])
    assert tl.leep(np.eye(4)[y], y) == pytest.approx(0)
    # No source class tells anything: the entropy of the labels, negative.
    shares = np.array([2, 2, 1]) / 5
    wanted = (shares * np.log(shares)).sum()
    assert tl.leep(np.full((5, 4), 0.25), y) == pytest.approx(wanted)


def test_h_score_by_hand():
    # Whitened features, many examples: shrinkage vanishes, and what is left is the
    # spread of the class means. One feature, means -1 and 1, variance 2 in all.
    rng = np.random.default_rng(1)
    y = np.arange(40000) % 2
    x = rng.normal(size=(40000, 1)) + (2 * y - 1)[:, None]
    assert tl.h_score(x, y) == pytest.approx(0.5, abs=0.02)


def test_h_score_is_the_trace_by_its_definition(task):
    good, _, y = task
    spread, shrinkage = ledoit_wolf(good)
    means = np.stack([good[y == c].mean(0) for c in y])
    between = np.cov(means.T, bias=True)
    wanted = (1 - shrinkage) * np.trace(np.linalg.solve(spread, between))
    assert tl.h_score(good, y) == pytest.approx(wanted)


def test_h_score_does_not_saturate_with_few_examples(rng):
    y = np.arange(20) % 2
    noise = rng.normal(size=(20, 200))
    told = noise.copy()
    told[:, :5] += 6 * y[:, None]
    assert tl.h_score(told, y) > tl.h_score(noise, y) + 0.2


def test_knn_score_by_hand():
    # Directions in degrees; the last one is mislabelled below.
    angle = np.deg2rad([0, 10, 25, 180, 190, 205])
    x = np.c_[np.cos(angle), np.sin(angle)]
    assert tl.knn_score(x, [0, 0, 0, 1, 1, 1], n_neighbors=2) == 1
    # 180 and 190 are each other's nearest, and outvote it; it is outvoted itself.
    y = np.array([0, 0, 0, 1, 1, 0])
    assert tl.knn_score(x, y, n_neighbors=2) == pytest.approx(5 / 6)


def test_knn_score_leaves_each_example_out(task):
    good, _, y = task
    neighbours = KNeighborsClassifier(3, weights="distance", metric="cosine")
    x = good - good.mean(axis=0)
    wanted = cross_val_score(neighbours, x, y, cv=LeaveOneOut()).mean()
    assert tl.knn_score(good, y, n_neighbors=3) == pytest.approx(wanted)


SCORES = {"logme": tl.logme, "h_score": tl.h_score, "knn_score": tl.knn_score}


@pytest.mark.parametrize("name", SCORES)
def test_good_features_score_higher(name, task):
    good, poor, y = task
    assert SCORES[name](good, y) > SCORES[name](poor, y)


@pytest.mark.parametrize("name", SCORES)
def test_scores_see_no_rotation_scale_order_or_name(name, task, rng):
    good, _, y = task
    score, turn = SCORES[name], ortho_group.rvs(6, random_state=0)
    wanted = score(good, y)
    assert score(5 * good @ turn, y) == pytest.approx(wanted, abs=1e-4)
    order = rng.permutation(36)
    assert score(good[order], y[order]) == pytest.approx(wanted, abs=1e-6)
    assert score(good, np.array(["c", "a", "b"])[y]) == pytest.approx(wanted)
    assert score(good, rng.permutation(y)) < wanted


def test_leep_sees_no_order_and_no_name(rng):
    p, y = rng.dirichlet(np.ones(6), 30), np.arange(30) % 3
    order = rng.permutation(30)
    assert tl.leep(p[order], y[order]) == pytest.approx(tl.leep(p, y))
    assert tl.leep(p[:, ::-1], 7 - y) == pytest.approx(tl.leep(p, y))


@pytest.mark.parametrize("score", [tl.logme, tl.leep, tl.h_score, tl.knn_score])
@pytest.mark.parametrize(
    ("shape", "y"),
    [((4, 2), [0, 1, 0]), ((4,), [0, 1, 0, 1]), ((4, 2), [1, 1, 1, 1])],
)
def test_rows_and_labels_must_fit(score, shape, y):
    with pytest.raises(tl.CourseError, match="Got rows of shape") as caught:
        score(np.ones(shape), y)
    assert "a label per example" in caught.value.next_step


# --- how far a score can be trusted --------------------------------------------------


def test_rank_agreement_by_hand():
    truth = np.array([[1.0, 2, 3, 4], [1, 2, 3, 4]])
    scores = np.array([[1.0, 2, 3, 4], [2, 1, 3, 4]])  # tau 1, and (5 - 1) / 6
    tau, low, high = tl.rank_agreement(scores, truth)
    assert tau == pytest.approx((1 + 4 / 6) / 2)
    assert low < tau <= high <= 1
    assert tl.rank_agreement(-scores, truth)[0] == pytest.approx(-tau)
    assert tl.rank_agreement(scores, truth) == (tau, low, high)


def test_rank_agreement_is_kendalls_tau_b(rng):
    scores, truth = rng.integers(0, 5, (2, 3, 9))  # with ties
    wanted = np.mean([kendalltau(a, b).statistic for a, b in zip(scores, truth)])
    assert tl.rank_agreement(scores, truth)[0] == pytest.approx(wanted)
    assert tl.rank_agreement(np.ones((3, 9)), truth) == (0, 0, 0)


def test_more_source_models_make_it_surer(rng):
    def width(k):
        truth = np.tile(np.arange(k, dtype=float), (4, 1))
        _, low, high = tl.rank_agreement(truth + rng.normal(size=(4, k)), truth)
        return high - low

    assert width(40) < width(6) / 2
