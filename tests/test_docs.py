"""The pages: every link leads somewhere, and examples run as they stand there."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import debian
import numpy as np
import onnxruntime
import pytest

from ailsr.export import Exporter, open_source
from ailsr.runtime import load
from ailsr.runtime.imaging.image import write
from ailsr.train import zoo

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
LINK = re.compile(r"""\]\(([^)\s]+)\)|\b(?:src|href)=["']([^"']+)["']""")
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
UNIT = r"(?:ms|dB|kB|MB|GB|frames/s)"
FIGURE = re.compile(rf"\d ?{UNIT}\b")
TITLE = re.compile(rf"\b{UNIT}\b|PSNR|Set5")
COMMAND = re.compile(r"`[^`]*\b(?:make [a-z]|python |ailsr-[a-z]+ )", re.DOTALL)
CPU = re.compile(r"EPYC|Xeon|Ryzen|Core i\d|Cortex|the CPU was not noted")
MONTHS = "January February March April May June July August September October November December"
DATE = re.compile(rf"\b20\d\d-\d\d-\d\d\b|\b\d\d? (?:{'|'.join(MONTHS.split())})\s20\d\d\b")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def sections(text: str) -> Iterator[str]:
    """The sections of ``text`` (``##``), each behind what stands before the first."""
    introduction, *parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    yield introduction
    yield from (introduction + part for part in parts)


def measured(table: list[str]) -> list[str]:
    """The rows of ``table`` with a figure that somebody measured."""
    head, _, *rows = table
    if TITLE.search(head):
        return [row for row in rows if re.search(r"\| [^|a-z]*\d", row)]
    return [row for row in rows if FIGURE.search(row)]


def unfounded(page: Path, text: str) -> list[str]:
    """The rows with figures of which ``text``, the content of ``page``, does not name command, CPU
    and date: in their section, before the first one, or on a page that the row links to."""

    def names_all(text: str) -> bool:
        return all(pattern.search(text) for pattern in (COMMAND, CPU, DATE))

    def linked(row: str) -> Iterator[str]:
        pages = (page.parent / link.partition("#")[0] for link in links(row))
        return (read(target) for target in pages if target.suffix == ".md")

    tables = [
        (section, table.splitlines())
        for section in sections(text)
        for table in re.findall(r"(?:^\|.*\n)+", FENCED.sub("", section), re.MULTILINE)
    ]
    return [
        row
        for section, table in tables
        for row in measured(table)
        if not names_all(section) and not any(map(names_all, linked(row)))
    ]


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_figures_in_tables_have_a_command_a_cpu_and_a_date(page):
    assert unfounded(page, read(page)) == []


def test_a_figure_without_command_cpu_or_date_is_found():
    table = """| file | ms |
|---|--:|
| `a` | 20.5 |

| what | figure |
|---|---|
| small | 26 kB |
| by a page | 37.16 dB ([zoo](zoo.md)) |
| by a page that does not say | 1 dB ([index](index.md)) |
| words | none |
"""
    found = ["| `a` | 20.5 |", "| small | 26 kB |"]
    found.append("| by a page that does not say | 1 dB ([index](index.md)) |")
    page, origin = DOCS / "index.md", "`make zoo-table` on EPYC, 28 November 2026:\n\n"
    assert unfounded(page, table) == found
    assert unfounded(page, origin + table) == []
    assert unfounded(page, f"## A\n{origin}\n## B\n{table}") == found
    for missing in ("make zoo-table", "EPYC", "28 November 2026"):
        assert unfounded(page, origin.replace(missing, "") + table) == found


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


@pytest.fixture(scope="module")
def rgba_file(tmp_path_factory):
    """A folder whose ``exported`` holds the file that the examples of in-your-app.md load."""
    folder = tmp_path_factory.mktemp("in_your_app")
    exporter = Exporter(open_source(zoo.path("sesr_m5_x2")), (80, 96), layout="rgba")
    exporter.export("onnx", "int8", folder / "exported")
    return folder


def example(language: str) -> str:
    """The code in ``language`` on the page about apps of others."""
    fence = rf"^```{language}\n(.*?)^```$"
    (code,) = re.findall(fence, read(DOCS / "in-your-app.md"), re.MULTILINE | re.DOTALL)
    return str(code)


def test_the_python_of_the_page_about_apps(rgba_file, photographs, monkeypatch):
    monkeypatch.chdir(rgba_file)
    namespace = {"__name__": "page"}
    exec(compile(example("python"), str(DOCS / "in-your-app.md"), "exec"), namespace)
    rgba = np.dstack([photographs["chelsea"][:100, :120], np.zeros((100, 120), np.uint8)])
    large = namespace["upscale"](rgba)
    expected = namespace["upscaler"].upscale(np.ascontiguousarray(rgba[..., :3]))
    assert large.shape == (200, 240, 4)
    assert np.array_equal(large[..., :3], expected)
    assert (large[..., 3] == 255).all()


def test_the_cpp_of_the_page_about_apps(rgba_file, photographs, tmp_path):
    compiler = shutil.which("g++")
    library = next(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"), None)
    if compiler is None or library is None:
        pytest.skip("C++ IS NOT TESTED: no g++ (apt-get install g++) or no library in the wheel")
    try:
        folder = ROOT / "build" / "onnxruntime-headers"
        headers = debian.unpack(folder, "trixie", ["libonnxruntime-dev"], dependencies=False)
    except debian.UnavailableError as error:
        pytest.skip(f"C++ IS NOT TESTED: {error}")
    (tmp_path / "libonnxruntime.so.1").symlink_to(library)  # by the name that it has installed
    (tmp_path / "upscale.cpp").write_text(example("cpp"))
    built = subprocess.run(
        [compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", "upscale.cpp", "-o", "upscale",
         "-isystem", headers / "usr/include/onnxruntime", library, f"-Wl,-rpath,{tmp_path}"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (file,) = (rgba_file / "exported").iterdir()
    rgb = np.ascontiguousarray(photographs["chelsea"][:80, :96])
    small = np.dstack([rgb, np.zeros((80, 96), np.uint8)]).tobytes()
    done = subprocess.run(
        [tmp_path / "upscale", file, "96", "80"], input=small, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    large = np.frombuffer(done.stdout, np.uint8).reshape(160, 192, 4)
    assert np.array_equal(large[..., :3], load(file).upscale(rgb))
    assert (large[..., 3] == 255).all()
