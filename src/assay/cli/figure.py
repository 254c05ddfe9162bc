"""assay figure"""

from __future__ import annotations

from pathlib import Path

import click

from .completion import studies
from .options import json_option, print_json, store_option, study_name
from .tables import print_table, say


@click.command("figure")
@click.argument("study", shell_complete=studies)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--format",
    type=click.Choice(["pdf", "svg", "png"]),
    default="pdf",
    show_default=True,
    help="The format. PDF and SVG hold vectors, PNG has 600 dots an inch.",
)
@click.option(
    "--width",
    default="column",
    show_default=True,
    help="The width: column (3.3 in), text (5.5 in), page (6.9 in), or a size such as 84mm, 240pt or 3.5.",
)
@click.option("--serif", "is_serif", is_flag=True, help="Use a serif font like Times, as most LaTeX classes do.")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="The file, or the folder for several figures.  [default: STUDY-NAME.pdf]",
)
@store_option
@json_option
def command(
    study: str,
    names: tuple[str, ...],
    format: str,
    width: str,
    is_serif: bool,
    output: Path | None,
    store: Path | None,
    as_json: bool,
) -> None:
    """Write figures of STUDY's report for a paper. Without a NAME, list the names of the figures.

    Figures are drawn with Matplotlib at their final size: include them in LaTeX without scaling. Each arm has its own
    marker, dashes and lightness, so arms can be told apart in greyscale. NAME may be all.
    """
    from ..api import result
    from ..errors import Problem, SpecError
    from ..report.paper import width_of
    from ..results.paper_figures import figure_named, paper_figures
    from ..results.verdict_record import with_look

    width_of(width)  # before anything is drawn
    study_result = result(study_name(study, store), store=store)
    figures = paper_figures(with_look(study_result.store, study_result.record), study_result.store)
    if not names:
        if as_json:
            print_json([{"name": f.name, "title": f.title, "caption": f.caption} for f in figures.values()])
            return
        print_table(["name", "figure"], [[figure.name, figure.title] for figure in figures.values()])
        click.echo(f"To write one: assay figure {study} {next(iter(figures), 'NAME')} --format pdf")
        return
    chosen = list(figures.values()) if "all" in names else [figure_named(figures, name, study) for name in names]
    is_file = output is not None and output.suffix != ""
    if output is not None and is_file and len(chosen) > 1:
        raise SpecError(Problem(f"{output} is one file, and {len(chosen)} figures were asked for", "give -o a folder"))
    if output is not None and is_file and output.suffix != f".{format}":
        raise SpecError(
            Problem(f"{output} does not end in .{format}", f"add --format {output.suffix[1:]}, or rename it")
        )
    files = {}
    for figure in chosen:
        file = f"{study_result.study}-{figure.name}.{format}"
        path = output if output is not None and is_file else (output or Path()) / file
        files[figure.name] = str(figure.save(path, width, is_serif=is_serif))
        if not as_json:
            click.echo(files[figure.name])
            say(f"  {figure.title}. {figure.caption}")
    if as_json:
        print_json({"files": files})
