"""One contract for all repurposers; the Bayesian layer against slower, surer ways."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, logsumexp, softmax
from scipy.stats import norm
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

import tlhelpers as tl
from tlhelpers import heads as repurposers
from tlhelpers.heads import BayesianLayer

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    # The best kernel of a toy problem may well lie at the end of the range.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

KINDS = {
    "logistic": tl.LogisticRepurposer,
    "svm": tl.SVMRepurposer,
    "gp": tl.GPRepurposer,
    "bnn": partial(tl.BNNRepurposer, n_samples=50),
    "knn": tl.KNNRepurposer,
    "finetune": partial(tl.FineTuneRepurposer, epochs=2),
}
COLOURS = np.array(
    [[200, 50, 50], [50, 50, 200], [50, 200, 50], [200, 200, 50], [50, 200, 200]]
)


@parametrize_with_checks([kind() for kind in KINDS.values()])
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


def tiny_extractor(layer=None, *, seed: int = 0) -> tl.FeatureExtractor:
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
    source = tl.SourceModel("tiny", "tiny", model, (0.5,) * 3, (0.25,) * 3)
    return tl.FeatureExtractor(source, layer)


def names_of(codes):
    return np.array(["red", "blue", "green", "yellow", "cyan"])[codes]


@pytest.fixture(params=KINDS)
def make(request):
    return KINDS[request.param]


class TestContract:
    """What every repurposer promises."""

    def test_clone_shares_the_extractor_and_forgets_the_fit(self, make):
        x, y = pictures(2)
        fitted = make(tiny_extractor()).fit(x, y)
        copy = clone(fitted)
        assert copy.extractor is fitted.extractor
        assert copy.get_params() == fitted.get_params()
        with pytest.raises(NotFittedError):
            copy.predict(x)

    def test_unfitted_it_predicts_and_saves_nothing(self, make, tmp_path):
        one, (x, _) = make(tiny_extractor()), pictures(1)
        for call in (one.predict, one.predict_proba):
            with pytest.raises(NotFittedError):
                call(x)
        with pytest.raises(NotFittedError):
            one.save(tmp_path / "kept")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("n_classes", [2, 5])
    def test_it_learns_and_its_probabilities_sum_to_one(self, make, n_classes):
        fitted = make(tiny_extractor()).fit(*pictures(8, n_classes))
        x, y = pictures(6, n_classes, seed=1)
        p = fitted.predict_proba(x)
        assert p.shape == (len(x), n_classes) and p.dtype == np.float64
        assert p.min() >= 0
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-12)
        assert (fitted.predict(x) == y).mean() > 0.9
        assert fitted.score(x, y) == (p.argmax(axis=1) == y).mean()

    @pytest.mark.parametrize("n_classes", [2, 5])
    def test_one_example_of_each_class_is_enough(self, make, n_classes):
        x, y = pictures(1, n_classes)
        fitted = make(tiny_extractor()).fit(x, y)
        new, truth = pictures(4, n_classes, seed=1)
        assert (fitted.predict(new) == truth).mean() > 0.9

    def test_labels_may_be_names(self, make):
        x, y = pictures(4)
        fitted = make(tiny_extractor()).fit(x, names_of(y))
        assert fitted.classes_.tolist() == ["blue", "green", "red"]
        new, truth = pictures(4, seed=1)
        assert (fitted.predict(new) == names_of(truth)).all()

    def test_order_of_the_rows_does_not_order_the_classes(self, make):
        x, y = pictures(4)
        new, _ = pictures(4, seed=1)
        rows = np.random.default_rng(0).permutation(len(x))
        a, b, c = (
            make(tiny_extractor()).fit(x[r], names_of(y[r]))
            for r in (np.arange(len(x)), rows, rows[::-1])
        )
        assert a.classes_.tolist() == b.classes_.tolist() == c.classes_.tolist()
        assert (a.predict(new) == b.predict(new)).all()
        assert (a.predict(new) == c.predict(new)).all()

    def test_same_seed_same_result_whatever_happened_before(self, make):
        x, y = pictures(4)
        results = []
        for noise in (1, 2):
            torch.manual_seed(noise)
            np.random.seed(noise)
            results.append(make(tiny_extractor()).fit(x, y).predict_proba(x))
        assert np.array_equal(*results)

    def test_fitting_leaves_network_and_global_generators_alone(self, make):
        extractor, (x, y) = tiny_extractor(), pictures(4)
        before, torch_state = extractor.fingerprint(), torch.get_rng_state()
        numpy_state = np.random.get_state()[1].copy()
        make(extractor).fit(x, y).predict(x)
        assert extractor.fingerprint() == before
        assert torch.equal(torch.get_rng_state(), torch_state)
        assert np.array_equal(np.random.get_state()[1], numpy_state)

    @pytest.mark.parametrize("kind", ["tensor", "list"])
    def test_pictures_may_be_a_tensor_or_a_list(self, make, kind):
        x, y = pictures(4)
        given = torch.from_numpy(x) if kind == "tensor" else list(x)
        a, b = (make(tiny_extractor()).fit(v, y).predict_proba(v) for v in (x, given))
        assert np.array_equal(a, b)

    def test_kept_and_loaded_it_is_the_very_same(self, make, tmp_path):
        x, y = pictures(5)
        new, _ = pictures(3, seed=1)
        fitted = make(tiny_extractor()).fit(x, names_of(y))
        folder = fitted.save(tmp_path / "a" / "b")
        loaded = tl.load_repurposer(folder, extractor=tiny_extractor())
        assert type(loaded) is type(fitted)
        assert np.array_equal(loaded.predict_proba(new), fitted.predict_proba(new))
        assert np.array_equal(loaded.predict(new), fitted.predict(new))
        assert {p.suffix for p in folder.iterdir()} == {".json", ".safetensors"}

    def test_without_extractor_it_takes_rows_of_features(self, make, tmp_path):
        x, y = pictures(5)
        rows = tiny_extractor().transform(x)
        fitted = make().fit(rows, y)
        assert fitted.score(rows, y) > 0.9 and fitted.n_features_in_ == 8
        loaded = tl.load_repurposer(fitted.save(tmp_path))
        assert np.array_equal(loaded.predict_proba(rows), fitted.predict_proba(rows))

    def test_unseeded_it_is_still_kept_as_it_is(self, make, tmp_path):
        if "random_state" not in make().get_params():
            pytest.skip("nothing random in it")
        x, y = pictures(4)
        fitted = make(tiny_extractor(), random_state=None).fit(x, y)
        loaded = tl.load_repurposer(fitted.save(tmp_path), extractor=tiny_extractor())
        assert np.array_equal(loaded.predict_proba(x), fitted.predict_proba(x))

    def test_numbers_of_a_grid_search_can_be_kept(self, make, tmp_path):
        one, (x, y) = make(), pictures(3)
        rows = tiny_extractor().transform(x)
        given = {k: np.array([v])[0] for k, v in one.get_params().items() if v}
        one.set_params(**given).fit(rows, y).save(tmp_path)
        kept = json.loads((tmp_path / "repurposer.json").read_text("utf-8"))
        assert {k: kept["parameters"][k] for k in given} == given
        assert tl.load_repurposer(tmp_path).predict(rows).shape == (9,)

    def test_it_works_in_a_pipeline(self, make):
        x, y = pictures(4)
        pipeline = make_pipeline(tiny_extractor(), make()).fit(x, y)
        assert pipeline.score(*pictures(4, seed=1)) > 0.9
        darker = make_pipeline(
            FunctionTransformer(lambda v: v // 2), make(tiny_extractor())
        )
        assert darker.fit(x, y).score(*pictures(4, seed=1)) > 0.9

    def test_features_that_are_not_numbers_are_refused(self, make):
        rows = np.ones((4, 2))
        rows[1, 1] = np.nan
        with pytest.raises(ValueError, match="NaN"):
            make().fit(rows, [0, 0, 1, 1])

    def test_one_class_is_refused(self, make):
        with pytest.raises(tl.CourseError, match="only one class, 'red'"):
            make(tiny_extractor()).fit(pictures(2)[0], ["red"] * 6)

    def test_a_class_for_each_of_many_examples_is_refused(self, make):
        rows = np.random.default_rng(0).normal(size=(21, 2))
        with pytest.raises(tl.CourseError, match="Each of the 21 examples") as caught:
            make().fit(rows, np.arange(21))
        assert "numbers to predict" in caught.value.next_step

    def test_pictures_of_different_sizes_are_refused(self, make):
        x = [np.zeros((3, 8, 8), np.uint8), np.zeros((3, 8, 9), np.uint8)]
        with pytest.raises(tl.CourseError, match="differ in size") as caught:
            make(tiny_extractor()).fit(x, [0, 1])
        assert "one size" in caught.value.next_step

    def test_as_many_labels_as_pictures_are_needed(self, make):
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            make(tiny_extractor()).fit(pictures(2)[0], [0, 1])

    def test_another_number_of_features_is_refused(self, make):
        fitted = make().fit(np.eye(4), [0, 0, 1, 1])
        with pytest.raises(ValueError, match="3 features.*expecting 4"):
            fitted.predict(np.eye(3))

    def test_another_network_is_refused_when_loading(self, make, tmp_path):
        make(tiny_extractor()).fit(*pictures(2)).save(tmp_path)
        with pytest.raises(tl.CourseError, match="not the one") as caught:
            tl.load_repurposer(tmp_path, extractor=tiny_extractor(seed=1))
        assert "extractor=" in caught.value.next_step


def test_all_of_them_load_in_a_fresh_process(tmp_path):
    x, y = pictures(4)
    for name, make in KINDS.items():
        fitted = make(tiny_extractor()).fit(x, names_of(y))
        fitted.save(tmp_path / name)
        np.save(tmp_path / f"{name}.npy", fitted.predict_proba(x))
    np.save(tmp_path / "x.npy", x)
    code = """
import sys, numpy as np, torch, tlhelpers as tl
from pathlib import Path
torch.set_num_threads(1)
from test_repurposers import KINDS, tiny_extractor
here = Path(sys.argv[1])
x = np.load(here / "x.npy")
for name in KINDS:
    loaded = tl.load_repurposer(here / name, extractor=tiny_extractor(seed=0))
    same = np.array_equal(loaded.predict_proba(x), np.load(here / f"{name}.npy"))
    print(name, same, ",".join(loaded.classes_))
"""
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.split("\n")[:-1] == [f"{n} True blue,green,red" for n in KINDS]


# --- search -----------------------------------------------------------------------


def test_search_over_layers_and_heads_extracts_each_picture_once():
    x, y = pictures(6)
    layers = [tiny_extractor(), tiny_extractor("0"), tiny_extractor(["0", "2"])]
    pipeline = Pipeline([("extract", layers[0]), ("head", tl.LogisticRepurposer())])
    heads = [tl.LogisticRepurposer(), tl.KNNRepurposer(n_neighbors=3)]
    grid = GridSearchCV(pipeline, {"extract": layers, "head": heads}, cv=3)
    assert grid.fit(x, y).best_score_ > 0.9
    assert len(grid.cv_results_["params"]) == 6
    assert [e.computed for e in layers] == [18, 18, 18]
    grid.predict(x)
    assert [e.computed for e in layers] == [18, 18, 18]


def test_search_inside_a_repurposer_extracts_each_picture_once(make):
    x, y = pictures(6)
    extractor = tiny_extractor()
    one = make(extractor)
    name = next((k for k in one.get_params() if k != "extractor"), None)
    if name is None:
        pytest.skip("nothing to choose")
    grid = {name: [getattr(one, name)] * 2}
    if "batch_size" not in grid:
        grid["extractor"] = [extractor, tiny_extractor("0")]
    found = GridSearchCV(one, grid, cv=3).fit(torch.from_numpy(x), y)
    assert found.best_score_ > 0.9
    assert {e.computed for e in grid.get("extractor", [extractor])} == {18}


# --- errors of one kind -----------------------------------------------------------


def test_missing_layer_is_refused_at_once():
    with pytest.raises(tl.CourseError, match="no layer 'layer4'"):
        tiny_extractor("layer4")


def test_exact_gaussian_process_has_a_limit():
    rows, y = np.random.default_rng(0).normal(size=(501, 2)), np.arange(501) % 2
    with pytest.raises(tl.CourseError, match="501 examples.*500 are the limit"):
        tl.GPRepurposer().fit(rows, y)


def test_fine_tuning_wants_the_whole_network():
    with pytest.raises(tl.CourseError, match="whole network, not '0'"):
        tl.FineTuneRepurposer(tiny_extractor("0")).fit(*pictures(2))


def test_empty_folder_holds_no_repurposer(tmp_path):
    with pytest.raises(tl.CourseError, match="holds no repurposer"):
        tl.load_repurposer(tmp_path)


def test_another_layer_of_the_same_width_is_refused_when_loading(tmp_path):
    tl.LogisticRepurposer(tiny_extractor("0")).fit(*pictures(2)).save(tmp_path)
    with pytest.raises(tl.CourseError, match="layer, is not the one"):
        tl.load_repurposer(tmp_path, extractor=tiny_extractor("1"))
    tl.load_repurposer(tmp_path, extractor=tiny_extractor(["0"]))


def test_source_model_is_found_by_its_name(tmp_path, monkeypatch):
    tl.LogisticRepurposer(tiny_extractor("0")).fit(*pictures(2)).save(tmp_path)
    asked = []
    monkeypatch.setattr(
        repurposers, "load_source", lambda n: asked.append(n) or tiny_extractor().source
    )
    loaded = tl.load_repurposer(tmp_path)
    assert asked == ["tiny"] and loaded.extractor.layer == "0"


def test_bare_network_must_be_given_when_loading(tmp_path):
    x, y = pictures(2)
    bare = tl.FeatureExtractor(tiny_extractor().source.model)
    tl.LogisticRepurposer(bare).fit(x / np.float32(255), y).save(tmp_path)
    with pytest.raises(tl.CourseError, match="The network"):
        tl.load_repurposer(tmp_path)
    assert tl.load_repurposer(tmp_path, extractor=bare).classes_.tolist() == [0, 1, 2]


# --- fine-tuning ------------------------------------------------------------------


def test_fine_tuning_moves_the_body_but_no_statistics_of_batch_norm():
    extractor = tiny_extractor()
    tuned = tl.FineTuneRepurposer(extractor, epochs=3, lr=0.01, body_factor=1.0)
    before = tl.snapshot(extractor.source.model)
    tuned.fit(*pictures(4))
    moved = tl.drift(before, tuned.network_)
    assert moved["0"] > 1e-3 and moved["1"] == 0.0 and "6" not in moved


def test_fine_tuning_starts_as_logistic_regression():
    x, y = pictures(6)
    still = tl.FineTuneRepurposer(tiny_extractor(), epochs=1, lr=1e-9).fit(x, y)
    logistic = tl.LogisticRepurposer(tiny_extractor()).fit(x, y)
    p, q = still.predict_proba(x), logistic.predict_proba(x)
    np.testing.assert_allclose(p, q, atol=0.02)


def test_fine_tuning_takes_a_bare_network():
    x, y = pictures(4)
    bare = tl.FeatureExtractor(tiny_extractor().source.model)
    x = x.astype(np.float32) / 255
    assert tl.FineTuneRepurposer(bare, epochs=1).fit(x, y).score(x, y) > 0.9


# --- the heads --------------------------------------------------------------------


def blobs(n: int, k: int = 2, d: int = 2, *, gap: float = 1.5, seed: int = 0):
    """Overlapping Gaussian blobs on a circle, centred: x, class numbers."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    angle = 2 * np.pi * y / k
    x = rng.normal(size=(n, d))
    x[:, 0] += gap * np.cos(angle)
    x[:, -1] += gap * np.sin(angle)
    return x - x.mean(axis=0), y


def test_logistic_repurposer_is_logistic_regression_on_scaled_features():
    x, y = blobs(40, 3)
    x = (x - x.mean(0)) / x.std(0)
    ours = tl.LogisticRepurposer(C=0.5).fit(x, y).predict_proba(x)
    theirs = LogisticRegression(C=0.5).fit(x, y).predict_proba(x)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


@pytest.mark.parametrize("kind", ["logistic", "svm", "gp", "bnn"])
def test_units_of_the_features_do_not_matter(kind):
    x, y = blobs(30)
    a = KINDS[kind]().fit(x, y).predict_proba(x)
    b = KINDS[kind]().fit(x * 1000 + 7, y).predict_proba(x * 1000 + 7)
    np.testing.assert_allclose(a, b, atol=0.05)


def test_feature_that_hardly_varies_is_not_blown_up():
    x, y = blobs(30, gap=3)
    x = np.c_[x, 1e-6 * np.random.default_rng(1).normal(size=30)]
    fitted = tl.LogisticRepurposer().fit(x, y)
    moved = x + [0, 0, 1e-2]
    np.testing.assert_allclose(
        fitted.predict_proba(moved), fitted.predict_proba(x), atol=0.02
    )


def test_svm_probabilities_follow_its_decisions_where_no_curve_can_be_fitted():
    x, y = blobs(4, gap=3)
    p = tl.SVMRepurposer().fit(x, y).predict_proba(x)
    assert (p.argmax(1) == y).all() and p.max() < 1


def test_gaussian_process_is_undecided_far_away():
    x, y = blobs(40)
    far = tl.GPRepurposer().fit(x, y).predict_proba([[1e4, 0.0], [0.0, -1e4]])
    np.testing.assert_allclose(far, 0.5, atol=1e-3)


# --- the Bayesian layer -----------------------------------------------------------

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


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize(("variance", "tolerance"), [(0.1, 0.03), (1.0, 0.07)])
def test_bayesian_layer_agrees_with_monte_carlo(k, variance, tolerance):
    x, y = blobs(20, k, gap=0.8)
    test = np.array([[0, 0], [1, 1], [-2, 0.5], [3, -3], [0, 6], [-8, -8.0]])
    wanted = metropolis(x, y, variance, test)
    layer = BayesianLayer(variance).fit(x, y).draw(5000, np.random.RandomState(0))
    got = layer.predict_proba(test)
    # A Gaussian is the worse an approximation, the wider the prior.
    assert np.abs(got - wanted).max() < tolerance
    # Not for want of something to tell apart:
    assert wanted.max() > 0.8 and np.ptp(wanted[:, 0]) > 0.3


def turned(layer, x):
    """The examples in the axes of the layer, with a column for the bias."""
    return np.c_[x @ layer.axes, np.ones(len(x))]


@pytest.mark.parametrize("k", [2, 3])
def test_curvature_is_the_second_derivative_at_the_peak(k):
    (x, y), v = blobs(20, k), 0.5
    layer = BayesianLayer(v).fit(x, y)
    z, size, h = turned(layer, x)[:, :-1], layer.peak.size, 1e-3
    steps = np.eye(size) * h

    def f(flat):
        return -log_posterior(flat.reshape(1, k, -1), z, y, v)[0]

    at = layer.peak.ravel()
    slope = [(f(at + s) - f(at - s)) / (2 * h) for s in steps]
    # Only the wide prior of the bias, which the peak leaves out, still pulls.
    np.testing.assert_allclose(slope, np.zeros(size), atol=0.01)
    curvature = [
        [
            (f(at + a + b) - f(at + a - b) - f(at - a + b) + f(at - a - b)) / (4 * h**2)
            for a in steps
        ]
        for b in steps
    ]
    got = layer.cholesky @ layer.cholesky.T
    np.testing.assert_allclose(got, curvature, atol=1e-3)
    draws = layer.draw(100_000, np.random.RandomState(0)).draws.reshape(-1, size)
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
    assert BayesianLayer(variance).fit(x, y).evidence == pytest.approx(wanted, abs=0.15)


def test_evidence_chooses_the_prior():
    def chosen(gap):
        x, y = blobs(60, gap=gap)
        return tl.BNNRepurposer().fit(x, y).head_.variance

    values = [chosen(gap) for gap in (0.0, 0.7, 2.0)]
    assert all(a < b for a, b in pairwise(values))


@pytest.mark.parametrize("k", [2, 3])
def test_weights_off_the_span_are_exact(k):
    # Fewer examples than features: the same without turning and cutting the axes.
    (x, y), v, d = blobs(9, k, 12), 0.5, 12
    layer = BayesianLayer(v).fit(x, y)
    assert layer.axes.shape == (d, 8)
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
    assert layer.evidence == pytest.approx(evidence, abs=1e-3)
    # Predictions, in and off the span.
    test = np.random.default_rng(1).normal(0, 2, (6, d))
    weights = np.random.default_rng(2).multivariate_normal(
        peak.ravel(), np.linalg.inv(curvature), 40_000
    )
    logits = weights.reshape(-1, k, d + 1) @ np.c_[test, np.ones(6)].T
    wanted = softmax(logits, axis=1).mean(0).T
    got = layer.draw(40_000, np.random.RandomState(0)).predict_proba(test)
    np.testing.assert_allclose(got, wanted, atol=0.01)


def test_far_from_the_examples_the_average_is_undecided_and_the_peak_is_not():
    x, y = blobs(30, gap=1.5)
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    far = 100 * np.c_[np.cos(angle), np.sin(angle)]
    peak = tl.LogisticRepurposer(C=1.0).fit(x, y).predict_proba(far).max(1)
    bayes = tl.BNNRepurposer(temperature=1.0, n_samples=2000).fit(x, y)
    bayes = bayes.predict_proba(far).max(1)
    assert peak.mean() > 0.99 and bayes.mean() < 0.95
    assert bayes.min() < 0.6 and (bayes <= peak + 0.05).all()
    # Near them both agree.
    logistic, bayesian = tl.LogisticRepurposer(C=1.0), tl.BNNRepurposer(temperature=1.0)
    same = logistic.fit(x, y).predict(x) == bayesian.fit(x, y).predict(x)
    assert same.mean() > 0.9


def test_posterior_without_temperature_is_its_peak():
    x, y = blobs(30, 3, 8)
    cold = tl.BNNRepurposer(temperature=0.0, n_samples=3).fit(x, y)
    peak = LogisticRegression(C=cold.head_.variance, tol=1e-8).fit(cold._scaled(x), y)
    ours, theirs = (m.predict_proba(v) for m, v in ((cold, x), (peak, cold._scaled(x))))
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_temperature_is_the_one_that_predicts_held_out_examples_best():
    x, y = blobs(24, 3, 200, gap=8)  # many features, few examples
    x_new, y_new = blobs(300, 3, 200, gap=8, seed=1)
    chosen, bayes = tl.BNNRepurposer().fit(x, y), tl.BNNRepurposer(temperature=1.0)
    few = tl.BNNRepurposer().fit(x[:6], y[:6])  # two of a class: nothing to hold out
    plain = tl.BNNRepurposer(temperature=1.0).fit(x[:6], y[:6])
    np.testing.assert_array_equal(few.predict_proba(x), plain.predict_proba(x))
    p, modest = (m.predict_proba(x_new) for m in (chosen, bayes.fit(x, y)))
    assert tl.nll(p, y_new) < tl.nll(modest, y_new) - 0.05


def test_off_the_span_the_prior_alone_decides():
    x, y = blobs(6, d=20, gap=3)
    _, _, vt = np.linalg.svd(x)
    fitted = BayesianLayer(1.0).fit(x, y).draw(4000, np.random.RandomState(0))
    p = fitted.predict_proba(1e6 * vt[-1:])
    np.testing.assert_allclose(p, 0.5, atol=0.03)


def test_logistic_regression_inside_the_bayesian_layer_converges():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        for gap in (0.0, 5.0):
            tl.BNNRepurposer().fit(*blobs(60, 3, 30, gap=gap))
