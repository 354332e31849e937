"""Exercises of notebook 03."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from ...transferability import cka


def exercise_1(answer: Any) -> None:
    """Answer with a list of names in quotation marks."""
    assert not isinstance(answer, str), "Answer with a list of names in quotes."
    assert not {"conv1", "layer1"} & set(answer), "Those are kept. Name the others."
    assert "fc" in answer, "The head is for other classes: it starts anew, too."
    assert sorted(answer) == ["fc", "layer2", "layer3", "layer4"], (
        "The stages are conv1 (with bn1), layer1, layer2, layer3, layer4; then fc."
    )


def exercise_2(answer: Callable) -> None:
    """Take features, (n, n_units), and return others of the same shape."""
    features = np.random.default_rng(0).normal(size=(60, 12))
    changed = np.asarray(answer(features.copy()), dtype=float)
    assert changed.shape == features.shape, "Keep the same shape, (n, n_units)."
    pairs = [np.corrcoef(a, b)[0, 1] for a, b in zip(features.T, changed.T)]
    assert np.mean(np.abs(pairs)) < 0.5, (
        "Unit by unit the two are still alike. Renumber or rotate the units, that is "
        "the columns."
    )
    assert cka(features, changed) > 0.999, (
        "CKA sees a difference: did the pictures, the rows, change their order, or was "
        "information lost?"
    )


def exercise_3(answer: Callable) -> None:
    """Take a convolution and return one with four input channels."""
    torch.manual_seed(0)
    old = nn.Conv2d(3, 4, 3, padding=1)
    x, depth = torch.rand(2, 3, 8, 8), torch.rand(2, 1, 8, 8)
    wanted, new = old(x), answer(old)
    assert tuple(new.weight.shape) == (4, 4, 3, 3), (
        "The new convolution needs four input channels and the same outputs."
    )
    plain = new(torch.cat([x, torch.zeros_like(depth)], dim=1))
    assert torch.allclose(plain, wanted, atol=1e-5), (
        "With the same colours the answers differ: copy the weights of the first three "
        "channels, and the bias."
    )
    assert torch.allclose(new(torch.cat([x, depth], dim=1)), plain, atol=1e-5), (
        "Depth changes the answers before anything was learnt: start the fourth "
        "channel at zero."
    )
