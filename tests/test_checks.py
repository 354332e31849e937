"""Every exercise passes its solution and answers typical mistakes with a hint."""

from __future__ import annotations

import pytest
import torch

import tlhelpers as tl
from tlhelpers.checks import EXERCISES


def groups(*, lr=0.002, body_factor=0.05, still=True, n_classes=2, frozen=False):
    """Answer 01.3 the right way, or wrong in one respect."""
    model = tl.load_source(pretrained=False).model
    tl.replace_head(model, n_classes)
    if still:
        tl.freeze_batch_norm(model)
    if frozen:
        tl.freeze(model, but="classifier")
    return tl.param_groups(model, lr=lr, body_factor=body_factor)


IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]

SOLUTIONS = {
    "00.1": "classifier",
    "00.2": 0.91 - 0.62,
    "00.3": ["pre-trained", "develop", "pre-trained"],
    "01.1": 1280 * 3 + 3,
    "01.2": lambda x: x.float() / 127.5 - 1,
    "01.3": groups,
}

# exercise, typical wrong answer, a word of the hint that helps with just this mistake
MISTAKES = [
    ("00.1", "conv_head", "misleads"),
    ("00.1", "blocks", "body"),
    ("00.1", 6, "quotation marks"),
    ("00.2", 29, "as a share"),
    ("00.2", 0.41, "over chance"),
    ("00.2", 0.0, "memory"),
    ("00.2", -0.29, "minus"),
    ("00.3", ["pre-trained", "pre-trained", "pre-trained"], "(b)"),
    ("00.3", ["develop", "develop", "pre-trained"], "(a)"),
    ("00.3", ["pre-trained", "develop", "develop"], "(c)"),
    ("00.3", "develop", "list of three"),
    ("01.1", 3840, "bias"),
    ("01.1", 1281000, "old head"),
    ("01.1", 2562, "two classes"),
    ("01.1", "many", "whole number"),
    ("01.2", lambda x: x.float() / 255, "0 … 1"),
    ("01.2", lambda x: (x.float() / 255 - IMAGENET_MEAN) / IMAGENET_STD, "usual mean"),
    ("01.2", lambda x: x.float() - 127.5, "hundreds"),
    ("01.2", lambda x: (x - 127.5 / 127.5) / 127.5 + 5, "0 must become"),
    ("01.2", 0.5, "function itself"),
    ("01.2", lambda x: None, "uint8 tensor"),
    ("01.3", lambda: groups(lr=0.001), "0.002"),
    ("01.3", lambda: groups(body_factor=1.0), "twentieth"),
    ("01.3", lambda: groups(still=False), "freeze_batch_norm"),
    ("01.3", lambda: groups(frozen=True), "frozen"),
    ("01.3", lambda: groups(n_classes=1000), "replace_head"),
    ("01.3", 0.002, "list of groups"),
]


def answer_of(exercise, answer):
    """Build the answers to 01.3 only when they are needed."""
    return answer() if exercise == "01.3" and callable(answer) else answer


def test_every_exercise_has_a_solution_and_two_mistakes():
    assert set(SOLUTIONS) == set(EXERCISES)
    for exercise in EXERCISES:
        assert sum(e == exercise for e, *_ in MISTAKES) >= 2


@pytest.mark.parametrize("exercise", sorted(SOLUTIONS))
def test_solution_passes(exercise, capsys):
    assert tl.check(exercise, answer_of(exercise, SOLUTIONS[exercise]))
    assert "✔" in capsys.readouterr().out


@pytest.mark.parametrize("exercise", sorted(SOLUTIONS))
def test_unsolved_exercise_is_not_an_error(exercise, capsys):
    assert not tl.check(exercise, ...)
    assert "not tried yet" in capsys.readouterr().out


@pytest.mark.parametrize(("exercise", "wrong", "word"), MISTAKES)
def test_mistake_gets_its_own_hint(exercise, wrong, word, capsys):
    assert not tl.check(exercise, answer_of(exercise, wrong))
    assert word in capsys.readouterr().out


@pytest.mark.parametrize("exercise", sorted(SOLUTIONS))
@pytest.mark.parametrize("odd", [None, "", [], {}, float("nan"), object(), print])
def test_no_answer_raises_or_passes_by_accident(exercise, odd, capsys):
    assert not tl.check(exercise, odd)


def test_unknown_exercise_lists_the_known_ones():
    with pytest.raises(tl.CourseError, match=r"01\.2"):
        tl.check("99.9", 1)
