"""The vocabulary is mapped as fastai maps it; rates, freezing and order are right."""

from __future__ import annotations

import math
import pickle
import shutil

import numpy as np
import pytest
import torch

import tlhelpers as tl
from tlhelpers import language
from tlhelpers import machine as session
from tlhelpers.language import LanguageModel

TEXTS = [
    "Subject: lunch\n\nHi Ann, see you at noon in the park.",
    "Subject: WIN NOW\n\nClick here and win a prize today!!!!!",
    "Subject: the minutes\n\nAnn sent the minutes of the park walk.",
    "Subject: prize\n\nYou win a prize, click the prize link today!",
] * 6
LABELS = [0, 1, 0, 1] * 6


@pytest.fixture(scope="module")
def tokens():
    return tl.tokenize(TEXTS)


@pytest.fixture(scope="module")
def vocabulary(tokens):
    return tl.make_vocabulary(tokens)


@pytest.fixture(scope="module")
def tiny():
    """A language model of a few thousand weights, made by fastai itself."""
    from fastai.text.models.awdlstm import AWD_LSTM, awd_lstm_lm_config
    from fastai.text.models.core import get_language_model

    tl.seed_everything(0)
    words = ["xxunk", "xxpad", "xxbos", "prize", "ann", "the", "zebra", "park"]
    config = {"emb_sz": 12, "n_hid": 16, "n_layers": 2}
    network = get_language_model(AWD_LSTM, len(words), awd_lstm_lm_config | config)
    torch.nn.init.uniform_(network[1].decoder.bias)
    return LanguageModel("tiny", network.state_dict(), tuple(words), config)


def make_reader(model, vocabulary, texts, unseen, *, batch_size, sequence):
    """Make a learner of a language model on texts, as notebook 06 does."""
    import pandas as pd
    from fastai.text import all as fa

    parts = [tl.token_table(texts), tl.token_table(unseen, part="valid")]
    block = fa.DataBlock(
        fa.TextBlock(fa.noop, vocab=list(vocabulary), is_lm=True, seq_len=sequence),
        get_x=fa.ColReader("tokens"),
        splitter=fa.ColSplitter(),
    )
    table = pd.concat(parts, ignore_index=True)
    dls = block.dataloaders(table, bs=batch_size, num_workers=0)
    config = fa.awd_lstm_lm_config | model.config
    learn = fa.language_model_learner(dls, fa.AWD_LSTM, config=config, pretrained=False)
    learn.model.load_state_dict(tl.match_vocabulary(model, vocabulary))
    return learn


@pytest.fixture
def reader(tiny, tokens, vocabulary):
    return make_reader(tiny, vocabulary, tokens, tokens[:8], batch_size=2, sequence=10)


# --- tokens and vocabulary ---------------------------------------------------------


def test_tokens_are_fastais(tokens):
    assert tokens[1][:7] == "xxbos xxmaj subject : xxup win xxup".split()
    assert "xxrep" in tokens[1] and tokens[1][0] == "xxbos"


def test_words_are_tokens_without_special_ones():
    assert tl.cut_words(["HELLO xxl Ann!!!!"]) == [["hello", "xxl", "ann", "4", "!"]]


def test_tokens_are_those_of_fastais_own_loaders():
    import pandas as pd
    from fastai.text import all as fa

    table, _ = fa.tokenize_df(pd.DataFrame({"t": TEXTS[:4]}), "t", n_workers=0)
    assert [list(row) for row in table["text"]] == tl.tokenize(TEXTS[:4])


def test_odd_texts_are_cut_without_an_error():
    odd = ["", " ", "🦄" * 50, "مرحبا بالعالم", "x" * 5000, "a\0b", "\n\n\n"]
    for row in tl.tokenize(odd):
        assert row[0] == "xxbos" and all(isinstance(t, str) for t in row)


def test_vocabulary_has_special_tokens_first_and_leaves_out_rare_words(tokens):
    words = tl.make_vocabulary([*tokens, ["once"]], min_count=2)
    assert words[:3] == ["xxunk", "xxpad", "xxbos"]
    assert "once" not in words and "prize" in words
    assert len(tl.make_vocabulary(tokens, max_size=20)) <= 24


def test_known_word_keeps_its_row_and_a_new_one_gets_the_mean(tiny):
    old, bias = tiny.weights["0.encoder.weight"], tiny.weights["1.decoder.bias"]
    got = tl.match_vocabulary(tiny, ["xxunk", "park", "unicorn", "ann"])
    rows = got["0.encoder.weight"]
    assert torch.equal(rows[1], old[7]) and torch.equal(rows[3], old[4])
    assert torch.allclose(rows[2], old.mean(0))
    assert got["1.decoder.bias"][1] == bias[7]
    assert got["1.decoder.bias"][2] == pytest.approx(float(bias.mean()))
    assert torch.equal(got["1.decoder.weight"], rows)
    assert len(tiny.weights["0.encoder.weight"]) == 8  # the source is left alone


def test_vocabulary_is_matched_as_fastai_does(tiny, vocabulary):
    from fastai.text.learner import match_embeds

    mine = tl.match_vocabulary(tiny, vocabulary)
    copy = {k: w.clone() for k, w in tiny.weights.items()}
    theirs = match_embeds(copy, list(tiny.vocabulary), list(vocabulary))
    assert mine.keys() == theirs.keys()
    for name in mine:
        assert torch.allclose(mine[name], theirs[name]), name


# --- loading -----------------------------------------------------------------------


def test_bundled_model_is_what_its_card_says():
    model = tl.load_language_model()
    card, words = model.card, model.vocabulary
    assert len(words) == len(set(words)) == card["recipe"]["n_tokens"]
    rows = model.weights["0.encoder.weight"]
    assert rows.shape == (len(words), model.config["emb_sz"])
    assert rows.dtype == torch.float32 and torch.isfinite(rows).all()
    assert model.weights["1.decoder.weight"] is rows
    assert card["valid_perplexity"] <= 50 and card["unknown"] <= 0.09
    path = session.data_folder() / "models" / "wikipedia_lstm.safetensors"
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
        learn = make_reader(
            model, model.vocabulary, [row], [row], batch_size=1, sequence=70
        )
        found.append(tl.perplexity(learn))
    assert found[0] < 60 and found[1] > 5 * found[0]


@pytest.mark.parametrize("suffix", ["safetensors", "txt", "json"])
def test_damaged_or_missing_model_is_named(tmp_path, monkeypatch, suffix):
    for path in (session.data_folder() / "models").glob("wikipedia_lstm.*"):
        (tmp_path / "models").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "models")
    monkeypatch.setattr(session, "data_folder", lambda: tmp_path)
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
        "fastai.data.external.untar_data",
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

    monkeypatch.setattr("fastai.data.external.untar_data", refuse)
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
    assert tl.perplexity(reader) == pytest.approx(math.exp(losses / count), rel=0.01)


def test_training_lowers_the_perplexity_and_a_text_goes_on(reader):
    before = tl.perplexity(reader)
    said = tl.continue_text(reader, "Subject: prize", n=7, seed=1)
    assert said == tl.continue_text(reader, "Subject: prize", n=7, seed=1)
    assert said.lower().startswith("subject : prize") and "xxunk" not in said.lower()
    tl.slanted_triangular(reader, 3, 0.02, factor=1)
    assert tl.perplexity(reader) < 0.8 * before


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
    tiny, tokens, vocabulary, monkeypatch
):
    seen = []

    def spy(learner, epochs, lr, *, factor):
        frozen = [
            not any(p.requires_grad for p in group)
            for group in learner.splitter(learner.model)
        ]
        seen.append((epochs, lr, frozen))

    monkeypatch.setattr(language, "slanted_triangular", spy)
    weights = tl.match_vocabulary(tiny, vocabulary)
    tl.train_classifier(
        tokens, LABELS, vocabulary, tiny, weights, epochs=(3, 0, 2), lr=0.08
    )
    (first, rate, frozen), (last, low, none) = seen
    assert (first, rate, frozen) == (3, 0.08, [True, True, False, False])
    assert (last, low, none) == (2, 0.02, [False] * 4)


def test_rates_fall_by_the_factor_from_group_to_group(tiny, tokens, vocabulary):
    weights = tl.match_vocabulary(tiny, vocabulary)
    learn = tl.train_classifier(tokens, LABELS, vocabulary, tiny, weights, epochs=(1,))
    last = [h["lr"] for h in learn.opt.hypers]
    assert np.allclose(np.divide(last[1:], last[:-1]), 2.6)


def test_classifier_learns_and_answers_in_the_order_of_the_texts(
    tiny, tokens, vocabulary
):
    weights = tl.match_vocabulary(tiny, vocabulary)
    learn = tl.train_classifier(
        tokens, LABELS, vocabulary, tiny, weights, epochs=(10, 0, 10), batch_size=4
    )
    p = tl.classify(learn, tokens)
    assert p.shape == (24, 2) and np.allclose(p.sum(axis=1), 1, atol=1e-5)
    assert np.mean(p.argmax(axis=1) == LABELS) > 0.9
    # fastai sorts by length inside; the answers must come back in our order.
    one_by_one = np.concatenate([tl.classify(learn, [row]) for row in tokens[:4]])
    assert np.allclose(p[:4], one_by_one, atol=0.1)
    assert len(tl.classify(learn, [["xxbos"], tokens[0] * 40])) == 2


def test_classifier_starts_from_the_weights_it_is_given(tiny, tokens, vocabulary):
    weights = tl.match_vocabulary(tiny, vocabulary)
    table = tl.token_table(tokens, LABELS)
    dls = tl.text_loaders(table, vocabulary, classes=[0, 1], batch_size=8)
    given = tl.text_classifier(dls, tiny, weights)
    scratch = tl.text_classifier(dls, tiny, None)
    rows = [learn.model[0].module.encoder.weight.detach() for learn in (given, scratch)]
    assert torch.equal(rows[0], weights["0.encoder.weight"])
    assert not torch.allclose(rows[1], weights["0.encoder.weight"])


@pytest.mark.parametrize("compute", [tl.text_features, tl.classify])
def test_untrained_classifier_is_moved_to_the_device_of_its_texts(
    compute, tiny, tokens, vocabulary, monkeypatch
):
    table = tl.token_table(tokens, LABELS)
    dls = tl.text_loaders(table, vocabulary, classes=[0, 1], batch_size=8)
    learn, asked = tl.text_classifier(dls, tiny, None), []
    move = learn.model.to
    monkeypatch.setattr(learn.model, "to", lambda to: asked.append(to) or move(to))
    compute(learn, tokens[:3])
    assert asked == [dls.device] and dls.device is not None


def test_long_texts_are_cut_for_the_network(tokens):
    table = tl.token_table([["xxbos"] * 300_000, tokens[0]], [0, 1])
    assert len(table["tokens"][0]) == language.LONGEST
    assert table["tokens"][1] == tokens[0]


def test_three_classes_are_possible(tiny, tokens, vocabulary):
    labels = [0, 1, 2, 1] * 6
    learn = tl.train_classifier(tokens, labels, vocabulary, tiny, epochs=(1,))
    assert tl.classify(learn, tokens[:5]).shape == (5, 3)


def test_leave_one_out_by_hand():
    weight = {"good": 0.5, "bad": -0.25}

    def predict(texts):
        return np.array([sum(weight.get(w, 0) for w in text) for text in texts])

    effect = tl.leave_one_out(predict, ["a", "good", "bad", "good"])
    assert effect.tolist() == [0, 0.5, -0.25, 0.5]
