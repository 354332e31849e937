"""The training loop learns, repeats itself bit by bit, and says why it cannot."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import tlhelpers as tl
from tlhelpers import training

pytestmark = pytest.mark.usefixtures("one_thread")


def linear(seed: int = 0, inputs: int = 192) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 2))


def weights(model) -> torch.Tensor:
    return torch.cat([v.flatten().float() for v in model.state_dict().values()])


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """Train in fp32 wherever the tests run: the oracles are exact."""
    monkeypatch.setattr(training, "fast_precision", lambda device=None: "fp32")


@pytest.fixture
def plain_sgd(monkeypatch):
    """Record the learning rate of every group at every step."""
    seen = []
    step = torch.optim.AdamW.step

    def recorded(self, *args, **kwargs):
        seen.append([g["lr"] for g in self.param_groups])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", recorded)
    return seen


# --- fit -------------------------------------------------------------------------


def test_fit_learns_what_can_be_separated(small_cnn, red_and_blue):
    losses = tl.fit(small_cnn, red_and_blue, epochs=15, lr=0.05, batch_size=8)
    assert len(losses) == 15
    assert losses[-1] < losses[0] / 2
    assert tl.evaluate(small_cnn, red_and_blue) > 0.95


def test_first_loss_is_the_mean_cross_entropy_of_the_rows(red_and_blue):
    # Rates of almost zero leave the network as it is; 40 rows make 16 + 16 + 8.
    model, (x, y) = linear(), red_and_blue
    wanted = cross_entropy(model(x), y).item()
    (loss,) = tl.fit(model, (x, y), epochs=1, lr=1e-12, batch_size=16)
    assert loss == pytest.approx(wanted, rel=1e-5)


def test_same_seed_gives_the_same_weights_bit_by_bit(small_cnn, red_and_blue):
    start, results = tl.snapshot(small_cnn), []
    for seed in (5, 5, 6):
        small_cnn.load_state_dict(start)
        torch.manual_seed(0)
        tl.fit(small_cnn, red_and_blue, epochs=2, lr=0.01, batch_size=8, seed=seed)
        results.append(weights(small_cnn))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_every_row_is_seen_once_an_epoch_in_a_new_order(red_and_blue):
    x, y = torch.arange(40).float()[:, None].repeat(1, 192), red_and_blue[1]
    seen = []
    tl.fit(
        linear(),
        (x, y),
        epochs=2,
        lr=1e-9,
        batch_size=16,
        transform=lambda b: seen.append(b[:, 0].tolist()) or b / 40,
    )
    assert [len(b) for b in seen] == [16, 16, 8] * 2
    first, second = sum(seen[:3], []), sum(seen[3:], [])
    assert sorted(first) == sorted(second) == list(range(40))
    assert first != second


def test_rate_climbs_for_the_first_30_percent_then_falls(plain_sgd, red_and_blue):
    tl.fit(linear(), red_and_blue, epochs=4, lr=0.1, batch_size=8)
    rates = [r for (r,) in plain_sgd]
    assert len(rates) == 20
    assert np.argmax(rates) == 5 and max(rates) == pytest.approx(0.1)
    assert np.all(np.diff(rates[:6]) > 0) and np.all(np.diff(rates[5:]) < 0)
    assert rates[-1] < 0.1 / 1000


def test_body_learns_at_its_own_rate_at_every_step(plain_sgd, small_cnn, red_and_blue):
    tl.fit(small_cnn, red_and_blue, epochs=2, lr=0.1, body_factor=0.1)
    assert len(plain_sgd) == 6
    for body, head in plain_sgd:
        assert body == pytest.approx(head / 10)


def test_param_groups_hold_body_and_head(small_cnn):
    body, head = tl.param_groups(small_cnn, lr=0.5, body_factor=0.01)
    assert (body["name"], head["name"]) == ("body", "head")
    assert (body["lr"], head["lr"]) == (0.005, 0.5)
    assert {id(p) for p in head["params"]} == {id(p) for p in small_cnn.fc.parameters()}
    assert sum(p.numel() for p in body["params"]) == 180


def test_frozen_part_has_no_group(small_cnn):
    (head,) = tl.param_groups(tl.freeze(small_cnn, but="fc"), lr=1.0, body_factor=0.1)
    assert head["name"] == "head" and head["lr"] == 1.0
    (body,) = tl.param_groups(tl.freeze(small_cnn, "fc", but=["conv", "bn"]), lr=1.0)
    assert body["name"] == "body"


def test_one_epoch_of_one_batch_takes_a_real_step(red_and_blue):
    model = linear()
    before = tl.snapshot(model)
    assert len(tl.fit(model, red_and_blue, epochs=1, lr=0.01, batch_size=64)) == 1
    assert tl.drift(before, model)["1"] > 1e-3


@pytest.mark.parametrize("steps", range(1, 12))
def test_any_number_of_steps_fits_the_cycle(red_and_blue, steps):
    x, y = (t[: 2 * steps] for t in red_and_blue)
    (loss,) = tl.fit(linear(), (x, y), epochs=1, lr=0.01, batch_size=2)
    assert np.isfinite(loss)


def test_data_loader_is_taken_as_it_is(red_and_blue):
    loader = DataLoader(TensorDataset(*red_and_blue), batch_size=10)
    model = linear()
    losses = tl.fit(model, loader, epochs=8, lr=0.05)
    assert losses[-1] < losses[0] and tl.evaluate(model, red_and_blue) > 0.95


def test_batches_of_several_tensors_reach_the_network(red_and_blue):
    transformers = pytest.importorskip("transformers")

    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = linear()

        def forward(self, batch):
            return self.inner(batch["pixels"] * batch["mask"])

    x, y = red_and_blue
    inputs = {"pixels": x, "mask": torch.ones(40, 1, 1, 1)}
    batches = [(transformers.BatchEncoding(inputs), y)] * 3
    model = Named()
    losses = tl.fit(model, batches, epochs=8, lr=0.05)
    assert losses[-1] < losses[0] / 2


def test_transform_is_applied_to_every_batch(red_and_blue):
    x, y = red_and_blue
    by_transform, by_hand = linear(), linear()
    tl.fit(by_transform, (x, y), epochs=2, lr=0.01, transform=lambda b: b * 3)
    tl.fit(by_hand, (x * 3, y), epochs=2, lr=0.01)
    assert torch.equal(weights(by_transform), weights(by_hand))


def test_weight_decay_pulls_towards_zero(red_and_blue):
    norms = []
    for decay in (0.0, 1.0):
        model = linear()
        tl.fit(model, red_and_blue, epochs=10, lr=0.05, weight_decay=decay)
        norms.append(model[1].weight.norm().item())
    assert norms[1] < 0.9 * norms[0]


def test_fit_takes_the_network_out_of_eval_mode(small_cnn, red_and_blue):
    mean = small_cnn.bn.running_mean.clone()
    tl.fit(small_cnn.eval(), red_and_blue, epochs=1, lr=0.01)
    assert not torch.equal(small_cnn.bn.running_mean, mean)


def test_grouped_convolutions_are_not_trained_in_bf16_on_a_cpu(monkeypatch):
    monkeypatch.setattr(training, "fast_precision", lambda device=None: "bf16")
    plain = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Linear(4, 2))
    depthwise = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Linear(4, 2))
    chosen = training._training_precision
    assert chosen(plain, "cpu") == "bf16"
    assert chosen(depthwise, "cpu") == "fp32"
    assert chosen(depthwise, "cuda") == "bf16"


def test_frozen_network_is_refused(small_cnn, red_and_blue):
    with pytest.raises(tl.CourseError, match="Every layer is frozen") as caught:
        tl.fit(tl.freeze(small_cnn), red_and_blue, epochs=1, lr=0.1)
    assert "tl.freeze(model, but=" in caught.value.next_step


def test_lengths_that_differ_are_refused(red_and_blue):
    x, y = red_and_blue
    with pytest.raises(tl.CourseError, match="40 inputs but 39 labels"):
        tl.fit(linear(), (x, y[:39]), epochs=1, lr=0.1)


@pytest.mark.parametrize(("rows", "epochs"), [(0, 1), (40, 0)])
def test_nothing_to_learn_from_is_refused(red_and_blue, rows, epochs):
    data = tuple(t[:rows] for t in red_and_blue)
    with pytest.raises(tl.CourseError, match="no training"):
        tl.fit(linear(), data, epochs=epochs, lr=0.1)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_loss_that_is_no_number_is_refused(red_and_blue, bad):
    x, y = red_and_blue
    x = x.clone()
    x[3, 0, 0, 0] = bad
    with pytest.raises(tl.CourseError, match="no longer a number") as caught:
        tl.fit(linear(), (x, y), epochs=3, lr=0.1)
    assert "lower lr" in caught.value.next_step


@pytest.mark.parametrize(
    "dtype", [torch.int32, torch.uint8, torch.int16, torch.bool, torch.int64]
)
def test_labels_of_any_width_are_class_numbers(red_and_blue, dtype):
    x, y = red_and_blue
    narrow, wide = linear(), linear()
    tl.fit(narrow, (x, y.to(dtype)), epochs=2, lr=0.01)
    tl.fit(wide, (x, y), epochs=2, lr=0.01)
    assert torch.equal(weights(narrow), weights(wide))
    assert tl.evaluate(narrow, (x, y.to(dtype))) == tl.evaluate(wide, (x, y))
    plain = linear()
    tl.fit(plain, (x, y.to(dtype).numpy()), epochs=2, lr=0.01)
    assert torch.equal(weights(plain), weights(wide))
    loader = [(x[:20], y[:20].to(dtype))] * 2
    assert len(tl.fit(narrow, loader, epochs=1, lr=0.01)) == 1


@pytest.mark.parametrize(
    "change",
    [lambda y: y.float(), lambda y: y + 9, lambda y: y - 9, lambda y: y[:, None]],
)
def test_labels_that_are_no_class_numbers_are_refused_in_words(red_and_blue, change):
    x, y = red_and_blue
    with pytest.raises(tl.CourseError, match="whole numbers; got .*\n→ Number"):
        tl.fit(linear(), (x, change(y)), epochs=1, lr=0.01)


class Wrapped(nn.Module):
    """The same logits, given in another way."""

    def __init__(self, wrap):
        super().__init__()
        self.inner, self.wrap = linear(), wrap

    def forward(self, x):
        return self.wrap(self.inner(x))


WRAPS = {
    "tuple": lambda out: (out, out * 0),
    "list": lambda out: [out],
    "dict": lambda out: {"hidden": out * 0, "logits": out},
    "first": lambda out: {"out": out, "aux": out * 0},
    "named": lambda out: pytest.importorskip(
        "transformers"
    ).modeling_outputs.SequenceClassifierOutput(logits=out),
}


@pytest.mark.parametrize("wrap", WRAPS)
def test_logits_are_found_however_a_network_gives_them(red_and_blue, wrap):
    plain, wrapped = linear(), Wrapped(WRAPS[wrap])
    losses = [tl.fit(m, red_and_blue, epochs=2, lr=0.01) for m in (plain, wrapped)]
    assert losses[0] == losses[1]
    p = [tl.predict_proba(m, red_and_blue[0]) for m in (plain, wrapped)]
    assert np.array_equal(*p)
    assert tl.evaluate(wrapped, red_and_blue) == tl.evaluate(plain, red_and_blue)
    assert tl.param_groups(wrapped, lr=1.0)[-1]["name"] == "head"


def test_a_classifier_of_transformers_learns_and_ignores_padding():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.BertConfig(vocab_size=50, intermediate_size=16, **sizes)
    model = transformers.BertForSequenceClassification(config)
    ids = torch.randint(1, 50, (16, 9))
    ids[:, 4:] = 0
    ids[0] = 7
    alone = tl.predict_proba(model, ids[1:2, :4], precision="fp32")
    beside = tl.predict_proba(model, ids[:2], precision="fp32")
    np.testing.assert_allclose(beside[1:], alone, atol=1e-6)
    before = tl.snapshot(model)
    assert len(tl.fit(model, (ids, torch.arange(16) % 2), epochs=2, lr=0.01)) == 2
    assert tl.drift(before, model)["classifier"] > 0
    assert 0 <= tl.evaluate(model, (ids, torch.arange(16) % 2)) <= 1


# --- predicting ------------------------------------------------------------------


def test_predict_proba_is_the_softmax_of_the_logits(small_cnn, red_and_blue):
    x = red_and_blue[0]
    with torch.no_grad():
        wanted = small_cnn.eval()(x).double().exp()
    wanted = (wanted / wanted.sum(1, keepdim=True)).numpy()
    got = tl.predict_proba(small_cnn.train(), x, batch_size=7)
    assert got.shape == (40, 2) and got.dtype == np.float32
    np.testing.assert_allclose(got.sum(1), 1, atol=1e-6)
    # Where the hardware has it, inference runs in bf16: two to three digits.
    np.testing.assert_allclose(got, wanted, atol=0.01)


def test_predict_proba_is_exact_in_fp32(small_cnn, red_and_blue, monkeypatch):
    # Slow hardware would hide a precision that is not passed on.
    monkeypatch.setattr("tlhelpers.machine.fast_precision", lambda device=None: "bf16")
    with torch.no_grad():
        wanted = small_cnn.eval()(red_and_blue[0]).softmax(1).numpy()
    got = tl.predict_proba(small_cnn, red_and_blue[0], batch_size=16, precision="fp32")
    np.testing.assert_allclose(got, wanted, rtol=1e-5)
    fast = tl.predict_proba(small_cnn, red_and_blue[0])
    assert not np.allclose(fast, wanted, rtol=1e-5)


def test_predicting_changes_nothing(small_cnn, red_and_blue):
    before = weights(small_cnn)
    tl.predict_proba(small_cnn.train(), red_and_blue[0])
    assert torch.equal(weights(small_cnn), before)


def test_accuracy_is_the_share_of_right_rows():
    x = torch.tensor([[2.0, 1.0], [0.0, 9.0], [5.0, 0.0], [1.0, 3.0], [0.0, 1.0]])
    y = torch.tensor([0, 1, 1, 1, 0])
    assert tl.evaluate(nn.Identity(), (x, y)) == pytest.approx(3 / 5)
    swapped = tl.evaluate(nn.Identity(), (x, y), transform=lambda b: b.flip(1))
    assert swapped == pytest.approx(2 / 5)


# --- augmentation ----------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_augment_keeps_shape_dtype_and_values(dtype):
    x = torch.randint(0, 256, (6, 3, 16, 24)).to(dtype)
    torch.manual_seed(1)
    got = tl.augment(x)
    assert got.shape == x.shape and got.dtype == dtype
    for one, original in zip(got, x):
        assert set(one.unique().tolist()) <= set(original.unique().tolist())


def test_augment_flips_about_half(monkeypatch):
    monkeypatch.setattr(training, "_shift", lambda x, up, left: x)
    x = torch.arange(2.0).expand(2000, 1, 1, 2)
    torch.manual_seed(0)
    flipped = tl.augment(x)[:, 0, 0, 0]
    assert set(flipped.tolist()) == {0.0, 1.0}
    assert 0.45 < flipped.mean() < 0.55


def test_augment_never_turns_upside_down():
    x = torch.arange(8.0)[:, None].expand(50, 1, 8, 8)
    torch.manual_seed(0)
    assert (tl.augment(x).diff(dim=2) >= 0).all()


@pytest.mark.parametrize("side", [4, 8, 15, 17, 32])
def test_augment_shifts_by_up_to_an_eighth_either_way(monkeypatch, side):
    shifts = set()
    monkeypatch.setattr(training, "_shift", lambda x, *by: shifts.update(by) or x)
    torch.manual_seed(0)
    for _ in range(100):
        tl.augment(torch.zeros(1, 1, side, side))
    assert shifts == set(range(-(side // 8), side // 8 + 1))


def test_augment_repeats_itself_under_a_seed():
    x = torch.rand(8, 3, 16, 16)
    got = []
    for seed in (2, 2, 3):
        torch.manual_seed(seed)
        got.append(tl.augment(x))
    assert torch.equal(got[0], got[1])
    assert not torch.equal(got[0], got[2])


@pytest.mark.parametrize(("up", "left"), [(0, 0), (2, 0), (0, -3), (-1, 3), (4, 4)])
def test_shift_is_a_crop_of_the_edge_padded_picture(up, left):
    x = torch.rand(2, 3, 9, 7)
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (4, 4), (4, 4)), mode="edge")
    wanted = padded[:, :, 4 + up : 13 + up, 4 + left : 11 + left]
    assert np.array_equal(training._shift(x, up, left).numpy(), wanted)


# --- texts, other losses, logits ---------------------------------------------------


def lengths_of(n: int, seed: int = 0) -> torch.Tensor:
    """Token rows of random lengths, 0 at the end; the first number is the row's own."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.zeros(n, 40, dtype=torch.int64)
    for i in range(n):
        x[i, : int(torch.randint(1, 40, (), generator=generator))] = i + 1
    return x


def test_texts_of_like_length_share_a_batch_and_none_is_lost():
    x = lengths_of(256)
    rows = training._Rows(x, torch.arange(256), batch_size=8, seed=0)
    first, second = ([(a, b) for a, b in rows] for _ in range(2))
    for epoch in (first, second):
        assert sorted(torch.cat([y for _, y in epoch]).tolist()) == list(range(256))
    spread = np.mean([(a != 0).sum(1).float().std() for a, _ in first])
    assert spread < (x != 0).sum(1).float().std() / 3
    sizes = [float((a != 0).sum(1).float().mean()) for a, _ in first]
    assert sizes != sorted(sizes)  # short and long batches alternate
    assert [y.tolist() for _, y in first] != [y.tolist() for _, y in second]


def test_pictures_and_features_keep_their_chance_order():
    x = torch.rand(32, 5)
    rows = training._Rows(x, torch.arange(32), batch_size=8, seed=0)
    order = torch.randperm(32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.cat([y for _, y in rows]), order)


def test_logits_come_back_in_the_order_of_the_rows():
    class Length(nn.Module):
        def forward(self, x):
            return torch.stack([(x != 0).sum(1), x[:, 0]], dim=1).float()

    x = lengths_of(50)
    logits = tl.predict_logits(Length(), x, batch_size=7)
    assert logits[:, 0].tolist() == (x != 0).sum(1).tolist()
    assert logits[:, 1].tolist() == list(range(1, 51))


def test_probabilities_are_the_softmax_of_the_logits():
    model, x = linear(inputs=12), torch.rand(9, 12)
    wanted = tl.predict_logits(model, x).softmax(1).numpy()
    assert np.allclose(tl.predict_proba(model, x), wanted)


def test_fit_minimises_the_loss_it_is_given():
    torch.manual_seed(0)
    x, wanted = torch.randn(64, 4), torch.randn(64, 2)
    model = nn.Sequential(nn.Linear(4, 2))
    seen = []

    def squares(out, y):
        seen.append(y.shape)
        return ((out.float() - y) ** 2).mean()

    losses = tl.fit(model, (x, wanted), epochs=30, lr=0.05, loss=squares)
    with_bias = torch.cat([x, torch.ones(64, 1)], dim=1)
    best = with_bias @ torch.linalg.lstsq(with_bias, wanted).solution
    floor = float(((best - wanted) ** 2).mean())
    assert set(seen) == {(16, 2)}
    assert losses[-1] == pytest.approx(floor, rel=0.1)


def test_nothing_large_is_left_behind(monkeypatch):
    made, real = [], torch.optim.AdamW
    monkeypatch.setattr(
        torch.optim, "AdamW", lambda *a, **k: made.append(real(*a, **k)) or made[-1]
    )
    model = linear(inputs=12)
    tl.fit(model, (torch.rand(8, 12), torch.tensor([0, 1] * 4)), epochs=1, lr=0.1)
    assert all(p.grad is None for p in model.parameters())
    assert not made[0].state and not made[0].param_groups


@pytest.mark.parametrize("stop", [KeyboardInterrupt, TimeoutError])
def test_a_training_that_is_stopped_leaves_nothing_large_behind(stop, monkeypatch):
    made, real, batches = [], torch.optim.AdamW, []
    model = linear(inputs=12)
    monkeypatch.setattr(
        torch.optim, "AdamW", lambda *a, **k: made.append(real(*a, **k)) or made[-1]
    )

    def third(batch):
        batches.append(batch)
        if len(batches) == 3:
            assert made[0].state and model[1].weight.grad is not None
            raise stop
        return batch

    data = (torch.rand(64, 12), torch.tensor([0, 1] * 32))
    with pytest.raises(stop):
        tl.fit(model, data, epochs=1, lr=0.1, transform=third)
    assert all(p.grad is None for p in model.parameters())
    assert not made[0].state and not made[0].param_groups


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_loops_run_on_the_gpu_and_answer_on_the_cpu(small_cnn, red_and_blue):
    x, y = red_and_blue
    losses = tl.fit(small_cnn, (x, y), epochs=15, lr=0.05, batch_size=8)
    assert losses[-1] < losses[0] / 2
    assert next(small_cnn.parameters()).is_cuda
    got = tl.predict_logits(small_cnn, x, batch_size=7, precision="fp32")
    assert got.device.type == "cpu"
    with torch.no_grad():
        wanted = small_cnn.cpu().eval()(x)
    torch.testing.assert_close(got, wanted, rtol=1e-2, atol=1e-2)  # TF32 in cuDNN
