"""What ships for an administrator follows from the code, and gives the rights that it needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from roles import Permission, permissions

from optsched import __version__
from optsched.cli import group
from optsched.k8s.install import HERE, made, write
from optsched.k8s.leader import LEASES
from optsched.k8s.rights import ADVISE, BESIDE, ENFORCE, OPTIONAL, READS, Right

ROOT = Path(__file__).resolve().parents[2]
HOME = LEASE = ACCOUNT = "optsched"
FOLDERS = ("base", "second-scheduler", "control-plane")
# Besides its own Lease: the scheduler in the pod holds one as well, for which it needs these.
SCHEDULERS = {
    "base": set(),
    "second-scheduler": {
        Permission(verb, "coordination.k8s.io", "leases", HOME, "optsched-scheduler")
        for verb in ("get", "update")
    },
    "control-plane": {
        Permission("get", "coordination.k8s.io", "leases", "kube-system", "kube-scheduler")
    },
}


def objects(*paths: str) -> list[dict[str, Any]]:
    """Of files of the manifests."""
    texts = [(HERE / "manifests" / path).read_text() for path in paths]
    return [tree for text in texts for tree in yaml.safe_load_all(text)]


def needed(right: Right) -> Permission:
    """What a role must say for a right of the code."""
    kind = f"{right.resource.plural}/{right.sub}" if right.sub else right.resource.plural
    home = HOME if right.namespaced else ""
    name = LEASE if right.namespaced and right.verb != "create" else ""
    return Permission(right.verb, right.resource.group, kind, home, name)


@pytest.mark.parametrize("path", made(), ids=str)
def test_files_follow_from_the_code(path: Path) -> None:
    """What is there is what `python -m optsched.k8s.install` would write."""
    assert (HERE / path).read_bytes() == made()[path]


@pytest.mark.parametrize("folder", FOLDERS)
def test_roles_say_what_the_code_asks_for(folder: str) -> None:
    """Nothing is missing and nothing is too much, first as an adviser, then as an executor."""
    adviser = objects(f"{folder}/install.yaml")
    wanted = {needed(right) for right in (*READS, *ADVISE)} | SCHEDULERS[folder]
    # The doctor and the brain look whether the custom resource is there by listing it.
    wanted.add(Permission("list", "optsched.io", "planslots"))
    assert permissions(adviser, ACCOUNT, HOME) == wanted
    executor = [*adviser, *objects("enforce/executor.yaml")]
    wanted |= {needed(right) for right in (*ENFORCE, *OPTIONAL)}
    assert permissions(executor, ACCOUNT, HOME) == wanted
    assert (BESIDE.verb, BESIDE.resource) == ("get", LEASES)


def test_roles_where_pods_are_gated() -> None:
    """The right to open gates is there whatever the mode is."""
    wanted = {needed(right) for right in (*READS, *ADVISE, *ENFORCE, *OPTIONAL)}
    wanted.add(Permission("list", "optsched.io", "planslots"))
    assert permissions(objects("gated/install.yaml"), ACCOUNT, HOME) == wanted


@pytest.mark.parametrize("folder", FOLDERS)
def test_roles_stay_away_from_what_they_must_not_touch(folder: str) -> None:
    """No wildcard, secret, ConfigMap, binding, write to nodes or delete of pods."""
    for one in permissions(
        objects(f"{folder}/install.yaml", "enforce/executor.yaml"), ACCOUNT, HOME
    ):
        assert "*" not in one
        assert one.resource not in ("secrets", "configmaps", "pods/binding", "bindings")
        assert one.resource != "nodes" or one.verb in ("list", "watch")
        assert one.resource != "pods" or one.verb in ("list", "watch", "patch")


def test_write_manifests(tmp_path: Path) -> None:
    """Everything is copied, once; what is there already is not touched."""
    target = tmp_path / "new" / "folder"
    done = CliRunner().invoke(group, ["serve", "--write-manifests", str(target)])
    assert done.exit_code == 0
    assert done.stdout.split() == [str(target / "chart"), str(target / "manifests")]
    copied = {path.relative_to(target) for path in target.rglob("*") if path.is_file()}
    there = [path for name in ("chart", "manifests") for path in (HERE / name).rglob("*")]
    assert copied == {path.relative_to(HERE) for path in there if path.is_file()}
    again = CliRunner().invoke(group, ["serve", "--write-manifests", str(target)])
    assert again.exit_code == 2
    assert "is not empty" in again.output


def test_write_manifests_where_nothing_can_be_written(tmp_path: Path) -> None:
    """One sentence."""
    (tmp_path / "file").touch()
    done = CliRunner().invoke(group, ["serve", "--write-manifests", str(tmp_path / "file" / "x")])
    assert done.exit_code == 2
    assert "cannot be written" in done.output


def test_the_image_of_the_manifests_is_this_release(tmp_path: Path) -> None:
    """A kustomization replaces the name; the version is ours."""
    (_, manifests) = write(tmp_path)
    for folder in FOLDERS:
        assert (
            f"image: optsched:{__version__}\n" in (manifests / folder / "install.yaml").read_text()
        )


def test_the_container_runs_as_nobody_in_particular() -> None:
    """Two stages; the second has the wheel with its extras, no build tools, and a numeric user."""
    text = (ROOT / "Containerfile").read_text().replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and line[0] != "#"]
    first, second = (at for at, (word, *_) in enumerate(lines) if word == "FROM")
    final = dict(lines[second:])
    assert final["USER"] == "65532:65532"
    assert final["ENTRYPOINT"] == '["optsched"]'
    assert "RUN" not in final
    build = " ".join(line for _, line in lines[first:second])
    assert re.search(r"dist/\*\.whl", build)
    assert "[k8s,serve]" in build
    pod = next(one for one in objects("base/install.yaml") if one["kind"] == "Deployment")
    security = pod["spec"]["template"]["spec"]["securityContext"]
    assert f"{security['runAsUser']}:{security['runAsGroup']}" == final["USER"]
