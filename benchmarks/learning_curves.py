"""Does the band of a learning curve hold what all the data bring? Curves from a quarter of the data, on real data sets.

A case is a data set and a network. Its curve is fitted to sizes up to a quarter of the data, and its 95 % band is asked
for the accuracy of all of them, which is trained as well. Each curve is fitted again from a sixteenth for the accuracy
of a quarter, and so on, as far as sizes allow.

    python benchmarks/learning_curves.py --store /tmp/curves          # trains what is missing: about half an hour
    python benchmarks/learning_curves.py --store /tmp/curves --only digits
    python benchmarks/learning_curves.py --store /tmp/curves --figures benchmarks/results/learning-curves.json

``--figures`` trains nothing: it writes the scores of every size and what each family of curves says, and prints the
table of docs/evidence/statistics-simulations.md. ``--from FILE`` prints it from such a file, without a store.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

NETWORKS: dict[str, list[str]] = {
    "linear": ["flatten"],
    "dense": ["flatten", "dense 32 relu"],
    "conv": ["conv 4 3x3 relu padding=same", "maxpool 2", "flatten"],
    "wider": ["conv 12 3x3 relu padding=same", "maxpool 2", "flatten"],
    "deeper": ["conv 8 3x3 relu padding=same", "maxpool 2", "conv 16 3x3 relu padding=same", "maxpool 2", "flatten"],
    "dropout": ["conv 8 3x3 relu padding=same", "maxpool 2", "flatten", "dropout 0.4", "dense 24 relu"],
    "pooled": ["conv 8 5x5 relu padding=same", "batchnorm", "maxpool 2", "conv 16 3x3 relu", "globalavgpool"],
}  # each with "dense classes softmax" at its end
FEW = ("linear", "dense", "conv", "deeper")  # on the large data sets
# Small sets are trained for longer, as people would: epochs fall with the square root of the size. Once they do not.
DATA: dict[str, dict[str, Any]] = {
    "digits": {
        "data": {"name": "digits", "validation": 0.2}, "sizes": [3, 7, 14, 28, "all"],
        "epochs": [100, 66, 46, 33, 16], "seeds": 10,
    },
    "digits, 20 epochs": {
        "data": {"name": "digits", "validation": 0.2}, "sizes": [3, 7, 14, 28, "all"], "epochs": [20] * 5, "seeds": 10,
    },
    # Healthy pictures are rare: 384 of each class are all that both have.
    "xray": {
        "data": {"path": "pneumonia_imbalanced.npz", "validation": "given"},
        "sizes": [6, 12, 24, 48, 96, 384], "epochs": [64, 45, 32, 22, 16, 8], "seeds": 5,
    },
    "mnist": {
        "data": {"name": "mnist"}, "sizes": [42, 84, 169, 338, 675, 1350, "all"],
        "epochs": [20, 14, 10, 7, 5, 4, 2], "seeds": 3, "networks": FEW,
    },
    "fashion_mnist": {
        "data": {"name": "fashion_mnist"}, "sizes": [42, 84, 169, 338, 675, 1350, "all"],
        "epochs": [20, 14, 10, 7, 5, 4, 2], "seeds": 3, "networks": FEW,
    },
    "cifar10": {
        "data": {"path": "cifar10_jpeg", "name": "cifar10"}, "sizes": [35, 70, 140, 281, 562, 1125, "all"],
        "epochs": [20, 14, 10, 7, 5, 4, 2], "seeds": 3, "networks": FEW,
    },
}  # fmt: skip


def study_name(data: str) -> str:
    return "curves-" + re.sub(r"\W+", "-", data)


def study_of(name: str, folder: Path) -> Any:
    """The study of a data set: every network with every size."""
    from assay.spec import Study

    entry = DATA[name]
    data = {**entry["data"], "training": "{images.size} per class"}
    sizes = zip(entry["sizes"], entry["epochs"], strict=True)
    levels = {f"n{size}": {"size": size, "epochs": epochs} for size, epochs in sizes}
    if "path" in data:
        data["path"] = str(folder / data["path"])
    return Study.of(
        {
            "name": study_name(name),
            "question": f"How much do more images bring on {name}?",
            "data": data,
            "arms": [
                {"name": network, "layers": [*NETWORKS[network], "dense classes softmax"]}
                for network in entry.get("networks", NETWORKS)
            ],
            "factors": {"images": levels},
            "training": {"epochs": "{images.epochs}", "batch_size": 64, "precision": "float32"},
            "seeds": {"count": entry["seeds"]},
        }
    )


def scores_of(stores: list[Path]) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Accuracies by data set, network and images of a class, one for each seed."""
    import assay
    from assay.errors import SpecError

    result: dict[str, dict[str, dict[str, list[float]]]] = {}
    for store in stores:
        known = assay.studies(store)
        for name in DATA:
            if study_name(name) not in known or name in result:
                continue
            try:
                curves = assay.result(study_name(name), store=store).curve()
            except SpecError:  # it has hardly begun
                continue
            by_network = {
                one.label: {
                    f"{size.images:g}": [round(score, 6) for score in size.scores[: DATA[name]["seeds"]]]
                    for size in one.sizes
                }
                for one in curves.curves
            }
            if all(scores for by_size in by_network.values() for scores in by_size.values()):
                result[name] = by_network
    return result


def cases(scores: dict[str, dict[str, dict[str, list[float]]]]) -> list[dict[str, Any]]:
    """Every curve that is fitted, and what it is held against: all the data from a quarter, and so on downwards."""
    found = []
    for data, networks in scores.items():
        for network, by_size in networks.items():
            sizes = sorted(map(float, by_size))
            for place, target in enumerate(sizes):
                seen = [size for size in sizes if size <= target / 3.9]
                if len(seen) < 4:
                    continue
                found.append(
                    {
                        "data": data, "network": network, "target": target, "is_all": place == len(sizes) - 1,
                        "sizes": seen, "rows": [by_size[f"{size:g}"] for size in seen], "truth": by_size[f"{target:g}"],
                    }
                )  # fmt: skip
    return found


def judged(case: dict[str, Any], images: int, guessing: float, families: tuple[str, ...]) -> dict[str, Any]:
    """What the band says of a case, and what is true."""
    from assay.stats import learning_curve

    curve = learning_curve(
        case["rows"], case["sizes"], guessing=guessing, resolution=0.25 / images, families=families
    )  # fmt: skip
    at, truth = curve.at(case["target"]), sum(case["truth"]) / len(case["truth"])
    last = sum(case["rows"][-1]) / len(case["rows"][-1])
    return {
        **{key: case[key] for key in ("data", "network", "target", "is_all")},
        "from": case["sizes"][-1], "seen": last, "truth": truth, "low": at.low, "middle": at.mean, "high": at.high,
        "holds": bool(at.low <= truth <= at.high),
    }  # fmt: skip


IMAGES = {"digits": 288, "digits, 20 epochs": 288, "xray": 524, "mnist": 6000, "fashion_mnist": 6000, "cifar10": 5000}
GUESSING = {"xray": 0.74}  # the share of the ill among the validation images; a tenth on the others


def all_judged(scores: dict[str, Any], families: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        judged(case, IMAGES[case["data"]], GUESSING.get(case["data"], 0.1), families) for case in cases(scores)
    ]  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    """A line for each data set: how many bands hold, how wide they are and how far off the middle is."""
    lines = [
        "| data set | networks | from, images a class | to | bands that hold | mean gain, points | "
        "mean width of the band | mean error of its middle |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for data in dict.fromkeys(row["data"] for row in rows):
        lines.append(_line(data, [row for row in rows if row["data"] == data]))
    return "\n".join([*lines, _line("all", rows)])


def _line(name: str, rows: list[dict[str, Any]]) -> str:
    def mean(values: list[float]) -> str:
        return f"{100 * sum(values) / len(values):.2f}"

    ends = ["", ""] if name == "all" else [f"{rows[0]['from']:,.0f}", f"{rows[0]['target']:,.0f}"]
    cells = [
        name, str(len(rows)), *ends, f"{sum(row['holds'] for row in rows)} of {len(rows)}",
        mean([row["truth"] - row["seen"] for row in rows]), mean([row["high"] - row["low"] for row in rows]),
        mean([abs(row["middle"] - row["truth"]) for row in rows]),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def report(scores: dict[str, Any]) -> None:
    from assay.stats.learning_curve import FAMILIES

    rows = all_judged(scores, tuple(FAMILIES))
    print(table([row for row in rows if row["is_all"]]))
    others = [row for row in rows if not row["is_all"]]
    print(f"\nSmaller targets: {sum(row['holds'] for row in others)} of {len(others)} bands hold.\n")
    for row in rows:
        if not row["holds"]:
            numbers = ", ".join(f"{key} {100 * row[key]:.2f}" for key in ("seen", "truth", "low", "middle", "high"))
            print(f"missed: {row['data']}, {row['network']}, {row['from']:g} to {row['target']:g}: {numbers}")
    print("\n| family alone | bands that hold, all the data | mean width | mean error | smaller targets that hold |")
    print("|---|---|---|---|---|")
    for families in (*((name,) for name in FAMILIES), tuple(FAMILIES)):
        alone = all_judged(scores, families)
        whole, rest = ([row for row in alone if row["is_all"] == is_all] for is_all in (True, False))
        name = families[0] if len(families) == 1 else "all together"
        width = 100 * sum(row["high"] - row["low"] for row in whole) / len(whole)
        error = 100 * sum(abs(row["middle"] - row["truth"]) for row in whole) / len(whole)
        held = [f"{sum(row['holds'] for row in some)} of {len(some)}" for some in (whole, rest)]
        print(f"| {name} | {held[0]} | {width:.2f} | {error:.2f} | {held[1]} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, action="append")
    parser.add_argument("--data", type=Path, default=Path(), help="where pneumonia_imbalanced.npz and cifar10_jpeg lie")
    parser.add_argument("--only", action="append", choices=list(DATA))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--figures", type=Path, help="train nothing, write the scores here and print the table")
    parser.add_argument("--from", type=Path, dest="file", help="print the table of scores that were written")
    given = parser.parse_args()
    if given.file is not None:
        report(json.loads(given.file.read_text())["scores"])
        return
    if given.figures is not None:
        scores = scores_of(given.store)
        given.figures.write_text(json.dumps({"protocol": DATA, "networks": NETWORKS, "scores": scores}) + "\n")
        report(scores)
        return
    import assay

    for name in given.only or DATA:
        assay.run(study_of(name, given.data), store=given.store[0], workers=given.workers)
        print(name, "has run", flush=True)


if __name__ == "__main__":
    main()
