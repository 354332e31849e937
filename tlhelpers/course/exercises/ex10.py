"""Exercises of notebook 10."""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ...machine import file_sha256
from . import unlike


def exercise_1(answer: float) -> None:
    """Answer with one number, a share between 0 and 1."""
    assert 0 < answer < 1, "A share lies between 0 and 1."
    mistakes = {
        0.95: "That is the share itself. What is the lowest accuracy it agrees with?",
        0.8949: "The formula p ± 1.96 √(p (1 − p) / n) fails near 1; take Wilson's.",
        0.9829: "That is the upper end.",
    }
    unlike(answer, mistakes, tolerance=1e-3)
    # Wilson's 0.8630, and the exact one of Clopper and Pearson, 0.8608; rounded, too.
    assert 0.8595 <= answer <= 0.8635, 'See proportion_ci(method="wilson").'


def exercise_2(answer: Callable) -> None:
    """Take groups, (n,), and a seed; return n times True (test) or False."""
    groups = np.repeat([f"patient {i}" for i in range(40)], [1, 3, 2, 5] * 10)
    mixed = np.random.default_rng(0).permutation(groups)
    cases = [(groups, 0), (groups, 1), (groups, 2), (mixed, 0)]
    tests = []
    for names, seed in cases:
        drawn = np.asarray(answer(names, seed))
        assert drawn.dtype == bool and drawn.shape == names.shape, (
            "Return one True or False for each example, True where it is test."
        )
        tests.append(set(names[drawn]))
        assert not tests[-1] & set(names[~drawn]), "No patient may be on both sides."
    assert all(8 <= len(t) <= 16 for t in tests), "About 30 % of the *patients*."
    assert len(set(map(frozenset, tests[:3]))) > 1, "Another seed: other patients."
    again = np.asarray(answer(groups, 1))
    assert set(groups[again]) == tests[1], "The same seed should draw the same again."


def exercise_3(answer: Callable) -> None:
    """Take a folder, a Path; return True or False."""
    assert _intact(answer), "Where nothing was changed, return True."
    assert not _intact(answer, "network.safetensors"), "A changed byte must give False."
    assert not _intact(answer, "vocabulary.txt"), "Check every file in project.json."
    assert not _intact(answer, lost=True), "A file is missing: return False."


def _intact(answer: Callable, changed: str = "", *, lost: bool = False) -> bool:
    """Ask about a folder in which one file was changed or lost."""
    with TemporaryDirectory() as name:
        files = [Path(name, f) for f in ("network.safetensors", "vocabulary.txt")]
        for file in files:
            file.write_text(f"{file.name} as it was")
        sums = {file.name: file_sha256(file) for file in files}
        Path(name, "project.json").write_text(json.dumps({"sha256": sums}))
        if changed:
            Path(name, changed).write_text(f"{changed} as it is?")
        if lost:
            files[1].unlink()
        found = answer(Path(name))
    assert isinstance(found, (bool, np.bool_)), "Return True or False."
    return bool(found)
