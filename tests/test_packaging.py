"""One import name per file, and nothing left out of the wheel."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any, Final

import pytest

import greenroom

ROOT: Final = Path(__file__).resolve().parent.parent
PYPROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGES: Final[list[str]] = PYPROJECT["tool"]["setuptools"]["packages"]

DATA: Final = ("py.typed", "replay/data/call.jsonl.gz")
# folders of the root that may hold Python files and are no part of the package
BESIDE_THE_PACKAGE: Final = {"bench", "build", "dist", "docs", "examples", "tests", "typings"}
MAX_LINES: Final = 350


def package_sources() -> list[Path]:
    """Every Python file of the package, whatever pyproject.toml says."""
    folders = [
        path
        for path in ROOT.iterdir()
        if path.is_dir()
        and not path.name.startswith(".")
        and path.name not in BESIDE_THE_PACKAGE
        and not (path / "pyvenv.cfg").exists()
    ]
    return sorted([*ROOT.glob("*.py"), *(file for path in folders for file in path.rglob("*.py"))])


def module_name(path: Path) -> str:
    """The name under which a file (or a package's folder) is imported."""
    parts = path.relative_to(ROOT).parts
    return ".".join(["greenroom", *parts]).removesuffix(".py").removesuffix(".__init__")


SOURCES: Final = package_sources()
MODULES: Final = [module_name(path) for path in SOURCES if path.name != "__main__.py"]


def test_pyproject_lists_exactly_the_folders_that_hold_an_init_file() -> None:
    packages = [module_name(path) for path in SOURCES if path.name == "__init__.py"]

    assert sorted(PACKAGES) == sorted(packages)


def test_every_file_lies_in_a_listed_package() -> None:
    strays = [path for path in SOURCES if module_name(path.parent) not in PACKAGES]

    assert strays == []


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_be_imported_and_has_what_it_exports(name: str) -> None:
    module = importlib.import_module(name)

    missing = [export for export in getattr(module, "__all__", ()) if not hasattr(module, export)]

    assert missing == []


def test_every_loaded_file_of_the_package_has_one_name_and_it_begins_with_greenroom() -> None:
    loaded = {
        name: Path(file).resolve()
        for name, module in sys.modules.items()
        if isinstance(file := getattr(module, "__file__", None), str)
    }

    misnamed = {
        name: path
        for name, path in loaded.items()
        if path in SOURCES and name != module_name(path)
    }

    assert misnamed == {}


def test_no_file_is_longer_than_350_lines() -> None:
    beside = [
        path for name in ("tests", "bench", "examples") for path in ROOT.glob(f"{name}/**/*.py")
    ]

    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines())
        for path in [*SOURCES, *beside]
    }

    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_the_version_at_run_time_is_that_of_the_package() -> None:
    assert greenroom.__version__ == PYPROJECT["project"]["version"]


def test_the_wheel_holds_every_module_and_the_data(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"  # a build leaves traces, so not in the work tree
    for path in [
        *SOURCES,
        *(ROOT / name for name in (*DATA, "pyproject.toml", "README.md", "LICENSE")),
    ]:
        copy = checkout / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)

    subprocess.run(
        [
            sys.executable,
            "-c",
            f"from setuptools import build_meta as b; b.build_wheel({str(tmp_path)!r})",
        ],
        cwd=checkout,
        check=True,
        capture_output=True,
    )

    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        held = {name for name in wheel.namelist() if name.startswith("greenroom/")}
    expected = {path.relative_to(ROOT).as_posix() for path in SOURCES} | set(DATA)
    assert held == {f"greenroom/{name}" for name in expected}
