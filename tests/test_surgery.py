"""Frozen means frozen: parameters, batch-norm statistics and dropout."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
import torchvision
from sklearn.linear_model import LogisticRegression
from torch import nn

import tlhelpers as tl
from tlhelpers.surgery import head_name

pytestmark = pytest.mark.usefixtures("one_thread")


def state(module) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in module.state_dict().items()}


def unchanged(before, module) -> set[str]:
    return {k for k, v in module.state_dict().items() if torch.equal(v, before[k])}


# --- freeze ----------------------------------------------------------------------


def test_freeze_leaves_parameters_and_buffers_bit_identical(small_cnn, red_and_blue):
    tl.freeze(small_cnn, but="fc")
    before = state(small_cnn)
    tl.fit(small_cnn, red_and_blue, epochs=2, lr=0.1)
    moved = set(before) - unchanged(before, small_cnn)
    assert moved == {"fc.weight", "fc.bias"}


def test_requires_grad_alone_lets_the_statistics_drift(small_cnn, red_and_blue):
    # The control of the test above: what freezing must be more than.
    for p in small_cnn.parameters():
        p.requires_grad = False
    before = state(small_cnn)
    small_cnn.train()(red_and_blue[0])
    assert "bn.running_mean" not in unchanged(before, small_cnn)


def test_frozen_dropout_drops_nothing(red_and_blue):
    x = red_and_blue[0]
    model = nn.Sequential(nn.Dropout(0.5), nn.Flatten(), nn.Linear(192, 2))
    tl.train_unfrozen(model)
    assert not torch.equal(model[0](x), x)
    tl.freeze(model, ["0"])
    tl.train_unfrozen(model)
    assert torch.equal(model[0](x), x)
    assert model[2].training


def test_frozen_layers_stay_in_eval_mode_and_the_others_train(small_cnn):
    tl.freeze(small_cnn, ["conv", "bn"])
    tl.train_unfrozen(small_cnn)
    modes = {n: m.training for n, m in small_cnn.named_children()}
    assert [n for n, on in modes.items() if not on] == ["conv", "bn"]


def test_freezing_takes_effect_at_once(small_cnn, red_and_blue):
    tl.freeze(small_cnn.train(), ["bn"])
    before = state(small_cnn)
    small_cnn(red_and_blue[0])
    assert len(unchanged(before, small_cnn)) == len(before)


def test_freeze_all_but_one_deep_layer():
    model = torchvision.models.mobilenet_v3_small(weights=None)
    tl.freeze(model, but="classifier.3")
    learning = {n for n, p in model.named_parameters() if p.requires_grad}
    assert learning == {"classifier.3.weight", "classifier.3.bias"}
    tl.train_unfrozen(model)
    assert [n for n, m in model.named_modules() if m.training] == ["classifier.3"]


def test_freeze_takes_several_exceptions_and_one_plain_name(small_cnn):
    tl.freeze(small_cnn, but=["bn", "fc"])
    assert tl.count_parameters(small_cnn, learning=True) == 12 + 14
    tl.freeze(small_cnn, "fc")
    assert tl.count_parameters(small_cnn, learning=True) == 12


def test_freeze_returns_the_same_model(small_cnn):
    assert tl.freeze(small_cnn) is small_cnn
    assert tl.unfreeze(small_cnn) is small_cnn
    assert tl.train_unfrozen(small_cnn) is small_cnn
    assert tl.freeze_batch_norm(small_cnn) is small_cnn
    assert tl.replace_head(small_cnn, 3) is small_cnn


def test_unfreeze_lets_everything_learn_again(small_cnn, red_and_blue):
    tl.unfreeze(tl.freeze(small_cnn))
    before = state(small_cnn)
    tl.fit(small_cnn, red_and_blue, epochs=1, lr=0.1)
    assert unchanged(before, small_cnn) == set()
    assert all(m.training for m in small_cnn.modules())


def test_unfreeze_one_layer_leaves_the_rest_frozen(small_cnn, red_and_blue):
    tl.unfreeze(tl.freeze(small_cnn), ["conv", "fc"])
    before = state(small_cnn)
    tl.fit(small_cnn, red_and_blue, epochs=1, lr=0.1)
    assert {k for k in unchanged(before, small_cnn)} == {
        k for k in before if k.startswith("bn.")
    }


def test_freeze_batch_norm_stops_it_alone(small_cnn, red_and_blue):
    tl.freeze_batch_norm(small_cnn)
    before = state(small_cnn)
    tl.fit(small_cnn, red_and_blue, epochs=1, lr=0.1)
    still = unchanged(before, small_cnn)
    assert still == {k for k in before if k.startswith("bn.")} and len(still) == 5


def test_freeze_batch_norm_finds_timms_own_kind(red_and_blue):
    model = tl.freeze_batch_norm(timm.create_model("test_efficientnet", num_classes=2))
    before = state(model)
    tl.train_unfrozen(model)(red_and_blue[0].repeat(1, 1, 4, 4))
    assert len(unchanged(before, model)) == len(before)
    assert any("running_mean" in k for k in before)


# --- names -----------------------------------------------------------------------


@pytest.fixture
def numbered():
    model = nn.Sequential()
    for name in ("fc1", "fc10", "fc2"):
        model.add_module(name, nn.Linear(3, 3))
    return model


def test_names_are_exact(numbered):
    tl.freeze(numbered, ["fc1"])
    frozen = {n for n, p in numbered.named_parameters() if not p.requires_grad}
    assert frozen == {"fc1.weight", "fc1.bias"}


@pytest.mark.parametrize("change", [tl.freeze, tl.unfreeze, tl.get_layer])
def test_unknown_layer_lists_the_near_names(numbered, change):
    wrong = "fc_1" if change is tl.get_layer else ["fc_1"]
    with pytest.raises(tl.CourseError, match="no layer 'fc_1'") as caught:
        change(numbered, wrong)
    said = caught.value.next_step
    assert "top layers are fc1, fc10, fc2" in said and "similar names: fc1" in said


def test_unknown_exception_is_refused_too(numbered):
    with pytest.raises(tl.CourseError, match="'head'"):
        tl.freeze(numbered, but="head")


def test_empty_name_is_no_layer(numbered):
    with pytest.raises(tl.CourseError):
        tl.get_layer(numbered, "")


def test_get_layer_reaches_into_blocks():
    model = torchvision.models.resnet18(weights=None)
    assert tl.get_layer(model, "layer1.0.conv1") is model.layer1[0].conv1


# --- heads -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "name", "features"),
    [
        (torchvision.models.resnet18, "fc", 512),
        (torchvision.models.mobilenet_v3_small, "classifier.3", 1024),
        (lambda: timm.create_model("test_resnet"), "fc", None),
        (lambda: timm.create_model("test_efficientnet"), "classifier", None),
        (lambda: timm.create_model("test_vit"), "head", None),
        (lambda: timm.create_model("test_convnext"), "head.fc", None),
    ],
)
def test_replace_head_changes_the_outputs_and_nothing_else(make, name, features):
    torch.manual_seed(0)
    model = make()
    before = state(model)
    assert head_name(model) == name
    old = tl.get_layer(model, name)
    tl.replace_head(model, 5)
    new = tl.get_layer(model, name)
    assert (new.in_features, new.out_features) == (old.in_features, 5)
    assert features in (None, new.in_features)
    kept = {k for k in before if not k.startswith(f"{name}.")}
    assert kept <= {k for k in before if before[k].shape == model.state_dict()[k].shape}
    assert all(torch.equal(model.state_dict()[k], before[k]) for k in kept)
    side = getattr(model, "default_cfg", {}).get("input_size", (3, 64, 64))[-1]
    assert model.eval()(torch.zeros(1, 3, side, side)).shape == (1, 5)


def test_new_head_of_a_frozen_network_learns():
    model = tl.freeze(torchvision.models.resnet18(weights=None))
    tl.replace_head(model, 2)
    assert tl.count_parameters(model, learning=True) == 512 * 2 + 2
    assert tl.train_unfrozen(model).fc.training


@pytest.mark.parametrize("n_classes", [2, 3])
def test_head_like_a_classifier_gives_the_same_probabilities(n_classes):
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(60, 4)), np.arange(60) % n_classes
    features[:, 0] += labels
    like = LogisticRegression().fit(features, labels)
    model = tl.replace_head(nn.Sequential(nn.Linear(4, 9)), n_classes, like=like)
    with torch.no_grad():
        got = model(torch.tensor(features, dtype=torch.float32)).softmax(1)
    np.testing.assert_allclose(got, like.predict_proba(features), atol=1e-5)


def test_head_like_a_classifier_of_other_classes_is_refused():
    like = LogisticRegression().fit(np.eye(4), [0, 1, 2, 3])
    model = nn.Sequential(nn.Linear(4, 9))
    with pytest.raises(tl.CourseError, match=r"\(4, 4\) coefficients.*\(3, 4\)"):
        tl.replace_head(model, 3, like=like)
    assert model[0].out_features == 9


def test_network_without_a_linear_layer_has_no_head():
    with pytest.raises(tl.CourseError, match="no linear layer"):
        tl.replace_head(nn.Sequential(nn.Conv2d(3, 2, 1)), 2)


# --- counting and measuring ------------------------------------------------------


def test_count_parameters_by_hand(small_cnn):
    # conv 6·3·3·3 + 6, batch-norm 6 + 6 (statistics are no parameters), fc 6·2 + 2.
    assert tl.count_parameters(small_cnn) == 168 + 12 + 14
    assert tl.count_parameters(tl.freeze(small_cnn, ["conv"]), learning=True) == 26


def test_summarize_lists_the_top_layers(small_cnn):
    table = tl.summarize(tl.freeze(small_cnn, but="fc"))
    assert list(table.index) == [n for n, _ in small_cnn.named_children()]
    assert table.loc["conv"].tolist() == ["Conv2d", 168, 0]
    assert table.loc["fc"].tolist() == ["Linear", 14, 14]
    assert table["parameters"].sum() == 194


def test_drift_is_zero_exactly_where_nothing_moved(small_cnn, red_and_blue):
    tl.freeze(small_cnn, but="fc")
    before = tl.snapshot(small_cnn)
    tl.fit(small_cnn, red_and_blue, epochs=1, lr=0.1)
    moved = tl.drift(before, small_cnn)
    assert set(moved) == {"conv", "bn", "fc"}
    assert moved["conv"] == moved["bn"] == 0.0 and moved["fc"] > 0.01


def test_drift_is_the_relative_norm_worked_by_hand():
    model = nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 1))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[3.0, 0.0]]))
        model[0].bias.fill_(4.0)
        before = tl.snapshot(model)
        model[0].weight.add_(torch.tensor([[0.0, 2.0]]))
        model[0].bias.sub_(1.5)
    # ||(0, 2, -1.5)|| / ||(3, 0, 4)|| = 2.5 / 5
    assert tl.drift(before, model) == pytest.approx({"0": 0.5, "1": 0.0})


def test_drift_sees_moving_statistics(small_cnn, red_and_blue):
    before = tl.snapshot(small_cnn)
    small_cnn.train()(red_and_blue[0])
    moved = tl.drift(before, small_cnn)
    assert moved["bn"] > 0 and moved["conv"] == 0


def test_drift_leaves_a_replaced_head_out(small_cnn):
    before = tl.snapshot(small_cnn)
    assert "fc" not in tl.drift(before, tl.replace_head(small_cnn, 7))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_drift_compares_across_devices(small_cnn):
    before = tl.snapshot(small_cnn)
    assert tl.drift(before, small_cnn.cuda())["conv"] == 0.0
