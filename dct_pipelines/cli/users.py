"""`dct user`: who may do what."""

from __future__ import annotations

from typing import Annotated

import typer

from dct_pipelines.cli.options import LOCAL, As, Json
from dct_pipelines.domain.roles import Role

app = typer.Typer(help="Users and their roles; try one with --as USER.", no_args_is_help=True)


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Its name.")],
    role: Annotated[Role, typer.Option(help="What it may do: see docs/reference/cli.md.")],
    email: Annotated[str | None, typer.Option(help="Where it is reached.")] = None,
    by: As = LOCAL,
    json_output: Json = False,
) -> None:
    """Add a user, or give an existing one another role."""
    from dct_pipelines.cli.output import print_json, say
    from dct_pipelines.cli.session import catalog_of, services

    with services() as services_:
        catalog_of(services_).save_user(name, role, email, by)
    if json_output:
        print_json({"name": name, "role": role.value, "email": email})
    else:
        say(f"{name} is a {role}")


@app.command("list")
def list_all(json_output: Json = False) -> None:
    """Every user."""
    from dct_pipelines.cli.output import print_json, table
    from dct_pipelines.cli.session import catalog_of, services

    with services() as services_:
        found = catalog_of(services_).users()
    if json_output:
        print_json(
            [
                {"name": one.name, "role": one.role, "email": one.email, "is_active": one.is_active}
                for one in found
            ]
        )
        return
    rows = [[one.name, one.role, one.email, "" if one.is_active else "switched off"] for one in found]
    table(("name", "role", "email", "state"), rows, empty="no user but the local administrator")
