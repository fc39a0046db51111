"""Gradle's files, the manifest, the resources and the sources of the app agree."""

from __future__ import annotations

import re
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from ailsr.runtime.version import VERSION

APP = Path(__file__).parent.parent.parent / "android_demo"
MAIN = APP / "app" / "src" / "main"
ANDROID = "{http://schemas.android.com/apk/res/android}"


def text_of(*parts):
    return APP.joinpath(*parts).read_text(encoding="utf-8")


def strings(folder):
    """Resource texts by name."""
    root = ElementTree.parse(MAIN / "res" / folder / "strings.xml").getroot()
    texts = {item.get("name"): item.text for item in root.iter("string")}
    for array in root.iter("string-array"):
        for number, item in enumerate(array.iter("item")):
            texts[f"{array.get('name')} {number}"] = item.text
    return texts


def layouts():
    return [
        (path, element)
        for path in sorted((MAIN / "res").glob("[lm]*/*.xml"))
        for element in ElementTree.parse(path).iter()
    ]


def test_gradle_builds_what_the_offline_build_does():
    settings, app = text_of("settings.gradle"), text_of("app", "build.gradle")
    assert "include ':core', ':app'" in settings
    assert (APP / "core" / "src" / "main" / "java").is_dir()
    for line in ("namespace 'org.ailsr.demo'", "minSdk 24", "compileSdk 34", "targetSdk 34",
                 "implementation project(':core')"):  # fmt: skip
        assert line in app, line
    for module in (app, text_of("core", "build.gradle")):
        assert re.findall(r"VERSION_[\d_]+", module) == ["VERSION_1_8", "VERSION_1_8"]
    manifest = ElementTree.parse(MAIN / "AndroidManifest.xml").getroot()
    assert "package" not in manifest.attrib  # AGP 8 takes the namespace
    assert manifest.find("uses-sdk") is None
    assert not list(manifest.iter("uses-permission"))


def test_there_is_one_version():
    assert f"versionName '{VERSION}'" in text_of("app", "build.gradle")
    core = text_of("core", "src", "main", "java", "org", "ailsr", "core", "Version.java")
    assert f'NAME = "{VERSION}"' in core


def test_every_library_is_in_the_catalogue():
    catalogue = tomllib.loads(text_of("gradle", "libs.versions.toml"))
    assert catalogue["versions"]["litert"] == "1.4.2"
    assert catalogue["versions"]["agp"].startswith("8.")
    used = re.findall(
        r"libs\.([\w.]+)", text_of("app", "build.gradle") + text_of("core", "build.gradle")
    )
    names = {name.removeprefix("plugins.").replace(".", "-") for name in used}
    assert names == {*catalogue["libraries"], *catalogue["plugins"]}


def test_the_stubs_are_what_the_core_calls():
    source = text_of("core", "src", "main", "java", "org", "ailsr", "core", "LiteRtEngine.java")
    called = set(re.findall(r"import (org\.tensorflow\.lite[\w.]+);", source))
    stubs = {
        path.relative_to(APP / "stubs").with_suffix("").as_posix().replace("/", ".")
        for path in (APP / "stubs").rglob("*.java")
    }
    assert called <= stubs
    assert {name.rsplit(".", 1)[1] for name in stubs - called} == {"Tensor"}  # as a return value


def test_both_languages_say_the_same():
    english, chinese = strings("values"), strings("values-zh")
    assert english.keys() == chinese.keys()
    for name, text in english.items():
        placeholders = re.findall(r"%\d+\$[.\d]*[sdf]", text)
        assert sorted(placeholders) == sorted(re.findall(r"%\d+\$[.\d]*[sdf]", chinese[name])), name
    translated = [name for name in english if english[name] != chinese[name]]
    assert len(translated) > 0.75 * len(english)


def test_every_text_on_screen_is_a_resource_that_is_used():
    java = "".join(p.read_text(encoding="utf-8") for p in (MAIN / "java").rglob("*.java"))
    used = set(re.findall(r"R\.string\.(\w+)", java))
    for path, element in layouts():
        for attribute in ("text", "title", "contentDescription"):
            value = element.get(ANDROID + attribute)
            assert value is None or value.startswith("@string/"), (path, value)
            used |= {value.removeprefix("@string/")} if value else set()
    manifest = text_of("app", "src", "main", "AndroidManifest.xml")
    used |= set(re.findall(r"@string/(\w+)", manifest))
    assert used == {name for name in strings("values") if " " not in name}


def test_what_can_be_touched_is_labelled_and_large_enough():
    for path, element in layouts():
        if element.tag in ("Button", "Spinner"):
            assert element.get(ANDROID + "minHeight") == "@dimen/touch", path
        identifier = (element.get(ANDROID + "id") or "").removeprefix("@+id/")
        if element.tag in ("Spinner", "ProgressBar"):
            labelled = any(
                other.get(ANDROID + "labelFor") == f"@+id/{identifier}" for _, other in layouts()
            )
            assert labelled or element.get(ANDROID + "contentDescription"), (path, identifier)
        if handler := element.get(ANDROID + "onClick"):
            java = [p.read_text(encoding="utf-8") for p in (MAIN / "java").rglob("*Activity.java")]
            assert any(f"public void {handler}(View view)" in text for text in java), handler
