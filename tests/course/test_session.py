"""Profiles and seeds, ranges, claims, demonstrations and verdicts."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import ttest_rel

import tlhelpers as tl
from tlhelpers.course import session
from tlhelpers.course.session import Range
from tlhelpers.errors import CourseError


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in (session.SMOKE_VARIABLE, session.REPORT_VARIABLE, "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("https_proxy", "HTTPS_PROXY", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def draw_numbers():
    return random.random(), np.random.rand(), torch.rand(1).item()


# --- start -----------------------------------------------------------------------


def test_start_seeds_python_numpy_and_torch():
    numbers = []
    for seed in (3, 3, 4):
        tl.start("mini", seed)
        numbers.append(draw_numbers())
    assert numbers[0] == numbers[1]
    assert all(a != b for a, b in zip(numbers[0], numbers[2]))


def test_auto_is_mini_without_a_gpu_and_asks_no_hub(no_gpu, network_attempts, capsys):
    run = tl.start("auto")
    assert (run.profile, run.device) == ("mini", "cpu")
    assert network_attempts == []
    assert "profile mini" in capsys.readouterr().out


@pytest.mark.parametrize(("hub", "profile"), [(True, "full"), (False, "mini")])
def test_auto_with_a_gpu_depends_on_the_hub(monkeypatch, hub, profile):
    monkeypatch.setattr(session.machine, "default_device", lambda: "cuda")
    monkeypatch.setattr(session.machine, "fast_precision", lambda device: "bf16")
    monkeypatch.setattr(session, "hardware", lambda: "a GPU")
    monkeypatch.setattr(session.machine, "hub_reachable", lambda: hub)
    assert tl.start("auto").profile == profile


def test_unknown_profile_names_the_valid_ones():
    with pytest.raises(CourseError, match="'tiny'") as caught:
        tl.start("tiny")
    for name in ("auto", "mini", "full"):
        assert repr(name) in caught.value.next_step


def test_start_says_whose_data_it_uses(capsys):
    assert tl.start("mini", data="my/pets").own_data
    assert "your own, my/pets" in capsys.readouterr().out


# --- ranges ----------------------------------------------------------------------


def test_range_is_the_99_percent_interval_worked_by_hand():
    # mean 80, sd 10, three runs; t(0.995, 2) = 9.92484 from a printed table.
    expected = Range.of([70, 80, 90])
    half = 9.92484 * 10 * (4 / 3) ** 0.5
    assert expected.n == 3
    assert expected.mean == pytest.approx(80)
    assert expected.sd == pytest.approx(10)
    assert expected.low == pytest.approx(80 - half, abs=1e-3)
    assert expected.high == pytest.approx(80 + half, abs=1e-3)


def test_range_of_shares_stays_between_nothing_and_all():
    expected = Range.of([0.7, 0.8, 0.9])
    assert (expected.low, expected.high) == (0.0, 1.0)
    narrow = Range.of([0.700, 0.701, 0.702])
    assert narrow.low == pytest.approx(0.701 - 9.92484 * 0.001 * (4 / 3) ** 0.5)


def test_range_holds_99_percent_of_fresh_runs():
    rng = np.random.default_rng(0)
    inside = [rng.normal() in Range.of(rng.normal(size=5)) for _ in range(1000)]
    assert 0.98 <= np.mean(inside) <= 0.999


def test_range_contains_its_ends_and_nothing_beyond():
    r = Range(0.2, 0.4, 0.3, 0.1, 5)
    assert 0.2 in r and 0.4 in r
    assert 0.19 not in r and 0.41 not in r


@pytest.fixture
def study(tmp_path, monkeypatch):
    (tmp_path / "studies").mkdir()
    path = tmp_path / "studies" / "01.json"
    path.write_text(json.dumps({"metrics": {"gain": [0.1, 0.2, 0.3]}}))
    monkeypatch.setattr(session.machine, "data_folder", lambda: tmp_path)


@pytest.mark.parametrize(
    ("value", "said"), [(0.2, "inside"), (9.0, "OUTSIDE"), (-9.0, "OUTSIDE")]
)
def test_compare_says_whether_a_run_is_inside_the_range(study, capsys, value, said):
    run = tl.start("mini", notebook="01")
    run.record("gain", value)
    run.compare("gain")
    line = capsys.readouterr().out.splitlines()[-1]
    assert said in line and "(3 runs)" in line


def test_compare_has_no_range_for_other_kinds_of_run(study, capsys):
    runs = [
        tl.start("full", notebook="01"),
        tl.start("mini", notebook="01", data="mine"),
        tl.start("mini", notebook="99"),
    ]
    for run in runs:
        run.record("gain", 0.2)
        assert run.expected("gain") is None
        run.compare("gain")
        assert "no range" in capsys.readouterr().out.splitlines()[-1]


def test_compare_names_what_own_data_could_not_give(study, capsys):
    run = tl.start("mini", notebook="01", data="mine")
    run.compare("gain")  # notebook 07 has figures by domain, which own texts lack
    assert "gain" in (said := capsys.readouterr().out) and "not measured" in said
    with pytest.raises(KeyError):
        tl.start("mini", notebook="01").compare("gian")  # a slip in a lesson


# --- claims and the report -------------------------------------------------------


@pytest.mark.parametrize(
    ("holds", "data", "smoke", "mark"),
    [
        (True, None, "", "✔"),
        (False, None, "", "✘"),
        (True, "mine", "", "✔"),
        (False, "mine", "", "○"),
        (False, None, "1", "·"),
        (True, None, "1", "·"),
        (False, None, "0", "✘"),
    ],
)
def test_claim_marks(monkeypatch, capsys, holds, data, smoke, mark):
    monkeypatch.setenv(session.SMOKE_VARIABLE, smoke)
    run = tl.start("mini", data=data)
    capsys.readouterr()
    assert run.claim("cats differ", np.bool_(holds), evidence="0.9 > 0.5") is holds
    out = capsys.readouterr().out
    assert out.startswith(f"{mark} cats differ")
    assert "0.9 > 0.5" in out
    assert run.claims[0]["judged"] is (mark != "·")


def test_smoke_shrinks_sizes(monkeypatch):
    assert tl.start("mini").size(100, 4) == 100
    monkeypatch.setenv(session.SMOKE_VARIABLE, "1")
    assert tl.start("mini").size(100, 4) == 4


def test_report_is_one_json_line_per_event(monkeypatch, tmp_path):
    path = tmp_path / "report.jsonl"
    monkeypatch.setenv(session.REPORT_VARIABLE, str(path))
    run = tl.start("mini", 7)
    assert run.record("accuracy", np.float32(0.5)) == 0.5
    run.claim("it learns", False, evidence="größer")
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [line["kind"] for line in lines] == ["session", "metric", "claim"]
    assert lines[0]["seed"] == 7
    assert (lines[1]["name"], lines[1]["value"]) == ("accuracy", 0.5)
    assert lines[2]["holds"] is False and lines[2]["evidence"] == "größer"


# --- demonstrations --------------------------------------------------------------


@pytest.mark.parametrize(
    ("holds", "data", "smoke", "mark"),
    [
        (True, None, "", "◆"),
        (False, None, "", "✘"),
        (True, "mine", "", "◆"),
        (False, "mine", "", "○"),
        (True, None, "1", "◆"),
        (False, None, "1", "·"),
    ],
)
def test_demonstration_marks(monkeypatch, capsys, holds, data, smoke, mark):
    monkeypatch.setenv(session.SMOKE_VARIABLE, smoke)
    run = tl.start("mini", data=data)
    capsys.readouterr()
    assert run.demonstrate("sums match", np.bool_(holds), evidence="3 = 3") is holds
    out = capsys.readouterr().out
    assert out.startswith(f"{mark} sums match") and "3 = 3" in out
    (entry,) = run.claims
    assert entry["demonstration"] is True
    assert entry["judged"] is (smoke != "1")


def test_demonstration_is_reported_as_one_and_a_claim_as_a_claim(monkeypatch, tmp_path):
    path = tmp_path / "report.jsonl"
    monkeypatch.setenv(session.REPORT_VARIABLE, str(path))
    run = tl.start("mini")
    run.demonstrate("sums match", True, evidence="3 = 3")
    run.claim("cats differ", True)
    shown, claimed = map(json.loads, path.read_text("utf-8").splitlines()[1:])
    shown.pop("gpu_mb", None)
    assert shown == {
        "kind": "demonstration",
        "text": "sums match",
        "holds": True,
        "evidence": "3 = 3",
        "judged": True,
        "demonstration": True,
    }
    assert claimed["kind"] == "claim" and "demonstration" not in claimed


# --- verdicts --------------------------------------------------------------------


def test_verdict_worked_by_hand(capsys):
    # Differences .1, .2, .3: mean .2, sd .1; t(0.975, 2) = 4.30265, from a table.
    run = tl.start("mini")
    capsys.readouterr()
    verdict = run.verdict(
        [0.7, 0.8, 0.9], [0.6, 0.6, 0.6], names=("tuned", "frozen"), label="accuracy"
    )
    half = 4.30265 * 0.1 / 3**0.5
    assert verdict.n == 3
    assert verdict.difference == pytest.approx(0.2)
    assert verdict.low == pytest.approx(0.2 - half, abs=1e-5)
    assert verdict.high == pytest.approx(0.2 + half, abs=1e-5)
    sentence = (
        "tuned is ahead of frozen by 0.200 ± 0.248 in accuracy "
        "(95 % interval, 3 paired draws), not beyond chance."
    )
    assert str(verdict) == sentence
    assert capsys.readouterr().out == sentence + "\n"


@pytest.mark.parametrize("n", [2, 5, 30])
def test_verdict_agrees_with_scipy(n):
    rng = np.random.default_rng(n)
    a, b = rng.normal(0.05, 0.1, n), rng.normal(0, 0.1, n)
    verdict = tl.start("mini").verdict(a, b)
    test = ttest_rel(a, b)
    low, high = test.confidence_interval(0.95)
    assert (verdict.low, verdict.high) == pytest.approx((low, high))
    assert ("not beyond chance" in str(verdict)) == (test.pvalue >= 0.05)


def test_verdict_names_whoever_is_ahead_and_is_the_same_from_both_sides():
    run, a, b = tl.start("mini"), [0.5, 0.6, 0.55], [0.7, 0.81, 0.75]
    one = run.verdict(a, b, names=("old", "new"), label="F1")
    other = run.verdict(b, a, names=("new", "old"), label="F1")
    assert str(one) == str(other)
    assert str(one).startswith("new is ahead of old by 0.203 ± ")
    assert "in F1" in str(one) and str(one).endswith("), beyond chance.")
    assert one.difference == -other.difference
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_verdict_pairs_by_position_whatever_holds_the_scores():
    a, b = [0.5, 0.75, 0.5], [0.25, 0.25, 0.0]
    run = tl.start("mini")
    one = run.verdict(a, b)
    assert run.verdict(np.array(a), torch.tensor(b)) == one
    assert run.verdict(pd.Series(a), pd.Series(b, index=[2, 1, 0])) == one


def test_verdict_of_a_tie_names_no_winner():
    verdict = tl.start("mini").verdict([0.5, 0.75], [0.75, 0.5], names=("x", "y"))
    assert str(verdict).startswith("x ties y: 0.000 ± ")
    assert str(verdict).endswith("not beyond chance.")


def test_verdict_calls_noise_beyond_chance_as_often_as_it_says():
    rng, run = np.random.default_rng(0), tl.start("mini")
    noise = rng.normal(size=(1000, 2, 6))
    found = [" not beyond" not in str(run.verdict(a, b)) for a, b in noise]
    assert 0.035 <= np.mean(found) <= 0.065


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([0.5, 0.6], [0.5]),
        ([0.5, 0.6], [0.5, 0.6, 0.7]),
        ([0.5], [0.6]),
        ([], []),
        ([0.5, float("nan")], [0.5, 0.6]),
        ([[0.5, 0.6], [0.7, 0.8]], [[0.5, 0.6], [0.7, 0.8]]),
    ],
)
def test_verdict_needs_pairs(a, b):
    with pytest.raises(CourseError, match="Pairs of finite scores") as caught:
        tl.start("mini").verdict(a, b)
    assert "same draws" in caught.value.next_step


# --- the package -----------------------------------------------------------------


def test_import_is_fast_and_loads_no_heavy_library():
    heavy = "{'torch', 'fastai', 'timm', 'matplotlib', 'sklearn', 'pandas'}"
    code = (
        "import sys, time; start = time.perf_counter(); import tlhelpers; "
        "print(time.perf_counter() - start); "
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    runs = [subprocess.run(command, capture_output=True, text=True) for _ in range(3)]
    seconds, loaded = zip(*(run.stdout.split() for run in runs))
    assert set(loaded) == {"[]"}
    assert min(map(float, seconds)) <= 0.5


def test_public_names_are_listed_and_others_are_attribute_errors():
    assert set(tl.__all__) <= set(dir(tl))
    with pytest.raises(AttributeError, match="no_such_thing"):
        tl.no_such_thing  # noqa: B018
