"""What a run leaves: pages, headers, outputs, the README's table, badges."""

from __future__ import annotations

import json

import nbformat
import pytest
from bs4 import BeautifulSoup
from notebook_tools import FIGURE, publishing, results, write_notebook

from tlhelpers.course import cli, publish, session
from tlhelpers.errors import CourseError

keeping = publishing()

NASTY = """\
figure = plt.figure(figsize=(1, 1))
tl.describe(figure.add_subplot(), 'less < more & "quoted" <img src=x>');
"""


def pictures(path):
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").select("img")


def test_pages_keep_the_alternative_texts_of_the_notebook(course):
    write_notebook(course, "01_good", FIGURE, NASTY)
    assert cli.main(["run", "--out", "out"]) == 0
    cells = nbformat.read(course / "out" / "01_good.ipynb", as_version=4).cells
    own = [
        output.metadata["image/png"]["alt"]
        for cell in cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(own) == 2 and own[1] == 'less < more & "quoted" <img src=x>'
    assert [i["alt"] for i in pictures(course / "out" / "01_good.html")] == own
    assert [i["alt"] for i in pictures(course / "out" / "index.html")] == own[1:]


def test_picture_without_a_text_of_its_own_says_so(course):
    show = "plt.figure(figsize=(1, 1)); plt.plot([1, 2]);"
    write_notebook(course, "01_good", f"import matplotlib.pyplot as plt; {show}")
    assert cli.main(["run", "--out", "out"]) == 0
    (picture,) = pictures(course / "out" / "01_good.html")
    assert picture["alt"] == "No description has been provided for this image"


def test_index_shows_text_as_text(course):
    write_notebook(course, "01_bad", 'run.claim("a <b> c", 1 > 2, evidence="<i>")')
    write_notebook(course, "02_bad", 'raise ValueError("<script>")')
    assert cli.main(["run", "--out", "out"]) == 1
    index = (course / "out" / "index.html").read_text(encoding="utf-8")
    assert "✘ a &lt;b&gt; c" in index and "&lt;i&gt;" in index
    assert "ValueError: &lt;script&gt;" in index and "<script>" not in index


def test_pages_fetch_nothing_from_the_network(course):
    write_notebook(course, "01_good", FIGURE)
    assert cli.main(["run", "--out", "out"]) == 0
    index = (course / "out" / "index.html").read_text(encoding="utf-8")
    assert "http" not in index


@pytest.fixture
def published(course):
    """A course whose one notebook ran."""
    (course / "README.md").write_text(
        "# R\n<!-- table --><!-- /table -->\n", encoding="utf-8"
    )
    write_notebook(course, "01_good", FIGURE)
    return course


def keep(folder, root):
    """Do what `make publish` does, to a course of the tests."""
    real = keeping.keep_run
    keeping.keep_run = lambda out: real(out, root)
    try:
        return keeping.main(["run", folder])
    finally:
        keeping.keep_run = real


def test_published_minutes_are_those_of_the_reference_machine(published):
    """A machine that takes twice as long publishes half of what it measured."""
    assert cli.main(["run", "--out", "out"]) == 0
    found = results(published / "out")
    assert found["notebooks"][0]["pace"] > 0 < found["environment"]["pace"]
    found["notebooks"][0] |= {"pace": 2.0, "seconds": 240.0}
    (published / "out" / "results.json").write_text(json.dumps(found), "utf-8")
    assert keep("out", published) == 0
    notebook = nbformat.read(published / "notebooks" / "01_good.ipynb", as_version=4)
    assert "2.0 minutes" in notebook.cells[0].source
    assert "| 2.0 minutes |" in (published / "README.md").read_text("utf-8")


def test_publish_writes_header_outputs_and_table(published):
    assert cli.main(["run", "--out", "out"]) == 0
    assert keep("out", published) == 0
    notebook = nbformat.read(published / "notebooks" / "01_good.ipynb", as_version=4)
    entry = results(published / "out")["notebooks"][0]
    memory = f"{entry['peak_rss_mb'] / 1000:.1f} GB"
    assert memory in notebook.cells[0].source
    assert "image/png" in notebook.cells[-1].outputs[0].data
    assert not [
        c for c in notebook.cells if "injected-parameters" in c.metadata.get("tags", [])
    ]
    assert "papermill" not in notebook.metadata
    readme = (published / "README.md").read_text(encoding="utf-8")
    assert "| [01 good](notebooks/01_good.ipynb) |" in readme and memory in readme
    keep("out", published)
    again = (published / "README.md").read_text(encoding="utf-8")
    assert again == readme


def test_publish_refuses_other_seeds_and_failures(published, capsys):
    assert cli.main(["run", "--out", "out", "--seed", "5"]) == 0
    assert keep("out", published) == 2
    assert "seed 0" in capsys.readouterr().err
    assert keep("nowhere", published) == 2


@pytest.mark.parametrize("kept", [0, 10, 100, -30])
def test_publish_refuses_half_a_file(published, capsys, kept):
    assert cli.main(["run", "--out", "out"]) == 0
    before = (published / "notebooks" / "01_good.ipynb").read_bytes()
    for file in ("results.json", "01_good.ipynb"):
        whole = (published / "out" / file).read_text("utf-8")
        (published / "out" / file).write_text(whole[:kept], encoding="utf-8")
        assert keep("out", published) == 2
        error = capsys.readouterr().err
        assert f"{file} is missing or damaged" in error and "make course" in error
        (published / "out" / file).write_text(whole, encoding="utf-8")
    assert (published / "notebooks" / "01_good.ipynb").read_bytes() == before


def test_a_full_disk_leaves_the_notebooks_whole(published, monkeypatch):
    assert cli.main(["run", "--out", "out"]) == 0
    before = (published / "notebooks" / "01_good.ipynb").read_bytes()
    real = publish.Path.write_text

    def full(self, text, **given):
        real(self, text[:10], **given)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publish.Path, "write_text", full)
    assert keep("out", published) == 2
    assert (published / "notebooks" / "01_good.ipynb").read_bytes() == before


def test_pages_pass_over_a_notebook_that_was_cut(published, monkeypatch):
    assert cli.main(["run", "--out", "out"]) == 0
    (published / "out" / "01_good.ipynb").write_text("{")
    found = results(published / "out")
    found["notebooks"][0] |= {"status": "failed", "error": "No space left"}
    publish.write_pages(published / "out", found)
    index = (published / "out" / "index.html").read_text("utf-8")
    assert "No space left" in index and "01_good" in index
    assert "01_good.html" not in index, "a link to nothing"


def test_clean_drops_widgets_and_stderr():
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    widget = new_output("display_data", {publish.WIDGET: {}, "text/plain": "VBox()"})
    outputs = [new_output("stream", name="stderr", text="!"), widget]
    outputs.append(new_output("stream", name="stdout", text="kept"))
    notebook = new_notebook(cells=[new_code_cell("1", outputs=outputs)])
    notebook.metadata["widgets"] = {"state": {}}
    publish.clean(notebook)
    assert [o.text for o in notebook.cells[0].outputs] == ["kept"]
    assert "widgets" not in notebook.metadata


def test_badges_rewrite_every_address_and_nothing_else(published, capsys):
    old = "OWNER/transfer-learning-course"
    (published / "pyproject.toml").write_text(
        f'Repository = "https://github.com/{old}"\n'
    )
    for text in ("README.md", "notebooks/01_good.ipynb"):
        path = published / text
        path.write_text(
            path.read_text("utf-8").replace("# ", f"# {old} ", 1), encoding="utf-8"
        )
    keeping.set_repository("ada/course", published)
    for text in ("README.md", "notebooks/01_good.ipynb", "pyproject.toml"):
        content = (published / text).read_text("utf-8")
        assert old not in content and "ada/course" in content
    assert keeping.current_repository(published) == "ada/course"
    for wrong in ("", "owner", "a/b/c", "https://x.y/z", "a b/c", "a/b\n"):
        assert keeping.main(["repository", wrong]) == 2
    for words in ([], ["fly"], ["run", "a", "b"], ["repository"]):
        assert keeping.main(words) == 2
    assert "make badges" in capsys.readouterr().err


def test_fill_needs_its_marks():
    assert (
        keeping.fill("a<!-- m -->old<!-- /m -->b", "m", "new")
        == "a<!-- m -->new<!-- /m -->b"
    )
    with pytest.raises(CourseError, match="marked 'm'"):
        keeping.fill("nothing", "m", "new")


# --- ranges after a new study ---------------------------------------------------------


def said(path):
    return "".join(
        output.get("text", "")
        for cell in nbformat.read(path, as_version=4).cells
        for output in cell.get("outputs", [])
    )


def test_ranges_are_renewed_without_a_run(published, monkeypatch):
    """The lines are those that the notebook itself prints with the new study."""
    show = 'run.compare("high", "low"); print("high   inside")'
    path = published / "notebooks" / "01_good.ipynb"
    write_notebook(
        published,
        "01_good",
        'run.record("high", 0.9)',
        'run.record("low", -0.25)',
        show,
    )
    notes = published / "docs" / "teaching" / "lessons.md"
    notes.parent.mkdir(parents=True)
    row = "## {} · L\n| `high` {} – {} ({} runs); `none` 0.1 – 0.2 (4 runs) |\n"
    old = "# Notes\n" + row.format("00", 0.3, 0.4, 3)
    notes.write_text(old + row.format("01", 0.3, 0.4, 3), "utf-8")
    assert cli.main(["run", "--out", "out"]) == 0 and keep("out", published) == 0
    assert "high" in said(path) and "(no range for this kind of run)" in said(path)
    study = {"metrics": {"high": [0.5, 0.6] * 5, "low": [-0.2, -0.3] * 5}}
    monkeypatch.setattr(session, "read_study", lambda number: study)
    keeping.renew_ranges(published)
    assert said(path).splitlines()[1:] == [
        f"{'high':42s} 0.900   OUTSIDE 0.370 … 0.730 (10 runs)",
        f"{'low':42s} -0.250   inside -0.430 … -0.070 (10 runs)",
        "high   inside",
    ]
    assert notes.read_text("utf-8") == old + row.format("01", "0.370", "0.730", 10)
    before = path.read_bytes()
    keeping.renew_ranges(published)
    assert path.read_bytes() == before
    notebook = nbformat.read(path, as_version=4)  # with other code it is another lesson
    notebook.cells[-1].source += "  # changed"
    nbformat.write(notebook, path)
    study["metrics"]["high"][0] = 0.7
    before = path.read_bytes()
    keeping.renew_ranges(published)
    assert path.read_bytes() == before
