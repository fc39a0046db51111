"""The app, built without Gradle's repositories, is well-formed and asks for nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ailsr.runtime.version import VERSION

APP = Path(__file__).parent.parent.parent / "android_demo"
JAVA = APP / "app" / "src" / "main" / "java" / "org" / "ailsr" / "demo"
UNAVAILABLE = 3


def output_of(*command: object) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def apk(tmp_path_factory, int8_file, photograph_files):
    """The app with one model file and one picture."""
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


def test_it_runs_on_the_stated_androids_and_asks_for_no_permission(apk):
    shown = output_of("aapt", "dump", "badging", apk)
    assert f"package: name='org.ailsr.demo' versionCode='1' versionName='{VERSION}'" in shown
    assert "sdkVersion:'24'" in shown
    assert "targetSdkVersion:'34'" in shown
    assert "launchable-activity: name='org.ailsr.demo.UpscaleActivity'" in shown
    assert "uses-permission" not in shown
    assert re.search(r"^locales:.*'zh'", shown, re.MULTILINE)
    assert "uses-feature-not-required: name='android.hardware.camera'" in shown


def test_only_what_must_be_is_open_to_other_apps(apk):
    tree = output_of("aapt", "dump", "xmltree", apk, "AndroidManifest.xml")
    exported = {}
    for element in re.split(r"\bE: ", tree):
        name = re.search(r'android:name\(\w+\)="\.(\w+)"', element)
        state = re.search(r"android:exported\(\w+\)=\(type 0x12\)0x(\w+)", element)
        if name and element.startswith(("activity", "provider")):
            exported[name[1]] = state is not None and state[1] != "0"
    assert exported == {
        "UpscaleActivity": True,  # the launcher
        "BenchmarkActivity": True,  # adb
        "AboutActivity": False,
        "PictureProvider": False,
    }
    assert all((JAVA / f"{name}.java").exists() for name in exported)


def test_models_are_stored_as_they_are(apk, int8_file):
    with zipfile.ZipFile(apk) as file:
        model = file.getinfo(f"assets/models/{int8_file.name}")
        assert model.compress_type == zipfile.ZIP_STORED
        assert file.read(model) == int8_file.read_bytes()
        assert "assets/pictures/coffee.png" in file.namelist()


def test_it_holds_app_and_core_but_no_stubs(apk):
    if shutil.which("dexdump") is None:
        pytest.skip("no dexdump: apt-get install dexdump")
    shown = output_of("dexdump", apk)
    classes = set(re.findall(r"Class descriptor  : 'L([\w/$]+);'", shown))
    sources = [*JAVA.glob("*.java"), *(APP / "core" / "src" / "main").rglob("*.java")]
    packages = {"demo": "org/ailsr/demo", "core": "org/ailsr/core"}
    assert {f"{packages[source.parent.name]}/{source.stem}" for source in sources} <= classes
    assert {name.rsplit("/", 1)[0] for name in classes} == set(packages.values())


def test_what_is_newer_than_the_stubs_is_guarded():
    """javac has compared every call with API 23; by their names only these go further."""
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
