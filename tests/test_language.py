"""The vocabulary is mapped as fastai maps it; rates, freezing and order are right."""

from __future__ import annotations

import math
import pickle
import shutil
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.text import all as fa
from fastai.text.learner import match_embeds
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tlhelpers as tl
from tlhelpers import language, machine
from tlhelpers.language import LanguageModel

TEXTS = [
    "Subject: lunch\n\nHi Ann, see you at noon in the park.",
    "Subject: WIN NOW\n\nClick here and win a prize today!!!!!",
    "Subject: the minutes\n\nAnn sent the minutes of the park walk.",
    "Subject: prize\n\nYou win a prize, click the prize link today!",
] * 6
LABELS = [0, 1, 0, 1] * 6
TILES = getattr(torch.cpu, "_is_amx_tile_supported", bool)()
ROUNDING = 0.05 if TILES else 1e-4  # bf16, fp32


@pytest.fixture(scope="module")
def tokens():
    return tl.tokenize(TEXTS)


@pytest.fixture(scope="module")
def vocabulary(tokens):
    return fa.make_vocab(Counter(t for row in tokens for t in row), min_freq=2)


@pytest.fixture(scope="module")
def tiny():
    """A language model of a few thousand weights, made by fastai itself."""
    torch.manual_seed(0)
    words = ["xxunk", "xxpad", "xxbos", "prize", "ann", "the", "zebra", "park"]
    config = {"emb_sz": 12, "n_hid": 16, "n_layers": 2}
    network = fa.get_language_model(
        fa.AWD_LSTM, len(words), fa.awd_lstm_lm_config | config
    )
    torch.nn.init.uniform_(network[1].decoder.bias)
    torch.nn.init.normal_(network[0].encoder.weight)  # dropout drowns smaller vectors
    return LanguageModel(network.state_dict(), tuple(words), config)


@pytest.fixture(scope="module")
def matched(tiny, vocabulary):
    return tl.match_vocabulary(tiny, vocabulary)


def scratch(model):
    return replace(model, weights={})


def make_reader(model, texts, unseen, *, batch_size, sequence):
    """Make a learner of a language model on texts, as notebook 06 does."""
    table = pd.DataFrame({"tokens": texts + unseen})
    table["is_valid"] = table.index >= len(texts)
    vocabulary = list(model.vocabulary)
    block = fa.DataBlock(
        fa.TextBlock(fa.noop, vocab=vocabulary, is_lm=True, seq_len=sequence),
        get_x=fa.ColReader("tokens"),
        splitter=fa.ColSplitter(),
    )
    dls = block.dataloaders(table, bs=batch_size, num_workers=0)
    config = fa.awd_lstm_lm_config | model.config
    learn = fa.language_model_learner(dls, fa.AWD_LSTM, config=config, pretrained=False)
    learn.model.load_state_dict(model.weights)
    return learn


@pytest.fixture
def reader(matched, tokens):
    return make_reader(matched, tokens, tokens[:8], batch_size=2, sequence=10)


def perplexity(learner):
    """As notebook 06 computes it."""
    with learner.no_bar(), learner.no_logging():
        return math.exp(learner.validate()[0])


# --- tokens and vocabulary ---------------------------------------------------------


def test_tokens_are_fastais(tokens):
    assert tokens[1][:7] == "xxbos xxmaj subject : xxup win xxup".split()
    assert "xxrep" in tokens[1] and tokens[1][0] == "xxbos"


def test_tokens_are_those_of_fastais_own_loaders():
    table, _ = fa.tokenize_df(pd.DataFrame({"t": TEXTS[:4]}), "t", n_workers=0)
    assert [list(row) for row in table["text"]] == tl.tokenize(TEXTS[:4])


def test_odd_texts_are_cut_without_an_error():
    odd = ["", " ", "🦄" * 50, "مرحبا بالعالم", "x" * 5000, "a\0b", "\n\n\n"]
    for row in tl.tokenize(odd):
        assert row[0] == "xxbos" and all(isinstance(t, str) for t in row)


def test_known_word_keeps_its_row_and_a_new_one_gets_the_mean(tiny):
    old, bias = tiny.weights["0.encoder.weight"], tiny.weights["1.decoder.bias"]
    new = tl.match_vocabulary(tiny, ["xxunk", "park", "unicorn", "ann"])
    assert new.vocabulary == ("xxunk", "park", "unicorn", "ann")
    assert new.config == tiny.config
    got = new.weights
    rows = got["0.encoder.weight"]
    assert torch.equal(rows[1], old[7]) and torch.equal(rows[3], old[4])
    assert torch.allclose(rows[2], old.mean(0))
    assert got["1.decoder.bias"][1] == bias[7]
    assert got["1.decoder.bias"][2] == pytest.approx(float(bias.mean()))
    assert torch.equal(got["1.decoder.weight"], rows)
    assert len(tiny.weights["0.encoder.weight"]) == 8  # the source is left alone


def test_vocabulary_is_matched_as_fastai_does(tiny, vocabulary):
    mine = tl.match_vocabulary(tiny, vocabulary).weights
    copy = {k: w.clone() for k, w in tiny.weights.items()}
    theirs = match_embeds(copy, list(tiny.vocabulary), list(vocabulary))
    assert mine.keys() == theirs.keys()
    for name in mine:
        assert torch.allclose(mine[name], theirs[name]), name


# --- loading -----------------------------------------------------------------------


def test_bundled_model_is_what_its_card_says():
    model = tl.load_language_model()
    path, card = machine.read_model_card("wikipedia_lstm")
    words = model.vocabulary
    assert len(words) == len(set(words)) == card["recipe"]["n_tokens"]
    rows = model.weights["0.encoder.weight"]
    assert rows.shape == (len(words), model.config["emb_sz"])
    assert rows.dtype == torch.float32 and torch.isfinite(rows).all()
    assert model.weights["1.decoder.weight"] is rows
    assert card["valid_perplexity"] <= 50 and card["unknown"] <= 0.09
    assert path.stat().st_size <= 16e6


def test_bundled_model_reads_english_better_than_shuffled_english():
    model = tl.load_language_model()
    text = (
        "The river rises in the mountains in the north of the country and flows to "
        "the south, where it reaches the sea near a small town with a harbour. In "
        "the nineteenth century the town was an important centre of the trade."
    )
    right = tl.tokenize([text])[0] * 2
    wrong = list(np.random.default_rng(0).permutation(right))
    found = []
    for row in (right, wrong):
        learn = make_reader(model, [row], [row], batch_size=1, sequence=70)
        found.append(perplexity(learn))
    assert found[0] < 60 and found[1] > 5 * found[0]


@pytest.mark.parametrize("suffix", ["safetensors", "txt", "json"])
def test_damaged_or_missing_model_is_named(tmp_path, monkeypatch, suffix):
    for path in (machine.data_folder() / "models").glob("wikipedia_lstm.*"):
        (tmp_path / "models").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "models")
    monkeypatch.setattr(machine, "data_folder", lambda: tmp_path)
    path = tmp_path / "models" / f"wikipedia_lstm.{suffix}"
    path.unlink() if suffix == "json" else path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(tl.CourseError, match=path.name):
        tl.load_language_model()


def test_full_profile_reads_fastais_own_files(tiny, tmp_path, monkeypatch):
    # As fastai unpacks wt103-fwd: the weights by name, the words as a pickled list.
    torch.save(tiny.weights, tmp_path / "lstm_fwd.pth")
    (tmp_path / "itos_wt103.pkl").write_bytes(pickle.dumps(list(tiny.vocabulary)))
    asked = []
    monkeypatch.setattr(
        "fastai.text.all.untar_data",
        lambda url, c_key: asked.append((url, c_key)) or tmp_path,
    )
    model = tl.load_language_model("full")
    assert model.vocabulary == tiny.vocabulary and model.config == {}
    assert torch.equal(
        model.weights["0.encoder.weight"], tiny.weights["0.encoder.weight"]
    )
    assert asked[0][0].endswith("wt103-fwd.tgz") and asked[0][1] == "model"


def test_unreachable_download_is_said(monkeypatch):
    def refuse(url, c_key):
        raise OSError("no route")

    monkeypatch.setattr("fastai.text.all.untar_data", refuse)
    with pytest.raises(tl.CourseError, match="could not be fetched") as caught:
        tl.load_language_model("full")
    assert "mini" in caught.value.next_step


# --- reading -----------------------------------------------------------------------


def test_perplexity_is_the_exponential_of_the_mean_loss(reader):
    reader.model.eval()
    reader.model.reset()
    losses, count = 0.0, 0
    with torch.no_grad():
        for x, y in reader.dls.valid:
            logits = reader.model(x)[0].flatten(0, 1)
            losses += float(
                torch.nn.functional.cross_entropy(logits, y.flatten(), reduction="sum")
            )
            count += y.numel()
    # fastai counts the last, shorter batch like a whole one.
    assert perplexity(reader) == pytest.approx(math.exp(losses / count), rel=0.01)


def test_training_lowers_the_perplexity_and_a_text_goes_on(reader):
    before = perplexity(reader)
    said = tl.continue_text(reader, "Subject: prize", n=7, seed=1)
    assert said == tl.continue_text(reader, "Subject: prize", n=7, seed=1)
    assert said.lower().startswith("subject : prize") and "xxunk" not in said.lower()
    tl.slanted_triangular(reader, 3, 0.02, factor=1)
    assert perplexity(reader) < 0.8 * before


def test_slanted_triangle_rises_steeply_and_falls_slowly(reader):
    tl.slanted_triangular(reader, 2, 0.032, factor=1)
    rates = reader.recorder.hps["lr"]
    peak = int(np.argmax(rates))
    assert max(rates) == pytest.approx(0.032, rel=0.05)
    assert peak / len(rates) == pytest.approx(0.1, abs=0.06)
    assert rates[0] == pytest.approx(0.001, rel=0.2)
    assert rates[-1] < 0.005
    assert all(a > b for a, b in zip(rates[peak:], rates[peak + 1 :]))


# --- classifying -------------------------------------------------------------------


def test_stages_unfreeze_from_the_top_and_lower_groups_learn_slower(
    matched, tokens, monkeypatch
):
    seen = []

    def spy(learner, epochs, lr):
        frozen = [
            not any(p.requires_grad for p in group)
            for group in learner.splitter(learner.model)
        ]
        seen.append((epochs, lr, frozen))

    monkeypatch.setattr(language, "slanted_triangular", spy)
    tl.train_classifier(tokens, LABELS, matched, epochs=(3, 0, 2), lr=0.08)
    (first, rate, frozen), (last, low, none) = seen
    assert (first, rate, frozen) == (3, 0.08, [True, True, False, False])
    assert (last, low, none) == (2, 0.02, [False] * 4)


def test_rates_fall_by_the_factor_from_group_to_group(matched, tokens):
    learn = tl.train_classifier(tokens, LABELS, matched, epochs=(1,))
    last = [h["lr"] for h in learn.opt.hypers]
    assert np.allclose(np.divide(last[1:], last[:-1]), 2.6)


def test_classifier_learns_and_answers_in_the_order_of_the_texts(matched, tokens):
    learn = tl.train_classifier(tokens, LABELS, matched, epochs=(10, 0, 10))
    p = tl.classify(learn, tokens)
    assert p.shape == (24, 2) and np.allclose(p.sum(axis=1), 1, atol=1e-5)
    assert np.mean(p.argmax(axis=1) == LABELS) > 0.9
    # fastai sorts by length inside; the answers must come back in our order.
    one_by_one = np.concatenate([tl.classify(learn, [row]) for row in tokens[:4]])
    assert np.allclose(p[:4], one_by_one, atol=ROUNDING)
    assert len(tl.classify(learn, [["xxbos"], tokens[0] * 40])) == 2


def test_a_text_reads_the_same_among_longer_ones(matched, tokens):
    learn = tl.train_classifier(tokens, LABELS, matched, epochs=())
    row = (tokens[0] * 9)[:150]
    texts = [row[:n] for n in (150, 141, 80, 30, 3)]  # fastai cuts at 72
    alone = np.concatenate([tl.text_features(learn, [text]) for text in texts])
    together = tl.text_features(learn, texts)
    assert np.allclose(alone, together, atol=ROUNDING)


@pytest.mark.parametrize(("tiles", "precision"), [(True, "bf16"), (False, "fp32")])
def test_a_cpu_without_tiles_reads_in_fp32(
    matched, tokens, monkeypatch, tiles, precision
):
    """Trained in bf16, such a CPU is faster, but its answers take longer."""
    learn = tl.train_classifier(tokens, LABELS, matched, epochs=())
    monkeypatch.setattr(
        torch.cpu, "_is_amx_tile_supported", lambda: tiles, raising=False
    )
    monkeypatch.setattr(machine, "fast_precision", lambda device: "bf16")
    used, real = [], torch.autocast

    def spy(device, *, dtype, enabled):
        used.append("bf16" if enabled else "fp32")
        return real(device, dtype=dtype, enabled=enabled)

    monkeypatch.setattr(torch, "autocast", spy)
    tl.text_features(learn, tokens[:4])
    assert used == [precision]


def test_answers_are_those_of_fastais_own_prediction(matched, tokens, monkeypatch):
    monkeypatch.setattr(
        language.machine, "autocast", lambda **_: nullcontext()
    )  # theirs: fp32
    learn = tl.train_classifier(tokens, LABELS, matched, epochs=())
    dl = learn.dls.test_dl([(row,) for row in tokens])
    with learn.no_logging():
        theirs, _ = learn.get_preds(dl=dl)  # puts the texts back in order itself
    assert np.allclose(tl.classify(learn, tokens), theirs.numpy(), atol=1e-5)


def test_same_seed_gives_the_same_classifier_and_another_does_not(matched, tokens):
    def answers(seed, model):
        learn = tl.train_classifier(tokens, LABELS, model, epochs=(1,), seed=seed)
        return tl.classify(learn, tokens)

    for model in (matched, scratch(matched)):
        assert np.array_equal(answers(1, model), answers(1, model))
        assert not np.array_equal(answers(1, model), answers(2, model))


def test_classifier_starts_from_the_weights_it_is_given(matched, tokens):
    given, random = (
        tl.train_classifier(tokens, LABELS, model, epochs=())
        for model in (matched, scratch(matched))
    )
    rows = [learn.model[0].module.encoder.weight.detach() for learn in (given, random)]
    assert torch.equal(rows[0], matched.weights["0.encoder.weight"])
    assert not torch.allclose(rows[1], matched.weights["0.encoder.weight"])


def test_head_starts_as_logistic_regression_on_the_features(matched, tokens):
    learn = tl.train_classifier(tokens, LABELS, matched, epochs=())
    x = tl.text_features(learn, tokens)
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=1000))
    theirs = head.fit(x, LABELS).predict_proba(x)
    assert np.allclose(tl.classify(learn, tokens), theirs, atol=1e-4)


@pytest.mark.parametrize("compute", [tl.text_features, tl.classify])
def test_untrained_classifier_is_moved_to_the_device_of_its_texts(
    compute, matched, tokens, monkeypatch
):
    dls = tl.text_loaders(zip(tokens, LABELS), matched.vocabulary)
    learn = fa.text_classifier_learner(
        dls, fa.AWD_LSTM, config=matched.config, pretrained=False
    )
    move, asked = learn.model.to, []
    monkeypatch.setattr(learn.model, "to", lambda to: asked.append(to) or move(to))
    compute(learn, tokens[:3])
    assert asked == [dls.device] and dls.device is not None


def test_features_are_last_state_maximum_and_mean_of_one_text(
    matched, tokens, monkeypatch
):
    monkeypatch.setattr(language.machine, "autocast", lambda **_: nullcontext())
    learn = tl.train_classifier(tokens, LABELS, matched, epochs=())
    encoder = learn.model[0].eval()
    row = {word: i for i, word in reversed([*enumerate(matched.vocabulary)])}
    ids = torch.tensor([[row.get(word, 0) for word in tokens[1]]])
    with torch.no_grad():
        states = encoder(ids.to(learn.dls.device))[0][0].float().cpu()
    by_hand = torch.cat([states[-1], states.max(0).values, states.mean(0)])
    found = tl.text_features(learn, [tokens[1]])
    assert found.shape == (1, 36) and found.dtype == np.float32
    assert np.allclose(found[0], by_hand, atol=1e-5)


# --- loaders -----------------------------------------------------------------------


def test_loaders_keep_both_parts_their_labels_and_the_order_of_the_words(
    tokens, vocabulary
):
    dls = tl.text_loaders(
        zip(tokens[:6], [0, 1, 2] * 2), vocabulary, valid=zip(tokens[:2], [2, 0])
    )
    assert (len(dls.train_ds), len(dls.valid_ds)) == (6, 2)
    assert dls.vocab[0] == list(vocabulary) and list(dls.vocab[1]) == [0, 1, 2]
    (ids, label), (_, second) = dls.valid_ds
    assert [vocabulary[i] for i in ids] == [
        word if word in vocabulary else "xxunk" for word in tokens[0]
    ]
    assert (int(label), int(second)) == (2, 0)


def test_class_without_an_example_keeps_its_number(tokens, vocabulary):
    dls = tl.text_loaders(zip(tokens[:2], [0, 3]), vocabulary)
    assert dls.c == 4 and [int(label) for _, label in dls.train_ds] == [0, 3]


def test_long_texts_are_cut_for_the_network(tokens, vocabulary, matched):
    huge = ["xxbos"] * 300_000
    dls = tl.text_loaders(zip([huge, tokens[0]], [0, 1]), vocabulary, valid=[(huge, 0)])
    lengths = [len(ids) for part in (dls.train_ds, dls.valid_ds) for ids, _ in part]
    assert lengths == [language.LONGEST, len(tokens[0]), language.LONGEST]
    learn = tl.train_classifier([huge, *tokens], [1, *LABELS], matched, epochs=())
    same = tl.text_features(learn, [huge, huge[: language.LONGEST]])
    assert np.array_equal(same[0], same[1])


def test_three_classes_are_possible(matched, tokens):
    labels = [0, 1, 2, 1] * 6
    learn = tl.train_classifier(tokens, labels, scratch(matched), epochs=(1,))
    assert tl.classify(learn, tokens[:5]).shape == (5, 3)


def test_fewer_texts_than_a_batch_are_one_step():
    texts = [(["xxbos", "hi"], i % 2) for i in range(6)]
    assert len(tl.text_loaders(texts, ["xxunk", "xxpad", "xxbos", "hi"]).train) == 1
