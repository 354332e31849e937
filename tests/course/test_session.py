"""Profiles, seeds, ranges, claims, the light import and the floors of the house."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import random
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

import tlhelpers as tl
from tlhelpers import machine as session

PACKAGE = Path(tl.__file__).parent
FLOORS = [
    {"errors", "session", "tasks", "texts"},
    {"datasets", "inspection", "sources", "surgery", "vectors"},
    {"training", "features", "export"},
    {
        "bert",
        "distillation",
        "language",
        "repurposers",
        "transferability",
        "uncertainty",
    },
    {"projects"},
    {"plans"},
    {"building"},
    {"plots", "server"},
    {"widgets", "checks", "doctor"},
    {"app"},
    {"publish"},
    {"runner"},
    {"cli"},
]
#: Within floor 0 the order is this one.
BASEMENT = ["errors", "session", "tasks", "texts"]


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


def run_python(code: str) -> str:
    out = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    )
    return out.stdout.strip()


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
    monkeypatch.setattr(session, "default_device", lambda: "cuda")
    monkeypatch.setattr(session, "fast_precision", lambda device: "bf16")
    monkeypatch.setattr(session, "hardware", lambda: "a GPU")
    monkeypatch.setattr(session, "hub_reachable", lambda: hub)
    assert tl.start("auto").profile == profile


def test_unknown_profile_names_the_valid_ones():
    with pytest.raises(tl.CourseError, match="'tiny'") as caught:
        tl.start("tiny")
    for name in ("auto", "mini", "full"):
        assert repr(name) in caught.value.next_step


def test_start_says_whose_data_it_uses(capsys):
    assert tl.start("mini", data="my/pets").own_data
    assert "your own, my/pets" in capsys.readouterr().out


def test_hub_is_out_of_reach_without_network(network_attempts):
    assert session.hub_reachable() is False
    assert network_attempts == ["huggingface.co"]


def test_offline_variable_keeps_us_from_knocking(monkeypatch, network_attempts):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert session.hub_reachable() is False
    assert network_attempts == []


def test_hub_behind_a_proxy_is_asked_through_the_proxy(monkeypatch, network_attempts):
    monkeypatch.setenv("https_proxy", "http://proxy.school.example:3128")
    session.hub_reachable()
    assert network_attempts == ["proxy.school.example"]


@pytest.mark.parametrize(("major", "precision"), [(7, "fp16"), (8, "bf16")])
def test_gpu_without_bf16_units_gets_fp16(monkeypatch, major, precision):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (major, 0))
    assert session.fast_precision("cuda") == precision


def test_cpu_without_bf16_instructions_gets_fp32(monkeypatch):
    for unit in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, unit, lambda: False, raising=False)
    assert session.fast_precision("cpu") == "fp32"


# --- ranges ----------------------------------------------------------------------


def test_range_is_the_99_percent_interval_worked_by_hand():
    # mean 80, sd 10, three runs; t(0.995, 2) = 9.92484 from a printed table.
    expected = tl.Range.of([70, 80, 90])
    half = 9.92484 * 10 * (4 / 3) ** 0.5
    assert expected.n == 3
    assert expected.mean == pytest.approx(80)
    assert expected.sd == pytest.approx(10)
    assert expected.low == pytest.approx(80 - half, abs=1e-3)
    assert expected.high == pytest.approx(80 + half, abs=1e-3)


def test_range_of_shares_stays_between_nothing_and_all():
    expected = tl.Range.of([0.7, 0.8, 0.9])
    assert (expected.low, expected.high) == (0.0, 1.0)
    narrow = tl.Range.of([0.700, 0.701, 0.702])
    assert narrow.low == pytest.approx(0.701 - 9.92484 * 0.001 * (4 / 3) ** 0.5)


def test_range_holds_99_percent_of_fresh_runs():
    rng = np.random.default_rng(0)
    inside = [rng.normal() in tl.Range.of(rng.normal(size=5)) for _ in range(1000)]
    assert 0.98 <= np.mean(inside) <= 0.999


def test_range_contains_its_ends_and_nothing_beyond():
    r = tl.Range(0.2, 0.4, 0.3, 0.1, 5)
    assert 0.2 in r and 0.4 in r
    assert 0.19 not in r and 0.41 not in r


@pytest.fixture
def study(tmp_path, monkeypatch):
    (tmp_path / "studies").mkdir()
    path = tmp_path / "studies" / "01.json"
    path.write_text(json.dumps({"metrics": {"gain": [0.1, 0.2, 0.3]}}))
    monkeypatch.setattr(session, "data_folder", lambda: tmp_path)


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


# --- bundled models --------------------------------------------------------------


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A bundled model with a vocabulary; the path of its weights."""
    path = tmp_path / "models" / "reader.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"weights")
    path.with_suffix(".txt").write_bytes(b"words")
    card = {
        "title": "größer",
        "sha256": hashlib.sha256(b"weights").hexdigest(),
        "vocabulary_sha256": hashlib.sha256(b"words").hexdigest(),
    }
    path.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
    monkeypatch.setattr(session, "data_folder", lambda: tmp_path)
    return path


def test_model_card_comes_with_the_path_of_the_weights(reader):
    path, card = session.read_model_card("reader")
    assert path == reader and card["title"] == "größer"


def test_model_without_vocabulary_needs_none(reader):
    card = session.read_model_card("reader")[1]
    del card["vocabulary_sha256"]
    reader.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
    reader.with_suffix(".txt").unlink()
    assert session.read_model_card("reader") == (reader, card)


@pytest.mark.parametrize("suffix", [".safetensors", ".txt", ".json"])
def test_missing_file_of_a_model_is_named(reader, suffix):
    reader.with_suffix(suffix).unlink()
    with pytest.raises(tl.CourseError, match=rf"reader\{suffix} is miss") as caught:
        session.read_model_card("reader")
    assert "git checkout" in caught.value.next_step


@pytest.mark.parametrize("suffix", [".safetensors", ".txt"])
def test_changed_file_of_a_model_is_named(reader, suffix):
    reader.with_suffix(suffix).write_bytes(b"changed")
    with pytest.raises(tl.CourseError, match=rf"reader\{suffix} is damaged"):
        session.read_model_card("reader")
    assert session.read_model_card("reader", check=False)[0] == reader


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


def test_progress_hands_through_every_item(capfd):
    assert list(tl.progress(range(5), "counting")) == [0, 1, 2, 3, 4]
    assert capfd.readouterr().err == ""


# --- the error that learners see -------------------------------------------------


def test_course_error_shows_problem_and_next_step_without_a_traceback():
    error = tl.CourseError("Soup is cold.", "Warm it.")
    assert str(error) == "Soup is cold.\n→ Warm it."
    assert error._render_traceback_() == ["✘ Soup is cold.\n→ Warm it."]
    assert str(tl.CourseError("Soup is cold.")) == "Soup is cold."


def test_ipython_prints_the_paragraph_instead_of_a_traceback(capsys):
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    no_history = Config({"HistoryManager": {"enabled": False}})
    shell = InteractiveShell(config=no_history)
    shell.run_cell("import tlhelpers as tl\nraise tl.CourseError('Cold.', 'Warm.')")
    out = capsys.readouterr().out
    assert out.strip() == "✘ Cold.\n→ Warm."


# --- the package -----------------------------------------------------------------


def test_import_is_light():
    heavy = "{'torch', 'fastai', 'timm', 'matplotlib', 'sklearn', 'pandas'}"
    code = (
        "import sys, time; start = time.perf_counter(); import tlhelpers; "
        "print(time.perf_counter() - start); "
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    seconds, loaded = zip(*(run_python(code).split("\n") for _ in range(3)))
    assert set(loaded) == {"[]"}
    assert min(map(float, seconds)) <= 0.5


def test_floors_below_plots_load_no_heavy_library_when_imported():
    light = sorted(set.union(*FLOORS[:3]))
    code = (
        f"import sys; from tlhelpers import {', '.join(light)}; "
        "print(sorted({'torch', 'timm', 'fastai', 'sklearn'} & set(sys.modules)))"
    )
    assert run_python(code) == "[]"


@pytest.mark.parametrize("name", tl.__all__)
def test_public_name_exists_and_is_described(name):
    value = getattr(tl, name)
    assert name in dir(tl)
    if not isinstance(value, type | types.FunctionType):
        return
    first = (inspect.getdoc(value) or "").split("\n")[0]
    assert 10 <= len(first) <= 80
    assert first.endswith(".")


def test_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_thing"):
        tl.no_such_thing  # noqa: B018


def imported_siblings(module: str) -> set[str]:
    tree = ast.parse((PACKAGE / f"{module}.py").read_text("utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            found |= {node.module} if node.module else {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module.partition("tlhelpers.")[2]} - {""}
        elif isinstance(node, ast.Import):
            found |= {a.name.partition("tlhelpers.")[2] for a in node.names} - {""}
    return {name.split(".")[0] for name in found}


@pytest.mark.parametrize("module", sorted(set.union(*FLOORS)))
def test_a_room_imports_only_from_lower_floors(module):
    (floor,) = (i for i, rooms in enumerate(FLOORS) if module in rooms)
    below = set().union(*FLOORS[:floor])
    if module in BASEMENT:
        below = set(BASEMENT[: BASEMENT.index(module)])
    assert imported_siblings(module) <= below


def test_every_module_has_a_floor():
    modules = {p.stem for p in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert modules == set.union(*FLOORS)
