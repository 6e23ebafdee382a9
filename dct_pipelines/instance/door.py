"""The code server's door: `python -m dct_pipelines.instance.door code-server start ...`.

It is Dagster's own command, in a process that is quieter.
"""

from __future__ import annotations

from dagster._cli import main as dagster

from dct_pipelines.instance.quieter import be_quieter


def main() -> None:
    """Run it until told to end."""
    be_quieter()
    dagster()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
