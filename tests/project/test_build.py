"""Frozen, tuned, from scratch: as the plan says, chosen on valid, test unseen."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression

import tlhelpers as tl
from tlhelpers import project
from tlhelpers.project import build as building
from tlhelpers.project.keep import Project
from tlhelpers.project.plan import Plan
from tlhelpers.surgery import without_scaling


@pytest.fixture
def plan():
    """A plan of the smallest source model, few steps."""

    def make(method="tuned", steps=6):
        return Plan("images", "small_resnet", method, 32, steps, {}, ())

    return make


@pytest.fixture
def task(tiny_images):
    return tl.from_folder(tiny_images)


@pytest.fixture
def inputs(task, plan):
    return project.read_inputs(task, plan())


# --- figures -------------------------------------------------------------------------


def by_hand(k, n):
    """Wilson 1927, as notebook 10 writes it out: k right answers out of n."""
    z = 1.959964
    middle, half = k + z * z / 2, z * (k * (n - k) / n + z * z / 4) ** 0.5
    return max(0.0, (middle - half) / (n + z * z)), min(
        1.0, (middle + half) / (n + z * z)
    )


@pytest.mark.parametrize("n", [1, 2, 10, 137, 5000])
def test_scipys_interval_is_wilsons(n):
    for k in sorted({0, 1, n // 3, n - 1, n}):
        p = np.tile([[0.9, 0.1]], (n, 1))
        row = project.judge(p, (np.arange(n) >= k).astype(int))
        found = binomtest(k, n).proportion_ci(method="wilson")
        assert (row["low"], row["high"]) == (found.low, found.high)
        assert (found.low, found.high) == pytest.approx(by_hand(k, n), abs=1e-6)


def test_scikit_learns_log_loss_is_the_mean_negative_log_likelihood():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(50, 4)) * 4
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = rng.integers(3, size=50)  # the last class never is the right one
    wanted = -np.log(p[np.arange(50), y]).mean()
    for dtype, exact in ((np.float64, 1e-12), (np.float32, 1e-6)):
        found = project.judge(p.astype(dtype), y)["negative log-likelihood"]
        assert found == pytest.approx(wanted, rel=exact)
    sure = np.array([[1.0, 0.0], [1e-10, 1 - 1e-10]], dtype=np.float32)
    found = project.judge(sure, np.array([0, 0]))["negative log-likelihood"]
    assert found == pytest.approx(-np.log(1e-10) / 2, rel=1e-4)


def test_judging_a_hand_worked_case():
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
    row = project.judge(p, np.array([0, 0, 1, 1]))
    assert row["examples"] == 4 and row["accuracy"] == 0.75
    assert row["balanced accuracy"] == 0.75
    assert (row["low"], row["high"]) == pytest.approx(by_hand(3, 4), abs=1e-6)
    assert row["negative log-likelihood"] == pytest.approx(
        -np.log([0.9, 0.8, 0.4, 0.7]).mean()
    )


# --- building ------------------------------------------------------------------------


def test_inputs_are_what_a_project_encodes(task, plan, inputs):
    made = project.new_project(task, plan())
    x, y, features, _ = inputs["test"]
    assert torch.equal(x, made.encode([image for image, _ in task.test]))
    assert y.tolist() == task.test.labels.tolist()
    wanted = tl.extract_features(tl.load_source(plan().source), x)
    assert np.abs(features - wanted).max() < 0.01 * np.abs(wanted).max()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size": 2000}, "2000"),
        ({"size": 64.5}, "64.5"),
        ({"source": "test_vit"}, "test_vit"),
    ],
)
def test_what_could_not_be_kept_is_refused_before_anything_is_computed(
    change, said, task, plan, monkeypatch
):
    load = tl.load_source
    monkeypatch.setattr(
        "tlhelpers.sources.load_source", lambda name, **_: load(name, pretrained=False)
    )
    monkeypatch.setattr(building.features, "extract_features", lambda *_, **__: 1 / 0)
    with pytest.raises(tl.CourseError, match=f"'shapes' cannot be saved.*{said}"):
        project.read_inputs(task, replace(plan(), **change))


def test_two_classes_of_one_name_are_refused_before_anything_is_computed(task, plan):
    same = replace(task, class_names=("disc", "disc"))
    with pytest.raises(tl.CourseError, match="non-unique"):
        project.read_inputs(same, plan())


def test_text_inputs_are_cut_at_the_size(capsys):
    task = tl.load_reviews().sample(2)
    plan = Plan("texts", "minilm", "frozen", 8, 1, {}, ())
    inputs = project.read_inputs(task, plan)
    assert inputs["train"].x.shape == (4, 8)
    assert inputs["train"].features.shape == (4, 384)
    assert "were cut to 8 pieces" in capsys.readouterr().out


def test_the_frozen_project_is_logistic_regression_on_the_features(task, plan, inputs):
    made = project.repurpose(task, plan(), inputs)
    assert made.card["method"]["kept"] == "frozen"
    train, test = inputs["train"], inputs["test"]
    head = building.fit_head(train.features, train.y.numpy())
    made.temperature = 1.0
    wanted = head.predict_proba(test.features)
    # features may be in bf16
    assert np.abs(made.probabilities(test.x) - wanted).max() < 0.02


@pytest.fixture
def far_features():
    """Sixty rows far from 0 and widely spread, and their classes."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    features = rng.normal(50, 1, (60, 8)).astype(np.float32) * 100
    features[np.arange(60), y] += 300
    return features, y


def test_a_head_takes_features_as_they_are(far_features):
    features, y = far_features
    head = building.fit_head(features, y)
    assert head.score(features, y) > 0.9
    scaler, linear = head
    linear = without_scaling(linear, scaler.mean_, scaler.scale_)
    assert np.abs(linear.coef_).max() < 1  # scaled back to features of this size
    found = linear.predict_proba(features)
    assert np.allclose(found, head.predict_proba(features), atol=1e-6)


def test_the_pipeline_is_centring_and_one_scale_by_hand(far_features):
    features, y = far_features
    head = building.fit_head(features, y)
    x = features.astype(float) - features.mean(axis=0, dtype=float)
    x /= np.sqrt(x.var(axis=0).mean())
    wanted = LogisticRegression(C=head[-1].C, max_iter=2000).fit(x, y)
    assert np.allclose(head[-1].coef_, wanted.coef_, atol=1e-6)


def test_the_head_of_a_network_gets_scaling_and_weights(far_features, plan, task):
    features, y = far_features
    head = building.fit_head(features, y % 2)
    made = Project(
        "p", "images", ("a", "b"), torch.nn.Sequential(torch.nn.Linear(8, 2)), 1.0, {}
    )
    building._put(head, made)
    found = made.network(torch.from_numpy(features)).softmax(dim=1).detach().numpy()
    assert np.allclose(found, head.predict_proba(features), atol=1e-3)


def test_the_source_starts_with_its_body_and_the_control_without(task, plan):
    source = tl.load_source("small_resnet").model.state_dict()["conv1.weight"]
    known, unknown = (
        project.new_project(task, plan(), pretrained=p).network.body.conv1.weight
        for p in (True, False)
    )
    assert torch.equal(known, source) and not torch.allclose(unknown, source)


def test_of_texts_the_lowest_third_stays_and_the_control_learns_it():
    text = tl.load_reviews().sample(2)
    plan = Plan("texts", "minilm", "tuned", 16, 1, {}, ())
    for pretrained in (True, False):
        net = project.new_project(text, plan, pretrained=pretrained).network
        still = {name for name, p in net.named_parameters() if not p.requires_grad}
        layers = {name.split(".")[3] for name in still if "encoder" in name}
        assert layers == ({"0", "1"} if pretrained else set())
        assert any("embeddings" in name for name in still) is pretrained
        assert net.layers == 4


def test_the_best_on_valid_is_kept_and_the_start_is_left_alone(
    task, plan, inputs, monkeypatch
):
    start = project.repurpose(task, plan(), inputs)
    before = tl.snapshot(start.network)
    order = iter([0.5, 0.7])  # halfway, tuned
    real = building._calibrate

    def calibrate(made, valid):
        real(made, valid)
        made.card["figures"]["held-out negative log-likelihood"] = next(order)
        return made

    start.card["figures"]["held-out negative log-likelihood"] = 0.6
    monkeypatch.setattr(building, "_calibrate", calibrate)
    monkeypatch.setattr(building, "_surely_better", lambda *_: True)
    unseen = {k: v for k, v in inputs.items() if k != "test"}
    best, made = project.train_project(plan(), unseen, start)
    assert best.card["method"]["kept"] == made.card["method"]["kept"] == "halfway"
    assert start.card["method"]["kept"] == "frozen"
    assert max(tl.drift(before, start.network).values()) == 0
    moved = tl.drift(before, best.network)
    assert moved["body.conv1"] > 0 and moved["body.bn1"] < 0.1
    statistics = {k: v for k, v in before.items() if "running" in k}
    kept = best.network.state_dict()
    assert all(torch.equal(v, kept[k]) for k, v in statistics.items())


def test_where_nothing_is_better_the_frozen_one_is_kept(
    task, plan, inputs, monkeypatch
):
    monkeypatch.setattr(building.metrics, "log_loss", lambda *_, **__: 1.0)
    start = project.repurpose(task, plan(), inputs)
    before, unseen = tl.snapshot(start.network), {k: inputs[k] for k in inputs}
    unseen["test"] = None
    for method in ("tuned", "frozen"):
        chosen, made = project.train_project(plan(method), unseen, start)
        assert chosen is start and made.card["method"]["kept"] == "frozen"
        moved = tl.drift(before, made.network)
        assert {k for k, v in moved.items() if v} == {"body.fc"}
    assert max(tl.drift(before, start.network).values()) == 0


def test_a_frozen_choice_learns_from_train_and_valid(task, plan, inputs):
    start = project.repurpose(task, plan(), inputs)
    chosen, made = project.train_project(plan("frozen"), inputs, start)
    parts = [inputs[k] for k in ("train", "valid")]
    features = np.concatenate([part.features for part in parts])
    y = np.concatenate([part.y for part in parts])
    head = building.fit_head(features, y)
    wanted = head.predict_proba(inputs["test"].features)
    assert made.temperature == chosen.temperature, "valid gave it, before it was learnt"
    made.temperature = 1.0
    assert np.abs(made.probabilities(inputs["test"].x) - wanted).max() < 0.02
    assert made.card["figures"] == chosen.card["figures"]
    assert "valid" in made.card["method"]["labels"]
    assert "labels" not in chosen.card["method"]


def test_a_tuned_choice_learns_once_more_as_it_was_chosen(
    task, plan, inputs, monkeypatch
):
    seen = []

    def fit(network, data, **options):
        seen.append(len(data[0]))
        for p in network.parameters():
            p.data += len(seen)

    start = project.repurpose(task, plan(steps=100), inputs)
    monkeypatch.setattr(building.training, "fit", fit)
    monkeypatch.setattr(building, "_surely_better", lambda *_: True)
    figures = iter([9.0, 0.0])  # halfway, tuned

    def calibrate(made, valid):
        made.card["figures"]["held-out negative log-likelihood"] = next(figures)
        made.temperature = 1.7
        return made

    monkeypatch.setattr(building, "_calibrate", calibrate)
    chosen, made = project.train_project(plan(steps=100), inputs, start)
    n = [len(inputs[k].x) for k in ("train", "valid")]
    assert seen == [n[0], sum(n)] and n[1]
    assert chosen.card["method"]["kept"] == made.card["method"]["kept"] == "tuned"
    assert made.temperature == 1.7
    head = building.fit_head(
        np.r_[inputs["train"].features, inputs["valid"].features],
        np.r_[inputs["train"].y, inputs["valid"].y],
    )
    linear = without_scaling(head[1], head[0].mean_, head[0].scale_)
    weight = made.network.body.fc.weight.detach().double().numpy()
    # Two classes have one row of coefficients: half of it to either side.
    wanted = 0.2 * linear.coef_[0] / 2 + 2
    assert np.allclose(weight[1], wanted, atol=1e-5)
    assert torch.allclose(
        made.network.body.conv1.weight, start.network.body.conv1.weight + 2
    )


def test_pictures_lie_in_memory_once(task, plan, inputs, monkeypatch):
    """Train, valid and both together are views; a training asks for rows of them."""
    train, valid, both = (inputs[k] for k in ("train", "valid", "labelled"))
    assert torch.equal(both.x, torch.cat([train.x, valid.x]))
    assert both.y.tolist() == [*train.y.tolist(), *valid.y.tolist()]
    assert np.array_equal(both.features, np.r_[train.features, valid.features])
    places = {inputs[k].x.untyped_storage().data_ptr() for k in inputs}
    assert len(places) == 1

    called = []

    def fit(network, data, transform, **options):
        rows, y = data
        called.append(len(rows))
        assert torch.equal(y, both.y[rows])
        assert torch.equal(transform(rows[:3]), both.x[rows[:3]])

    monkeypatch.setattr(building.training, "augment", lambda x: x)
    monkeypatch.setattr(building.training, "fit", fit)
    project.train_from_scratch(task, plan(), inputs)
    assert called == [len(both.x)]


def test_texts_of_all_parts_have_one_length():
    task = tl.load_reviews().sample(2)
    inputs = project.read_inputs(task, Plan("texts", "minilm", "frozen", 64, 1, {}, ()))
    assert len({part.x.shape[1] for part in inputs.values()}) == 1
    assert inputs["labelled"].x.shape[0] == len(task.train) + len(task.valid)


def test_a_gain_within_its_standard_error_is_none():
    class Said:
        def __init__(self, right):
            self.right = np.array(right)

        def probabilities(self, x):
            return np.c_[1 - self.right, self.right]

    even, y = Said([0.5] * 8), torch.ones(8, dtype=torch.int64)
    better = Said([0.6, 0.7] * 4)
    lucky = Said([0.9] * 2 + [0.45] * 6)  # a higher mean, owed to two examples
    assert np.log(lucky.right).mean() > np.log(0.5)
    valid = building.Inputs(None, y, None)
    assert building._surely_better(better, even, valid)
    assert not building._surely_better(even, better, valid)
    assert not building._surely_better(lucky, even, valid)


def test_halfway_lies_between_the_start_and_the_end(task, plan, inputs, monkeypatch):
    def fit(network, *_, **__):
        for p in network.parameters():
            p.data += 1

    def note(made, valid):
        seen[made.card["method"]["kept"]] = tl.snapshot(made.network)
        return made

    seen, start = {}, project.repurpose(task, plan(), inputs)
    first = tl.snapshot(start.network)
    monkeypatch.setattr(building.training, "fit", fit)
    monkeypatch.setattr(building, "_calibrate", note)
    project.train_project(plan(), inputs, start)
    for k, v in first.items():
        middle = (v.double() + seen["tuned"][k].double()) / 2
        atol = 1e-6 if v.is_floating_point() else 0.5
        torch.testing.assert_close(
            seen["halfway"][k].double(), middle, rtol=0, atol=atol
        )


@pytest.mark.parametrize(
    ("steps", "epochs", "rows"), [(1, 1, 8), (2, 1, 16), (7, 3, 21)]
)
def test_the_steps_of_the_plan_are_taken(
    steps, epochs, rows, task, plan, inputs, monkeypatch
):
    calls = []

    def fit(network, data, **options):
        calls.append((len(data[0]), options["epochs"], options["lr"]))
        assert options["batch_size"] == 8 and options["body_factor"] == 1

    monkeypatch.setattr(building.training, "fit", fit)
    assert [len(inputs[k].x) for k in ("train", "valid")] == [16, 5]
    project.train_from_scratch(task, plan(steps=steps), inputs)
    assert calls == [(rows, epochs, 3e-3)]


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a second whenever it is asked."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(building, "default_timer", lambda: float(next(ticks)))


@pytest.mark.parametrize("method", ["tuned", "frozen"])
def test_a_training_stops_when_the_budget_is_spent(
    method, task, plan, inputs, clock, capsys
):
    short, start = plan(method, steps=60), project.repurpose(task, plan(), inputs)
    inputs = {k: part._replace(seconds=0) for k, part in inputs.items()}
    short.left = 10
    made = project.train_from_scratch(task, short, inputs)
    assert made.card["method"]["stopped"] == "early: the budget was spent"
    said = "The training (scratch) stopped early: the budget is spent."
    assert said in capsys.readouterr().out
    assert made.probabilities(inputs["test"].x).shape == (len(task.test), 2)
    best, _ = project.train_project(short, inputs, start)
    tuned = "The training (tuned) stopped early" in capsys.readouterr().out
    assert tuned is (method == "tuned"), "what stands still needs no time"
    assert best.card["method"]["kept"] in ("frozen", "halfway", "tuned")
    assert max(tl.drift(tl.snapshot(start.network), start.network).values()) == 0


def test_a_training_that_has_no_time_at_all_leaves_its_start(task, plan, inputs):
    late, start = plan(), project.repurpose(task, plan(), inputs)
    late.left = -100.0
    best, _ = project.train_project(late, inputs, start)
    assert best.card["method"]["kept"] == "frozen"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(building.training, "augment", lambda x: pytest.fail("trained"))
        project.train_from_scratch(task, late, inputs)


def test_features_that_took_long_leave_less_time_for_the_trainings(
    task, plan, clock, monkeypatch
):
    made, before = plan(), plan()
    made.left = before.left = 2.5
    inputs = project.read_inputs(task, made)
    assert made == before, "the plan is its owner's"
    assert inputs["train"].seconds == 2, "once for the features, once for judging"
    monkeypatch.setattr(building.training, "augment", lambda x: pytest.fail("trained"))
    project.train_from_scratch(task, made, inputs)  # half a second is left, and over


def test_on_a_busy_machine_the_budget_is_kept_to(task, plan, inputs, monkeypatch):
    """Every step takes a hundred times as long as the plan says."""
    real = building.training.augment

    def slow(x):
        time.sleep(0.2)
        return real(x)

    monkeypatch.setattr(building.training, "augment", slow)
    start, busy = project.repurpose(task, plan(), inputs), plan(steps=200)
    busy.left, since = 4.0, time.perf_counter()
    project.train_project(busy, inputs, start)
    project.train_from_scratch(task, busy, inputs)
    assert time.perf_counter() - since < 40  # unwatched: more than 80


def test_temperature_sharpens_only_where_mistakes_say_how_far(monkeypatch):
    made = Project("p", "images", ("a", "b"), torch.nn.Identity(), 1.0, {})
    made.card["figures"] = {}
    y = torch.arange(40) % 2
    valid = building.Inputs(torch.zeros(40, 1), y, None)
    p = np.where(np.arange(40)[:, None] % 2 == [0, 1], 0.6, 0.4)
    monkeypatch.setattr(building, "answer", lambda *_: torch.from_numpy(np.log(p)))
    building._calibrate(made, valid)
    assert made.temperature == 1.0  # all right: nothing to learn from
    assert made.card["certain"] == pytest.approx(0.6)
    p[:6] = p[:6, ::-1]
    building._calibrate(made, valid)
    assert made.temperature < 1.0
    p[:] = np.where(p > 0.5, 0.999, 0.001)
    building._calibrate(made, valid)
    assert made.temperature > 1.0


def test_the_card_says_what_was_done(task, plan, inputs):
    import json

    made = project.repurpose(task, plan(), inputs)
    card = json.loads(json.dumps(made.card))
    assert card["data"]["train"] == 16 and card["network"]["arch"] == "small_resnet"
    assert "licence" in card["source"] and card["versions"]["torch"]
    assert card["date"][:2] == "20"
