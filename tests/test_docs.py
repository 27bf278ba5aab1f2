"""Help and README say what the commands do."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from optsched.cli import COMMANDS, group
from optsched.cli.exits import MEANING
from optsched.plan import Order
from optsched.problem import PlacementProblem
from optsched.snapshot import encode_snapshot

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
HEAVY = ("numpy", "msgspec", "rich", "ortools", "gymnasium", "torch", "kubernetes")


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its words, subcommands too."""
    context = click.Context(group)
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            for below in command.list_commands(context):
                subcommand = command.get_command(context, below)
                assert subcommand is not None
                yield f"{name} {below}", subcommand


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_help_has_an_example(name: str, command: click.Command) -> None:
    """Every command explains itself, with a worked example that calls it."""
    for flag in ("-h", "--help"):
        done = CliRunner().invoke(group, [*name.split(), flag])
        assert done.exit_code == 0
        assert "Example" in done.stdout
        assert f"optsched {name}" in done.stdout
    assert command.get_short_help_str(200)


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_every_option_has_help(name: str, command: click.Command) -> None:
    """No option is left unexplained."""
    del name
    for param in command.params:
        if isinstance(param, click.Option):
            assert param.help, param.name


@pytest.mark.parametrize("name", COMMANDS)
def test_readme_names_every_command(name: str) -> None:
    """The README's table has every command."""
    assert f"| `optsched {name}` |" in README


def test_exit_codes_are_documented() -> None:
    """Help and README list the same exit codes with the same words."""
    done = CliRunner().invoke(group, ["--help"])
    for code, meaning in MEANING.items():
        assert f"| {code.value} | {meaning} |" in README
        assert re.search(rf"^ +{code.value} +{re.escape(meaning)}$", done.stdout, re.M)


def test_readme_links_resolve() -> None:
    """Relative links and pictures of the README exist."""
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_readme_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_cluster: PlacementProblem
) -> None:
    """The Python example of the README works as it stands."""
    (tmp_path / "cluster.json").write_bytes(encode_snapshot(small_cluster))
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", README, re.S)
    names: dict[str, Any] = {}
    exec(example, names)
    assert names["result"].levels


def test_readme_commands_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_cluster: PlacementProblem
) -> None:
    """Each command of the README's section on files works as it stands, one after another."""
    items = small_cluster.items
    names = tuple("shop/cart-7d9f-x2x" if one == "shop/cart-1" else one for one in items.names)
    cluster = small_cluster.replace(items=replace(items, names=names))
    (tmp_path / "cluster.json").write_bytes(encode_snapshot(cluster))
    monkeypatch.chdir(tmp_path)
    for name in ("SOLVE_TIME_LIMIT", "SIMULATE_TIME_LIMIT"):
        monkeypatch.setenv(f"OPTSCHED_{name}", "1s")
    CliRunner().invoke(group, ["generate", "vm", "--pms", "12", "-o", "vms.json"])
    (block,) = re.findall(r"\*\*Files\.\*\*.*?```console\n(.*?)```", README, re.S)
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert len(commands) > 5
    for words in commands:
        assert words[0] == "optsched"
        done = CliRunner().invoke(group, words[1:])
        assert done.exit_code == 0, (words, done.output)
    assert {one.name for one in tmp_path.iterdir()} == {
        "cluster.json", "vms.json", "tasks.json", "plan.json", "report.html", "tasks.html"
    }  # fmt: skip


def test_sequences_are_all_offered() -> None:
    """--sequence offers every freedom of order there is."""
    context = click.Context(group)
    solve = group.get_command(context, "solve")
    assert solve is not None
    (option,) = [param for param in solve.params if param.name == "sequence"]
    assert isinstance(option.type, click.Choice)
    assert list(option.type.choices) == [order.value for order in Order]


def test_help_imports_nothing_heavy() -> None:
    """`optsched --help` answers without numpy, a solver library or rich."""
    code = (
        "import sys\n"
        "from optsched.cli import group\n"
        "group(['--help'], standalone_mode=False)\n"
        f"print('loaded:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"
