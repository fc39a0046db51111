"""The pages: every link leads somewhere, and docs/python.md runs as it stands there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ailsr.export import Exporter, open_source
from ailsr.runtime.imaging.image import write
from ailsr.train import zoo

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
LINK = re.compile(r"""\]\(([^)\s]+)\)|\b(?:src|href)=["']([^"']+)["']""")
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def links(text: str) -> Iterator[str]:
    """The targets in ``text`` that are no addresses of the web, outside of code."""
    prose = re.sub(r"`[^`]*`", "", FENCED.sub("", text))
    found = (a or b for a, b in LINK.findall(prose))
    return (target for target in found if not re.match(r"[a-z]+:", target))


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of ``text``."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in kept}


def broken(page: Path, text: str) -> list[str]:
    """The links of ``text``, the content of ``page``, that lead nowhere."""

    def leads_somewhere(link: str) -> bool:
        name, _, anchor = link.partition("#")
        target = page.parent / name
        if not target.exists():
            return False
        return not anchor or anchor in anchors(read(target) if name else text)

    return [link for link in links(text) if not leads_somewhere(link)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page):
    assert broken(page, read(page)) == []


def test_a_link_that_leads_nowhere_is_found():
    text = """# On a phone, in `C`
[a](zoo.md) [b](zoo.md#2) [c](#on-a-phone-in-c) [d](https://no.org/no.md) `[e](code.md)`
[f](no.md) [g](#no) <img src="no.png"> [h](zoo.md#no)
"""
    assert broken(DOCS / "index.md", text) == ["no.md", "#no", "no.png", "zoo.md#no"]


def test_the_index_names_every_page():
    named = set(links(read(DOCS / "index.md")))
    assert {page.name for page in DOCS.glob("*.md")} - {"index.md"} <= named


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_a_page_opens_with_its_command(page):
    first_screen = "\n".join(read(page).splitlines()[:20])
    assert page.name == "index.md" or re.search(
        r"ailsr-[a-z]+ |make [a-z]+|from ailsr", first_screen
    )


def test_the_examples_of_the_python_page(photographs, tmp_path, monkeypatch, capsys):
    """In order and in one namespace, with fewer steps of training and a smaller input size."""
    monkeypatch.chdir(tmp_path)
    for folder, name in (("train", "astronaut"), ("val", "rocket"), ("test", "chelsea")):
        write(photographs[name][100:260, 120:312], Path("photos", folder, f"{name}.png"))
    page = read(DOCS / "python.md")
    for shown, used in (("steps=20_000", "steps=20"), ("(360, 640)", "(80, 96)")):
        assert page.count(shown) == 1
        page = page.replace(shown, used)
    # The file that the first example loads.
    sample = Exporter(open_source(zoo.path("sesr_m5_x2")), (80, 96))
    sample.export("tflite", "int8", Path("exported"))
    namespace = {"__name__": "page"}
    for block in PYTHON.finditer(page):
        line = page[: block.start(1)].count("\n")  # for tracebacks
        exec(compile("\n" * line + block[1], str(DOCS / "python.md"), "exec"), namespace)
    assert namespace["large"].shape == (320, 384, 3)
    assert namespace["scores"].psnr_db > namespace["bicubic"].psnr_db
    (measured,) = namespace["results"].measured
    assert measured.quality.psnr_db == pytest.approx(namespace["scores"].psnr_db)
    assert namespace["card"]["steps"] == 20
    assert {path.suffix for path in Path("exported").iterdir()} == {".tflite", ".onnx"}
    assert "no_such_file.tflite" in capsys.readouterr().out
