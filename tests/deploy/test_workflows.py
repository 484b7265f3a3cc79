"""The workflows fit the scripts, the images and each other."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from bridge import __version__
from tests.support.halves import ROOT

FOLDER = ROOT / ".github" / "workflows"
TEST: dict[Any, Any] = yaml.safe_load((FOLDER / "test.yml").read_text())
RELEASE: dict[Any, Any] = yaml.safe_load((FOLDER / "release.yml").read_text())
APP = yaml.safe_load((ROOT / "deploy/home-assistant-os/config.yaml").read_text())
ON = True
"""What YAML 1.1 reads the key ``on`` as."""

PLATFORMS = {"amd64": "linux/amd64", "aarch64": "linux/arm64"}
"""The Supervisor's names of machines to Docker's."""


def steps(workflow: dict[Any, Any], *jobs: str) -> list[dict[str, Any]]:
    chosen = jobs or tuple(workflow["jobs"])
    return [step for job in chosen for step in workflow["jobs"][job].get("steps", ())]


def pushed() -> list[dict[str, Any]]:
    """Return the settings of the steps that push an image."""
    found = [step for step in steps(RELEASE) if "build-push" in step.get("uses", "")]
    assert all(step["with"]["push"] is True for step in found)
    return found


def images(step: dict[str, Any]) -> dict[str, str]:
    """Return the tags of a pushed image, each with the image's name."""
    return dict(
        tag.rsplit(":", 1)[::-1] for tag in step["with"]["tags"].split("\n") if tag
    )


def test_every_script_and_file_is_there() -> None:
    for step in [*steps(TEST), *steps(RELEASE)]:
        for script in re.findall(r"\bscripts/[\w-]+", step.get("run", "")):
            assert (ROOT / script).stat().st_mode & 0o111, script
        if file := step.get("with", {}).get("file"):
            assert (ROOT / file).is_file()
    for local in (job["uses"] for job in RELEASE["jobs"].values() if "uses" in job):
        assert (ROOT / local).is_file()


def test_nothing_is_published_that_was_not_tested() -> None:
    jobs = RELEASE["jobs"]
    assert jobs["test"]["uses"] == "./.github/workflows/test.yml"
    assert "workflow_call" in TEST[ON]
    assert jobs["packages"]["needs"] == "test"
    assert jobs["images"]["needs"] == "packages"
    assert set(jobs["publish"]["needs"]) == {"packages", "images"}
    assert RELEASE[ON] == {"push": {"tags": ["v*"]}}
    first = next(step["run"] for step in steps(RELEASE, "packages") if "run" in step)
    assert first == 'scripts/check-tag "$GITHUB_REF_NAME"'


def test_the_tests_run_on_the_oldest_python_and_a_new_one() -> None:
    pythons = TEST["jobs"]["test"]["strategy"]["matrix"]["python"]
    project = (ROOT / "pyproject.toml").read_text()
    assert f'requires-python = ">={pythons[0]}"' in project
    assert all(isinstance(version, str) for version in pythons)
    # Debian's release and the one in the image.
    image = (ROOT / "deploy" / "Dockerfile").read_text()
    assert f"ARG PYTHON={pythons[-1]}-" in image


def test_no_job_has_more_rights_than_it_needs() -> None:
    for workflow in (TEST, RELEASE):
        assert workflow["permissions"] == {"contents": "read"}
    writes = {
        (job, right)
        for job, content in RELEASE["jobs"].items()
        for right, kind in content.get("permissions", {}).items()
        if kind == "write"
    }
    assert writes == {
        ("packages", "id-token"),
        ("packages", "attestations"),
        ("images", "packages"),
        ("images", "id-token"),
        ("publish", "contents"),
        ("publish", "id-token"),
    }
    for step in [*steps(TEST), *steps(RELEASE)]:
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v1)", step["uses"])
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False
        # A tag's name is data: it reaches the shell as a variable only.
        assert "${{" not in step.get("run", "")


def test_the_images_are_those_that_home_assistant_asks_for() -> None:
    bridge, app = map(images, pushed())
    assert app.keys() == bridge.keys() == {"${{ env.VERSION }}", "latest"}
    assert set(app.values()) == {APP["image"]}
    assert set(bridge.values()) == {APP["image"].removesuffix("-app")}
    wanted = {PLATFORMS[machine] for machine in APP["arch"]}
    for step in pushed():
        assert set(step["with"]["platforms"].split(",")) == wanted
    assert pushed()[1]["with"]["build-args"] == "BUILD_VERSION=${{ env.VERSION }}"


def test_every_image_is_signed() -> None:
    signed = {}
    for step in steps(RELEASE, "images"):
        if found := re.fullmatch(
            r'cosign sign --yes "(.*)@\$DIGEST"', step.get("run", "")
        ):
            signed[step["env"]["DIGEST"]] = found[1]
    for step in pushed():
        digest = f"${{{{ steps.{step['id']}.outputs.digest }}}}"
        assert {signed[digest]} == set(images(step).values())


def test_a_tag_that_names_another_version_is_refused(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in ("scripts/check-tag", "bridge/__init__.py", "CHANGELOG.md"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    app = tree / "deploy/home-assistant-os/config.yaml"
    app.parent.mkdir(parents=True)
    app.write_text(f"name: x\nversion: {__version__} # copied\n")
    changes = tree / "CHANGELOG.md"

    def said(tag: str) -> str:
        done = subprocess.run(
            [tree / "scripts" / "check-tag", tag],
            capture_output=True,
            text=True,
            check=False,
        )
        assert bool(done.returncode) == bool(done.stderr)
        return done.stderr

    right = f"v{__version__}"
    changes.write_text("## [Unreleased]\n")
    assert "CHANGELOG.md has no heading" in said(right)
    changes.write_text(f"## [{__version__}] - 2026-12-01\n")
    assert said(right) == ""
    assert "but the version in bridge/__init__.py is" in said("v99.0.0")
    assert "but the version" in said(__version__)
    app.write_text("version: 99.0.0\n")
    assert "run scripts/documents" in said(right)
