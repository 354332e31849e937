"""Features are what the head sees; Grad-CAM equals CAM where CAM is defined."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import tlhelpers as tl

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def lite0():
    return tl.load_source("efficientnet_lite0")


@pytest.fixture(scope="module")
def pictures():
    return torch.randint(
        0, 256, (7, 3, 64, 64), generator=torch.Generator().manual_seed(0)
    ).to(torch.uint8)


@pytest.fixture
def fp32(monkeypatch):
    monkeypatch.setattr("tlhelpers.session.fast_precision", lambda device=None: "fp32")


def hooks_in(model) -> int:
    return sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()
    )


# --- features --------------------------------------------------------------------


def test_features_are_the_input_of_the_head(lite0, pictures, fp32):
    model = lite0.model.eval()
    with torch.no_grad():
        maps = model.forward_features(lite0.normalize(pictures))
        wanted = model.forward_head(maps, pre_logits=True).numpy()
    got = tl.extract_features(lite0, pictures)
    assert got.shape == (7, 1280) and got.dtype == np.float32
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)


def test_fast_features_point_where_the_exact_ones_do(lite0, pictures, monkeypatch):
    fast = tl.extract_features(lite0, pictures)
    monkeypatch.setattr("tlhelpers.session.fast_precision", lambda device=None: "fp32")
    exact = tl.extract_features(lite0, pictures)
    cosine = (fast * exact).sum(1) / np.linalg.norm(fast, axis=1)
    np.testing.assert_array_less(0.98, cosine / np.linalg.norm(exact, axis=1))


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_features_do_not_depend_on_the_batch_size(lite0, pictures, fp32, batch_size):
    got = tl.extract_features(lite0, pictures, batch_size=batch_size)
    wanted = tl.extract_features(lite0, pictures, batch_size=7)
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)


def toy_source(model) -> tl.SourceModel:
    return tl.SourceModel("toy", "toy", model, (0.5,) * 3, (0.5,) * 3)


def test_features_are_taken_in_eval_mode_and_leave_no_trace(small_cnn, pictures, fp32):
    before = tl.snapshot(small_cnn)
    small_cnn.train()
    first, second = (tl.extract_features(toy_source(small_cnn), pictures) for _ in "ab")
    assert np.array_equal(first, second)
    assert first.shape == (7, 6)
    assert hooks_in(small_cnn) == 0
    assert all(torch.equal(v, before[k]) for k, v in small_cnn.state_dict().items())


def test_features_leave_the_network_usable(small_cnn, pictures, red_and_blue):
    tl.extract_features(toy_source(small_cnn), pictures)
    losses = tl.fit(small_cnn, red_and_blue, epochs=5, lr=0.05)
    assert losses[-1] < losses[0]


def test_hook_is_removed_when_the_network_fails(small_cnn):
    with pytest.raises(RuntimeError):
        tl.extract_features(toy_source(small_cnn), torch.zeros(1, 5, 8, 8).byte())
    assert hooks_in(small_cnn) == 0


# --- Grad-CAM --------------------------------------------------------------------


@pytest.fixture
def cam_net():
    """Convolution, ReLU, global average pooling, linear: CAM is defined here."""
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, stride=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 4),
    )


@pytest.fixture
def x():
    return torch.randn(6, 3, 13, 11, generator=torch.Generator().manual_seed(2))


def cam(model, x, classes) -> torch.Tensor:
    """Zhou et al. 2016: relu(sum over k of w_k A_k), largest value 1."""
    with torch.no_grad():
        maps = model[1](model[0](x))
        heat = torch.einsum("nk,nkhw->nhw", model[4].weight[classes], maps).relu()
    return heat / heat.amax((1, 2), keepdim=True).clamp_min(1e-9)


@pytest.mark.parametrize("target", [0, 3])
def test_grad_cam_equals_cam(cam_net, x, target):
    got = tl.grad_cam(cam_net, x, layer="1", target=target)
    assert got.shape == (6, 6, 5) and got.dtype == torch.float32
    wanted = cam(cam_net, x, torch.full((6,), target))
    assert (wanted.amax((1, 2)) > 0).any()
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)


def test_grad_cam_explains_the_predicted_class_unless_told(cam_net, x):
    with torch.no_grad():
        guess = cam_net(x).argmax(1)
        cam_net[4].bias[guess[0]] -= 0.05
        guess = cam_net(x).argmax(1)
    got = tl.grad_cam(cam_net, x, layer="1")
    torch.testing.assert_close(got, cam(cam_net, x, guess), rtol=1e-4, atol=1e-5)


def test_grad_cam_explains_each_picture_by_itself(cam_net, x):
    together = tl.grad_cam(cam_net, x, layer="1", target=1)
    alone = torch.cat([tl.grad_cam(cam_net, r[None], layer="1", target=1) for r in x])
    torch.testing.assert_close(together, alone)


def test_grad_cam_works_through_a_frozen_network(cam_net, x):
    wanted = tl.grad_cam(cam_net, x, layer="1", target=2)
    tl.freeze(cam_net)
    got = tl.grad_cam(cam_net, x, layer="1", target=2)
    assert torch.equal(got, wanted)
    with torch.no_grad():
        assert torch.equal(tl.grad_cam(cam_net, x, layer="1", target=2), wanted)


def test_grad_cam_lies_between_0_and_1_and_nothing_shines_where_nothing_speaks(x):
    model = nn.Sequential(
        nn.Conv2d(3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    model.append(nn.Linear(2, 2))
    with torch.no_grad():
        model[4].weight.copy_(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]))
    for_it, against = (tl.grad_cam(model, x, layer="1", target=t) for t in (0, 1))
    assert for_it.min() >= 0 and torch.allclose(for_it.amax((1, 2)), torch.ones(6))
    assert torch.equal(against, torch.zeros_like(against))


def test_grad_cam_restores_the_mode_of_every_layer(small_cnn, red_and_blue):
    tl.train_unfrozen(tl.freeze(small_cnn, ["conv", "bn"]))
    modes = [m.training for m in small_cnn.modules()]
    before = tl.snapshot(small_cnn)
    tl.grad_cam(small_cnn, red_and_blue[0], layer="relu")
    assert [m.training for m in small_cnn.modules()] == modes
    assert set(modes) == {True, False}
    assert hooks_in(small_cnn) == 0
    assert all(torch.equal(v, before[k]) for k, v in small_cnn.state_dict().items())


def test_grad_cam_asks_the_network_in_eval_mode(small_cnn, red_and_blue):
    x, y = red_and_blue
    tl.fit(small_cnn, (x, y), epochs=1, lr=0.01)
    before = tl.snapshot(small_cnn)
    wanted = tl.grad_cam(small_cnn.eval(), x, layer="bn")
    got = tl.grad_cam(small_cnn.train(), x, layer="bn")
    assert torch.equal(got, wanted)
    assert all(torch.equal(v, before[k]) for k, v in small_cnn.state_dict().items())


def test_grad_cam_leaves_no_gradients_behind(cam_net, x):
    tl.grad_cam(cam_net, x, layer="1")
    assert all(p.grad is None for p in cam_net.parameters())
    assert not x.requires_grad


def test_grad_cam_of_an_unknown_layer_names_the_layers(cam_net, x):
    with pytest.raises(tl.CourseError, match="no layer 'layer9'"):
        tl.grad_cam(cam_net, x, layer="layer9")


def test_grad_cam_reads_the_source_model(lite0, pictures):
    got = tl.grad_cam(lite0.model, lite0.normalize(pictures), layer="blocks")
    assert got.shape == (7, 2, 2)
    assert torch.allclose(got.amax((1, 2)), torch.ones(7))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_network_on_the_gpu_takes_pictures_from_the_cpu(pictures):
    source = tl.load_source(pretrained=False)
    tl.extract_features(source, pictures)
    assert len(source.answers(pictures)) == 7
    got = tl.grad_cam(source.model, source.normalize(pictures), layer="blocks")
    assert got.device.type == "cpu"
