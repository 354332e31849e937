"""The course's web pages as files: complete, linked, readable without a network."""

from __future__ import annotations

import copy
import importlib.util
import io
import json
import re
import sys
from urllib.parse import unquote, urlsplit

import pytest
from notebook_tools import NOTEBOOKS, ROOT, SOLUTIONS
from site_tools import PAGES, files, soup

import tlhelpers as tl

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("site")]
LESSONS = [f"notebooks/{path.stem}.html" for path in NOTEBOOKS]
lesson = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem[:2])


def page(site, name):
    return soup(site / name)


def article(site, name):
    return page(site, name).find("article")


def page_of(path) -> str:
    return f"notebooks/{path.stem}.html"


def cells(path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def source(cell) -> str:
    return "".join(cell["source"])


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def pages():
    """The program that writes the site."""
    pytest.importorskip("sphinx", reason='sphinx is missing: pip install -e ".[site]"')
    spec = importlib.util.spec_from_file_location("pages", PAGES)
    module = importlib.util.module_from_spec(spec)
    before = sys.path[:]
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


# --- everything is there -------------------------------------------------------------


def test_every_page_is_there_and_in_the_menu(site):
    names = "index exercises api docs/glossary docs/using docs/instructors "
    names += "docs/teaching/lessons docs/teaching/setup docs/maintainers "
    names += "docs/real-pictures data/README data/public search"
    wanted = {f"{name}.html" for name in names.split()} | set(LESSONS)
    assert wanted <= set(files(site))
    menu = page(site, "index.html").select("nav.bd-links a[href]")
    listed = {a["href"].split("#")[0] for a in menu}
    assert wanted - {"index.html", "search.html"} <= listed


@lesson
def test_lesson_has_every_cell_and_every_output(site, path):
    shown = article(site, page_of(path))
    code = [c for c in cells(path) if c["cell_type"] == "code"]
    inputs = [words(i.get_text()) for i in shown.select(".cell_input pre")]
    assert inputs == [words(source(c)) for c in code]
    outputs = [o for c in code for o in c["outputs"]]
    tables = [
        o for o in outputs if "<table" in "".join(o.get("data", {}).get(HTML, ""))
    ]
    assert len(shown.select(".cell_output table")) == len(tables)
    said = words(" ".join(o.get_text() for o in shown.select(".cell_output")))
    for output in outputs:
        assert words("".join(output.get("text", ""))) in said


HTML = "text/html"


@lesson
def test_pictures_of_a_lesson_carry_the_texts_of_the_notebook(site, path):
    kept = [
        meta["alt"]
        for cell in cells(path)
        for output in cell.get("outputs", [])
        for kind, meta in output.get("metadata", {}).items()
        if kind.startswith("image/")
    ]
    shown = article(site, page_of(path)).select(".cell_output img")
    assert [image["alt"] for image in shown] == kept != []


def test_every_picture_has_a_text(site):
    without = [
        (name, image.get("src"))
        for name in files(site)
        for image in page(site, name).select("article img")
        if len(image.get("alt", "")) < 10
    ]
    assert without == []


@lesson
def test_every_exercise_has_its_solution_folded_below_it(site, path):
    solved = cells(next(p for p in SOLUTIONS if p.name == path.name))
    text = "\n".join(source(c) for c in solved if c["cell_type"] == "markdown")
    starts = r"(?m)^\*\*(?:★+ )?(?:\d\d\.\d|In your own words)"
    starts += r"|^\*\*★+ In your own words"
    number = len(re.findall(starts, text))
    shown = article(site, page_of(path))
    folds = shown.select("details.solution")
    assert len(folds) == number >= 3
    assert not any(fold.has_attr("open") for fold in folds)
    checks = [c for c in shown.select(".cell_input") if "tl.check(" in c.get_text()]
    for cell in checks:
        (key,) = re.findall(r'tl\.check\("(\d\d\.\d)"', cell.get_text())
        after = cell.find_next("details")
        assert after.summary.get_text() == f"Solution of {key}"
        assert after.find("pre") and "★" not in after.get_text()
    listed = article(site, "exercises.html")
    (section,) = listed.select(
        f"section#exercises-{path.name[:2]}, "
        f"section:has(> span#exercises-{path.name[:2]})"
    )
    same = [words(fold.get_text()) for fold in section.select("details.solution")]
    assert same == [words(fold.get_text()) for fold in folds]


@lesson
def test_launch_buttons_are_the_badges_of_the_notebook(site, path):
    badges = set(re.findall(r"\)\]\((https://[^)]+)\)", source(cells(path)[0])))
    assert len(badges) == 2
    shown = page(site, page_of(path))
    buttons = shown.select(".dropdown-launch-buttons a[href]")
    assert {a["href"] for a in buttons} == badges
    assert badges <= {a["href"] for a in shown.select("article a[href]")}


def test_cards_are_there(site):
    text = page(site, "data/README.html").get_text()
    for path in ROOT.glob("data/*/card.json"):
        card = json.loads(path.read_text(encoding="utf-8"))
        assert card["title"] in text and card["description"] in text
        assert [bias for bias in card["known_biases"] if bias not in text] == []
    for path in ROOT.glob("data/models/*.json"):
        assert json.loads(path.read_text(encoding="utf-8"))["sha256"] in text
    public = page(site, "data/public.html").get_text()
    cards = json.loads((ROOT / "data" / "public.json").read_text(encoding="utf-8"))
    assert [c["title"] for c in cards.values() if c["title"] not in public] == []


def test_api_has_every_public_name_with_its_parameters(site):
    entries = article(site, "api.html").select("dl.py > dt[id]")
    found = {dt["id"].removeprefix("tlhelpers.") for dt in entries}
    assert set(tl.__all__) <= found
    text = words(article(site, "api.html").get_text())
    assert "Mean log evidence per example and class, nats" in text


def test_search_knows_every_page(site):
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    known = set(json.loads(re.search(r'docnames"?:(\[.*?\])', index)[1]))
    pages = {name.removesuffix(".html") for name in files(site)}
    assert known == pages - {"search", "genindex", "py-modindex"}


# --- glossary ------------------------------------------------------------------------


def test_glossary_has_each_term_once_in_order(site):
    terms = [
        dt.find(string=True) for dt in page(site, "docs/glossary.html").select("dt")
    ]
    assert len(terms) == len({t.lower() for t in terms}) > 60


def test_terms_are_linked_where_a_lesson_first_uses_them(site, pages):
    forms = pages.glossary(ROOT / "docs" / "glossary.md")
    used = set()
    for name in LESSONS:
        links = article(site, name).select('a[href*="docs/glossary.html#term-"]')
        found = [pages.any_of(forms).fullmatch(link.get_text()) for link in links]
        linked = [forms[match[1].lower()] for match in found]
        assert len(linked) == len(set(linked)) > 5, "each term once in a lesson"
        used |= set(linked)
    assert set(forms.values()) - used == set(), "no term without a lesson"


@lesson
def test_no_lesson_uses_a_term_above_its_link(site, pages, path):
    forms = pages.glossary(ROOT / "docs" / "glossary.md")
    shown = copy.copy(article(site, page_of(path)))
    for tag in shown.select("pre, code, h1, h2, h3, summary, .cell_output"):
        tag.decompose()
    links = []
    for link in shown.select("a"):
        if "docs/glossary.html#term-" in link["href"]:
            links.append(link.get_text())
            link.replace_with("\0")
        else:
            link.decompose()
    parts = shown.get_text().split("\0")
    above = set()
    for part, word in zip(parts, links):
        above |= {forms[m[1].lower()] for m in pages.any_of(forms).finditer(part)}
        term = forms[pages.any_of(forms).fullmatch(word)[1].lower()]
        assert term not in above
        above.add(term)


# --- links ---------------------------------------------------------------------------


def test_no_link_inside_is_broken(site):
    ids = {
        name: {tag["id"] for tag in page(site, name).select("[id]")}
        for name in files(site)
    }
    broken = []
    for name in files(site):
        for tag in page(site, name).select(
            "a[href], img[src], script[src], link[href]"
        ):
            address = urlsplit(tag.get("href") or tag.get("src"))
            if address.scheme or address.netloc:
                continue
            place = (
                (site / name).parent / unquote(address.path)
                if address.path
                else site / name
            )
            target = place.resolve()
            inside = target.relative_to(site.resolve()).as_posix()
            anchor = unquote(address.fragment)
            if not target.is_file() or (
                anchor and inside in ids and anchor not in ids[inside]
            ):
                broken.append((name, tag.get("href") or tag.get("src")))
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(site):
    loaded = []
    for name in files(site):
        for tag in page(site, name).select(
            "[src], [srcset], link[href], iframe, object"
        ):
            address = tag.get("src") or tag.get("srcset") or tag.get("href") or ""
            if re.match(r"(https?:)?//", address) and tag.get("rel") != ["canonical"]:
                loaded.append((name, address))
    for name in site.rglob("*.css"):
        text = name.read_text(encoding="utf-8")
        loaded += re.findall(
            r"""(?:@import|url\()\s*["']?(?:https?:)?//[^)"']+""", text
        )
    assert loaded == []


# --- README --------------------------------------------------------------------------


def test_picture_of_the_readme_is_that_of_the_lesson():
    from PIL import Image

    folder = ROOT / "docs" / "images"
    spec = importlib.util.spec_from_file_location("keep", folder / "keep_result.py")
    keep = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(keep)
    shown, drawn = Image.open(folder / "result.png"), keep.draw()
    assert shown.convert("RGB").tobytes() == drawn.convert("RGB").tobytes()
    file = io.BytesIO()
    drawn.save(file, "png", optimize=True)
    assert (folder / "result.png").stat().st_size <= 150_000
    line = f"![{keep.alternative_text()}](docs/images/result.png)"
    for path in (ROOT / "README.md", ROOT / "docs" / "site" / "index.md"):
        head = path.read_text(encoding="utf-8").split("\n## ")[0]
        assert line in head, path.name


def test_five_lines_of_the_readme_keep_their_promise(capsys):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.S)[1]
    imports, promise = code.split("\n\n")
    assert len(promise.strip().splitlines()) == 5
    (said,) = re.findall(r"# (0\.\d\d)\n", promise)
    exec(compile(code, "README.md", "exec"), {})
    assert f"{float(capsys.readouterr().out):.2f}" == said
