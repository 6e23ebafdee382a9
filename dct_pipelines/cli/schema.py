"""`dct schema`: what a manifest may hold, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it to this file.")] = None,
) -> None:
    """Print the JSON Schema of manifests; an editor then completes and checks them as you type.

    With the YAML extension of your editor: `dct schema -o dct.schema.json`, and as the first line of a
    manifest: # yaml-language-server: $schema=dct.schema.json
    """
    import json

    from dct_pipelines.engine.manifests.schema import manifest_schema

    text = json.dumps(manifest_schema(), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
        typer.echo(f"wrote {output}")
