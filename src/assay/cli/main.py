"""The entry point: loads commands, and turns errors into messages and exit codes."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from typing import Any

import click

from ..errors import AssayError, InputError, Interrupted
from .mistakes import instead_of, no_command
from .streams import give_up_output, prepare_streams, trouble

COMMANDS = {
    "init": "Write a commented study file to begin with.",
    "run": "Run a study, or resume it.",
    "plan": "Estimate how many seeds and images a difference needs.",
    "status": "Show finished, running and queued runs.",
    "runs": "List a study's runs.",
    "compare": "Judge which arm is better, by how much, and how surely.",
    "threshold": "Choose the probability from which a class is called.",
    "curve": "Extrapolate what more training images would bring.",
    "robustness": "Test runs on corrupted images, with verdicts.",
    "judge": "Judge results of other tools: tables, trackers, predictions.",
    "ledger": "List every claim of a store, and which ones stand.",
    "diagnose": "Find problems of runs, with evidence and what to try.",
    "explain": "Draw pictures of what a run learned and where it fails.",
    "report": "Write a study's report, one HTML file.",
    "figure": "Write a figure of a report as PDF, SVG or PNG, for a paper.",
    "reveal": "Score the finished runs on the sealed test split.",
    "describe": "Show layers, shapes, parameters and FLOPs, before training.",
    "lr-range": "Run a learning-rate range test.",
    "reproduce": "Train documents A to E again, and judge their claims.",
    "predict": "Classify images: files, folders, tables, IDX, npz.",
    "export": "Write a run's network for Keras, ONNX, PyTorch or C, with a model card.",
    "convert": "Convert Keras models (notebook, script, .keras) to a study file.",
    "data": "List, show, fetch and make data sets.",
    "serve": "Show the store in a browser: live studies, and a playground.",
    "cite": "Print BibTeX of a study's data set and methods.",
    "schema": "Print a JSON Schema of study files, for editors.",
    "doctor": "Check this machine and installation, or check and mend a store.",
    "backup": "Copy a store, also while runs go on.",
}

EXIT_DONE, EXIT_FAILED_RUNS, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 0, 1, 2, 130
EXIT_PIPE = 141  # as shells give it for a program that SIGPIPE ended: what it was to do may be undone


class _Commands(click.Group):
    """Imports a command's file only when that command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{cmd_name.replace('-', '_')}", __package__)
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            ctx.fail(no_command(args[0], COMMANDS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="assay", prog_name="assay")
def commands() -> None:
    """Which choice makes this network better, and can I trust the answer?

    Exit codes: 0 done, 1 some runs failed, 2 bad input, 130 interrupted, 141 its output was closed.
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; ends the process with its exit code."""
    prepare_streams()
    if "_ASSAY_COMPLETE" in os.environ:  # a shell asks what to complete: click answers, and ends the process
        commands.main(prog_name="assay")
    try:
        code = commands.main(arguments, prog_name="assay", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        sentence = instead_of(error) if isinstance(error, click.NoSuchOption) else ""
        (click.UsageError(sentence, getattr(error, "ctx", None)) if sentence else error).show()
        code = EXIT_BAD_INPUT
    except (click.Abort, KeyboardInterrupt, Interrupted) as error:
        click.echo(str(error) if isinstance(error, Interrupted) else "Stopped.", err=True)
        code = EXIT_INTERRUPTED
    except InputError as error:
        for problem in error.problems:
            click.echo(f"error: {problem}", err=True)
        code = EXIT_BAD_INPUT
    except AssayError as error:
        click.echo(f"error: {error}", err=True)
        code = EXIT_FAILED_RUNS
    except (BrokenPipeError, SystemExit):  # the reader of a pipe, such as head, has seen enough: click and Rich exit
        give_up_output()
        code = EXIT_PIPE
    except OSError as error:
        with contextlib.suppress(OSError):
            click.echo(f"error: {trouble(error)}", err=True)
        give_up_output()
        code = EXIT_FAILED_RUNS
    sys.exit(code if isinstance(code, int) else EXIT_DONE)
