"""`optsched serve` keeps its parts alive and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from optsched.cli import group
from optsched.errors import InputError
from optsched.k8s.configuration import load
from optsched.k8s.parent import starting
from optsched.k8s.service import PARTS, Part, Service, _Running, _stop, choose
from optsched.k8s.settings import Deployment, Settings
from optsched.k8s.table import Board

from .conftest import HEAD, PATIENCE, Client, gone, pod, until

BODY = {"Pod": pod(), "Nodes": None, "NodeNames": ["n0"]}


def optsched(*words: str) -> Result:
    """The command line."""
    return CliRunner().invoke(group, ["serve", *words])


@dataclass
class Running:
    """A running `optsched serve`."""

    process: subprocess.Popen[bytes]
    log: Path
    board: Board

    def child(self) -> int:
        """The front end's process, once it answers."""
        ack = until(lambda: self.board.ack())
        return int(ack.process)

    def works(self) -> bool:
        """Whether the newest front end answers."""
        told = re.findall(r"verbs=(\d+)", self.log.read_text())
        try:
            return bool(told) and Client(int(told[-1])).post("filter", BODY)["Error"] == ""
        except OSError:
            return False


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Running]:
    """The service with free ports."""
    config, log = tmp_path / "optsched.yaml", tmp_path / "log"
    free = {name: {"port": 0} for name in ("extender", "metrics", "health")}
    config.write_text(yaml.safe_dump({**HEAD, **free, "runtime": str(tmp_path / "run")}))
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [
                Path(sys.executable).parent / "optsched",
                "serve",
                "--part",
                "extender",
                "--config",
                str(config),
            ],
            stderr=sink,
            env=starting(),
        )
    yield Running(process, log, Board(tmp_path / "run"))
    if process.poll() is None:
        process.terminate()
        process.wait(PATIENCE)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_part_that_dies_or_hangs_is_replaced(serving: Running, how: signal.Signals) -> None:
    """And the new one answers; in the end nothing is left."""
    until(serving.works)
    first = serving.child()
    until(lambda: "started as process" in serving.log.read_text())
    os.kill(first, how)
    until(lambda: gone(first))
    until(lambda: serving.child() != first and serving.works())
    last = serving.child()
    serving.process.send_signal(signal.SIGTERM)
    assert serving.process.wait(PATIENCE) == 0
    assert gone(last)


@pytest.mark.skipif(sys.platform != "linux", reason="no such signal on this system")
def test_parts_end_with_the_service_that_is_killed(serving: Running) -> None:
    """Nobody can stop them any more then, so they do not outlive it."""
    until(serving.works)
    front = serving.child()
    serving.process.kill()
    assert serving.process.wait(PATIENCE) == -signal.SIGKILL
    until(lambda: gone(front))
    assert gone(front)


def test_parts_that_cannot_be_configured_end_the_service(tmp_path: Path) -> None:
    """A port that somebody else has is not tried for ever."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = tmp_path / "optsched.yaml"
        extender = {"port": taken.getsockname()[1]}
        config.write_text(
            yaml.safe_dump({**HEAD, "runtime": str(tmp_path / "run"), "extender": extender})
        )
        done = subprocess.run(
            [
                Path(sys.executable).parent / "optsched",
                "serve",
                "--part",
                "extender",
                "--config",
                str(config),
            ],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert done.returncode == 2
    assert f"port {extender['port']} of 127.0.0.1 cannot be opened" in done.stderr
    assert "Traceback" not in done.stderr


def test_parts_leave_the_processor_to_the_front_end(tmp_path: Path) -> None:
    """Whatever else is started has a lower priority than what the scheduler waits for."""
    assert PARTS["extender"].nice == 0
    assert all(part.nice > 0 for name, part in PARTS.items() if name != "extender")
    part = Part("timeit")
    service = Service({"x": part}, Settings(runtime=str(tmp_path)), "__import__('time').sleep(99)")
    running = _Running("x", part)
    service._start(running, 0.0)
    assert running.process is not None
    try:
        assert os.getpriority(os.PRIO_PROCESS, running.process.pid) == part.nice > 0
    finally:
        _stop([running])
    assert running.process.poll() is not None


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="no such scheduling on this system")
def test_solvers_step_back() -> None:
    """They, and what they start, run only when nobody else wants to."""
    code = (
        "import os, subprocess, sys\n"
        "from optsched.k8s.priority import step_back\n"
        "step_back()\n"
        "child = 'import os; print(os.sched_getscheduler(0))'\n"
        "subprocess.run([sys.executable, '-c', child], check=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == os.SCHED_IDLE


def test_parts_follow_the_deployment() -> None:
    """The extender is not needed where gates do the work; names are checked."""
    assert set(choose((), Settings())) == {"extender", "brain"}
    assert set(choose((), Settings(deployment=Deployment.GATED))) == {"brain", "reaper"}
    assert choose(("extender",), Settings(deployment=Deployment.GATED)) == {
        "extender": PARTS["extender"]
    }
    with pytest.raises(InputError, match=r"no part 'brian'; there are .*extender"):
        choose(("brian",), Settings())


def test_the_configuration_is_printed_and_checked(tmp_path: Path) -> None:
    """What is printed is a file; a bad one is refused in one line with exit code 2."""
    path = tmp_path / "optsched.yaml"
    path.write_text(yaml.safe_dump({**HEAD, "mode": "DryRun"}))
    printed = optsched("--config", str(path), "--print-config")
    assert printed.exit_code == 0
    (tmp_path / "again.yaml").write_text(printed.stdout)
    assert load(tmp_path / "again.yaml", {}) == load(path, {})
    good = optsched("--config", str(path), "--validate-config")
    assert (good.exit_code, good.stdout) == (0, f"{path} is good\n")
    path.write_text(yaml.safe_dump({**HEAD, "modes": "DryRun"}))
    for flag in ("--print-config", "--validate-config", "--part=extender"):
        bad = optsched("--config", str(path), flag)
        assert bad.exit_code == 2
        assert bad.stderr == f"Error: {path}: modes is not known; did you mean mode?\n"
    assert optsched("--part", "brian").exit_code == 2
