"""The ways in beside make: environment.yml for conda, and Binder's files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.prometheus_lines import binaries
from tests.venvs import ROOT, Venv, pip_settings

if TYPE_CHECKING:
    from pathlib import Path

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MINORS = [
    Version(name.rpartition(" ")[2])
    for name in PROJECT["classifiers"]
    if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", name)
]
POST_BUILD = ROOT / "binder" / "postBuild"


def environment(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def python_of(name: str) -> SpecifierSet:
    """Return which Pythons an environment allows, in pip's words: conda's = is pip's ==….*."""
    (line,) = (
        entry
        for entry in environment(name)["dependencies"]
        if isinstance(entry, str) and entry.startswith("python")
    )
    return SpecifierSet(re.sub(r"^=([\d.]+)$", r"==\1.*", line.removeprefix("python")))


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    parts = [line.split("==") for line in lines if line.strip() and not line.startswith("#")]
    return {canonicalize_name(name): Version(text) for name, text in parts}


def requirements(*extras: str) -> list[Requirement]:
    texts = [*PROJECT["dependencies"]]
    for extra in extras:
        texts += PROJECT["optional-dependencies"][extra]
    return [Requirement(text) for text in texts]


def test_conda_gets_the_pythons_that_the_project_says_it_works_on() -> None:
    required = SpecifierSet(PROJECT["requires-python"])
    assert MINORS, "the classifiers name the Pythons"
    for minor in range(8, 30):
        python = Version(f"3.{minor}")
        assert (python in python_of("environment.yml")) == (python in MINORS), python
        assert python not in MINORS or python in required, python
    assert min(MINORS) in required
    assert Version(f"3.{min(MINORS).minor - 1}") not in required


def test_conda_installs_this_project_as_make_does() -> None:
    described = environment("environment.yml")
    (pip,) = (entry["pip"] for entry in described["dependencies"] if isinstance(entry, dict))
    assert pip == ["--constraint constraints.txt", "--editable ."]
    assert "pip" in described["dependencies"]
    assert described["name"] == PROJECT["name"]
    assert '"-c", "constraints.txt", "-e"' in (ROOT / "bootstrap.py").read_text()


def test_binder_gets_a_python_that_conda_would_get() -> None:
    binder, conda = environment("binder/environment.yml"), environment("environment.yml")
    assert any(minor in python_of("binder/environment.yml") for minor in MINORS)
    assert all(
        minor in python_of("environment.yml")
        for minor in map(Version, (f"3.{n}" for n in range(8, 30)))
        if minor in python_of("binder/environment.yml")
    )
    assert (binder["name"], binder["channels"]) == (conda["name"], conda["channels"])
    assert not [entry for entry in binder["dependencies"] if isinstance(entry, dict)], (
        "the lab itself is installed by postBuild"
    )


def test_every_pin_takes_the_python_of_debian_12() -> None:
    """3.11.2: a pin for a later 3.11 would end `make lab` on a fresh machine."""
    refusing = {
        f"{found.name} {found.version}: {found.metadata['Requires-Python']}"
        for found in distributions()
        if found.metadata["Requires-Python"]
        and not SpecifierSet(found.metadata["Requires-Python"]).contains("3.11.2")
    }
    assert refusing == set()


@pytest.mark.parametrize("extras", [(), ("test", "dev")])
def test_every_requirement_has_a_pin_that_it_allows(extras: tuple[str, ...]) -> None:
    for requirement in requirements(*extras):
        name = canonicalize_name(requirement.name)
        assert name in pins(), f"constraints.txt has no {name}"
        assert pins()[name] in requirement.specifier, f"{requirement}: pinned {pins()[name]}"


def test_every_requirement_says_which_version_is_the_lowest() -> None:
    for requirement in requirements("test", "dev"):
        # The highest version of this one, by its epoch, is for an older Grafana.
        exact = requirement.name == "grafana-foundation-sdk"
        operator = "==" if exact else ">="
        assert [bound.operator for bound in requirement.specifier] == [operator], requirement
        assert Version(installed_version(requirement.name)) in requirement.specifier


def test_apt_names_packages() -> None:
    lines = (ROOT / "binder" / "apt.txt").read_text(encoding="utf-8").splitlines()
    packages = [line for line in lines if line.strip() and not line.startswith("#")]
    assert packages == ["prometheus"]


def test_post_build_is_a_script_that_can_be_run() -> None:
    assert POST_BUILD.read_bytes().startswith(b"#!/usr/bin/env bash\n")
    assert b"\r" not in POST_BUILD.read_bytes()
    assert sys.platform == "win32" or os.access(POST_BUILD, os.X_OK)


@pytest.mark.skipif(sys.platform == "win32", reason="Binder is Linux")
def test_post_build_makes_a_lab_in_a_fresh_environment(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    kept = shutil.ignore_patterns(".*", "__pycache__", "test-artifacts", "*.html")
    shutil.copytree(ROOT, clone, ignore=kept)
    fresh = Venv(tmp_path / "venv")
    settings = {
        "PATH": f"{fresh.scripts}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LABKIT_PROMETHEUS": str(binaries()[-1].path),
    }

    done = subprocess.run(
        [clone / "binder" / "postBuild"],
        cwd=clone,
        env=os.environ | pip_settings() | settings,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Prometheus {binaries()[-1].version}" in done.stdout
    where = fresh.run("import labkit; print(labkit.__file__)", cwd=tmp_path)
    assert where == str(clone / "labkit" / "__init__.py")
    overrides = fresh.path / "etc" / "jupyter" / "labconfig" / "default_setting_overrides.json"
    assert "fetchNews" in overrides.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="Binder is Linux")
def test_post_build_fails_when_a_step_fails(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "python").chmod(0o755)
    settings = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [POST_BUILD], cwd=tmp_path, env=os.environ | settings, capture_output=True, timeout=30
    )
    assert done.returncode == 3
