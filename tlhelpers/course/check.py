"""Check the exercises: a pass, or a hint; no account, no server.

Each exercise is a list of questions, asked in order. A question is a test of the
answer and the hint for an answer that fails it, so typical mistakes come first.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ..errors import CourseError
from ..machine import file_sha256
from ..transferability import cka, leep

Question = tuple[Callable[[Any], bool], str]


def check(exercise: str, answer: Any) -> bool:
    """Say whether an exercise is solved, or give a hint.

    Parameters
    ----------
    exercise : str
        Number of the notebook and of the exercise, "03.2".
    answer : object
        Whatever the exercise asks for; ``...`` counts as not tried yet.

    Returns
    -------
    bool
        True where the answer passes.

    Raises
    ------
    CourseError
        If there is no such exercise.
    """
    if exercise not in EXERCISES:
        raise CourseError(
            f"There is no exercise {exercise!r}.",
            f"The exercises are {', '.join(sorted(EXERCISES))}.",
        )
    if answer is ...:
        print(f"· {exercise}: not tried yet. Put your answer in place of the dots.")
        return False
    hint = _first_hint(EXERCISES[exercise], answer)
    print(f"✘ {exercise}: {hint}" if hint else f"✔ {exercise}: right.")
    return hint is None


def _first_hint(questions: list[Question], answer: Any) -> str | None:
    for holds, hint in questions:
        try:
            fine = bool(holds(answer))
        except Exception:  # any answer at all may come, and none may raise
            fine = False
        if not fine:
            return hint
    return None


def _scaled(answer: Any) -> list[float]:
    """Apply an answer to 01.2 to the pixels 0, 128 and 255."""
    import torch

    pixels = torch.tensor([0, 128, 255], dtype=torch.uint8)
    x = pixels.reshape(1, 1, 1, 3).repeat(1, 3, 1, 1)
    return answer(x)[0, 0, 0].float().tolist()


def _near(values: list[float], wanted: list[float], tolerance: float = 0.02) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(values, wanted, strict=True))


def _group(groups: Any, name: str) -> dict[str, Any]:
    return next(g for g in groups if g["name"] == name)


def _same_rate(groups: Any, name: str, rate: float) -> bool:
    return abs(_group(groups, name)["lr"] - rate) < 1e-9


def _three_layers() -> Any:
    """Make a network of the layers early, norm, late and head."""
    from torch import nn

    network = nn.Sequential()
    for name, layer in (
        ("early", nn.Linear(3, 4)),
        ("norm", nn.BatchNorm1d(4)),
        ("late", nn.Linear(4, 4)),
        ("head", nn.Linear(4, 2)),
    ):
        network.add_module(name, layer)
    return network


def _stands_still(network: Any) -> bool:
    """Train-mode pass after the network was frozen: do the statistics move?"""
    import torch

    from ..surgery import train_unfrozen

    before = network.norm.running_mean.clone()
    train_unfrozen(network)(torch.randn(8, 3))
    return bool((network.norm.running_mean == before).all())


def _rates(make: Callable[[Any], Any]) -> dict[str, set[float]]:
    """Return the learning rates that an optimiser gives each layer."""
    network = _three_layers()
    groups = make(network).param_groups
    return {
        name: {
            g["lr"]
            for g in groups
            for p in layer.parameters()
            if any(p is q for q in g["params"])
        }
        for name, layer in network.named_children()
    }


_FEATURES = np.random.default_rng(0).normal(size=(60, 12))


def _unit_by_unit(change: Callable[[Any], Any]) -> float:
    """Return the mean correlation of each unit with the unit of its number."""
    changed = np.asarray(change(_FEATURES.copy()))
    pairs = zip(_FEATURES.T, changed.T)
    return float(np.mean([abs(np.corrcoef(a, b)[0, 1]) for a, b in pairs]))


_TWO_WORDS = {"a": np.array([1.0, 0.0]), "b": np.array([0.0, 1.0])}
_ROWS = np.array([[1.0, 2.0], [3.0, 5.0], [8.0, 13.0]])


def _she(text: str) -> float:
    """Return a "probability" that grows with every she: the model of 05.3."""
    return text.count("she") / 4


def _states() -> tuple[Any, Any]:
    """Two texts of two pieces; the last place of the second is padding."""
    import torch

    states = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[6.0, 2.0], [6.0, 8.0]]])
    return states, torch.tensor([[1, 1], [1, 0]])


def _close(row: Any, wanted: list[float]) -> bool:
    return bool(np.allclose(np.asarray(row, dtype=float), wanted, atol=1e-4))


def _praise(texts: list[str]) -> list[float]:
    worth = {"good": 2.0, "kind": 1.0, "bad": -3.0}
    return [sum(worth.get(word, 0.0) for word in t.split()) for t in texts]


_LOGITS = np.array([[2.0, 0.0, -1.0], [0.0, 0.5, 3.0]])
_MENU = {"slow": (0.9, 100.0), "middle": (0.8, 4.0), "weak": (0.6, 0.2)}


def _divergence(answer: Any, temperature: float, same: bool = False) -> float:
    """Ask for the loss of a student that says something else."""
    import torch

    teacher = torch.tensor(_LOGITS)
    student = teacher if same else torch.tensor(np.roll(_LOGITS, 1) / 2)
    return float(answer(student, teacher, temperature))


def _soft(temperature: float, turned: bool = False) -> float:
    p, q = (
        np.exp(z / temperature) / np.exp(z / temperature).sum(axis=1, keepdims=True)
        for z in (_LOGITS, np.roll(_LOGITS, 1) / 2)
    )
    p, q = (q, p) if turned else (p, q)
    return temperature**2 * float((p * np.log(p / q)).sum(axis=1).mean())


def _convolution() -> Any:
    import torch
    from torch import nn

    torch.manual_seed(0)
    return nn.Conv2d(3, 4, 3, padding=1)


def _fourth_channel(make: Callable[[Any], Any]) -> tuple[float, float]:
    """Return how much the new layer differs without depth, and how depth moves it."""
    import torch

    old, x, depth = _convolution(), torch.rand(2, 3, 8, 8), torch.rand(2, 1, 8, 8)
    new = make(_convolution())
    plain = new(torch.cat([x, torch.zeros_like(depth)], dim=1))
    deep = new(torch.cat([x, depth], dim=1))
    return float((plain - old(x)).abs().max()), float((deep - plain).abs().max())


_FOUR = np.array(
    [[0.97, 0.02, 0.01], [0.05, 0.9, 0.05], [0.4, 0.3, 0.3], [0.2, 0.4, 0.4]]
)


def _as_list(values: Any) -> list[int]:
    return [int(v) for v in values]


_GROUPS = np.repeat([f"patient {i}" for i in range(40)], [1, 3, 2, 5] * 10)


def _sides(answer: Callable[..., Any], seed: int = 0) -> tuple[set[str], set[str]]:
    """Return the groups that an answer to 10.2 puts into test, and into train."""
    test = np.asarray(answer(_GROUPS, seed))
    return set(_GROUPS[test]), set(_GROUPS[~test])


def _intact(answer: Callable[..., Any], change: str = "") -> Any:
    """Ask an answer to 10.3 about a folder in which one file was changed or lost."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        listed = {}
        for file in ("network.safetensors", "vocabulary.txt"):
            (folder / file).write_bytes(file.encode())
            listed[file] = file_sha256(folder / file)
        (folder / "project.json").write_text(json.dumps({"sha256": listed}))
        if change == "lost":
            (folder / "vocabulary.txt").unlink()
        elif change:
            content = (folder / change).read_bytes()
            (folder / change).write_bytes(content[:-1] + b"?")
        return answer(folder)


_SOURCE = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8], [0.5, 0.5]])
_TARGET = np.array([0, 0, 1, 1, 1])


def _hard_leep() -> float:
    """Compute 09.2 with the likeliest source class instead of all."""
    return leep(np.eye(2)[_SOURCE.argmax(axis=1)], _TARGET)


def _leaks(answer: Callable[..., Any], change: Callable[[np.ndarray], Any]) -> bool:
    """Hide three of twelve pictures, changed, among others: are just they found?"""
    rng = np.random.default_rng(3)
    test, others = rng.integers(100, 156, (2, 12, 8, 10)).astype(np.uint8)
    hidden = np.clip(change(test[[2, 5, 9]].astype(float)), 0, 255).astype(np.uint8)
    found = answer(test.copy(), np.concatenate([others[:7], hidden]))
    return sorted(_as_list(found)) == [2, 5, 9]


EXERCISES: dict[str, list[Question]] = {
    "00.1": [
        (lambda a: isinstance(a, str), "Answer with a name in quotation marks."),
        (
            lambda a: a != "conv_head",
            "The name misleads: conv_head makes features, so it is part of the body.",
        ),
        (lambda a: a != "blocks", "The blocks make features: they are the body."),
        (
            lambda a: a == "classifier",
            "The head is the last layer that learns and gives one number per class.",
        ),
    ],
    "00.2": [
        (lambda a: abs(a) < 1, "Answer as a share, 0.10, or 10 points as 0.10."),
        (
            lambda a: abs(a - 0.41) > 0.005,
            "That is the gain over chance. The control is training from scratch.",
        ),
        (
            lambda a: abs(a) > 0.005,
            "Scores on training pictures prove a good memory. Use the test scores.",
        ),
        (
            lambda a: abs(a - 0.29) <= 0.005,
            "Test score with transfer minus test score from scratch.",
        ),
    ],
    "00.3": [
        (
            lambda a: len(a) == 3 and set(a) <= {"pre-trained", "develop"},
            'Answer with a list of three words, each "pre-trained" or "develop".',
        ),
        (
            lambda a: a[0] == "pre-trained",
            "(a) ImageNet is full of plants and animals: features for mushrooms exist.",
        ),
        (
            lambda a: a[1] == "develop",
            "(b) No published model has heard a sonar, but a million recordings make "
            "a source task.",
        ),
        (
            lambda a: a[2] == "pre-trained",
            "(c) Fifty reviews make no source task; models of English are published.",
        ),
    ],
    "01.1": [
        (lambda a: int(a) == a, "The number of parameters is a whole number."),
        (
            lambda a: a != 1280 * 3,
            "Those are the weights. A linear layer also has one bias per class.",
        ),
        (
            lambda a: a != 1281000,
            "That is the old head, for a thousand classes. Replace it first.",
        ),
        (lambda a: a != 1280 * 2 + 2, "That is a head for two classes; take three."),
        (
            lambda a: a == 1280 * 3 + 3,
            "One weight for each pair of feature and class, and one bias per class.",
        ),
    ],
    "01.2": [
        (callable, "Hand over the function itself, without calling it."),
        (
            lambda f: bool(_scaled(f)),
            "The function must take a uint8 tensor, shape (n, 3, height, width), and "
            "return a float tensor of the same shape.",
        ),
        (
            lambda f: not _near(_scaled(f), [0, 0.5, 1]),
            "That is 0 … 1. The network expects -1 … 1: stretch it and shift it.",
        ),
        (
            lambda f: max(map(abs, _scaled(f))) < 100,
            "The values are still in the hundreds. Divide by 255 first.",
        ),
        (
            lambda f: not _near(_scaled(f), [-2.118, 0.074, 2.249]),
            "That is ImageNet's usual mean and standard deviation. Many networks want "
            "it, this one does not: mean and std travel with the weights.",
        ),
        (
            lambda f: _near(_scaled(f), [-1, 0, 1]),
            "0 must become -1 and 255 must become 1. Is x a float before you subtract?",
        ),
    ],
    "01.3": [
        (
            lambda g: all({"params", "lr", "name"} <= set(d) for d in g),
            "Return what tl.param_groups returns: a list of groups.",
        ),
        (
            lambda g: {d["name"] for d in g} == {"body", "head"},
            "One part is missing. Is all of the body frozen? Only batch-norm should.",
        ),
        (
            lambda g: _group(g, "head")["params"][0].shape[0] == 2,
            "The head does not have two classes: call tl.replace_head first.",
        ),
        (
            lambda g: _same_rate(g, "head", 0.002),
            "The head should learn at 0.002: that is the argument lr.",
        ),
        (
            lambda g: _same_rate(g, "body", 0.0001),
            "The body's rate is not a twentieth of the head's: see body_factor.",
        ),
        (
            lambda g: all(p.ndim > 1 for p in _group(g, "body")["params"]),
            "Batch-norm parameters still learn. Call tl.freeze_batch_norm first.",
        ),
    ],
    "02.1": [
        (lambda a: int(a) == a, "The number of parameters is a whole number."),
        (
            lambda a: a != 512 * 7 * 7 * 256,
            "Those are the weights. A dense layer also has one bias per output.",
        ),
        (
            lambda a: a not in (512 * 256 + 256, 512 * 256),
            "Flatten keeps every place: 512 maps of 7 × 7 are 512 · 7 · 7 numbers.",
        ),
        (
            lambda a: a == 512 * 7 * 7 * 256 + 256,
            "Inputs times outputs, and one bias per output.",
        ),
    ],
    "02.2": [
        (callable, "Hand over the function itself, without calling it."),
        (
            lambda f: isinstance(f(_three_layers()), type(_three_layers())),
            "The function must return the network.",
        ),
        (
            lambda f: all(
                p.requires_grad for p in f(_three_layers()).head.parameters()
            ),
            "The head no longer learns. Unfreeze it again, or freeze all but it.",
        ),
        (
            lambda f: (
                not any(
                    p.requires_grad
                    for n, p in f(_three_layers()).named_parameters()
                    if not n.startswith("head")
                )
            ),
            "Something besides the head still has gradients.",
        ),
        (
            lambda f: _stands_still(f(_three_layers())),
            "The batch-norm statistics move as soon as training starts: "
            "network.train() wakes what eval() put to rest. tl.freeze marks layers for "
            "good, and tl.train_unfrozen respects it.",
        ),
    ],
    "02.3": [
        (callable, "Hand over the function itself, without calling it."),
        (
            lambda f: hasattr(f(_three_layers()), "param_groups"),
            "Return an optimiser, such as torch.optim.Adam([...]).",
        ),
        (
            lambda f: _rates(f)["head"] == {1e-3},
            "The head should learn at 1e-3.",
        ),
        (
            lambda f: _rates(f)["late"] != {1e-3},
            "late has the rate of the head. Give it a group of its own: a dict with "
            "params and lr.",
        ),
        (
            lambda f: _rates(f)["late"] == {1e-5},
            "late should learn at 1e-5, in a group of its own.",
        ),
        (
            lambda f: _rates(f)["early"] == set(),
            "early would learn, too: leave its parameters out.",
        ),
    ],
    "03.1": [
        (lambda a: not isinstance(a, str), "Answer with a list of names in quotes."),
        (
            lambda a: not {"conv1", "layer1"} & set(a),
            "Those are kept. Name the ones that start anew.",
        ),
        (lambda a: "fc" in a, "The head is for other classes: it starts anew, too."),
        (
            lambda a: sorted(a) == ["fc", "layer2", "layer3", "layer4"],
            "The stages are conv1 (with bn1), layer1, layer2, layer3, layer4; then fc.",
        ),
    ],
    "03.2": [
        (callable, "Hand over the function itself, without calling it."),
        (
            lambda f: np.shape(f(_FEATURES)) == _FEATURES.shape,
            "Return features of the same shape, (n, n_units).",
        ),
        (
            lambda f: _unit_by_unit(f) < 0.5,
            "Unit by unit the two are still alike. Renumber or rotate the units, "
            "that is the columns.",
        ),
        (
            lambda f: cka(_FEATURES, f(_FEATURES)) > 0.999,
            "CKA sees a difference: did the pictures, the rows, change their order, "
            "or was information lost?",
        ),
    ],
    "03.3": [
        (callable, "Hand over the function itself, without calling it."),
        (
            lambda f: f(_convolution()).weight.shape == (4, 4, 3, 3),
            "The new convolution needs four input channels and the same outputs.",
        ),
        (
            lambda f: _fourth_channel(f)[0] < 1e-5,
            "With the same colours the answers differ: copy the weights of the first "
            "three channels, and the bias.",
        ),
        (
            lambda f: _fourth_channel(f)[1] < 1e-5,
            "Depth changes the answers before anything was learnt: start the weights "
            "of the fourth channel at zero.",
        ),
    ],
    "04.1": [
        (lambda a: int(a) == a, "A whole number, please."),
        (
            lambda a: a != 112 * 8 * 8,
            "That is every channel at every place. The extractor averages over places.",
        ),
        (lambda a: a not in (8, 64), "Those are the places; they are averaged away."),
        (lambda a: a != 32, "32 is the number of pictures in the batch."),
        (lambda a: a == 112, "One number per channel."),
    ],
    "04.2": [
        (lambda a: 0 <= a <= 1, "A share between 0 and 1, please."),
        (
            lambda a: abs(a - 0.2) > 1e-6,
            "That is the gap of the first ten alone. The ECE averages over all twenty.",
        ),
        (
            lambda a: abs(a - 0.35) > 1e-6,
            "That is the share that was wrong. The ECE asks how far certainty is off.",
        ),
        (
            lambda a: abs(a - 0.1) < 1e-6,
            "|0.9 - 0.7| for half of the predictions, |0.6 - 0.6| for the other half.",
        ),
    ],
    "04.3": [
        (callable, "Hand over the function itself, without calling it."),
        (
            lambda f: len(f(_FOUR)) == 4,
            "Return one class number for each row of p.",
        ),
        (
            lambda f: -1 in _as_list(f(_FOUR)),
            "No row got -1. Compare the entropy with its median.",
        ),
        (
            lambda f: _as_list(f(_FOUR)) != [-1, -1, 0, 1],
            "The certain half abstains. High entropy means great doubt.",
        ),
        (
            lambda f: _as_list(f(_FOUR)) == [0, 1, -1, -1],
            "The two certain rows should keep their class, the two doubtful get -1.",
        ),
    ],
    "05.1": [
        (lambda a: -1 <= a <= 1, "A cosine lies between -1 and 1: divide by lengths."),
        (
            lambda a: abs(a - 24 / 5) > 1e-6 and abs(a - 24 / 50) > 1e-6,
            "Divide by the length of each of the two vectors, once.",
        ),
        (lambda a: abs(a - 0.96) < 1e-6, "(3·4 + 4·3) / (5 · 5)."),
    ],
    "05.2": [
        (callable, "Hand over the function itself, without calling it."),
        (
            lambda f: np.shape(f(["a", "b"], _TWO_WORDS, {})) == (2,),
            "Return one vector, shape (d,).",
        ),
        (
            lambda f: np.allclose(f(["a", "b", "?"], _TWO_WORDS, {}), [0.5, 0.5]),
            "Without weights it is the plain mean of the words that have a vector.",
        ),
        (
            lambda f: np.allclose(f(["a", "b"], _TWO_WORDS, {"a": 3}), [0.75, 0.25]),
            "With weights 3 and 1 the first word counts three times: divide by the "
            "sum of the weights, not by the number of words.",
        ),
        (
            lambda f: np.allclose(f(["a", "a", "b"], _TWO_WORDS, {"b": 2}), [0.5, 0.5]),
            "A word that occurs twice counts twice.",
        ),
    ],
    "05.3": [
        (callable, "Hand over the function itself, without calling it."),
        (
            lambda f: abs(f(_she, "then the other") - 0.0) < 1e-9,
            'Only whole words: "the" and "then" hold "he", too.',
        ),
        (
            lambda f: abs(f(_she, "he said he came") + 0.5) > 1e-9,
            "The second minus the first: with *she* minus with *he*.",
        ),
        (
            lambda f: abs(f(_she, "he said he came") - 0.5) < 1e-9,
            'Every "he" of the text becomes "she", and nothing else changes.',
        ),
    ],
    "06.1": [
        (
            lambda a: abs(a - 14 / 3) > 1e-6,
            "That is the mean of 1/p. Take the mean of the logarithms first.",
        ),
        (
            lambda a: abs(a - np.log(4)) > 1e-6,
            "That is the mean loss, in nats. The perplexity is its exponential.",
        ),
        (
            lambda a: abs(a - 64) > 1e-6,
            "That is for the whole text; the perplexity is per word.",
        ),
        (lambda a: abs(a - 4) < 1e-6, "exp of the mean of ln 2, ln 4 and ln 8."),
    ],
    "06.2": [
        (callable, "Hand over the function itself, without calling it."),
        (
            lambda f: abs(f(0, 200, 1.0) - 1 / 32) < 1e-9,
            "At step 0 the rate is lr / 32.",
        ),
        (
            lambda f: abs(f(20, 200, 1.0) - 1) < 1e-9,
            "After a tenth of the steps the rate is at its peak, lr.",
        ),
        (
            lambda f: abs(f(200, 200, 1.0) - 1 / 32) < 1e-9,
            "At the last step the rate is back at lr / 32.",
        ),
        (
            lambda f: abs(f(110, 200, 2.0) - 2 * (1 + 1 / 32) / 2) < 1e-9,
            "Between the corners the line is straight, and all of it scales with lr.",
        ),
    ],
    "06.3": [
        (callable, "Hand over the function itself, without calling it."),
        (
            lambda f: np.shape(f(_ROWS, list("abc"), list("cxab"))) == (4, 2),
            "One row for each **new** word.",
        ),
        (
            lambda f: np.allclose(f(_ROWS, list("abc"), list("cab")), _ROWS[[2, 0, 1]]),
            "A known word keeps its row, wherever it stands in the new vocabulary.",
        ),
        (
            lambda f: np.allclose(f(_ROWS, list("abc"), list("ax"))[1], _ROWS.mean(0)),
            "A new word starts at the mean of all old rows.",
        ),
    ],
    "07.1": [
        (lambda a: 0 < a < 1, "A share lies between 0 and 1."),
        (
            lambda a: abs(a - 24 / 33) > 1e-6,
            "That is the share of real pieces; padding is the rest.",
        ),
        (
            lambda a: abs(a - 9 / 24) > 1e-6,
            "Divide by all numbers of the batch, not by the real pieces alone.",
        ),
        (lambda a: abs(a - 9 / 33) < 1e-6, "Three rows, each as wide as the longest."),
    ],
    "07.2": [
        (callable, "Hand over the function itself, without calling it."),
        (
            lambda f: tuple(f(*_states()).shape) == (2, 2),
            "Return one vector for each text, shape (n, d).",
        ),
        (
            lambda f: not _close(f(*_states())[1], [3.0, 1.0]),
            "The second text has one real piece; divide by 1, not by the length.",
        ),
        (
            lambda f: not _close(f(*_states())[1], [6.0, 5.0]),
            "The padding's states were counted, too. Multiply by the mask first.",
        ),
        (
            lambda f: _close(f(*_states())[0], [2.0, 3.0]),
            "Where nothing is padding it is the plain mean over the pieces.",
        ),
        (
            lambda f: _close(f(*_states())[1], [6.0, 2.0]),
            "Add up the real pieces and divide by how many there are.",
        ),
    ],
    "07.3": [
        (callable, "Hand over the function itself, without calling it."),
        (
            lambda f: isinstance(f(_praise, "so good and kind"), str),
            "Return the word itself.",
        ),
        (
            lambda f: f(_praise, "bad so good and kind") != "bad",
            "That is the word whose removal *raises* the score; find the one that "
            "lowers it most.",
        ),
        (
            lambda f: f(_praise, "bad so good and kind") == "good",
            "Take out one word, ask for the score, put the word back; keep the lowest.",
        ),
        (
            lambda f: f(_praise, "kind kind good") == "good",
            "Take out one place, not every copy of the word.",
        ),
    ],
    "08.1": [
        (lambda a: len(a) == 2, "Two probabilities, in the order of the logits."),
        (
            lambda a: abs(a[0] - 1 / (1 + np.exp(-2))) > 1e-3,
            "That is the distribution without temperature: divide the logits by 2.",
        ),
        (
            lambda a: abs(a[0] - 1 / (1 + np.exp(-4))) > 1e-3,
            "Divide the logits by the temperature; do not multiply.",
        ),
        (
            lambda a: (
                abs(a[0] - 1 / (1 + np.exp(-1))) < 1e-3 and abs(sum(a) - 1) < 1e-3
            ),
            "Softmax of the logits divided by 2.",
        ),
    ],
    "08.2": [
        (callable, "Hand over the function itself, without calling it."),
        (
            lambda f: np.isfinite(_divergence(f, 1.0)),
            "Return one number, the mean over the rows.",
        ),
        (
            lambda f: abs(_divergence(f, 3.0, same=True)) < 1e-6,
            "Where student and teacher agree the loss is 0.",
        ),
        (
            lambda f: abs(_divergence(f, 3.0) - _soft(3.0) / 9) > 1e-4,
            "Without the factor T² the gradients shrink as T grows.",
        ),
        (
            lambda f: abs(_divergence(f, 3.0) - _soft(3.0, turned=True)) > 1e-4,
            "The other way round: the teacher's distribution weighs the logarithms.",
        ),
        (
            lambda f: max(abs(_divergence(f, t) - _soft(t)) for t in (1.0, 3.0)) < 1e-4,
            "T² times the sum of p ln(p / q) over the classes, averaged over the rows.",
        ),
    ],
    "08.3": [
        (callable, "Hand over the function itself, without calling it."),
        (
            lambda f: f(_MENU, 50.0) != "slow",
            "A model above the limit of milliseconds must not win.",
        ),
        (
            lambda f: f(_MENU, 5.0) != "weak",
            "Among those fast enough the most accurate wins, not the fastest.",
        ),
        (
            lambda f: f(_MENU, 5.0) == "middle" and f(_MENU, 500.0) == "slow",
            "Keep those within the limit, then take the highest accuracy.",
        ),
        (
            lambda f: f(_MENU, 0.1) is None,
            "Where nothing is fast enough, return None.",
        ),
    ],
    "09.1": [
        (
            lambda a: not isinstance(a, str) and set(a) <= {"A", "B", "C"},
            'Answer with a list of letters, such as ["A", "C"].',
        ),
        (
            lambda a: "C" not in a,
            "C gains on average. A wide spread is no negative transfer.",
        ),
        (
            lambda a: "A" not in a,
            "A loses 3 points, but its standard error is 2: within the noise.",
        ),
        (
            lambda a: list(a) == ["B"],
            "Take the mean of each source minus that of scratch, and the error of that "
            "difference: is the gain below -0.03 minus the error?",
        ),
    ],
    "09.2": [
        (callable, "Hand over the function itself, without calling it."),
        (
            lambda f: float(f(_SOURCE, _TARGET)) <= 0,
            "A mean of log probabilities cannot be above 0.",
        ),
        (
            lambda f: (
                abs(float(f(_SOURCE, _TARGET)) - 5 * leep(_SOURCE, _TARGET)) > 1e-6
            ),
            "That is the sum. Take the mean over the examples.",
        ),
        (
            lambda f: abs(float(f(_SOURCE, _TARGET)) - _hard_leep()) > 1e-6,
            "You took the likeliest source class only. LEEP adds up over all of them.",
        ),
        (
            lambda f: abs(float(f(_SOURCE, _TARGET)) - leep(_SOURCE, _TARGET)) < 1e-6,
            "P(target | source) is the joint table divided by the sum of each source "
            "class; then average the logs of p @ given.T at the right class.",
        ),
    ],
    "09.3": [
        (callable, "Hand over the function itself, without calling it."),
        (
            lambda f: _leaks(f, lambda x: x),
            "Exact copies must be found, and nothing else: return their row numbers.",
        ),
        (
            lambda f: _leaks(f, lambda x: 0.8 * x + 30),
            "A paler copy escapes, or another is taken for one: subtract the mean of "
            "each picture, divide by its length.",
        ),
        (
            lambda f: _leaks(f, lambda x: 0.6 * x[:, :, ::-1]),
            "A mirrored copy escapes: compare with the source turned round, too.",
        ),
    ],
    "10.1": [
        (lambda a: 0 < a < 1, "A share lies between 0 and 1."),
        (
            lambda a: abs(a - 0.95) > 1e-3,
            "That is the share itself. What is the lowest accuracy it agrees with?",
        ),
        (
            lambda a: abs(a - 0.8949) > 1e-3,
            "The formula p ± 1.96 √(p (1 − p) / n) fails near 1; take Wilson's.",
        ),
        (lambda a: abs(a - 0.9829) > 1e-3, "That is the upper end."),
        (lambda a: abs(a - 0.8630) < 1e-3, "The first number of tl.interval(k, n)."),
    ],
    "10.2": [
        (callable, "Hand over the function itself, without calling it."),
        (
            lambda f: (
                np.asarray(f(_GROUPS, 0)).dtype == bool
                and np.shape(f(_GROUPS, 0)) == _GROUPS.shape
            ),
            "Return one True or False for each example, True where it is test.",
        ),
        (
            lambda f: all(not set.intersection(*_sides(f, s)) for s in range(3)),
            "A patient stands on both sides: draw patients, not examples.",
        ),
        (
            lambda f: all(8 <= len(_sides(f, s)[0]) <= 16 for s in range(3)),
            "About 30 % of the *patients* belong to test.",
        ),
        (
            lambda f: len({tuple(sorted(_sides(f, s)[0])) for s in range(3)}) > 1,
            "Another seed should draw other patients.",
        ),
        (
            lambda f: _sides(f, 1) == _sides(f, 1),
            "The same seed should draw the same patients again.",
        ),
    ],
    "10.3": [
        (callable, "Hand over the function itself, without calling it."),
        (lambda f: _intact(f) is True, "Where nothing was changed, return True."),
        (
            lambda f: not _intact(f, "network.safetensors"),
            "One byte of the weights was changed, as many bytes as before; say False.",
        ),
        (
            lambda f: not _intact(f, "vocabulary.txt"),
            "Check every file that project.json names, not the weights alone.",
        ),
        (
            lambda f: not _intact(f, "lost"),
            "A file that is missing is damage, too: return False, raise nothing.",
        ),
    ],
}
