"""Features are what the head sees; Grad-CAM equals CAM where CAM is defined."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import numpy as np
import pytest
import timm
import torch
from captum.attr import LayerGradCam
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

import tlhelpers as tl
from tlhelpers.features import _average
from tlhelpers.surgery import train_unfrozen

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
    monkeypatch.setattr("tlhelpers.machine.fast_precision", lambda device=None: "fp32")


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


def test_texts_of_like_length_are_read_together_and_keep_their_order(fp32):
    class Lengths(nn.Module):
        """The head sees the length of the text and the longest beside it."""

        def __init__(self):
            super().__init__()
            self.head = nn.Linear(2, 2)

        def forward(self, x):
            length = (x != 0).sum(1).float()
            return self.head(torch.stack([length, length.max().expand(len(x))], 1))

    lengths = torch.arange(40)[torch.randperm(40)] + 1
    x = (torch.arange(41) < lengths[:, None]).long()
    own, longest = tl.extract_features(Lengths(), x, batch_size=4).T
    assert own.tolist() == lengths.tolist()
    assert (longest - own).max() == 3


def test_fast_features_point_where_the_exact_ones_do(lite0, pictures, monkeypatch):
    fast = tl.extract_features(lite0, pictures)
    monkeypatch.setattr("tlhelpers.machine.fast_precision", lambda device=None: "fp32")
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
        tl.extract_features(small_cnn, torch.zeros(1, 5, 8, 8))
    assert hooks_in(small_cnn) == 0


# --- layers ----------------------------------------------------------------------


def by_hand(model, pictures):
    """What conv, batch-norm and the flattened pooling give, averaged over places."""
    x = toy_source(model).normalize(pictures)
    with torch.no_grad():
        maps = model.conv(x)
        normed = model.bn.eval()(maps)
        flat = normed.relu().mean((2, 3))
    return [v.numpy() for v in (maps.mean((2, 3)), normed.mean((2, 3)), flat)]


def test_layer_is_averaged_over_its_places(small_cnn, pictures, fp32):
    conv, bn, flat = by_hand(small_cnn, pictures)
    for layer, wanted in (("conv", conv), ("bn", bn), ("flat", flat), (None, flat)):
        got = tl.extract_features(toy_source(small_cnn), pictures, layer=layer)
        assert got.shape == (7, 6) and got.dtype == np.float32
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_size", [3, 64])
def test_layers_stand_in_the_order_asked_for(small_cnn, pictures, fp32, batch_size):
    conv, bn, flat = by_hand(small_cnn, pictures)
    got = tl.extract_features(
        toy_source(small_cnn),
        pictures,
        layer=["flat", "conv", "bn"],
        batch_size=batch_size,
    )
    np.testing.assert_allclose(got, np.c_[flat, conv, bn], rtol=1e-4, atol=1e-5)


def test_layer_that_works_in_place_spoils_nothing(pictures, fp32):
    torch.manual_seed(0)
    parts = nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 62 * 62, 5)
    kind = lambda inplace: nn.Sequential(  # noqa: E731
        parts[0], nn.ReLU(inplace), parts[1], parts[2], nn.ReLU(inplace)
    )
    for layer in ("0", "3"):
        a, b = (
            tl.extract_features(toy_source(kind(i)), pictures, layer=layer)
            for i in (True, False)
        )
        assert np.array_equal(a, b) and a.min() < 0


def test_pieces_of_a_text_are_averaged(fp32):
    model = nn.Sequential(nn.Embedding(10, 4), nn.GRU(4, 3, batch_first=True))
    x = torch.arange(10).reshape(2, 5)
    got = tl.extract_features(model, x, layer=["0", "1"])
    with torch.no_grad():
        pieces = model[0](x)
        wanted = torch.cat([pieces.mean(1), model[1](pieces)[0].mean(1)], 1)
    np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-4, atol=1e-6)


def test_wrong_layer_is_named_and_leaves_no_hook(small_cnn, pictures):
    small_cnn.add_module("idle", nn.Identity())
    idle = nn.Sequential(small_cnn)
    idle.forward = lambda x: small_cnn.fc(
        small_cnn.flat(small_cnn.pool(x)).repeat(1, 2)
    )
    with pytest.raises(tl.CourseError, match="no layer 'nope'"):
        tl.extract_features(toy_source(small_cnn), pictures, layer=["conv", "nope"])
    with pytest.raises(tl.CourseError, match="'0.conv' does not give one result"):
        tl.extract_features(toy_source(idle), pictures, layer=["0.pool", "0.conv"])
    assert hooks_in(small_cnn) == 0


def test_layer_named_twice_is_taken_once(small_cnn, pictures):
    got = tl.extract_features(toy_source(small_cnn), pictures, layer=["conv", "conv"])
    assert got.shape == (7, 6) and hooks_in(small_cnn) == 0


@pytest.fixture(scope="module")
def tokens():
    """Small transformers of timm for pictures of 224 px, with a head and without."""
    torch.manual_seed(0)
    small = {"embed_dim": 32, "depth": 3, "num_heads": 2}
    make = lambda **k: timm.create_model("vit_tiny_patch16_224", **small, **k)  # noqa: E731
    swin = {"embed_dim": 8, "depths": (1, 1, 2, 1), "num_heads": (1, 1, 2, 2)}
    return {
        "vit": make(num_classes=5),
        "headless": make(num_classes=0),
        "mean": make(num_classes=5, class_token=False, global_pool="avg"),
        "swin": timm.create_model("swin_tiny_patch4_window7_224", **swin),
    }


@pytest.fixture(scope="module")
def large():
    return torch.randn(3, 3, 224, 224, generator=torch.Generator().manual_seed(3))


def test_without_a_head_the_output_is_the_features(tokens, large, fp32):
    model = tokens["headless"]
    with torch.no_grad():
        wanted = model.eval()(large).numpy()
    got = tl.extract_features(model, large)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
    assert hooks_in(model) == 0


def test_without_a_head_the_states_of_transformers_are_averaged(fp32):
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.Dinov2Config(**sizes, image_size=28, patch_size=14)
    model, x = transformers.Dinov2Model(config).eval(), torch.randn(2, 3, 28, 28)
    with torch.no_grad():
        wanted = model(x).last_hidden_state.mean(dim=1)
    got = tl.extract_features(model, x)
    np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-4, atol=1e-5)


def test_what_both_heads_see_stands_side_by_side(large, fp32):
    small = {"embed_dim": 32, "depth": 2, "num_heads": 2}
    model = timm.create_model("deit_tiny_distilled_patch16_224", **small).eval()
    with torch.no_grad():
        wanted = model.forward_features(large)[:, :2].flatten(1)
    got = tl.extract_features(model, large)
    np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-4, atol=1e-5)


def test_maps_with_channels_last_are_averaged_over_places(tokens, large, fp32):
    model, heard = tokens["swin"].eval(), []
    hook = model.layers[1].register_forward_hook(lambda m, i, out: heard.append(out))
    with torch.no_grad():
        model(large)
    hook.remove()
    assert heard[0].shape == (3, 28, 28, 16)
    got = tl.extract_features(model, large, layer="layers.1")
    wanted = heard[0].mean(dim=(1, 2)).numpy()
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.fixture
def reader():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2}
    config = transformers.BertConfig(vocab_size=50, intermediate_size=16, **sizes)
    return transformers.BertModel(config, add_pooling_layer=False)


@pytest.mark.parametrize("layer", ["encoder.layer.0", "embeddings", None])
@pytest.mark.parametrize("bare", [True, False], ids=["body", "classifier"])
def test_a_short_text_has_its_features_beside_a_long_one_too(reader, layer, bare, fp32):
    model = reader if bare else tl.BertClassifier(reader, 2)
    layer = layer if bare or layer is None else f"body.{layer}"
    ids = torch.zeros(2, 12, dtype=torch.int64)
    ids[0, :3], ids[1, :9] = torch.tensor([2, 7, 3]), torch.arange(1, 10)
    alone = tl.extract_features(model, ids[:1, :3], layer=layer)
    beside = tl.extract_features(model, ids, layer=layer)
    np.testing.assert_allclose(beside[:1], alone, rtol=1e-4, atol=1e-5)


def test_convolutions_over_pieces_are_averaged_over_pieces(fp32):
    model = tl.WordPieceCNN(torch.randn(50, 4), 2, width=7).eval()
    ids = torch.zeros(2, 12, dtype=torch.int64)
    ids[0, :3], ids[1, :9] = torch.tensor([2, 7, 3]), torch.arange(1, 10)
    got = tl.extract_features(model, ids, layer="convolutions.0")
    with torch.no_grad():
        states = model.vectors(ids) @ model.convolutions[0].weight[..., 0].T
        states = states + model.convolutions[0].bias
    wanted = [states[0, :3].mean(0).tolist(), states[1, :9].mean(0).tolist()]
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_a_transformer_gets_pictures_of_another_size_at_its_own(tokens, fp32):
    model = tokens["vit"]
    source, x = toy_source(model), torch.zeros(2, 3, 96, 120, dtype=torch.uint8)
    x[1] = 200
    assert source.normalize(x).shape == (2, 3, 224, 224)
    whole = torch.zeros(2, 3, 224, 224, dtype=torch.uint8)
    whole[1] = 200
    wanted = tl.extract_features(source, whole)
    np.testing.assert_allclose(tl.extract_features(source, x), wanted, atol=1e-5)
    assert torch.equal(
        source.normalize(whole)[1].unique(), torch.tensor([200 / 127.5]) - 1
    )


@pytest.mark.parametrize("kind", ["timm", "transformers", "torchvision"])
def test_a_bare_network_says_what_size_it_takes(kind, tokens):
    if kind == "timm":
        model = tokens["vit"]
    elif kind == "torchvision":
        import torchvision

        sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 8}
        model = torchvision.models.VisionTransformer(
            image_size=224, patch_size=32, **sizes
        )
    else:
        transformers = pytest.importorskip("transformers")
        sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
        model = transformers.ViTModel(transformers.ViTConfig(**sizes))
    x = torch.zeros(2, 3, 96, 96)
    for run in (
        lambda: tl.extract_features(model, x),
        lambda: tl.predict_proba(model, x),
        lambda: tl.fit(model, (x, torch.tensor([0, 1])), epochs=1, lr=0.1),
    ):
        with pytest.raises(tl.CourseError, match=r"\(2, 3, 96, 96\).*224"):
            run()
    assert hooks_in(model) == 0


@pytest.mark.parametrize("layer", ["layers.0.blocks.0.attn", "layers.0.blocks.0.mlp"])
@pytest.mark.parametrize("n", [1, 3])
def test_inside_the_windows_of_a_swin(tokens, layer, n):
    """Each window is a row of its own there; a block puts them together again."""
    x, windows = torch.rand(n, 3, 224, 224), layer.endswith("attn")
    for ask in (tl.extract_features, tl.grad_cam):
        if windows:
            with pytest.raises(tl.CourseError, match=layer):
                ask(tokens["swin"], x, layer=layer)
        else:
            assert len(ask(tokens["swin"], x, layer=layer)) == n


# --- the extractor ---------------------------------------------------------------


@pytest.fixture
def extractor(small_cnn):
    return tl.FeatureExtractor(toy_source(small_cnn), ["conv", "flat"])


def test_extractor_gives_what_extract_features_gives(extractor, small_cnn, pictures):
    wanted = tl.extract_features(
        toy_source(small_cnn), pictures, layer=["conv", "flat"]
    )
    assert np.array_equal(extractor.transform(pictures), wanted)
    assert np.array_equal(extractor.fit(pictures).fit_transform(pictures), wanted)


def test_each_picture_is_computed_once_and_rows_keep_their_order(extractor, pictures):
    everything = extractor.transform(pictures[:5])
    assert extractor.computed == 5
    order = [4, 0, 6, 2, 2, 5]
    got = extractor.transform(pictures[order])
    assert extractor.computed == 7
    assert np.array_equal(got[[0, 1, 3, 4]], everything[[4, 0, 2, 2]])
    assert np.array_equal(got, extractor.transform(list(pictures))[order])
    assert extractor.computed == 7


def test_duplicates_are_computed_once(extractor, pictures):
    got = extractor.transform(pictures[[1, 1, 1]])
    assert extractor.computed == 1
    assert np.array_equal(got[0], got[1]) and np.array_equal(got[0], got[2])


def test_same_bytes_in_another_shape_are_another_picture(extractor):
    x = torch.arange(3 * 8 * 16).to(torch.uint8)
    extractor.transform(x.reshape(1, 3, 8, 16))
    extractor.transform(x.reshape(1, 3, 16, 8))
    assert extractor.computed == 2


def test_other_weights_are_computed_anew(extractor, small_cnn, pictures):
    first = extractor.transform(pictures)
    with torch.no_grad():
        small_cnn.conv.weight[0, 0, 0, 0] += 1
    second = extractor.transform(pictures)
    assert extractor.computed == 14 and not np.array_equal(first, second)
    small_cnn.bn.running_mean += 1  # a buffer counts as well
    extractor.transform(pictures)
    assert extractor.computed == 21


def test_other_input_scaling_is_computed_anew(extractor, pictures):
    first = extractor.transform(pictures)
    extractor.source.mean = (0.1, 0.2, 0.3)
    assert not np.array_equal(extractor.transform(pictures), first)


def test_what_older_weights_said_is_not_kept(extractor, small_cnn, pictures):
    for _ in range(4):
        extractor.transform(pictures)
        with torch.no_grad():
            small_cnn.conv.weight[0, 0, 0, 0] += 1
    kept = gc.get_referents(extractor.__dict__)
    arrays = {}
    while kept:
        thing = kept.pop()
        if isinstance(thing, np.ndarray):
            arrays[id(thing)] = thing
        elif isinstance(thing, (dict, list, tuple)):
            kept += thing.values() if isinstance(thing, dict) else thing
    assert len(arrays) == len(pictures)


def test_layers_that_take_turns_are_computed_once_each(extractor, pictures):
    for layer in ("conv", "flat", "conv", "flat"):
        extractor.set_params(layer=layer).transform(pictures)
    assert extractor.computed == 2 * len(pictures)


def test_half_precision_networks_have_fingerprints(small_cnn):
    whole = tl.FeatureExtractor(toy_source(small_cnn)).fingerprint()
    half = tl.FeatureExtractor(toy_source(small_cnn.bfloat16())).fingerprint()
    assert whole != half


def test_extractor_clones_to_itself(extractor):
    from sklearn.base import clone

    assert clone(extractor) is extractor


def test_extractor_says_what_it_is(extractor, small_cnn, pictures):
    assert repr(extractor) == (
        "FeatureExtractor(layer=['conv', 'flat'], source=SourceModel(name='toy'))"
    )
    assert extractor.transform(pictures).shape == (len(pictures), 12)
    assert hooks_in(small_cnn) == 0


def test_grid_search_asks_for_each_picture_once(small_cnn, pictures):
    extractors = [tl.FeatureExtractor(toy_source(small_cnn), n) for n in ("conv", "bn")]
    head = LogisticRegression()
    grid = {
        "featureextractor": extractors,
        "logisticregression__C": [0.01, 1],
    }
    x, y = torch.cat([pictures[:6], 255 - pictures[:6]]).numpy(), np.arange(12) // 6
    search = GridSearchCV(make_pipeline(extractors[0], head), grid, cv=3).fit(x, y)
    assert [e.computed for e in extractors] == [12, 12]
    assert search.best_estimator_[0] in extractors
    by_hand = tl.extract_features(
        toy_source(small_cnn),
        torch.from_numpy(x),
        layer=search.best_estimator_[0].layer,
    )
    wanted = search.best_estimator_[1].predict_proba(by_hand)
    np.testing.assert_allclose(search.predict_proba(x), wanted, atol=1e-6)


def test_extraction_that_fails_leaves_no_hook(extractor, small_cnn):
    with pytest.raises(tl.CourseError, match=r"got torch.uint8 \(1, 5, 8, 8\)"):
        extractor.transform(np.zeros((1, 5, 8, 8), np.uint8))
    assert hooks_in(small_cnn) == 0


def test_missing_layer_is_refused_when_the_extractor_is_made(small_cnn):
    with pytest.raises(tl.CourseError, match="no layer 'conv2'"):
        tl.FeatureExtractor(small_cnn, ["conv", "conv2"])


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ([np.zeros((3, 8, 8)), np.zeros((3, 8, 9))], "differ in size"),
        ([], "Pictures were expected"),
        (np.zeros((3, 8, 8), np.uint8), r"got \(3, 8, 8\)"),
        (torch.zeros(0, 3, 8, 8), "Pictures were expected"),
    ],
)
def test_what_is_no_stack_of_pictures_is_refused(extractor, bad, said):
    with pytest.raises(tl.CourseError, match=said) as caught:
        extractor.transform(bad)
    assert "tensors(" in caught.value.next_step


@pytest.mark.parametrize("low", [0.0, -1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_pictures_that_are_scaled_already_are_refused(extractor, pictures, low, dtype):
    scaled = (pictures.double() / 255 * (1 - low) + low).to(dtype)
    for given in (scaled, scaled.numpy(), list(scaled)):
        with pytest.raises(tl.CourseError, match="Pictures are uint8.*got torch.float"):
            extractor.transform(given)
    with pytest.raises(tl.CourseError, match="0 … 255"):
        tl.extract_features(extractor.source, scaled)
    # Floats from 0 to 255 are what uint8 would be.
    whole = extractor.transform(pictures.float())
    np.testing.assert_allclose(whole, extractor.transform(pictures), atol=1e-5)


@pytest.mark.parametrize("bare", [False, True])
def test_pictures_with_channels_last_are_refused(extractor, pictures, bare):
    last = pictures.permute(0, 2, 3, 1)
    if bare:
        extractor.source = extractor.source.model
    with pytest.raises(tl.CourseError, match=r"\(7, 64, 64, 3\)"):
        extractor.transform(last)


PEAK = """
import sys, psutil, threading, torch, tlhelpers as tl
from torch import nn
torch.set_num_threads(1)
model = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
model.append(nn.Flatten()).append(nn.Linear(64, 2))
x = torch.randint(0, 256, (int(sys.argv[1]), 3, 32, 32), dtype=torch.uint8)
me, peak, done = psutil.Process(), [0], threading.Event()
def watch():
    while not done.wait(0.001):
        peak[0] = max(peak[0], me.memory_info().rss)
tl.extract_features(model.float(), x[:32].float(), batch_size=32)
before = me.memory_info().rss
threading.Thread(target=watch, daemon=True).start()
source = tl.SourceModel("toy", "toy", model, (0.5,) * 3, (0.5,) * 3)
tl.FeatureExtractor(source, ["0", "1"], batch_size=32).transform(x)
done.set()
print((peak[0] - before) / 2**20)
"""


def test_memory_does_not_grow_with_the_pictures():
    # What is asked for, not what the C library keeps back for later.
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"}

    def peak(n):
        run = subprocess.run(
            [sys.executable, "-c", PEAK, str(n)],
            capture_output=True,
            text=True,
            env=env,
        )
        assert run.returncode == 0, run.stderr[-2000:]
        return float(run.stdout)

    # Kept, the maps of 2,000 pictures would take 440 MB, those of a batch take 7;
    # the pictures themselves and their features are a few.
    assert peak(2000) - peak(200) < 60


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
    train_unfrozen(tl.freeze(small_cnn, ["conv", "bn"]))
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


def by_hand_in_two_halves(model, x, cut, target):
    """Grad-CAM by its definition: cut the network, ask for the gradient at the cut."""
    with torch.no_grad():
        maps = model.eval()[:cut](x)
    maps.requires_grad_()
    logits = model[cut:](maps * 1)  # a copy: the next layer may work in place
    classes = logits.argmax(1) if target is None else torch.full((len(x),), target)
    (gradient,) = torch.autograd.grad(logits[range(len(x)), classes].sum(), maps)
    heat = (gradient.mean((2, 3), keepdim=True) * maps).sum(1).relu().detach()
    return heat / heat.amax((1, 2), keepdim=True).clamp_min(1e-12)


@pytest.mark.parametrize("target", [None, 0, 1])
@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_grad_cam_agrees_with_its_definition_and_with_captum(x, target, inplace, cut):
    torch.manual_seed(4)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace),
        nn.Conv2d(6, 5, 3, stride=2),
        nn.ReLU(inplace),
        nn.Flatten(),
        nn.LazyLinear(7),
        nn.Tanh(),
        nn.Linear(7, 2),
    )
    model(x)
    wanted = by_hand_in_two_halves(model, x, cut, target)
    assert (wanted > 0).any() and (wanted == 0).any()
    for network in (model, tl.freeze(model)):
        got = tl.grad_cam(network, x, layer=str(cut - 1), target=target)
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)
    of = model(x).argmax(dim=1) if target is None else target
    theirs = LayerGradCam(model, model[cut - 1]).attribute(
        x.clone(), of, relu_attributions=True
    )[:, 0]
    theirs = theirs / theirs.amax((1, 2), keepdim=True).clamp_min(1e-12)
    torch.testing.assert_close(got, theirs.detach(), rtol=1e-4, atol=1e-5)


def by_hand_of_tokens(model, x, block):
    """Grad-CAM of a ViT block: its pieces without the class's, as a map."""
    kept = []
    hook = model.blocks[block].register_forward_hook(lambda m, i, out: kept.append(out))
    logits = model.eval()(x)
    hook.remove()
    (gradient,) = torch.autograd.grad(logits.amax(1).sum(), kept)
    first = model.num_prefix_tokens
    weights = gradient[:, first:].mean(dim=1, keepdim=True)  # (n, 1, channels)
    heat = (weights * kept[0][:, first:]).sum(dim=2).relu().detach().view(-1, 14, 14)
    return heat / heat.amax((1, 2), keepdim=True).clamp_min(1e-12)


@pytest.mark.parametrize(("name", "block"), [("vit", 0), ("vit", 1), ("mean", 2)])
def test_grad_cam_of_a_transformer_is_a_map(tokens, large, name, block):
    wanted = by_hand_of_tokens(tokens[name], large, block)
    got = tl.grad_cam(tokens[name], large, layer=f"blocks.{block}")
    assert got.shape == (3, 14, 14) and got.max() == 1
    torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-4)


def test_grad_cam_of_a_map_with_channels_last(tokens, large):
    model = tokens["swin"]
    got = tl.grad_cam(model, large, layer="layers.1", target=1)
    turned = nn.Sequential()  # the same network, its stage turned round by hand
    turned.first = nn.Sequential(model.patch_embed, *model.layers[:2])
    turned.turn = Turn((0, 3, 1, 2))
    turned.rest = nn.Sequential(
        Turn((0, 2, 3, 1)), *model.layers[2:], model.norm, model.head
    )
    torch.testing.assert_close(got, tl.grad_cam(turned, large, layer="turn", target=1))
    assert got.shape == (3, 28, 28) and hooks_in(model) == 0


class Turn(nn.Module):
    def __init__(self, order):
        super().__init__()
        self.order = order

    def forward(self, x):
        return x.permute(self.order)


def test_grad_cam_of_pictures_that_are_not_square():
    torch.manual_seed(0)
    sizes = {"img_size": (64, 96), "patch_size": 16, "embed_dim": 16}
    model = timm.models.VisionTransformer(**sizes, depth=2, num_heads=2, num_classes=3)
    assert tl.grad_cam(model, torch.randn(2, 3, 64, 96), layer="blocks.0").shape == (
        2,
        4,
        6,
    )


def test_grad_cam_reads_the_logits_of_transformers():
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.ViTConfig(**sizes, image_size=64)
    model = transformers.ViTForImageClassification(config)
    name = next(n for n, _ in model.named_modules() if n.endswith("layers.0"))
    assert tl.grad_cam(model, torch.randn(2, 3, 64, 64), layer=name).shape == (2, 4, 4)


@pytest.mark.parametrize("layer", ["head", "blocks.2", "fc_norm"])
def test_grad_cam_refuses_what_is_no_map_of_evidence(tokens, large, layer):
    # The head reads the class's piece: nothing else of the last block has a say.
    with pytest.raises(tl.CourseError, match=f"'{layer}' gives.*no map of evidence"):
        tl.grad_cam(tokens["vit"], large, layer=layer)


def test_grad_cam_refuses_a_layer_that_takes_no_part(cam_net, x):
    cam_net.idle = nn.Identity()
    cam_net.forward = lambda x: cam_net[4](cam_net[3](cam_net[2](cam_net[0](x))))
    with pytest.raises(tl.CourseError, match="'idle'"):
        tl.grad_cam(cam_net, x, layer="idle")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_network_on_the_gpu_takes_pictures_from_the_cpu(pictures):
    source = tl.load_source(pretrained=False)
    tl.extract_features(source, pictures)
    assert len(source.answers(pictures)) == 7
    got = tl.grad_cam(source.model, source.normalize(pictures), layer="blocks")
    assert got.device.type == "cpu"


def test_maps_of_pictures_that_are_not_square_keep_their_channels():
    """24 channels by 16 rows are nearer to the shape of the pictures than 16 by 11."""
    torch.manual_seed(0)
    out, x = torch.randn(2, 24, 16, 11), torch.zeros(2, 3, 97, 64)
    assert torch.equal(_average(out, x), out.mean(dim=(2, 3)))
    last = torch.randn(2, 16, 11, 24)
    assert torch.equal(_average(last, x), last.mean(dim=(1, 2)))
