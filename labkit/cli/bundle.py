"""`labkit bundle`: the lab in one file, for machines without the network."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--solutions", is_flag=True, help="Keep the solutions in the notebooks.")
def bundle(*, file: Path, solutions: bool) -> None:
    r"""Pack the lab into one file, for machines without the network.

    FILE is a zip with the wheels, Prometheus, the notebooks as learners get them, and install.py,
    which installs all of it into one folder. It fits machines with this one's system and version
    of Python. It is made in a clone, where there is a network.

    On the other machine, unpack it and run the script that is in it:
    python3 -m zipfile -e lab.zip . && python3 lab/install.py

    \b
    Examples:
      labkit bundle lab.zip
      labkit bundle lab.zip --solutions
    """
    from labkit.bundle import write

    write(file, click.echo, solutions=solutions)
    click.echo(f"Written: {file.absolute()} ({file.stat().st_size >> 20} MB)")
