"""Exercises of notebook 03."""

from collections.abc import Callable, Sequence

import torch
from torch import nn


def exercise_1(answer: list[str]) -> None:
    """Answer with a list of names in quotation marks."""
    assert not isinstance(answer, str), "Answer with a list of names in quotes."
    assert not {"conv1", "layer1"} & set(answer), "Those are kept. Name the others."
    assert "fc" in answer, "The head is for other classes: it starts anew, too."
    assert sorted(answer) == ["fc", "layer2", "layer3", "layer4"], (
        "The stages are conv1 (with bn1), layer1, layer2, layer3, layer4; then fc."
    )


def exercise_2(answer: Callable) -> None:
    """Take a convolution and return one with one input channel."""
    torch.manual_seed(0)
    old, grey = nn.Conv2d(3, 4, 3, padding=1), torch.rand(2, 1, 8, 8)
    wanted, bias = old(grey.expand(-1, 3, -1, -1)), old.bias.clone()
    new = answer(old)
    assert tuple(new.weight.shape) == (4, 1, 3, 3), "One input channel, same outputs."
    assert new.bias is not None and torch.allclose(new.bias, bias), (
        "The bias differs: it is added once, so copy it as it is."
    )
    assert torch.allclose(new(grey), wanted, atol=1e-5), (
        "The answers differ: add up the filters of the three channels, do not average."
    )


def exercise_3(answer: Sequence[float]) -> None:
    """Answer with three numbers, [never trained, from scratch, warm start]."""
    assert len(answer) == len({*answer}) == 3, "Three numbers. Is a row here twice?"
    never, scratch, warm = map(float, answer)
    assert 0 < min(answer) and warm < 0.95, "CKA lies between 0 and 1. Percent?"
    assert never < warm > scratch, "The warm start comes last: it is most alike."
