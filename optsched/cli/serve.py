"""`optsched serve`: run the service that helps a kube-scheduler."""

from __future__ import annotations

import click

from .parameters import Command


@click.command("serve", cls=Command, short_help="Run the service that helps a kube-scheduler.")
@click.option("--config", metavar="FILE", help="The configuration; without it the defaults hold.")
@click.option(
    "--part",
    "parts",
    multiple=True,
    metavar="NAME",
    help="Run this part only; may be given again. Default: all that the deployment needs.",
)
@click.option(
    "--print-config", is_flag=True, help="Print the configuration that is in force, and end."
)
@click.option(
    "--validate-config", is_flag=True, help="Say whether the configuration is good, and end."
)
@click.option(
    "--write-manifests",
    metavar="DIR",
    help="Write the Helm chart and the kustomize folders into a new folder, and end.",
)
@click.pass_context
def command(
    ctx: click.Context,
    config: str | None,
    parts: tuple[str, ...],
    print_config: bool,
    validate_config: bool,
    write_manifests: str | None,
) -> None:
    """Run the service until SIGTERM. Each part is a process of its own and is kept alive.

    Every setting is an environment variable too: guard.maxHold is OPTSCHED_CONFIG_GUARD_MAX_HOLD.
    The file is read again when it changes; one that is not good leaves the last good one in force.

    \b
    Example:
      optsched serve --config optsched.yaml --validate-config
      optsched serve --config optsched.yaml
      optsched serve --write-manifests install && helm install optsched install/chart
    """
    if write_manifests is not None:
        from optsched.k8s.install import write

        for folder in write(write_manifests):
            click.echo(folder)
        return
    try:
        from optsched.k8s.configuration import load, to_yaml

        settings = load(config)
    except ImportError as error:
        raise _missing() from error
    if print_config:
        click.echo(to_yaml(settings), nl=False)
    elif validate_config:
        click.echo(f"{config or 'the configuration'} is good")
    else:
        check_installation()
        from optsched.k8s.logs import set_up
        from optsched.k8s.service import Service, choose

        chosen = choose(parts, settings)
        set_up(settings.logging)
        ctx.exit(Service(chosen, settings, config).run())


def check_installation() -> None:
    """MissingExtraError unless everything is there that the service needs."""
    from importlib.util import find_spec

    needed = "aiohttp httptools kubernetes prometheus_client starlette uvicorn uvloop"
    for name in needed.split():
        if find_spec(name) is None:
            raise _missing()


def _missing() -> Exception:
    from optsched.errors import MissingExtraError

    return MissingExtraError("the service needs more packages: pip install 'optsched[k8s]'")
