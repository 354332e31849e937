"""Exercises of notebook 02."""

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import nn

from ...surgery import train_unfrozen


def exercise_1(answer: int) -> None:
    """Answer with one whole number."""
    assert int(answer) == answer, "The number of parameters is a whole number."
    assert answer != 512 * 7 * 7 * 256, "Those are the weights; add a bias per output."
    assert answer > 512 * 257, "Flatten keeps every place: 512 · 7 · 7 numbers go in."
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


def exercise_3(answer: dict[str, float]) -> None:
    """Answer with the dictionary that tl.drift gave."""
    assert isinstance(answer, dict) and answer, "Answer with what tl.drift gave."
    moved = {name for name, change in answer.items() if change > 0}
    assert moved, "Nothing moved: take the snapshot before the training."
    last, before = {"base.22", "base.25"}, {"base.15", "base.18"}
    assert moved & (last | before), "Unfreeze both blocks, and make a new optimiser."
    assert before <= moved, "The block before the last stood still: train both."
    assert last <= moved, "The last block stood still: both blocks should learn."
    assert "head.4" in moved, "The head should go on learning with the two blocks."
    rest = sorted(moved - last - before - {"head.1", "head.4"})
    assert not rest, (
        f"{rest} moved, too: unfreeze four convolutions and nothing else, and keep "
        "batch-norm in evaluation mode."
    )
