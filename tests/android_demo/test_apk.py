"""The app, built without Gradle's repositories, is well-formed and asks for nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import apk_build
import pytest

from ailsr.runtime.version import VERSION

APP = Path(__file__).parent.parent.parent / "android_demo"
JAVA = APP / "app" / "src" / "main" / "java" / "org" / "ailsr" / "demo"
UNAVAILABLE = 3
ANDROID = "{http://schemas.android.com/apk/res/android}"


def output_of(*command: object) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def apk(tmp_path_factory, int8_file, photograph_files):
    """The app with one model file and one image."""
    folder = tmp_path_factory.mktemp("apk")
    for name, file in {"models": int8_file, "pictures": photograph_files / "coffee.png"}.items():
        (folder / "assets" / name).mkdir(parents=True)
        shutil.copy(file, folder / "assets" / name)
    command = [sys.executable, APP / "apk_build.py", folder / "demo.apk", folder / "assets"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == UNAVAILABLE:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return folder / "demo.apk"


@pytest.fixture(scope="module")
def androguard():
    """The modules ``apk`` and ``dex`` of androguard, without their log."""
    pytest.importorskip("androguard", reason="THE APP IS NOT READ: pip install androguard")
    import androguard.core.apk
    import androguard.core.dex
    from loguru import logger

    logger.disable("androguard")
    return androguard.core


@pytest.fixture(scope="module")
def opened(apk, androguard):
    return androguard.apk.APK(apk)


@pytest.fixture(scope="module")
def code(opened, androguard):
    """The app's bytecode."""
    return androguard.dex.DEX(opened.get_dex())


@pytest.fixture(scope="module")
def libraries(apk, androguard, tmp_path_factory):
    """What the app was compiled against: Android's API 23 and our stubs of LiteRT."""
    folder = tmp_path_factory.mktemp("libraries")
    apk_build.build_libraries(folder / "libraries.dex", folder)
    return androguard.dex.DEX((folder / "libraries.dex").read_bytes())


def test_it_is_signed_and_aligned(apk):
    shown = output_of("apksigner", "verify", "--verbose", "--min-sdk-version", "24", apk)
    assert "Verified using v2 scheme (APK Signature Scheme v2): true" in shown
    output_of("zipalign", "-c", "-p", "4", apk)


def test_a_changed_byte_breaks_the_signature(apk, tmp_path):
    """The test above can fail."""
    content = bytearray(apk.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "changed.apk").write_bytes(content)
    done = subprocess.run(
        ["apksigner", "verify", tmp_path / "changed.apk"], capture_output=True, check=False
    )
    assert done.returncode != 0


def test_it_runs_on_the_stated_androids_and_asks_for_no_permission(opened):
    assert opened.get_package() == "org.ailsr.demo"
    assert opened.get_androidversion_code() == "1"
    assert opened.get_androidversion_name() == VERSION
    assert opened.get_min_sdk_version() == "24"
    assert opened.get_target_sdk_version() == "34"
    tags = [element.tag for element in opened.get_android_manifest_xml()]
    assert not [tag for tag in tags if tag.startswith("uses-permission")]  # nor ...-sdk-23
    assert opened.get_uses_implied_permission_list() == []


def test_a_launcher_shows_it_in_two_languages_with_a_camera_or_without(apk):
    """As Android's own tool sums it up."""
    shown = output_of("aapt", "dump", "badging", apk)
    assert "launchable-activity: name='org.ailsr.demo.UpscaleActivity'" in shown
    assert re.search(r"^locales:.*'zh'", shown, re.MULTILINE)
    assert "uses-feature-not-required: name='android.hardware.camera'" in shown


def test_only_what_must_be_is_open_to_other_apps(opened):
    application = opened.get_android_manifest_xml().find("application")
    components = ("activity", "activity-alias", "provider", "receiver", "service")
    exported = {
        element.get(f"{ANDROID}name"): element.get(f"{ANDROID}exported")
        for element in application.iter(*components)
    }
    assert exported == {
        ".UpscaleActivity": "true",  # the launcher
        ".BenchmarkActivity": "true",  # adb
        ".AboutActivity": "false",
        ".VideoActivity": "false",
        ".PictureProvider": "false",
    }
    assert all((JAVA / f"{name[1:]}.java").exists() for name in exported)


def test_models_are_stored_as_they_are(apk, int8_file):
    with zipfile.ZipFile(apk) as file:
        model = file.getinfo(f"assets/models/{int8_file.name}")
        assert model.compress_type == zipfile.ZIP_STORED
        assert file.read(model) == int8_file.read_bytes()
        assert "assets/pictures/coffee.png" in file.namelist()


def test_it_holds_app_and_core_but_no_stubs(code):
    classes = {item.get_name()[1:-1] for item in code.get_classes()}
    core = (APP / "core" / "src" / "main").rglob("[A-Z]*.java")  # package-info is no class
    sources = [*JAVA.glob("*.java"), *core]
    packages = {"demo": "org/ailsr/demo", "core": "org/ailsr/core"}
    assert {f"{packages[source.parent.name]}/{source.stem}" for source in sources} <= classes
    assert {name.rsplit("/", 1)[0] for name in classes} == set(packages.values())


def missing(code, libraries):
    """Methods and fields that ``code`` names and neither it nor ``libraries`` have or inherit."""
    classes = {item.get_name(): item for dex in (libraries, code) for item in dex.get_classes()}

    def has(owner, name, descriptor):
        item = classes.get("Ljava/lang/Object;" if owner.startswith("[") else owner)
        if item is None:
            return False
        members = [*item.get_methods(), *item.get_fields()]
        if (name, descriptor) in {(m.get_name(), m.get_descriptor()) for m in members}:
            return True
        parents = [item.get_superclassname(), *item.get_interfaces()] if name != "<init>" else []
        return any(has(parent, name, descriptor) for parent in parents)

    named = [*code.get_methods(), *code.get_fields()]
    references = {(m.get_class_name(), m.get_name(), m.get_descriptor()) for m in named}
    return {f"{owner}->{name}" for owner, name, sort in references if not has(owner, name, sort)}


def test_every_method_that_it_calls_is_in_the_oldest_android_or_in_litert(code, libraries):
    owners = {method.get_class_name() for method in code.get_methods()}
    for package in ("Landroid/app/", "Ljava/util/", "Lorg/tensorflow/lite/"):
        assert any(owner.startswith(package) for owner in owners), package
    assert missing(code, libraries) == set()


def test_a_newer_method_is_found(androguard, libraries, tmp_path):
    """The test above can fail: Java 11 has brought String.isBlank, and API 33 to Android."""
    (tmp_path / "Newer.java").write_text(
        "class Newer extends java.util.ArrayList<String> {"
        "  boolean isNewer() { return containsAll(this) && get(0).isBlank(); } }"
    )
    javac = ["javac", "-nowarn", "-Xlint:-options", "-source", "8", "-target", "8"]
    output_of(*javac, "-d", tmp_path / "classes", tmp_path / "Newer.java")
    apk_build.dex(tmp_path / "newer.dex", tmp_path / "classes")
    code = androguard.dex.DEX((tmp_path / "newer.dex").read_bytes())
    assert missing(code, libraries) == {"Ljava/lang/String;->isBlank"}


def test_what_is_newer_than_the_stubs_is_guarded():
    """No call goes beyond API 23, as the tests above show; by their names only these do."""
    reflective = {
        source.stem: [
            line
            for line in source.read_text(encoding="utf-8").splitlines()
            if re.search(r"\.(getMethod|getField|getDeclared\w+|forName)\(", line)
        ]
        for source in JAVA.glob("*.java")
    }
    assert [name for name, lines in reflective.items() if lines] == ["Phone"]
    phone = (JAVA / "Phone.java").read_text(encoding="utf-8")
    since = {"getCurrentThermalStatus": 29, "getThermalHeadroom": 30}
    assert dict(re.findall(r'SDK_INT < (\d+) \? null : power\("(\w+)"', phone)) == {
        str(level): name for name, level in since.items()
    }
    assert phone.index("SDK_INT >= 31") < phone.index("SOC_MANUFACTURER")
    saving = (JAVA / "Saving.java").read_text(encoding="utf-8")
    assert "SDK_INT >= 29" in saving
