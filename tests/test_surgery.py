"""Frozen means frozen: parameters, batch-norm statistics and dropout."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import timm
import torch
import torchvision
from sklearn.linear_model import LogisticRegression
from torch import nn

import tlhelpers as tl
from tlhelpers.surgery import (
    get_layer,
    head_names,
    main_output,
    train_unfrozen,
    unfreeze,
    without_scaling,
)

pytestmark = pytest.mark.usefixtures("one_thread")
LEVIT = ["head.linear", "head_dist.linear"]
DEIT = ["cls_classifier", "distillation_classifier"]


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
    train_unfrozen(model)
    assert not torch.equal(model[0](x), x)
    tl.freeze(model, ["0"])
    train_unfrozen(model)
    assert torch.equal(model[0](x), x)
    assert model[2].training


def test_frozen_layers_stay_in_eval_mode_and_the_others_train(small_cnn):
    tl.freeze(small_cnn, ["conv", "bn"])
    train_unfrozen(small_cnn)
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
    train_unfrozen(model)
    assert [n for n, m in model.named_modules() if m.training] == ["classifier.3"]


def test_freeze_takes_several_exceptions_and_one_plain_name(small_cnn):
    tl.freeze(small_cnn, but=["bn", "fc"])
    assert tl.count_parameters(small_cnn, learning=True) == 12 + 14
    tl.freeze(small_cnn, "fc")
    assert tl.count_parameters(small_cnn, learning=True) == 12


def test_freeze_returns_the_same_model(small_cnn):
    assert tl.freeze(small_cnn) is small_cnn
    assert unfreeze(small_cnn) is small_cnn
    assert train_unfrozen(small_cnn) is small_cnn
    assert tl.freeze_batch_norm(small_cnn) is small_cnn
    assert tl.replace_head(small_cnn, 3) is small_cnn


def test_unfreeze_lets_everything_learn_again(small_cnn, red_and_blue):
    unfreeze(tl.freeze(small_cnn))
    before = state(small_cnn)
    tl.fit(small_cnn, red_and_blue, epochs=1, lr=0.1)
    assert unchanged(before, small_cnn) == set()
    assert all(m.training for m in small_cnn.modules())


def test_unfreeze_one_layer_leaves_the_rest_frozen(small_cnn, red_and_blue):
    unfreeze(tl.freeze(small_cnn), ["conv", "fc"])
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
    train_unfrozen(model)(red_and_blue[0].repeat(1, 1, 4, 4))
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


@pytest.mark.parametrize("change", [tl.freeze, unfreeze, get_layer])
def test_unknown_layer_lists_the_near_names(numbered, change):
    wrong = "fc_1" if change is get_layer else ["fc_1"]
    with pytest.raises(tl.CourseError, match="no layer 'fc_1'") as caught:
        change(numbered, wrong)
    said = caught.value.next_step
    assert "top layers are fc1, fc10, fc2" in said and "similar names: fc1" in said


def test_unknown_exception_is_refused_too(numbered):
    with pytest.raises(tl.CourseError, match="'head'"):
        tl.freeze(numbered, but="head")


def test_empty_name_is_no_layer(numbered):
    with pytest.raises(tl.CourseError):
        get_layer(numbered, "")


def test_get_layer_reaches_into_blocks():
    model = torchvision.models.resnet18(weights=None)
    assert get_layer(model, "layer1.0.conv1") is model.layer1[0].conv1


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
    assert head_names(model) == [name]
    old = get_layer(model, name)
    tl.replace_head(model, 5)
    new = get_layer(model, name)
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
    assert train_unfrozen(model).fc.training


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


@pytest.mark.parametrize("each", [False, True], ids=["one scale", "scale each"])
def test_scaling_becomes_part_of_the_classifier(each):
    rng = np.random.default_rng(0)
    features = 3 + rng.normal(size=(60, 4)) * [0.1, 1, 10, 100]
    center = features.mean(axis=0)
    scale = features.std(axis=0) if each else float(features.std())
    scaled = (features - center) / scale
    head = LogisticRegression().fit(scaled, np.arange(60) % 3)
    wanted = head.predict_proba(scaled)
    made = without_scaling(head, center, scale)
    np.testing.assert_allclose(made.predict_proba(features), wanted, atol=1e-9)
    np.testing.assert_array_equal(head.predict_proba(scaled), wanted)  # left alone


def test_head_like_a_classifier_of_other_classes_is_refused():
    like = LogisticRegression().fit(np.eye(4), [0, 1, 2, 3])
    model = nn.Sequential(nn.Linear(4, 9))
    with pytest.raises(tl.CourseError, match=r"\(4, 4\) coefficients.*\(3, 4\)"):
        tl.replace_head(model, 3, like=like)
    assert model[0].out_features == 9


def test_network_without_a_linear_layer_has_no_head():
    with pytest.raises(tl.CourseError, match="no linear layer"):
        tl.replace_head(nn.Sequential(nn.Conv2d(3, 2, 1)), 2)


VIT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
VIT |= {"image_size": 32, "patch_size": 16, "intermediate_size": 32}


def hugging(name, **more):
    """A small network of transformers, random weights."""
    transformers = pytest.importorskip("transformers")
    kind = next(k for k in ("ViT", "Dinov2", "DeiT", "Bert") if name.startswith(k))
    sizes = dict(VIT) if kind != "Bert" else {k: VIT[k] for k in list(VIT)[:3]}
    sizes |= {"vocab_size": 20} if kind == "Bert" else {}
    return getattr(transformers, name)(
        getattr(transformers, f"{kind}Config")(**sizes, **more)
    )


class HeadFirst(nn.Module):
    """The head is listed first and computes last; a logarithm follows."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 2)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.ReLU())

    def forward(self, x):
        return self.head(self.body(x)).log_softmax(dim=1)


class Depends(nn.Module):
    """What forward does depends on values, so it cannot be traced without data."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(12, 4), nn.Linear(4, 2)

    def forward(self, x):
        x = self.body(x.flatten(1))
        return self.head(x * 2 if float(x.max()) > 0 else x)


class Residual(nn.Module):
    """What a linear layer says is added to, or stands beside, what it was told."""

    def __init__(self, end):
        super().__init__()
        self.end, self.body, self.last = end, nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        x = self.body(x)
        return self.end(x, self.last(x))


class Loss(Residual):
    """Gives a loss, too, where it is given labels: as many networks of one's own do."""

    def forward(self, x, labels=None):
        logits = self.last(self.body(x))
        if labels is not None:
            return nn.functional.cross_entropy(logits, labels), logits
        return logits


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale, self.last = nn.Parameter(torch.ones(())), nn.Linear(4, 2)

    def forward(self, x):
        return self.scale * self.last(x)


def without(model, name):
    model.set_submodule(name, nn.Identity())
    return model


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: timm.create_model("test_vit"), ["head"]),
        (lambda: timm.create_model("test_vit", num_classes=0), []),
        (lambda: timm.create_model("test_resnet", num_classes=0), []),
        (lambda: timm.create_model("test_convnext", num_classes=0), []),
        (lambda: timm.create_model("levit_128s", num_classes=3), LEVIT),
        (lambda: hugging("Dinov2Model"), []),
        (lambda: hugging("ViTModel"), []),
        (lambda: hugging("BertModel"), []),
        (lambda: hugging("ViTForImageClassification"), ["classifier"]),
        (lambda: hugging("BertForSequenceClassification"), ["classifier"]),
        (lambda: hugging("DeiTForImageClassificationWithTeacher"), DEIT),
        (lambda: without(torchvision.models.resnet18(), "fc"), []),
        (lambda: without(narrow_vit(), "heads"), []),
        (lambda: torchvision.models.squeezenet1_0(), []),
        (lambda: torchvision.models.googlenet(init_weights=False), ["fc"]),
        (HeadFirst, ["head"]),
        (Depends, ["head"]),
        (lambda: nn.Sequential(HeadFirst(), nn.Softmax(dim=1)), ["0.head"]),
        (lambda: nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), []),
        (lambda: Residual(torch.add), []),
        (lambda: Residual(lambda x, y: x * y.sigmoid()), []),
        (lambda: Residual(lambda x, y: torch.cat([x, y], dim=1)), []),
        (lambda: nn.Sequential(nn.Linear(3, 4), Residual(torch.add)), []),
        (lambda: nn.Sequential(Residual(torch.add), nn.Linear(4, 2)), ["1"]),
        (lambda: Residual(lambda x, y: {"hidden": x, "logits": y}), ["last"]),
        (lambda: Residual(lambda x, y: (y.relu() / 2, x)), ["last"]),
        (lambda: Residual(lambda x, y: (x, y)), ["body"]),
        (lambda: Residual(lambda x, y: (None, y)), []),
        (lambda: Loss(None), ["last"]),
        (Scaled, ["last"]),
    ],
)
def test_the_head_is_what_makes_the_output(make, names):
    assert head_names(make()) == names


def test_a_convolution_may_be_the_head_of_timms_networks():
    with torch.device("meta"):
        model = timm.create_model("resnetv2_50x1_bit")
    assert head_names(model) == ["head.fc"]
    assert isinstance(model.head.fc, nn.Conv2d)
    with pytest.raises(tl.CourseError, match="no linear layer that makes the output"):
        tl.replace_head(model, 2)


@pytest.mark.parametrize(
    "make",
    [
        lambda: timm.create_model("test_vit", num_classes=0),
        lambda: hugging("Dinov2Model"),
        lambda: without(narrow_vit(), "heads"),
    ],
)
def test_a_network_without_a_head_gets_none_and_stays_as_it_is(make):
    model = make()
    before = state(model)
    with pytest.raises(tl.CourseError, match="so no head") as caught:
        tl.replace_head(model, 2)
    assert "Sequential" in caught.value.next_step
    assert len(unchanged(before, model)) == len(before)


def test_a_head_that_is_listed_first_is_replaced():
    model = tl.replace_head(HeadFirst(), 3)
    assert model(torch.randn(2, 3, 2, 2)).shape == (2, 3)
    assert model.body[1].out_features == 4


def test_both_heads_of_a_distilled_network_are_replaced():
    model = timm.create_model("levit_128s", num_classes=7)
    tl.replace_head(model, 3)
    assert model.eval()(torch.randn(1, 3, 224, 224)).shape == (1, 3)
    heads = [get_layer(model, name) for name in LEVIT]
    assert [h.out_features for h in heads] == [3, 3]
    *_, top = tl.param_groups(model, lr=1.0, body_factor=0.1)
    assert top["name"] == "head" and len(top["params"]) == 4
    like = LogisticRegression().fit(np.eye(6), [0, 1, 2] * 2)
    with pytest.raises(tl.CourseError, match="coefficients, the head"):
        tl.replace_head(model, 3, like=like)


def test_both_heads_of_a_distilled_network_of_transformers_are_replaced():
    model = tl.replace_head(hugging("DeiTForImageClassificationWithTeacher"), 3)
    x = torch.randn(4, 3, 32, 32)
    assert tl.predict_proba(model, x).shape == (4, 3)
    assert tl.extract_features(model, x).shape == (4, 32)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("start", [False, True])
def test_a_new_head_has_the_numbers_of_its_body(dtype, start):
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 9)).to(dtype)
    like = LogisticRegression().fit(np.eye(4), [0, 1, 2, 2]) if start else None
    tl.replace_head(model, 3, like=like)
    assert model(torch.randn(2, 4, dtype=dtype)).dtype == dtype


def test_the_main_output_is_the_logits_or_the_first_tensor():
    a, b = torch.zeros(2, 3), torch.ones(2, 3)
    for out in (a, (a, b), [a], ((a,), b), {"out": a, "aux": b}, {"x": b, "logits": a}):
        assert main_output(out) is a
    model = hugging("ViTForImageClassification")
    out = model(torch.randn(2, 3, 32, 32), labels=torch.tensor([0, 1]))
    assert main_output(out) is out.logits and list(out) == ["loss", "logits"]


# --- counting and measuring ------------------------------------------------------


def test_count_parameters_by_hand(small_cnn):
    # conv 6·3·3·3 + 6, batch-norm 6 + 6 (statistics are no parameters), fc 6·2 + 2.
    assert tl.count_parameters(small_cnn) == 168 + 12 + 14
    assert tl.count_parameters(tl.freeze(small_cnn, ["conv"]), learning=True) == 26


def test_parameters_are_counted_layer_by_layer(small_cnn):
    tl.freeze(small_cnn, but="fc")
    count = tl.count_parameters
    layers = dict(small_cnn.named_children())
    assert (count(layers["conv"]), count(layers["conv"], learning=True)) == (168, 0)
    assert (count(layers["fc"]), count(layers["fc"], learning=True)) == (14, 14)
    assert count(small_cnn) == sum(map(count, layers.values())) == 194


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


# --- starting anew ---------------------------------------------------------------


def test_reinitialize_changes_the_named_layers_alone(small_cnn, red_and_blue):
    tl.fit(small_cnn, red_and_blue, epochs=1, lr=0.1)
    before = state(small_cnn)
    assert tl.reinitialize(small_cnn, ["conv", "bn"]) is small_cnn
    assert set(before) - unchanged(before, small_cnn) == {
        k for k in before if k.startswith(("conv.", "bn."))
    }
    assert small_cnn.bn.weight.eq(1).all() and small_cnn.bn.running_mean.eq(0).all()


def test_reinitialize_takes_one_plain_name_and_everything_inside_it():
    model = torchvision.models.resnet18(weights=None)
    before = state(model)
    tl.reinitialize(model, "layer4")
    moved = set(before) - unchanged(before, model)
    weights = {k for k in before if k.startswith("layer4.") and before[k].ndim == 4}
    assert weights <= moved and all(k.startswith("layer4.") for k in moved)


def test_reinitialize_depends_on_its_seed_only(small_cnn):
    weights = []
    for seed, noise in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        tl.reinitialize(small_cnn, "conv", seed=seed)
        assert torch.equal(torch.get_rng_state(), before)
        weights.append(small_cnn.conv.weight.detach().clone())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_reinitialize_gives_weights_of_the_usual_size(small_cnn):
    fresh = nn.Conv2d(3, 6, 3).weight.std()
    tl.reinitialize(small_cnn, "conv")
    assert 0.5 < small_cnn.conv.weight.std() / fresh < 2


class Scaled(nn.Module):
    """Parameters of its own that PyTorch does not know how to reset."""

    def __init__(self):
        super().__init__()
        self.first, self.gain = nn.Linear(2, 2), nn.Parameter(torch.ones(1))


def test_reinitialize_refuses_what_it_cannot_reset_and_changes_nothing():
    model = nn.Sequential(nn.Linear(2, 2), Scaled())
    before = state(model)
    with pytest.raises(tl.CourseError, match="Scaled cannot be reset"):
        tl.reinitialize(model, ["0", "1"])
    with pytest.raises(tl.CourseError, match="no layer '2'"):
        tl.reinitialize(model, ["0", "2"])
    assert len(unchanged(before, model)) == len(before)


def narrow_vgg():
    """VGG with batch-norm as torchvision builds it, a few channels wide."""
    features = torchvision.models.vgg.make_layers([4, "M", 8, "M", 8, 8, "M"], True)
    with torch.device("meta"):  # its own classifier has 120 million weights
        model = torchvision.models.VGG(features, init_weights=False)
    model.classifier = nn.Sequential(
        nn.Linear(8 * 49, 16), nn.ReLU(True), nn.Dropout(), nn.Linear(16, 3)
    )
    return model


def narrow_vit():
    model = torchvision.models.VisionTransformer(
        image_size=32,
        patch_size=16,
        num_layers=2,
        num_heads=2,
        hidden_dim=8,
        mlp_dim=16,
    )
    return tl.replace_head(model, 3)  # its own starts at zero


VISION = {
    "resnet18": lambda: torchvision.models.resnet18(weights=None),
    "vgg11_bn": narrow_vgg,
    "mobilenet": lambda: torchvision.models.mobilenet_v3_small(weights=None),
    "vit": narrow_vit,
}


# --- any network -----------------------------------------------------------------


def tiny_bert():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=12,
    )
    return transformers.BertForSequenceClassification(config)


#: A layer inside, the head, and an input.
ANY = {
    "resnet18": (VISION["resnet18"], "layer3.0", "fc"),
    "vgg11_bn": (VISION["vgg11_bn"], "features.0", "classifier.3"),
    "mobilenet": (VISION["mobilenet"], "features.3", "classifier.3"),
    "vit": (VISION["vit"], "encoder.layers.encoder_layer_0", "heads.head"),
    "bert": (tiny_bert, "bert.encoder.layer.0", "classifier"),
}


@pytest.fixture(params=ANY)
def any_network(request):
    make, layer, head = ANY[request.param]
    torch.manual_seed(0)
    model = make()
    if request.param == "bert":
        return model, layer, head, torch.arange(8).reshape(2, 4)
    return model, layer, head, torch.randn(2, 3, 32, 32)


def logits_of(model, x):
    out = model.eval()(x)
    return getattr(out, "logits", out)


def test_surgery_works_for_any_network(any_network):
    model, layer, head, x = any_network
    assert get_layer(model, layer) is dict(model.named_modules())[layer]
    assert tl.count_parameters(model) == sum(p.numel() for p in model.parameters())

    tl.freeze(model, but=head)
    learning = {n for n, p in model.named_parameters() if p.requires_grad}
    assert learning == {f"{head}.weight", f"{head}.bias"}
    train_unfrozen(model)
    assert [n for n, m in model.named_modules() if m.training] == [head]
    unfreeze(model, layer)
    inside = {n for n, p in model.named_parameters() if p.requires_grad} - learning
    assert inside and all(n.startswith(f"{layer}.") for n in inside)

    tl.replace_head(unfreeze(model), 7)
    assert head_names(model) == [head] and logits_of(model, x).shape == (2, 7)

    before = tl.snapshot(model)
    assert set(tl.drift(before, model).values()) == {0.0}
    tl.reinitialize(model, [layer], seed=7)
    moved = {n for n, d in tl.drift(before, model).items() if d > 0}
    assert moved and all(f"{n}.".startswith(f"{layer}.") for n in moved)
    assert torch.isfinite(logits_of(model, x)).all()


@pytest.mark.parametrize("arch", ["convformer_s18", "caformer_s18"])
def test_a_head_of_several_layers_ends_in_one(arch):
    network = timm.create_model(arch, pretrained=False, num_classes=5).eval()
    assert head_names(network) == ["head.fc.fc2"]
    tl.replace_head(network, 3)
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_the_head_of_a_clip_classifier_is_found():
    from transformers import CLIPConfig, CLIPForImageClassification

    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    small["num_attention_heads"] = 2
    vision = small | {"image_size": 32, "patch_size": 16}
    config = CLIPConfig(vision_config=vision, text_config=small, num_labels=2)
    assert head_names(CLIPForImageClassification(config)) == ["classifier"]


def test_a_network_whose_head_was_looked_for_is_freed_at_once():
    """Two or three BERTs that wait for the garbage collector are 250 MB more."""
    model = HeadFirst()
    alive = weakref.ref(model)
    gc.disable()
    try:
        assert head_names(model) == ["head"]
        del model
        assert alive() is None
    finally:
        gc.enable()
