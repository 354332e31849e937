"""Linear CKA by hand, by its definition, and what it must not see."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ortho_group

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
