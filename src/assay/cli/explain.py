"""assay explain"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..numerals import counted, percent
from .completion import arms, pictures, studies
from .options import json_option, print_json, store_option, study_name


@click.command("explain")
@click.argument("run", shell_complete=studies, required=False)
@click.option(
    "--only",
    shell_complete=pictures,
    metavar="NAMES",
    help="Draw only these pictures, separated by commas: confusion, classes, pairs, losses, calibration, confidence, "
    "agreement, features, kernels, activations, strongest, maximized, gradcam, gradients, occlusion, sanity.",
)
@click.option("--arm", shell_complete=arms, help="The arm, if a study is named.  [default: the best]")
@click.option("--seed", type=int, help="The seed, if a study is named.  [default: the first]")
@click.option("--layer", help="The layer of kernels and maps, as `assay describe` names it.")
@click.option("--image", metavar="INDEX|FILE", help="The image for activations and evidence: its number, or a file.")
@click.option(
    "--split",
    type=click.Choice(["validation", "test"]),
    default="validation",
    show_default=True,
    help="The images on which failures are shown; test once the run is scored on it.",
)
@click.option(
    "--projection",
    type=click.Choice(["pca", "tsne"]),
    default="pca",
    show_default=True,
    help="The projection of features.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The folder to write to.  [default: in the store]"
)
@click.option(
    "--format",
    type=click.Choice(["png", "svg", "pdf"]),
    default="png",
    show_default=True,
    help="The format of the pictures.",
)
@click.option(
    "--theme",
    type=click.Choice(["light", "dark"]),
    default="light",
    show_default=True,
    help="The theme of the pictures.",
)
@store_option
@json_option
def command(run: str | None, arm: str | None, seed: int | None, store: Path | None, **options: Any) -> None:
    """Draw pictures of what RUN learned and where it fails, as files with an index.html.

    RUN is the beginning of a run's id (`assay runs`) or a study's name, which means the first seed of its best arm. By
    default it is the latest study. Failures are shown on validation images.
    """
    from ..analysis.scores import LEAKY
    from ..api import find, result
    from ..errors import Problem, SpecError
    from ..store import default_folder, output_folder

    if run is None or arm is not None or seed is not None:
        chosen_run = result(study_name(run, store), store=store).run(arm, seed)
    else:
        chosen_run = find(Path(run).stem if run.endswith(".toml") else run, store=store)
    image = options["image"]
    explanation = chosen_run.explain(
        only=options["only"],
        layer=options["layer"],
        image=image,
        split=options["split"],
        projection=options["projection"],
    )
    if not explanation.pictures:
        raise SpecError([Problem(reason.rstrip(".")) for reason in explanation.left_out.values()])
    name = f"{chosen_run.study.name}-{chosen_run.record.id[:10]}"
    folder = options["output"] or output_folder(store or default_folder(), "explanations") / name
    paths = explanation.write(folder, format=options["format"], theme=options["theme"])
    if options["as_json"]:
        print_json({**explanation.as_dict(), "files": {name: str(path) for name, path in paths.items()}})
        return
    facts = explanation.about
    click.echo(
        f"{explanation.title}: {percent(facts['accuracy'])} of "
        f"{counted(facts['images'], facts['split'] + ' image')} right"
    )
    if facts["leaky"]:
        click.echo(LEAKY)
    for picture in explanation:
        click.echo(f"\n{paths[picture.name].name}: {picture.title}")
        click.echo(click.wrap_text(picture.caption, 100, initial_indent="  ", subsequent_indent="  "))
    for name, reason in explanation.left_out.items():
        click.echo(f"\nLeft out: {name}. {reason}")
    click.echo(f"\nEvery mistake, the costliest first: {paths['mistakes']}")
    click.echo(f"All of them: {paths['index'].resolve().as_uri()}")
