"""Scores of probabilities against the textbook, scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics

import tlhelpers as tl


@pytest.fixture(params=[2, 5])
def judged(request):
    """Probabilities of 300 rows that are right about as often as they say."""
    rng = np.random.default_rng(request.param)
    p = rng.dirichlet(np.ones(request.param), 300)
    y = np.array([rng.choice(request.param, p=row) for row in p])
    return p, y


# --- proper scores ----------------------------------------------------------------


def test_nll_is_the_log_loss(judged):
    assert tl.nll(*judged) == pytest.approx(metrics.log_loss(judged[1], judged[0]))


def test_nll_of_certain_and_wrong_is_large_and_finite():
    p = np.array([[1.0, 0.0]])
    assert tl.nll(p, [0]) == 0
    assert 20 < tl.nll(p, [1]) < 40


def test_brier_by_hand():
    p = np.array([[0.7, 0.2, 0.1], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    # 0.3² + 0.2² + 0.1² = 0.14; all right is 0, all wrong 2.
    assert tl.brier(p, np.array([0, 2, 1])) == pytest.approx((0.14 + 0 + 2) / 3)


def test_brier_of_two_classes_is_twice_the_one_of_scikit_learn(judged):
    p, y = judged
    if p.shape[1] == 2:
        wanted = 2 * metrics.brier_score_loss(y, p[:, 1])
    else:
        wanted = metrics.brier_score_loss(y, p, scale_by_half=False)
    assert tl.brier(p, y) == pytest.approx(wanted)


def test_entropy_by_hand():
    p = np.array([[1.0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0, 0]])
    np.testing.assert_allclose(tl.entropy(p), [0, np.log(4), np.log(2)], atol=1e-9)


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
    best = tl.nll(tl.apply_temperature(p, tl.fit_temperature(p, y)), y)
    grid = [tl.nll(tl.apply_temperature(p, t), y) for t in np.geomspace(0.06, 18, 200)]
    assert best <= min(grid) + 1e-6 and best < grid[0] - 0.1


def test_temperature_one_changes_nothing(judged):
    np.testing.assert_allclose(tl.apply_temperature(judged[0], 1), judged[0])


@pytest.mark.parametrize("temperature", [0.05, 0.5, 2, 20])
def test_temperature_never_changes_the_answer(judged, temperature):
    p = tl.apply_temperature(judged[0], temperature)
    assert (p.argmax(1) == judged[0].argmax(1)).all()
    np.testing.assert_allclose(p.sum(1), 1)
    softer = tl.entropy(p) - tl.entropy(judged[0])
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
    assert tl.abstention_score(p, y) == pytest.approx(accuracy.mean())


def test_abstention_by_a_given_doubt():
    p, y = rows(0.6, 0.99, 0.8, 0.7), np.array([1, 0, 0, 1])
    _, accuracy = tl.abstention_curve(p, y, doubt=np.array([0, 3, 2, 1]))
    np.testing.assert_allclose(accuracy, [0, 0, 1 / 3, 1 / 2])


def test_abstention_ends_at_the_accuracy(judged):
    p, y = judged
    coverage, accuracy = tl.abstention_curve(p, y)
    assert len(coverage) == len(y) and coverage[-1] == 1
    assert accuracy[-1] == pytest.approx(metrics.accuracy_score(y, p.argmax(1)))
    assert tl.abstention_score(p, y) > accuracy[-1]


def test_abstention_does_not_depend_on_the_order_of_equal_doubts():
    p, y = rows(0.8, 0.8, 0.8, 0.8, 0.6), np.array([0, 0, 1, 1, 0])
    for order in ([0, 1, 2, 3, 4], [3, 4, 2, 1, 0]):
        _, accuracy = tl.abstention_curve(p[order], y[order])
        np.testing.assert_allclose(accuracy, [0.5, 0.5, 0.5, 0.5, 0.6])


def test_unknown_score_is_the_share_of_ordered_pairs():
    sure, unsure = rows(0.9, 0.99), rows(0.5, 0.6, 0.55)
    assert tl.unknown_score(sure, unsure) == 1
    assert tl.unknown_score(unsure, sure) == 0
    assert tl.unknown_score(sure, sure[::-1]) == 0.5
    # 0.6 and 0.9 against 0.7: one of the two known ones is the surer.
    assert tl.unknown_score(rows(0.6, 0.9), rows(0.7)) == 0.5


# --- errors -----------------------------------------------------------------------

SCORES = [tl.nll, tl.brier, tl.ece, tl.abstention_score, tl.fit_temperature]


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
