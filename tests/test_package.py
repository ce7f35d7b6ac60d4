"""What is installed: the package only, and nothing that Colab has is replaced."""

import json
import subprocess
import sys
import zipfile

import pytest

import colab
import imports
import lgdcnn_lib
from notebooks import ROOT

SHIPPED_BY_COLAB = ("torch", "numpy", "pandas", "matplotlib", "scipy", "scikit-learn")


def test_wheel_holds_the_package_only(tmp_path):
    build = ["pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w"]
    # A copy: building leaves folders behind.
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (copy / name).write_bytes((ROOT / name).read_bytes())
    (copy / "lgdcnn_lib").mkdir()
    for path in imports.LIBRARY.glob("*.py"):
        (copy / "lgdcnn_lib" / path.name).write_bytes(path.read_bytes())
    command = [sys.executable, "-m", *build, str(tmp_path), str(copy)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert lgdcnn_lib.__version__ in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {
        "lgdcnn_lib",
        f"lgdcnn_lib-{lgdcnn_lib.__version__}.dist-info",
    }
    assert len([name for name in names if name.endswith(".py")]) == len(
        list(imports.LIBRARY.glob("*.py"))
    )


def test_requirements_are_lower_bounds():
    for line in colab.metadata.requires("lgdcnn-lib"):
        if "extra ==" not in line:
            assert ">=" in line
            assert not any(sign in line for sign in ("<", "==", "!=", "~", ","))


@pytest.fixture
def pip(monkeypatch):
    calls = []
    monkeypatch.setattr(colab, "pip", lambda *arguments: calls.append(arguments))
    return calls


def test_colab_installs_nothing_when_all_is_there(pip):
    colab.main()
    assert pip == []


def test_colab_installs_what_lacks_and_holds_the_rest(monkeypatch, pip):
    here, kept = colab.installed, []

    def installed(name):
        return name not in ("pymatgen", "lgdcnn-lib") and here(name)

    monkeypatch.setattr(colab, "installed", installed)
    monkeypatch.setattr(
        colab.Path, "write_text", lambda path, text, encoding: kept.append(text)
    )
    colab.main()
    assert pip[0] == ("--no-deps", "-e", str(ROOT))
    assert [line.partition(">")[0] for line in pip[1][2:]] == ["pymatgen"]
    for name in SHIPPED_BY_COLAB:
        assert f"\n{name}==" in kept[0].lower()


def test_versions_agree():
    version = lgdcnn_lib.__version__
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text("utf-8")
    package = json.loads((ROOT / "package.json").read_text("utf-8"))
    assert package["private"] is True
