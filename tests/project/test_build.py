"""Frozen, tuned, from scratch: as the plan says, chosen on valid, test unseen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

import tlhelpers as tl
from tlhelpers.project import build as building
from tlhelpers.project.plan import Plan


@pytest.fixture
def plan():
    """A plan of the smallest source model, few steps."""

    def make(method="tuned", steps=6):
        return Plan(
            "images", "small_resnet", method, 32, steps, 8, 1e-3, 0.1, 1e-3, {}, ()
        )

    return make


@pytest.fixture
def task(tiny_images):
    return tl.from_folder(tiny_images)


@pytest.fixture
def inputs(task, plan):
    return tl.read_inputs(task, plan())


# --- figures -------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 10, 137, 5000])
def test_the_interval_is_scipys(n):
    for k in sorted({0, 1, n // 3, n - 1, n}):
        wanted = binomtest(k, n).proportion_ci(method="wilson")
        assert tl.interval(k, n) == pytest.approx((wanted.low, wanted.high), abs=1e-6)


def test_impossible_counts_have_no_interval():
    for k, n in ((3, 2), (-1, 5), (0, 0)):
        with pytest.raises(tl.CourseError, match="not possible"):
            tl.interval(k, n)


def test_judging_a_hand_worked_case():
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
    row = tl.judge(p, np.array([0, 0, 1, 1]))
    assert row["examples"] == 4 and row["accuracy"] == 0.75
    assert row["balanced accuracy"] == 0.75
    assert (row["low"], row["high"]) == tl.interval(3, 4)
    assert row["negative log-likelihood"] == pytest.approx(
        -np.log([0.9, 0.8, 0.4, 0.7]).mean()
    )


# --- building ------------------------------------------------------------------------


def test_inputs_are_what_a_project_encodes(task, plan, inputs):
    project = tl.new_project(task, plan())
    x, y, features = inputs["test"]
    assert torch.equal(x, project.encode([image for image, _ in task.test]))
    assert y.tolist() == task.test.labels.tolist()
    wanted = tl.extract_features(tl.load_source(plan().source), x)
    assert np.abs(features - wanted).max() < 0.01 * np.abs(wanted).max()


def test_text_inputs_are_cut_at_the_size(capsys):
    task = tl.load_reviews().sample(2)
    plan = Plan("texts", "minilm", "frozen", 8, 1, 8, 1e-3, 0.1, 1e-3, {}, ())
    inputs = tl.read_inputs(task, plan)
    assert inputs["train"].x.shape == (4, 8)
    assert inputs["train"].features.shape == (4, 384)
    assert "were cut to 8 pieces" in capsys.readouterr().out


def test_the_frozen_project_is_logistic_regression_on_the_features(task, plan, inputs):
    project = tl.repurpose(task, plan(), inputs)
    assert "kept" in project.card["method"]
    train, test = inputs["train"], inputs["test"]
    head = building.fit_head(train.features, train.y.numpy())
    project.temperature = 1.0
    wanted = head.predict_proba(test.features)
    # features may be in bf16
    assert np.abs(project.probabilities(test.x) - wanted).max() < 0.02


def test_a_head_takes_features_as_they_are():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    features = rng.normal(50, 1, (60, 8)).astype(np.float32) * 100
    features[np.arange(60), y] += 300
    head = building.fit_head(features, y)
    assert head.score(features, y) > 0.9
    assert np.abs(head.coef_).max() < 1  # scaled back to features of this size


def test_the_source_starts_with_its_body_and_the_control_without(task, plan):
    source = tl.load_source("small_resnet").model.state_dict()["conv1.weight"]
    known, unknown = (
        tl.new_project(task, plan(), pretrained=p).network.body.conv1.weight
        for p in (True, False)
    )
    assert torch.equal(known, source) and not torch.allclose(unknown, source)


def test_the_best_on_valid_is_kept_and_the_start_is_left_alone(
    task, plan, inputs, monkeypatch
):
    start = tl.repurpose(task, plan(), inputs)
    before = tl.snapshot(start.network)
    order = iter([0.5, 0.7])  # halfway, tuned
    real = building._calibrate

    def calibrate(project, valid):
        real(project, valid)
        project.card["figures"]["held-out negative log-likelihood"] = next(order)
        return project

    start.card["figures"]["held-out negative log-likelihood"] = 0.6
    monkeypatch.setattr(building, "_calibrate", calibrate)
    monkeypatch.setattr(building, "_surely_better", lambda *_: True)
    unseen = {k: v for k, v in inputs.items() if k != "test"}
    best = tl.train_project(task, plan(), inputs=unseen, start=start)
    assert best.card["method"]["kept"] == "halfway"
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
    monkeypatch.setattr(building, "_surprise", lambda project: 1.0)
    start = tl.repurpose(task, plan(), inputs)
    before, unseen = tl.snapshot(start.network), {k: inputs[k] for k in inputs}
    unseen["test"] = None
    for method in ("tuned", "frozen"):
        project = tl.train_project(task, plan(method), inputs=unseen, start=start)
        assert project.card["method"]["kept"] == "frozen"
        moved = tl.drift(before, project.network)
        assert {k for k, v in moved.items() if v} == {"body.fc"}
    assert max(tl.drift(before, start.network).values()) == 0


def test_the_head_that_is_kept_learnt_from_train_and_valid(
    task, plan, inputs, monkeypatch
):
    asked = []
    real = building._set_temperature

    def set_temperature(project, p, y):
        asked.append((p, y))
        return real(project, p, y)

    start = tl.repurpose(task, plan(), inputs)
    monkeypatch.setattr(building, "_set_temperature", set_temperature)
    project = tl.train_project(task, plan("frozen"), inputs=inputs, start=start)
    parts = [inputs[k] for k in ("train", "valid")]
    features = np.concatenate([part.features for part in parts])
    y = np.concatenate([part.y for part in parts])
    wanted = building.fit_head(features, y).predict_proba(inputs["test"].features)
    [(p, labels)] = asked
    assert labels.tolist() == y.tolist()
    # Predicted by heads that had not seen the example: less certain than the head.
    said = building.fit_head(features, y).predict_proba(features)
    rows = range(len(y))
    assert p[rows, y].mean() < said[rows, y].mean()
    project.temperature = 1.0
    assert np.abs(project.probabilities(inputs["test"].x) - wanted).max() < 0.02


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


def test_weights_are_blended():
    first = {"w": torch.tensor([0.0, 2.0]), "n": torch.tensor(3)}
    last = {"w": torch.tensor([1.0, 4.0]), "n": torch.tensor(5)}
    for share, wanted in ((0.0, [0, 2]), (0.5, [0.5, 3]), (1.0, [1, 4])):
        assert building._blend(first, last, share)["w"].tolist() == wanted


@pytest.mark.parametrize(
    ("steps", "epochs", "rows"), [(1, 1, 8), (2, 1, 16), (7, 3, 16)]
)
def test_the_steps_of_the_plan_are_taken(
    steps, epochs, rows, task, plan, inputs, monkeypatch
):
    calls = []

    def fit(network, data, **options):
        calls.append((len(data[0]), options["epochs"], options["lr"]))

    monkeypatch.setattr(building, "fit", fit)
    assert len(inputs["train"].x) == 16
    tl.train_from_scratch(task, plan(steps=steps), inputs)
    assert calls == [(rows, epochs, 1e-3)]


def test_temperature_sharpens_only_where_mistakes_say_how_far(monkeypatch):
    project = tl.Project("p", "images", ("a", "b"), torch.nn.Identity(), 1.0, {})
    project.card["figures"] = {}
    y = torch.arange(40) % 2
    valid = building.Inputs(torch.zeros(40, 1), y, None)
    p = np.where(np.arange(40)[:, None] % 2 == [0, 1], 0.6, 0.4)
    monkeypatch.setattr(building, "predict_proba", lambda *a, **k: p)
    building._calibrate(project, valid)
    assert project.temperature == 1.0  # all right: nothing to learn from
    assert project.card["certain"] == pytest.approx(0.6)
    p[:6] = p[:6, ::-1]
    building._calibrate(project, valid)
    assert project.temperature < 1.0
    p[:] = np.where(p > 0.5, 0.999, 0.001)
    building._calibrate(project, valid)
    assert project.temperature > 1.0


def test_the_card_says_what_was_done(task, plan, inputs):
    import json

    project = tl.repurpose(task, plan(), inputs)
    card = json.loads(json.dumps(project.card))
    assert card["data"]["train"] == 16 and card["network"]["arch"] == "small_resnet"
    assert "licence" in card["source"] and card["versions"]["torch"]
    assert card["date"][:2] == "20"
