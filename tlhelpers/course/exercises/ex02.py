"""Exercises of notebook 02."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ...surgery import train_unfrozen
from . import unlike


def exercise_1(answer: Any) -> None:
    """Answer with one whole number."""
    assert int(answer) == answer, "The number of parameters is a whole number."
    mistakes = {
        512 * 7 * 7 * 256: "Those are the weights; each output has a bias, too.",
        512 * 256 + 256: "Flatten keeps every place: 512 · 7 · 7 numbers go in.",
        512 * 256: "Flatten keeps every place: 512 · 7 · 7 numbers go in.",
    }
    unlike(answer, mistakes)
    assert answer == 512 * 7 * 7 * 256 + 256, "Inputs times outputs, and a bias each."


def _network() -> nn.Sequential:
    """Make a network of the layers early, norm, late and head."""
    early, norm = nn.Linear(3, 4), nn.BatchNorm1d(4)
    late, head = nn.Linear(4, 4), nn.Linear(4, 2)
    return nn.Sequential(OrderedDict(early=early, norm=norm, late=late, head=head))


def exercise_2(answer: Callable) -> None:
    """Take a network, freeze all but its head, and return the network."""
    network = answer(_network())
    assert isinstance(network, nn.Module), "The function must return the network."
    assert all(p.requires_grad for p in network.head.parameters()), (
        "The head no longer learns. Unfreeze it again, or freeze all but it."
    )
    rest = [p for n, p in network.named_parameters() if not n.startswith("head")]
    assert not any(p.requires_grad for p in rest), "Something besides the head learns."
    before = network.norm.running_mean.clone()
    train_unfrozen(network)(torch.randn(8, 3))
    still = torch.equal(network.norm.running_mean, before)
    assert still and not network.norm.training, (
        "The batch-norm statistics move as soon as training starts: network.train() "
        "wakes what eval() put to rest, and a momentum of 0 still scales by the batch. "
        "tl.freeze marks layers for good, and tl.fit respects it."
    )


def exercise_3(answer: Callable) -> None:
    """Take a network and return an optimiser, such as torch.optim.Adam([...])."""
    network = _network()
    optimiser = answer(network)
    assert isinstance(optimiser, torch.optim.Optimizer), (
        "Return an optimiser, such as torch.optim.Adam([...])."
    )
    rates = {name: _rates(optimiser, layer) for name, layer in network.named_children()}
    assert rates["head"] == {1e-3}, "The head should learn at 1e-3."
    assert rates["late"] != {1e-3}, (
        "late has the rate of the head. Give it a group of its own: a dict with params "
        "and lr."
    )
    assert rates["late"] == {1e-5}, "late should learn at 1e-5, in a group of its own."
    assert not rates["early"], "early would learn, too: leave its parameters out."


def _rates(optimiser: torch.optim.Optimizer, layer: nn.Module) -> set[float]:
    """Return the rates at which the parameters of a layer learn."""
    mine = {id(p) for p in layer.parameters() if p.requires_grad}
    return {
        group["lr"]
        for group in optimiser.param_groups
        if group["lr"] and mine & {id(p) for p in group["params"]}
    }
