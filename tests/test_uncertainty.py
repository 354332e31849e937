"""Scores of probabilities against the textbook, scikit-learn and by hand."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import entropy
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    log_loss,
    mean_squared_error,
    roc_auc_score,
)

import tlhelpers as tl


@pytest.fixture(params=[2, 5])
def judged(request):
    """Probabilities of 300 rows that are right about as often as they say."""
    rng = np.random.default_rng(request.param)
    p = rng.dirichlet(np.ones(request.param), 300)
    y = np.array([rng.choice(request.param, p=row) for row in p])
    return p, y


# --- scores of the libraries: what the notebooks say of them -----------------------


def test_log_loss_by_hand(judged):
    p, y = judged
    wanted = -np.log(p[np.arange(len(y)), y]).mean()
    assert log_loss(y, p, labels=range(p.shape[1])) == pytest.approx(wanted)
    # Certain and wrong: large and finite.
    certain = [[1.0, 0.0]]
    assert log_loss([0], certain, labels=range(2)) == pytest.approx(0)
    assert 20 < log_loss([1], certain, labels=range(2)) < 40


def test_brier_score_by_hand():
    p = np.array([[0.7, 0.2, 0.1], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    # 0.3² + 0.2² + 0.1² = 0.14; all right is 0, all wrong 2.
    assert brier([0, 2, 1], p) == pytest.approx((0.14 + 0 + 2) / 3)


def test_brier_score_is_the_squared_distance_to_the_truth(judged):
    p, y = judged
    wanted = ((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1).mean()
    assert brier(y, p) == pytest.approx(wanted)


def test_brier_score_is_scikit_learns(judged):
    if "scale_by_half" not in inspect.signature(brier_score_loss).parameters:
        pytest.skip("scikit-learn before 1.7 knows the score of two classes only")
    p, y = judged
    options = {"labels": range(p.shape[1]), "scale_by_half": False}
    assert brier(y, p) == pytest.approx(brier_score_loss(y, p, **options))


def brier(y, p):
    """Compute it as notebook 04 does."""
    return p.shape[1] * mean_squared_error(np.eye(p.shape[1])[y], p)


def test_entropy_by_hand(judged):
    p = np.array([[1.0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0, 0]])
    np.testing.assert_allclose(entropy(p, axis=1), [0, np.log(4), np.log(2)], atol=1e-9)
    p, _ = judged
    np.testing.assert_allclose(entropy(p, axis=1), -(p * np.log(p)).sum(axis=1))


def test_strangers_score_is_the_share_of_ordered_pairs():
    def score(known, unknown):
        doubt = entropy(np.concatenate([known, unknown]), axis=1)
        return roc_auc_score(np.repeat([0, 1], [len(known), len(unknown)]), doubt)

    sure, unsure = rows(0.9, 0.99), rows(0.5, 0.6, 0.55)
    assert score(sure, unsure) == 1
    assert score(unsure, sure) == 0
    assert score(sure, sure[::-1]) == 0.5
    # 0.6 and 0.9 against 0.7: one of the two known ones is the surer.
    assert score(rows(0.6, 0.9), rows(0.7)) == 0.5


# --- calibration ------------------------------------------------------------------


def rows(*sure):
    return np.array([[s, 1 - s] for s in sure])


def test_ece_by_hand():
    p = rows(0.55, 0.6, 0.95, 0.85, 0.9)
    y = np.array([0, 1, 0, 0, 1])
    # (0.5, 0.6]: sure 0.575, right 1/2; (0.8, 0.9]: 0.875, 1/2; (0.9, 1]: 0.95, 1.
    table = tl.reliability(p, y)
    assert table.count.tolist() == [2, 2, 1]
    np.testing.assert_allclose(table.confidence, [0.575, 0.875, 0.95])
    np.testing.assert_allclose(table.accuracy, [0.5, 0.5, 1.0])
    wanted = (2 * 0.075 + 2 * 0.375 + 0.05) / 5
    assert tl.ece(p, y) == pytest.approx(wanted)


def test_edges_belong_to_the_lower_bin_and_one_to_the_last():
    table = tl.reliability(rows(0.5, 0.75, 0.7500001, 1.0, 1.0), [0] * 5, n_bins=4)
    assert table.count.tolist() == [1, 1, 3]
    np.testing.assert_allclose(table.confidence[:2], [0.5, 0.75])


def test_one_bin_compares_the_means(judged):
    p, y = judged
    gap = abs(p.max(1).mean() - (p.argmax(1) == y).mean())
    assert tl.ece(p, y, n_bins=1) == pytest.approx(gap)


def test_ece_knows_calibrated_from_too_certain(judged):
    p, y = judged
    assert tl.ece(p, y) < 0.1 < tl.ece(tl.apply_temperature(p, 0.2), y)


def test_ece_of_always_right_and_certain_is_zero_and_of_always_wrong_one():
    p = np.eye(3)
    assert tl.ece(p, [0, 1, 2]) == 0 and tl.ece(p, [1, 2, 0]) == 1


# --- temperature ------------------------------------------------------------------


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_temperature_recovers_the_one_that_spoilt_the_probabilities(true):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 4))
    y = np.array([rng.choice(4, p=p) for p in softmax(logits, axis=1)])
    spoilt = softmax(logits * true, axis=1)
    found = tl.fit_temperature(spoilt, y)
    assert found == pytest.approx(true, rel=0.05)
    assert tl.ece(tl.apply_temperature(spoilt, found), y) < 0.02


def test_temperature_gives_the_smallest_nll(judged):
    p, y = judged
    p = tl.apply_temperature(p, 0.4)
    best = log_loss(y, tl.apply_temperature(p, tl.fit_temperature(p, y)))
    tried = np.geomspace(0.06, 18, 200)
    grid = [log_loss(y, tl.apply_temperature(p, t)) for t in tried]
    assert best <= min(grid) + 1e-6 and best < grid[0] - 0.1


def test_temperature_one_changes_nothing(judged):
    np.testing.assert_allclose(tl.apply_temperature(judged[0], 1), judged[0])


@pytest.mark.parametrize("temperature", [0.05, 0.5, 2, 20])
def test_temperature_never_changes_the_answer(judged, temperature):
    p = tl.apply_temperature(judged[0], temperature)
    assert (p.argmax(1) == judged[0].argmax(1)).all()
    np.testing.assert_allclose(p.sum(1), 1)
    softer = entropy(p, axis=1) - entropy(judged[0], axis=1)
    assert (softer > 0).all() if temperature > 1 else (softer < 0).all()


def test_temperature_by_hand():
    # Square roots of 0.9 and 0.1 are as 3 to 1.
    np.testing.assert_allclose(tl.apply_temperature(rows(0.9), 2), [[0.75, 0.25]])


def test_temperature_copes_with_zeros_and_stays_in_its_range():
    p = np.eye(2)[[0, 1, 0]]
    assert 0.05 <= tl.fit_temperature(p, [0, 1, 0]) <= 20
    assert tl.fit_temperature(p, [1, 0, 1]) == pytest.approx(20, rel=0.01)
    assert np.isfinite(tl.apply_temperature(p, 0.05)).all()


@pytest.mark.parametrize("temperature", [0, -1])
def test_temperature_must_be_positive(temperature):
    with pytest.raises(tl.CourseError, match="temperature"):
        tl.apply_temperature(rows(0.9), temperature)


# --- abstention -------------------------------------------------------------------


def test_abstention_by_hand():
    p, y = rows(0.6, 0.99, 0.8, 0.7), np.array([1, 0, 0, 1])
    coverage, accuracy = tl.abstention_curve(p, y)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    np.testing.assert_allclose(accuracy, [1, 1, 2 / 3, 1 / 2])


def test_abstention_ends_at_the_accuracy(judged):
    p, y = judged
    coverage, accuracy = tl.abstention_curve(p, y)
    assert len(coverage) == len(y) and coverage[-1] == 1
    assert accuracy[-1] == pytest.approx(accuracy_score(y, p.argmax(1)))
    assert accuracy.mean() > accuracy[-1]


def test_abstention_does_not_depend_on_the_order_of_equal_doubts():
    p, y = rows(0.8, 0.8, 0.8, 0.8, 0.6), np.array([0, 0, 1, 1, 0])
    for order in ([0, 1, 2, 3, 4], [3, 4, 2, 1, 0]):
        _, accuracy = tl.abstention_curve(p[order], y[order])
        np.testing.assert_allclose(accuracy, [0.5, 0.5, 0.5, 0.5, 0.6])


# --- errors -----------------------------------------------------------------------

SCORES = [tl.reliability, tl.ece, tl.abstention_curve, tl.fit_temperature]


@pytest.mark.parametrize(
    "bad",
    [
        np.array([0.5, 0.5]),
        np.array([[2.0, 3.0]]),
        np.array([[1.5, -0.5]]),
        np.array([[np.nan, 1.0]]),
        np.empty((0, 2)),
    ],
    ids=["one row", "logits", "negative", "nan", "empty"],
)
@pytest.mark.parametrize("score", SCORES)
def test_what_is_no_probability_is_refused(score, bad):
    with pytest.raises(tl.CourseError, match="Probabilities were expected"):
        score(bad, np.zeros(len(bad), int))


@pytest.mark.parametrize(
    "y", [[0], [0, 2], [-1, 0], [0.0, 1.0], ["a", "b"], [[0], [1]]]
)
@pytest.mark.parametrize("score", SCORES)
def test_what_is_no_class_number_is_refused(score, y):
    with pytest.raises(tl.CourseError, match="2 class numbers, 0 … 1") as caught:
        score(rows(0.5, 0.6), y)
    assert "searchsorted" in caught.value.next_step


def test_logits_are_no_probabilities_to_soften():
    with pytest.raises(tl.CourseError, match="Probabilities were expected"):
        tl.apply_temperature(np.array([[2.0, 3.0]]), 2)
