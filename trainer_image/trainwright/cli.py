"""The command line: thin commands over the package's functions; the only place that prints.

Heavy imports happen inside the commands, so that `trainwright --help` answers at once.
"""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Annotated

import typer

from trainwright.errors import BadInput, TrainwrightError, WorkspaceFull

app = typer.Typer(
    help="Train conversational models from one YAML file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RunFile = Annotated[Path, typer.Argument(metavar="FILE", help="A TrainingRun, as YAML.")]
Workdir = Annotated[Path | None, typer.Option(help="Folder of the run; absent: ./NAME, after metadata.name.")]
Mounts = Annotated[
    list[str] | None, typer.Option("--mount", metavar="pvc://CLAIM=DIR", help="Where a claim lies here.")
]
RunName = Annotated[str, typer.Argument(metavar="NAME", help="A TrainingRun on the cluster.")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Its namespace; absent: the context's.")]


def main() -> None:
    """Run a command; errors are told in two lines on stderr and end with the contract's exit code."""
    try:
        app()
    except TrainwrightError as error:
        _complain(error)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        full = WorkspaceFull(
            f"no space left on the disk that holds {error.filename or 'the workdir'}",
            hint="make room there, then start the same command again: it goes on where it stopped",
        )
        _complain(full)
        sys.exit(full.exit_code)


@app.command()
def run(
    file: RunFile,
    workdir: Workdir = None,
    until: Annotated[str | None, typer.Option(metavar="STAGE", help="Stop after this stage.")] = None,
    fresh: Annotated[list[str] | None, typer.Option(metavar="STAGE", help="Run this stage again.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="At most so many exchanges of each source.")] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Training processes; absent: a GPU each, else two.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that read and prepare rows.")] = None,
    mount: Mounts = None,
) -> None:
    """Run all stages on this machine; the same command again goes on where it was."""
    from rich.console import Console

    from trainwright import live, local

    console = Console()
    view = live.LiveView(console) if console.is_terminal else live.PlainView(console)
    options = local.Options(
        workdir=workdir,
        until=_stage(until),
        fresh=tuple(_stage(name) or "" for name in fresh or ()),
        sample=sample,
        mounts=_mounts(mount),
        processes=processes,
        workers=workers,
    )
    try:
        outcome = local.run(file, options, view)
    finally:
        if isinstance(view, live.LiveView):
            view.close()
    if until is None:
        console.print(f"report: {outcome / 'report.html'}", soft_wrap=True, highlight=False)


@app.command()
def validate(
    file: RunFile,
    cluster: Annotated[bool, typer.Option("--cluster", help="As the API server would.")] = False,
) -> None:
    """Check a TrainingRun: every problem with its line, and what to write instead."""
    from trainwright import api, contract

    text = _read(file)
    problems = api.problems(text, cluster=cluster)
    for problem in problems:
        typer.echo(f"{file}:{problem}", err=True)
    if problems:
        raise typer.Exit(BadInput.exit_code)
    for run_of_file in api.load_runs(file):
        for field in contract.unbuilt(run_of_file.spec):
            typer.echo(f"{file}: warning: {field}: not built yet, `run` refuses it", err=True)
        for field in api.without_effect(run_of_file.spec):
            typer.echo(f"{file}: warning: {field}: has no effect, `enabled` beside it is false", err=True)
    typer.echo(f"{file}: valid")


@app.command()
def schema() -> None:
    """Print the CustomResourceDefinition as YAML."""
    from trainwright.api import schema

    typer.echo(schema.crd_yaml(), nl=False)


@app.command()
def plan(
    file: RunFile,
    workdir: Workdir = None,
    gpu: Annotated[str | None, typer.Option(help="Plan for this GPU, such as A100-80GB.")] = None,
    price: Annotated[float | None, typer.Option(help="Price of one device for an hour.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="At most so many exchanges of each source.")] = None,
    mount: Mounts = None,
) -> None:
    """Say what a run needs: parameters, memory, disk, steps, time and cost. Nothing is downloaded or run."""
    from trainwright import local

    options = local.Options(workdir=workdir, sample=sample, mounts=_mounts(mount))
    typer.echo(local.plan_file(file, options, gpu=gpu, price=price), nl=False)


@app.command()
def inspect(
    uri: Annotated[str, typer.Argument(metavar="URI", help="A path, or files and data sets as in data.sources[].uri.")],
    examples: Annotated[bool, typer.Option("--examples", help="Show the first rows as well.")] = False,
    mount: Mounts = None,
) -> None:
    """Look at a source before training on it: columns, guessed mapping, bad lines, lengths."""
    from pydantic import ValidationError

    from trainwright.api import Spec
    from trainwright.contract import RunConfig
    from trainwright.ingest import inspect_source

    here = Path.cwd()
    if "://" not in uri:
        uri = (here / uri).as_uri()
    try:
        spec = Spec.model_validate({"goal": "PrepareData", "data": {"sources": [{"uri": uri}]}})
    except ValidationError as error:
        raise BadInput(f"{uri} {error.errors()[0]['msg']}") from error
    config = RunConfig(name="inspect", spec=spec, workdir=here, base_folder=here, mounts=_mounts(mount))
    for line in inspect_source(uri, config, spec.data.sources[0].columns).render(examples=examples):
        typer.echo(line)


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="What to look for.")],
    workdir: Annotated[Path, typer.Option(help="Folder of a run.")],
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many exchanges.")] = 5,
) -> None:
    """Find the training exchanges nearest to a text."""
    from trainwright.index import search
    from trainwright.survey import newest

    for hit in search(newest(workdir, "index").folder, text, limit):
        typer.echo(f"{hit.score:.3f}  {hit.prompt!r} → {hit.response!r}  ({hit.source}, row {hit.row})")


@app.command()
def chat(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A trained model: WORKDIR/model.")],
    once: Annotated[str | None, typer.Option(metavar="TEXT", help="Answer this and end.")] = None,
) -> None:
    """Talk to a trained model; it remembers the earlier turns. Ctrl-D ends."""
    from trainwright.chat import Chat

    talk = Chat(folder)
    while True:
        try:
            said = once if once is not None else typer.prompt("you", prompt_suffix="> ")
        except typer.Abort:
            typer.echo()
            return
        for piece in talk.reply(said):
            typer.echo(piece, nl=False)
        typer.echo()
        if once is not None:
            return


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
    examples: Annotated[bool, typer.Option(help="With rows and answers; --no-examples leaves them out.")] = True,
) -> None:
    """Make the report page of a run again from its finished stages."""
    from trainwright import local

    typer.echo(local.report_again(folder, examples=examples))


@app.command()
def status(name: RunName, namespace: Namespace = None) -> None:
    """Tell how a run on the cluster stands."""
    from trainwright import kubectl

    for line in kubectl.status_lines(name, namespace):
        typer.echo(line)


@app.command()
def logs(
    name: RunName,
    namespace: Namespace = None,
    group: Annotated[str | None, typer.Option(help="data, index, train or finish; absent: the newest pod.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
) -> None:
    """Show the log of a run's newest pod on the cluster."""
    from trainwright import kubectl

    raise typer.Exit(kubectl.follow_logs(name, namespace, group=group, follow=follow))


@app.command()
def suspend(name: RunName, namespace: Namespace = None) -> None:
    """Stop a run on the cluster after its current checkpoint; every GPU is freed, what is finished stays."""
    from trainwright import kubectl

    typer.echo(kubectl.suspend(name, namespace, suspended=True))


@app.command()
def resume(name: RunName, namespace: Namespace = None) -> None:
    """Let a suspended run on the cluster go on."""
    from trainwright import kubectl

    typer.echo(kubectl.suspend(name, namespace, suspended=False))


@app.command()
def retry(
    name: RunName,
    namespace: Namespace = None,
    changes: Annotated[list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a field.")] = None,
    new_name: Annotated[str | None, typer.Option("--name", help="Of the new run; absent: NAME-2.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the new run, make nothing.")] = False,
) -> None:
    """Try a failed run on the cluster again as a new one that goes on in its workspace."""
    import yaml

    from trainwright import kubectl

    manifest = kubectl.retry_manifest(name, namespace, kubectl.changes_of(changes or []), new_name)
    if dry_run:
        typer.echo(yaml.safe_dump(manifest, sort_keys=False), nl=False)
        return
    typer.echo(kubectl.apply(manifest))


def _stage(name: str | None) -> str | None:
    from trainwright.contract import STAGE

    if name is not None and name not in STAGE:
        raise BadInput(f"{name!r} is no stage", hint=f"one of {', '.join(STAGE)}")
    return name


def _mounts(values: list[str] | None) -> dict[str, Path]:
    mounts = {}
    for value in values or ():
        claim, _, folder = value.removeprefix("pvc://").partition("=")
        if not value.startswith("pvc://") or not folder:
            raise BadInput(
                f"--mount {value}: not of the form pvc://CLAIM=DIR", hint="--mount pvc://corpus=/data/corpus"
            )
        mounts[claim.rstrip("/")] = Path(folder).resolve()
    return mounts


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}", hint="check the path") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{file} is not UTF-8 text (byte {error.start})", hint="save it as UTF-8") from error


def _complain(error: TrainwrightError) -> None:
    typer.echo(f"{error.reason}: {error.message}", err=True)
    if error.hint:
        typer.echo(f"  → {error.hint}", err=True)
