"""The notebooks: their form, their runs, their claims, and what breaks them."""

from __future__ import annotations

import ast
import functools
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from notebook_tools import (
    NOTEBOOKS,
    ROOT,
    SOLUTIONS,
    WIDGET,
    broken_cells,
    check_widgets,
    cut_network,
    nbval,
    plan_broken_cells,
    run,
    write_notebook,
)

from tlhelpers.course.publish import clean, fingerprint
from tlhelpers.course.session import REPORT_VARIABLE, SMOKE_VARIABLE, Range, read_study

LINUX = sys.platform == "linux"
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def in_small(paths):
    """Give each notebook's small runs to one process, two processes at a time."""
    return pytest.mark.parametrize(
        "path",
        [pytest.param(p, marks=pytest.mark.xdist_group(p.name[:2])) for p in paths],
        ids=lambda p: p.stem,
    )


@pytest.mark.xdist_group("together")
def test_tests_of_a_group_share_a_process(request):
    """Without groups each process would make a small run of its own."""
    if not request.config.getoption("loadgroup", False):
        pytest.skip("only with --dist loadgroup")
    assert request.node.nodeid.endswith("@together")


def cells(path, kind=None):
    found = nbformat.read(path, as_version=4).cells
    return [c for c in found if kind in (None, c.cell_type)]


def python(cell) -> ast.Module:
    """Parse a cell; magics belong to IPython, so they count as comments."""
    return ast.parse(re.sub(r"^(\s*)%.*$", r"\1pass", cell.source, flags=re.M))


# --- form (design: the gates of a notebook) ------------------------------------------


@each
def test_has_the_gates_of_a_notebook(path):
    all_cells, code = cells(path), cells(path, "code")
    assert 25 <= len(all_cells) <= 60
    assert 12 <= len(code) <= 30
    words = sum(len(c.source.split()) for c in cells(path, "markdown"))
    assert 900 <= words <= 2400
    pairs = list(zip(all_cells, all_cells[1:]))
    led = [a.cell_type == "markdown" for a, b in pairs if b.cell_type == "code"]
    assert sum(led) / len(code) >= 0.85
    assert path.stat().st_size <= 600_000


@each
def test_code_cells_are_short(path):
    sources = [c.source.splitlines() for c in cells(path, "code")]
    lengths = sorted(sum(bool(x.strip()) for x in lines) for lines in sources)
    assert statistics.median(lengths) <= 6
    assert lengths[int(0.9 * (len(lengths) - 1))] <= 14
    assert lengths[-1] <= 22
    too_wide = [
        x for lines in sources for x in lines if len(x) > 88 and "%pip" not in x
    ]
    assert not too_wide


@each
def test_defines_at_most_two_functions(path):
    nodes = [n for c in cells(path, "code") for n in ast.walk(python(c))]
    assert sum(isinstance(n, ast.FunctionDef) for n in nodes) <= 2


@each
def test_shares_the_setup_cells_of_the_course(path):
    by_tag = {
        t: c.source for c in cells(path, "code") for t in c.metadata.get("tags", [])
    }
    first = {
        t: c.source
        for c in cells(NOTEBOOKS[0], "code")
        for t in c.metadata.get("tags", [])
    }
    # Where cells need an extra, it is named; ONNX must leave Colab's protobuf.
    extras = {"08": "[export]", "10": "[export,serve]"}.get(path.name[:2])
    install = first["install"]
    if extras:
        install = install.replace("tlhelpers @", f"tlhelpers{extras} @")
        install += ' protobuf=={md.version("protobuf")}'
    assert by_tag["install"] == install
    setup = (by_tag["install"] + "\n" + by_tag["setup"]).splitlines()
    assert len([line for line in setup if line.strip()]) <= 5
    assert "PROFILE" in by_tag["parameters"] and "SEED" in by_tag["parameters"]


@each
def test_outputs_are_kept_clean(path):
    notebook = nbformat.read(path, as_version=4)
    assert "widgets" not in notebook.metadata
    outputs = [o for c in cells(path, "code") for o in c.outputs]
    assert len(outputs) > 10
    assert not [
        o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"
    ]
    counts = [c.execution_count for c in cells(path, "code")]
    assert counts == list(range(1, len(counts) + 1))


@each
def test_every_picture_has_alternative_text(path):
    for cell in cells(path, "code"):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                assert len(output.metadata["image/png"]["alt"]) > 20, cell.source
    for text in (c.source for c in cells(path, "markdown")):
        assert all(len(alt) > 10 for alt in re.findall(r"!\[(.*?)\]\(", text))


@each
def test_every_widget_has_a_static_twin_in_its_cell(path):
    explored = [c for c in cells(path, "code") if WIDGET.search(c.source)]
    assert explored
    for cell in explored:
        assert any("image/png" in o.get("data", {}) for o in cell.outputs)


@each
def test_published_figures_keep_the_budget(path):
    found = re.search(
        r"<!-- measured -->([\d.]+) minutes and ([\d.]+) GB", cells(path)[0].source
    )
    assert found, "run `make course publish`"
    assert float(found[1]) <= 3.0
    assert float(found[2]) <= 2.0
    assert f"({path.parent.name}/{path.name})" in (ROOT / "README.md").read_text(
        "utf-8"
    )


@each
def test_exercises_are_checked_and_solved(path):
    number = path.name[:2]
    asked = re.findall(
        rf'tl\.check\("({number}\.\d)"', path.read_text("utf-8").replace("\\", "")
    )
    assert 3 <= len(asked) <= 4
    solution = path.parent / "solutions" / path.name
    solved = re.findall(
        rf'check\("({number}\.\d)"', solution.read_text("utf-8").replace("\\", "")
    )
    assert solved == asked


# --- runs ----------------------------------------------------------------------------


def finished(path, built=ROOT / "build" / "course"):
    """Return what the newest full run of this very code found; None without one.

    That is the run of `make course`, as long as nothing that it used is newer. Else it
    is the run that was published, as long as the lesson's code is the same.
    """
    notebook, report = nbformat.read(path, as_version=4), built / "results.json"
    code = fingerprint(notebook)
    used = [p for d in ("tlhelpers", "data") for p in (ROOT / d).rglob("*.*")]
    used += [ROOT / "constraints.txt", ROOT / "pyproject.toml"]
    entries = [{**notebook.metadata.get("published", {}), "name": path.stem}]
    newest = max(p.stat().st_mtime for p in used if p.suffix != ".pyc")
    if report.is_file() and report.stat().st_mtime > newest:
        for entry in json.loads(report.read_text("utf-8"))["notebooks"]:
            executed = built / f"{entry['name']}.ipynb"
            whole = entry["status"] != "interrupted" and not entry["smoke"]
            usual = entry["parameters"] == {"PROFILE": "auto", "SEED": 0}
            if whole and usual and entry["profile"] == "mini":
                own = clean(nbformat.read(executed, as_version=4))
                entries.insert(0, entry | {"code": fingerprint(own)})
    same = (e for e in entries if (e["name"], e.get("code")) == (path.stem, code))
    return next(same, None)


@pytest.fixture
def ran(tmp_path):
    """A lesson, and a function that writes what a run of it left."""
    path = write_notebook(tmp_path, "01_x", "answer = 1")

    def leave(**found):
        usual = {"PROFILE": "auto", "SEED": 0}
        entry = {"name": path.stem, "status": "passed", "smoke": False}
        entry |= {"profile": "mini", "parameters": usual, **found}
        nbformat.write(nbformat.read(path, as_version=4), tmp_path / path.name)
        report = json.dumps({"notebooks": [entry]})
        (tmp_path / "results.json").write_text(report, encoding="utf-8")

    return path, leave


def edit(path, change):
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    nbformat.write(notebook, path)


def test_a_run_of_other_code_is_not_judged(ran):
    path, leave = ran
    assert finished(path, path.parents[1]) is None
    leave()
    assert finished(path, path.parents[1])["status"] == "passed"
    edit(path, lambda n: n.cells[-1].update(source="answer = 2"))
    assert finished(path, path.parents[1]) is None


def test_a_failed_run_comes_before_the_published_one(ran):
    path, leave = ran
    about = {"code": fingerprint(nbformat.read(path, as_version=4)), "status": "passed"}
    edit(path, lambda n: n.metadata.update(published=about))
    assert finished(path, path.parents[1])["status"] == "passed"
    leave(status="claim does not hold")
    assert finished(path, path.parents[1])["status"] == "claim does not hold"


@pytest.mark.parametrize(
    "other",
    [
        {"smoke": True},
        {"status": "interrupted"},
        {"profile": "full"},
        {"parameters": {"PROFILE": "auto", "SEED": 5}},
    ],
)
def test_a_run_of_another_kind_is_not_judged(ran, other):
    path, leave = ran
    leave(**other)
    assert finished(path, path.parents[1]) is None


def test_a_run_older_than_what_it_used_is_not_judged(ran):
    path, leave = ran
    leave()
    os.utime(path.parents[1] / "results.json", (0, 0))
    assert finished(path, path.parents[1]) is None


@pytest.mark.notebooks
@each
def test_runs_as_a_learner_would_and_its_claims_hold(path, tmp_path, monkeypatch):
    """Judge the run of this code that there is; make one only where there is none."""
    entry = finished(path)
    if entry is None:
        entry = run(monkeypatch, path, tmp_path, smoke=False)
        check_widgets(tmp_path / path.name)
    assert entry["error"] == ""
    assert entry["status"] == "passed", entry["claims"]
    assert len(entry["claims"]) >= 3
    assert entry["peak_rss_mb"] <= 2048
    study = read_study(path.name[:2])
    source = "".join(c.source for c in cells(path, "code"))
    names = re.search(r"run\.compare\((.*?)\)", source, re.S)[1]
    for name in re.findall(r'"(.*?)"', names):
        assert entry["metrics"][name] in Range.of(study["metrics"][name]), name


@each
def test_a_lesson_says_where_its_study_is_of_an_earlier_version(path):
    study = read_study(path.name[:2])
    text = " ".join(" ".join(c.source for c in cells(path, "markdown")).split())
    published = nbformat.read(path, as_version=4).metadata["published"]
    stated = {c["text"] for c in published["claims"] if not c.get("demonstration")}
    assert re.search(f"`tlhelpers study {path.name[:2]}` ran (this|an earlier)", text)
    if stated != study["claims_held"].keys():
        assert "ran an earlier version of this notebook" in text


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """Run a lesson in small with nbval, once, its broken copies beside it.

    Returns the process, and where the lesson and each broken copy reported.
    """

    @functools.cache
    def run_once(path):
        folder = tmp_path_factory.mktemp("nbval")
        report, edits = folder / "report.jsonl", {}
        for k, (number, old, new) in enumerate(BROKEN if LINUX else ()):
            if path.name.startswith(number):
                cells = broken_cells(path, old, new, BROKEN[number, old, new][-1])
                edits[old, new] = cells | {"report": str(folder / f"broken{k}.jsonl")}
        with pytest.MonkeyPatch.context() as patch:
            cut_network(patch)
            patch.setenv(SMOKE_VARIABLE, "1")
            patch.setenv(REPORT_VARIABLE, str(report))
            plan_broken_cells(patch, folder, list(edits.values()))
            done = nbval([path])
        copies = {k: Path(e["report"]) for k, e in edits.items()}
        return SimpleNamespace(done=done, report=report, copies=copies)

    return run_once


def stated(report, kinds=("claim", "demonstration")):
    """Return text → holds from the lines that a lesson reported."""
    lines = [json.loads(line) for line in report.read_text("utf-8").splitlines()]
    return {x["text"]: x["holds"] for x in lines if x["kind"] in kinds}


@pytest.mark.small
@in_small(NOTEBOOKS)
def test_nbval_compares_the_deterministic_cells(path, small_run):
    done = small_run(path).done
    assert done.returncode == 0, done.stdout[-4000:]
    assert f"{len(cells(path, 'code'))} passed" in done.stdout


@each
def test_some_cells_are_marked_for_comparison(path):
    tags = [t for c in cells(path, "code") for t in c.metadata.get("tags", [])]
    assert tags.count("nbval-check-output") >= 3


@pytest.mark.small
@in_small(SOLUTIONS)
def test_solutions_pass_every_check(path, tmp_path, monkeypatch):
    entry = run(monkeypatch, path, tmp_path, smoke=True)
    assert entry["error"] == ""
    outputs = [o for c in cells(tmp_path / path.name, "code") for o in c.outputs]
    text = "".join(o.get("text", "") for o in outputs)
    asked = len(
        re.findall(r"tl\.check\(", "".join(c.source for c in cells(path, "code")))
    )
    assert text.count("✔") == asked
    assert "✘" not in text


# --- broken on purpose: the claim must fail ------------------------------------------

SABOTAGE = [
    (
        "00",
        "a perfect score on the training pictures can hide a poor model",
        "t.flatten(1).numpy() / 255 for t",
        "tl.extract_features(source, t) for t",
    ),
    (
        "00",
        "pre-trained features beat those of the same network untrained by 15 points",
        "(untrained[seed], developed[seed], lite0, source)",
        "(untrained[seed], developed[seed], lite0, lite0)",
    ),
    (
        "00",
        "they also beat their strongest rival, the tuned small network, by 10 points",
        "(untrained[seed], developed[seed], lite0, source)",
        "(untrained[seed], developed[seed], lite0, lite0)",
    ),
    (
        "01",
        "fine-tuning beats the same network from scratch by 20 points or more",
        "pretrained=tuned, seed=seed",
        "pretrained=False, seed=seed",
    ),
    (
        "01",
        "it also beats a small network from scratch, beyond chance",
        "pretrained=tuned, seed=seed",
        "pretrained=False, seed=seed",
    ),
    (
        "01",
        "with few labels, still batch-norm is better by 5 points or more",
        "layer.eval()",
        "layer.train()",
    ),
    (
        "02",
        "the gain over the same network from scratch is ten points or more",
        'pretrained=way != "from scratch"',
        "pretrained=False",
    ),
    (
        "02",
        "an optimiser that was built before unfreezing leaves the block as it is",
        "torch.optim.Adam(head.parameters(), lr=1e-3)",
        "torch.optim.Adam(network.parameters(), lr=1e-3)",
    ),
    (
        "02",
        "only the last block and the head moved; batch-norm stood still, too",
        "network.base.eval()",
        "network.base.train()",
    ),
    (
        "03",
        "late, trained units tell untaught classes apart best",
        '"late": (source, "layer4", 1)',
        '"late": (untrained, "layer4", 1)',
    ),
    (
        "03",
        "after a short training, all stages kept lead from scratch by five points",
        "tl.load_source(small.name).model",
        "tl.load_source(small.name, pretrained=False, seed=seed).model",
    ),
    (
        "03",
        "with half of the steps the warm start falls at most five points short",
        '{"warm start": 5, "from scratch": 0}',
        '{"warm start": 0, "from scratch": 0}',
    ),
    (
        "03",
        "a first layer that keeps the known channels beats one that starts anew",
        "random.get(arm, [])",
        "random.get(arm, None)",
    ),
    (
        "03",
        "after tuning, stage 5 is less like the source's than stage 1 is (CKA)",
        "for m in models]",
        "for m in (small.model, small.model)]",
    ),
    (
        "04",
        "a simple head on frozen features beats pixels by 15 points or more",
        "source = tl.load_source(SOURCE)",
        "source = tl.load_source(SOURCE, pretrained=False)",
    ),
    (
        "04",
        "a simple head on frozen features beats a small network from scratch",
        "heads[name].fit(x[rows].numpy(), y[rows])",
        "heads[name].fit(x[rows].numpy(), y[rows].flip(0))",
    ),
    (
        "04",
        "the fine-tuned network's certainty is closer to the truth than the Bayesian "
        "heads'",
        "tl.FineTuned(source,",
        "tl.FineTuned(random_body.source,",
    ),
    (
        "04",
        "a temperature from pictures that were learnt from makes things worse",
        "t = tl.fit_temperature(q, data[1])",
        "t = tl.fit_temperature(p, test_y)",
    ),
    (
        "05",
        "most right analogies are owed to leaving out the words of the question",
        "for rule, found in complete.items()",
        'for rule, found in zip(complete, 2 * [complete["not allowed"]])',
    ),
    (
        "05",
        "with the same words, the right text beats as much of another by 10 points",
        'tl.load_vectors("wikipedia_small"),',
        "own,",
    ),
    (
        "05",
        "as much of the wrong text gives less than a third of that gain over random",
        'tl.load_vectors("wikipedia_small"),',
        "own,",
    ),
    (
        "05",
        "a hundred times more text does not make up for the wrong kind (5 points)",
        'candidates = {"Wikipedia": vectors,',
        'candidates = {"Wikipedia": own,',
    ),
    (
        "05",
        "pressed counts of the right text beat vectors of the wrong one by 5 points",
        'candidates = {"Wikipedia": vectors,',
        'candidates = {"Wikipedia": own,',
    ),
    (
        "05",
        "both tuned, own vectors beat random ones, from scratch, by 5 points or more",
        "candidates[name].vectors_for_all(",
        'candidates["random"].vectors_for_all(',
    ),
    (
        "05",
        "tuning helps random vectors most, by 3 points or more",
        "candidates[name].vectors_for_all(",
        'candidates["random"].vectors_for_all(',
    ),
    (
        "05",
        "in Wikipedia's vectors careers lean more to men's names than families do",
        "(first, second, a, b) in tests.items()",
        "(second, first, a, b) in tests.items()",
    ),
    (
        "05",
        "families and arts carry these effects: twice as far off as their partners",
        'zip(name.split(" or "), groups)',
        'zip(name.split(" or "), groups[::-1])',
    ),
    (
        "06",
        "reading the unlabelled mail lowers the perplexity on unseen mail by 30 %",
        "tl.slanted_triangular(reader, epochs, lr, factor=1",
        "tl.slanted_triangular(reader, epochs, 0 * lr, factor=1",
    ),
    (
        "06",
        "adapted, frozen beats general, frozen, beyond chance",
        "states(adapted)}",
        "states(replace(adapted, vocabulary=vocabulary[:9] + sorted(vocabulary[9:])))}",
    ),
    (
        "06",
        "general, frozen beats random body, beyond chance",
        "states(general),",
        "states(blank),",
    ),
    (
        "06",
        "with the vocabulary in another order most of the transfer is lost",
        "sorted(vocabulary[9:])",
        "vocabulary[9:]",
    ),
    (
        "07",
        "without the mask a text's state depends on its neighbour in the batch",
        '("with", real)',
        '("with", torch.ones_like)',
    ),
    (
        "07",
        "tuned beats from scratch by 10 points or more, on average",
        'pretrained=way == "tuned"',
        "pretrained=False",
    ),
    (
        "07",
        "tuned beats frozen body by 2 points or more, on average",
        'pretrained=way == "tuned"',
        "pretrained=False",
    ),
    (
        "07",
        "the frozen body beats counts and averages of words by 5 points or more",
        "tl.extract_features(untrained, x[p])",
        "tl.extract_features(tl.BertClassifier(tl.load_bert(pretrained=False).body, 2),"
        " x[p])",
    ),
    (
        "07",
        "on the frozen body a quarter of the labels does more than all for TF-IDF",
        "tl.extract_features(untrained, x[p])",
        "tl.extract_features(tl.BertClassifier(tl.load_bert(pretrained=False).body, 2),"
        " x[p])",
    ),
    (
        "07",
        "trained on films, it does worse on products and places than it could",
        'features["frozen body"], ~film["test"]',
        'features["frozen body"], film["test"]',
    ),
    (
        "07",
        "twenty labels from there do more than twenty more of films",
        "np.r_[p[:20], q[:10]]",
        "p[:30]",
    ),
    (
        "08",
        "a student with a tenth of the parameters closes half of the gap or more",
        '"some": (most // 6 or 1, 0.5), "distilled": (most, 0.5)}',
        '"some": (most // 6 or 1, 0.5), "distilled": (0, 0.0)}',
    ),
    (
        "08",
        "with a teacher and free texts it gains 3 points or more, beyond chance",
        '"some": (most // 6 or 1, 0.5), "distilled": (most, 0.5)}',
        '"some": (most // 6 or 1, 0.5), "distilled": (0, 0.0)}',
    ),
    (
        "08",
        "without free texts a teacher adds 2 points at most, on average",
        '"no texts": (0, 0.5)',
        '"no texts": (most, 0.5)',
    ),
    (
        "08",
        "the teacher's bare choices bring two thirds of the gain or more",
        "hard = {s: (choice(said), x, y)",
        "hard = {s: (choice(-said), x, y)",
    ),
    (
        "08",
        "the same texts with the student's own labels bring less than half of it",
        "choice(ask(net, told[s][1]))",
        "choice(told[s][0])",
    ),
    (
        "08",
        "distilled, it beats words counted for the same teacher, beyond chance",
        '"some": (most // 6 or 1, 0.5), "distilled": (most, 0.5)}',
        '"some": (most // 6 or 1, 0.5), "distilled": (0, 0.0)}',
    ),
    (
        "08",
        "at T = 10 without T² it follows its teacher less, by 3 points or more",
        "temperature, alpha, factor=False",
        "temperature, alpha, factor=True",
    ),
    (
        "08",
        "with five labels a class the tiny CNN gains five points, beyond chance",
        "soft = np.log(head",
        "soft = -np.log(head",
    ),
    (
        "08",
        "with thirty labels per class the teacher adds less than with five",
        "flowers.rows(k, seed)",
        "flowers.rows(few + many - k, seed)",
    ),
    (
        "08",
        "the student is ten times faster or more, one review at a time",
        'models = {"teacher": teacher',
        'models = {"teacher": pupil',
    ),
    (
        "09",
        "negative transfer: a source trained too hot does harm, even when tuned",
        "(blank(seed), hot, mended)",
        "(hot, hot, mended)",
    ),
    (
        "09",
        "the highest rate breaks the old model",
        '*few_of("flowers", seed), seed=seed, lr=rate)',
        '*few_of("flowers", seed), seed=seed, lr=rate / 1e4)',
    ),
    (
        "09",
        "a leak flatters: the lead of the leaked pictures grows, beyond chance",
        "*seen[kind]",
        '*seen["clean"]',
    ),
    (
        "09",
        "a frozen body keeps the bias of its source, though the target has none",
        '"biased": lambda: old_y % 2',
        '"biased": lambda: coin(len(old_y))',
    ),
    (
        "09",
        "eight reference pictures tell every mistake from harmless changes",
        '"BGR": (source, z.flip(1))',
        '"BGR": (source, z)',
    ),
    (
        "10",
        "the project beats the same network from scratch, beyond chance",
        'p = {"project": mine.probabilities',
        'p = {"project": scratch.probabilities',
    ),
    (
        "10",
        "it is at most three points worse than logistic regression on features",
        'p = {"project": mine.probabilities',
        'p = {"project": scratch.probabilities',
    ),
    (
        "10",
        "a copy in train flatters the score, and near-duplicates give it away",
        "project.drop_leaks(leaky, found)",
        "leaky",
    ),
    (
        "10",
        "a temperature mends a model that is too sure",
        "tl.fit_temperature(raw[side != k], labels[side != k])",
        "1.0",
    ),
    (
        "10",
        "reloaded in another process, the project answers the same",
        "load_project(sys.argv[1]).probabilities(x)",
        "load_project(sys.argv[1]).probabilities(255 - x)",
    ),
]


def without_copy(number, claims, copies):
    """Return the claims of a lesson that none of these broken copies is there for."""
    return set(claims) - {claim for n, claim, *_ in copies if n == number}


@pytest.mark.small
@in_small(NOTEBOOKS)
def test_every_claim_has_a_broken_copy(path, small_run):
    number = path.name[:2]
    claims = stated(small_run(path).report, ["claim"])
    assert not without_copy(number, claims, SABOTAGE), "write a broken copy for these"


def test_a_claim_without_a_broken_copy_is_noticed():
    for number, claim, *_ in SABOTAGE:
        others = [copy for copy in SABOTAGE if copy[:2] != (number, claim)]
        assert without_copy(number, [claim], others) == {claim}
        assert not without_copy(number, [claim], SABOTAGE)


#: What one edit breaks, it breaks in one run: (number, old, new) → claims.
BROKEN: dict[tuple[str, str, str], list[str]] = {}
for number, claim, old, new in SABOTAGE:
    BROKEN.setdefault((number, old, new), []).append(claim)


@pytest.mark.small
@pytest.mark.skipif(not LINUX, reason="only Linux copies a kernel safely")
@pytest.mark.parametrize(
    ("number", "old", "new", "broken"),
    [
        pytest.param(*edit, texts, marks=pytest.mark.xdist_group(edit[0]), id=texts[0])
        for edit, texts in BROKEN.items()
    ],
)
def test_broken_lesson_breaks_its_claims(number, old, new, broken, small_run):
    path = next(p for p in NOTEBOOKS if p.name.startswith(number))
    small = small_run(path)
    holds = stated(small.report)
    for claim in broken:
        assert holds[claim], f"it must hold in the small run: {claim}"
    report = small.copies[old, new]
    assert report.with_suffix(".error").read_text("utf-8") == ""
    assert not any(stated(report)[claim] for claim in broken)


@pytest.mark.skipif(not LINUX, reason="only Linux copies a kernel safely")
def test_a_broken_copy_leaves_the_lesson_as_it_is(tmp_path, monkeypatch):
    """It starts from the lesson's state, changes nothing there, and tells failures."""
    setup = "import tlhelpers as tl\nn = 1\nrun = tl.start('mini', 0)"
    cells = ["n += 1", "run.claim('two', n == 2)", "assert n == 2"]
    path = write_notebook(tmp_path, "01_x", setup, *cells)
    copies = [
        {"before": cells[0], "cells": ["n += 5", cells[1]], "report": "other.jsonl"},
        {"before": cells[1], "cells": ["n += 7", cells[2]], "report": "failed.jsonl"},
    ]
    for copy in copies:
        copy["report"] = str(tmp_path / copy["report"])
    cut_network(monkeypatch)
    monkeypatch.setenv(REPORT_VARIABLE, str(tmp_path / "own.jsonl"))
    plan_broken_cells(monkeypatch, tmp_path, copies)
    done = nbval([path])
    assert done.returncode == 0, done.stdout[-2000:]
    assert stated(tmp_path / "own.jsonl") == {"two": True}
    assert stated(tmp_path / "other.jsonl") == {"two": False}
    assert (tmp_path / "other.error").read_text() == ""
    assert "AssertionError" in (tmp_path / "failed.error").read_text()


@pytest.mark.parametrize(("labels", "few"), [(5, 5), ([5, 20], 5), (None, 12)])
def test_01_takes_one_number_of_labels_as_well(labels, few):
    path = next(p for p in NOTEBOOKS if p.name.startswith("01"))
    code = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells)
    lines = re.findall(r"^(?:LABELS|few) = .*\bif\b.*$|^more = .*$", code, re.M)
    assert len(lines) == 3
    names = {"LABELS": labels, "task": SimpleNamespace(smallest_class=12)}
    exec("\n".join(lines), names)
    assert names["few"] == few and isinstance(names["more"], list)


def test_09_counts_the_pictures_as_the_cards_of_the_sources_do():
    path = next(p for p in NOTEBOOKS if p.name.startswith("09"))
    code = "\n".join(c.source for c in cells(path, "code"))
    names = re.search(r'"(photos", .*)"\)\}', code)[1].split('", "')
    counts = ast.literal_eval(re.search(r"zip\(sources, (\(.*?\))\)", code)[1])
    cards = [ROOT / "data" / "models" / f"tiny_{name}.json" for name in names]
    found = [json.loads(card.read_text(encoding="utf-8")) for card in cards]
    assert [re.search(r'"count": (\d+)', json.dumps(f))[1] for f in found] == [
        str(count) for count in counts
    ]


def test_03_says_of_its_runs_where_the_frozen_curve_peaks():
    found = read_study("03")["metrics"]
    curve = zip(*(found[f"frozen, {k} stages"] for k in range(1, 6)), strict=True)
    peaks = [run.index(max(run)) + 1 for run in curve]
    assert (peaks.count(3), peaks.count(4), len(peaks)) == (9, 1, 10)
    path = next(p for p in NOTEBOOKS if p.name.startswith("03"))
    text = " ".join(" ".join(c.source for c in cells(path, "markdown")).split())
    said = "at three frozen stages in nine of ten runs (`data/studies/03.json`)"
    assert said in text


#: Of section 8 in 08.
STUDENTS = ("alone", "hard", "soft")


def test_08_says_of_its_runs_how_often_a_claim_held_and_what_was_gained():
    study, points = read_study("08"), []
    claim = "distilled, it beats words counted for the same teacher, beyond chance"
    assert (study["claims_held"][claim], len(study["seeds"])) == (8, 10)
    found = study["metrics"]
    for soft, alone in zip(
        found["flowers, soft, 5 labels"], found["flowers, alone, 5 labels"], strict=True
    ):
        points.append(round(100 * (soft - alone)))
    assert (min(points), max(points)) == (9, 13)
    # "A point", and "about level": nobody is ahead by a point.
    (alone, hard, soft), (_, less, more) = (
        [statistics.mean(found[f"flowers, {way}, {k} labels"]) for way in STUDENTS]
        for k in (30, 5)
    )
    assert max(alone, hard, soft) - min(alone, hard, soft) < 0.01
    assert 0.0075 < more - less < 0.0125
    path = next(p for p in NOTEBOOKS if p.name.startswith("08"))
    text = " ".join(" ".join(c.source for c in cells(path, "markdown")).split())
    assert "The last claim held in eight of the ten" in text
    assert "was ahead of *alone* by 9 to 13 points in the ten runs" in text
    assert "With thirty labels all three are about level" in text


#: What a lesson says of its ten runs: one metric is above another, in so many of them.
AHEAD = [
    (
        "00",
        "small, developed, 10 labels",
        "small, untrained, 10 labels",
        9,
        "In nine of ten runs (`data/studies/00.json`) the frozen features gained",
    ),
    (
        "00",
        "small, developed, tuned, 10 labels",
        "small, from scratch, 10 labels",
        5,
        "the frozen features gained a little, in five the tuned networks",
    ),
    (
        "01",
        "fine-tuned, few labels",
        "frozen + logistic, few labels",
        9,
        "in nine of ten runs (`data/studies/01.json`) fine-tuning was ahead",
    ),
    (
        "02",
        "last block tuned",
        "frozen base",
        10,
        "by less, on average, in each of ten runs (`data/studies/02.json`)",
    ),
    (
        "03",
        "frozen, 3 stages",
        "frozen, 5 stages",
        10,
        "in each of those ten runs three stages led five",
    ),
    (
        "04",
        "fine-tuned accuracy",
        "logistic accuracy",
        8,
        "in eight of ten runs (`data/studies/04.json`) fine-tuned is ahead",
    ),
    (
        "04",
        "BNN ECE",
        "logistic ECE",
        6,
        "plain logistic regression beats the BNN (third line), as in six of ten runs",
    ),
    (
        "04",
        "NLL gained by a held-out temperature",
        None,
        8,
        "In eight of ten runs a held-out temperature gained",
    ),
    (
        "09",
        "most pictures, lost",
        "LogME, lost",
        10,
        "*LogME*'s first choices lost less",
    ),
    ("09", "H-score, lost", "LogME, lost", 5, "*LogME*'s first choices lost less"),
    (
        "05",
        "trained head: Wikipedia, tuned",
        "trained head: Wikipedia, frozen",
        9,
        "in ten other runs Wikipedia's gained nine times, the right ones six",
    ),
    (
        "05",
        "trained head: own mail, tuned",
        "trained head: own mail, frozen",
        6,
        "in ten other runs Wikipedia's gained nine times, the right ones six",
    ),
    (
        "05",
        "trained head: Wikipedia, tuned",
        "trained head: random, tuned",
        10,
        "Wikipedia leads random vectors by little (in each of ten runs)",
    ),
    (
        "06",
        "real ULMFiT accuracy",
        "adapted, frozen accuracy",
        1,
        "in nine of ten runs (`data/studies/06.json`) real ULMFiT was behind",
    ),
    (
        "06",
        "real ULMFiT accuracy",
        "TF-IDF accuracy",
        10,
        "In all ten it was ahead of the plain count",
    ),
    (
        "06",
        "random body accuracy",
        "from scratch accuracy",
        6,
        "in six of ten runs it was behind the frozen random body",
    ),
    (
        "06",
        "own word vectors accuracy",
        "TF-IDF + SVD accuracy",
        10,
        "they led the compressed counts in all ten",
    ),
    ("06", "lost by shuffled", None, 10, "cost something each time, up to four points"),
    (
        "07",
        "TF-IDF accuracy",
        "from scratch accuracy",
        10,
        "the network is behind a word count, as in all of ten runs",
    ),
    (
        "07",
        "frozen, 4 layers accuracy",
        "tuned accuracy",
        8,
        "in eight of ten other runs (`data/studies/07.json`) the four layers were",
    ),
    (
        "07",
        "rank correlation with taking out",
        None,
        10,
        "positive in each of ten other runs, but small (.04 to .21)",
    ),
    (
        "08",
        "distilled accuracy",
        "hard labels accuracy",
        6,
        "ahead of *hard labels* in six of ten other runs (`data/studies/08.json`)",
    ),
    (
        "08",
        "T = 10 accuracy",
        "no T² accuracy",
        10,
        "Its score was lower in each of the ten runs",
    ),
    (
        "08",
        "flowers, soft, 5 labels",
        "flowers, hard, 5 labels",
        9,
        "It beat *hard* in nine of them, by a point on average",
    ),
    (
        "10",
        "project accuracy",
        "frozen accuracy",
        10,
        "of *frozen*, in ten of ten other runs (`data/studies/10.json`)",
    ),
    (
        "10",
        "project, train alone accuracy",
        "frozen accuracy",
        7,
        "in second place, as in seven of ten other runs",
    ),
]


@pytest.mark.parametrize(("number", "one", "other", "times", "said"), AHEAD)
def test_lessons_say_of_their_runs_what_they_show(number, one, other, times, said):
    found = read_study(number)["metrics"]
    rival = [0] * 10 if other is None else found[other]
    gains = [a - b for a, b in zip(found[one], rival, strict=True)]
    assert sum(gain > 0 for gain in gains) == times
    path = next(p for p in NOTEBOOKS if p.name.startswith(number))
    text = " ".join(" ".join(c.source for c in cells(path, "markdown")).split())
    assert said in text


@pytest.mark.parametrize(
    ("number", "one", "other", "low", "high", "said"),
    [
        (
            "01",
            "fine-tuned, few labels",
            "frozen + logistic, few labels",
            0,
            0.01,
            "fine-tuning was ahead, by less than a point on average",
        ),
        (
            "04",
            "fine-tuned accuracy",
            "logistic accuracy",
            0.005,
            0.015,
            "fine-tuned is ahead, by a point on average",
        ),
        (
            "07",
            "tuned on place",
            "tuned on film",
            0.075,
            0.085,
            "in ten runs places averaged eight points above films",
        ),
        (
            "09",
            "H-score, lost",
            "LogME, lost",
            0,
            1,
            "*LogME*'s first choices lost less",
        ),
    ],
)
def test_lessons_say_how_large_the_leads_of_their_runs_are(
    number, one, other, low, high, said
):
    found = read_study(number)["metrics"]
    assert low < statistics.mean(found[one]) - statistics.mean(found[other]) < high
    path = next(p for p in NOTEBOOKS if p.name.startswith(number))
    text = " ".join(" ".join(c.source for c in cells(path, "markdown")).split())
    assert said in text


def test_07_says_of_its_runs_how_it_reads_irony_and_what_the_control_does():
    found = read_study("07")["metrics"]
    assert max(found["tuned on irony"]) <= 0.5 and len(found["tuned on irony"]) == 10
    path = next(p for p in NOTEBOOKS if p.name.startswith("07"))
    published = nbformat.read(path, as_version=4).metadata["published"]["metrics"]
    assert min(found["largest control pair"]) > published["largest control pair"]
    text = " ".join(" ".join(c.source for c in cells(path, "markdown")).split())
    assert "it was never above half in ten other runs" in text
    assert "in each of ten other runs the largest control was larger still" in text


def test_07_quotes_the_correlations_of_its_runs():
    found = read_study("07")["metrics"]["rank correlation with taking out"]
    assert [f"{v:.2f}"[1:] for v in (min(found), max(found))] == [".04", ".21"]


@pytest.mark.parametrize("number", ["02", "03"])
def test_lessons_quote_what_the_card_of_the_flowers_says(number):
    card = json.loads((ROOT / "data" / "flowers" / "card.json").read_text("utf-8"))
    value = f"{card['gates']['frozen_20']['value']:.2f}"[1:]
    path = next(p for p in NOTEBOOKS if p.name.startswith(number))
    text = " ".join(" ".join(c.source for c in cells(path, "markdown")).split())
    assert re.search(rf"EfficientNet,? gets? {value} (right|of these flowers)", text)


def test_09_says_of_its_ten_runs_what_they_show():
    """In each the H-score orders better than the rival; its first choice loses less."""
    found = read_study("09")["metrics"]
    score, rival = "H-score", "most pictures"
    pairs = zip(found[f"{score} and gain"], found[f"{rival} and gain"], strict=True)
    assert [one > other for one, other in pairs] == [True] * 10
    pairs = zip(found[f"{score}, lost"], found[f"{rival}, lost"], strict=True)
    assert [one < other for one, other in pairs] == [True] * 10
    order = {k: v for k, v in found.items() if k.endswith(" and gain")}
    assert max(order, key=lambda k: statistics.mean(order[k])) == f"{score} and gain"
    for name in ("k-NN", "CKA"):
        pairs = zip(order[f"{name} and gain"], order[f"{rival} and gain"], strict=True)
        assert sum(one > other for one, other in pairs) < 5
    path = next(p for p in NOTEBOOKS if p.name.startswith("09"))
    text = " ".join(" ".join(c.source for c in cells(path, "markdown")).split())
    assert "in each of ten runs with other seeds (`data/studies/09.json`)" in text


def test_cut_network_reaches_kernels(monkeypatch):
    cut_network(monkeypatch)
    assert os.environ["PYTHONPATH"].startswith(str(ROOT))
    code = "import socket; socket.create_connection(('192.0.2.1', 443), timeout=5)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "the tests have no network" in done.stderr
