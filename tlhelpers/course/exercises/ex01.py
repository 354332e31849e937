"""Exercises of notebook 01."""

from collections.abc import Callable

import torch

from ...surgery import train_unfrozen
from . import unlike


def exercise_1(answer: int) -> None:
    """Answer with one whole number."""
    assert int(answer) == answer, "The number of parameters is a whole number."
    mistakes = {
        1280 * 3: "Those are the weights. There is one bias per class, too.",
        1281000: "That is the old head, for a thousand classes. Replace it first.",
        1280 * 2 + 2: "That is a head for two classes; take three.",
    }
    unlike(answer, mistakes)
    assert answer == 1280 * 3 + 3, "A weight per feature and class, a bias per class."


def exercise_2(answer: Callable) -> None:
    """Take a uint8 tensor, (n, 3, height, width); return floats of that shape."""
    black, grey, white = _scaled(answer, [0, 128, 255])
    assert (black, white) != (0, 1), "That is 0 … 1. The network expects -1 … 1."
    assert max(abs(black), abs(white)) < 100, "In the hundreds still: divide by 255."
    assert not torch.isclose(torch.tensor(black), torch.tensor(-2.118), atol=0.02), (
        "That is ImageNet's usual mean and standard deviation. Many networks want it, "
        "this one does not: mean and std travel with the weights."
    )
    assert abs(black + 1) < 0.02 and abs(grey) < 0.02 and abs(white - 1) < 0.02, (
        "0 must become -1 and 255 must become 1. Is x a float before you subtract?"
    )
    dark = _scaled(answer, [0, 51, 102])
    assert abs(dark[2] + 0.2) < 0.02, (
        "The scale depends on the picture: 102 must always become -0.2. Use 0 and 255, "
        "not the smallest and the largest pixel."
    )


def _scaled(answer: Callable, values: list[int]) -> list[float]:
    x = torch.tensor(values, dtype=torch.uint8).repeat(1, 3, 1, 1)  # (1, 3, 1, n)
    return answer(x)[0, 0, 0].float().tolist()


def exercise_3(answer: tuple) -> None:
    """Answer with (model, groups); groups are dicts that hold params and lr."""
    model, groups = answer[0], [(list(g["params"]), g["lr"]) for g in answer[1]]
    head, rate = next((p, lr) for p, lr in groups if any(w.ndim == 2 for w in p))
    assert len(head) == 2, "The head's group holds more than its weight and its bias."
    assert head[0].shape[0] == 2, "Two classes: call tl.replace_head first."
    assert abs(rate - 0.002) < 1e-9, "The head should learn at 0.002: see lr."
    assert all(abs(lr - 0.0001) < 1e-9 for p, lr in groups if p is not head), (
        "The body's rate is not a twentieth of the head's: see body_factor."
    )
    given = {id(w) for p, _ in groups for w in p if w.requires_grad}
    left_out = [w for w in model.parameters() if w.ndim > 1 and id(w) not in given]
    assert not left_out, "Part of the network is frozen, or in no group."
    norms = [m for m in train_unfrozen(model).modules() if hasattr(m, "running_mean")]
    assert not any(m.training or m.weight.requires_grad for m in norms), (
        "Batch-norm still learns, or wakes when training starts: requires_grad_(False) "
        "stops no statistics. See tl.freeze_batch_norm."
    )
