"""Trains the gallery's studies, draws every picture of them, and writes docs/gallery/index.md: ``make gallery``.

Three seeds of one small network each on MNIST and Fashion-MNIST, all training images, three epochs: a minute or two of
training. Studies that have been run are not trained again.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import assay
from assay.explain.picture import Picture

HERE = Path(__file__).parent
STUDIES = {"mnist": "MNIST", "fashion": "Fashion-MNIST"}
# What is shown of each: the pictures in which the two differ, of both; of the others one.
SHOWN = {
    "confusion": ("mnist", "fashion"),
    "classes": ("fashion",),
    "pairs": ("mnist", "fashion"),
    "losses": ("mnist", "fashion"),
    "calibration": ("fashion",),
    "confidence": ("mnist",),
    "agreement": ("mnist", "fashion"),
    "features": ("mnist", "fashion"),
    "kernels": ("mnist", "fashion"),
    "activations": ("mnist",),
    "strongest": ("mnist", "fashion"),
    "maximized": ("mnist",),
    "gradcam": ("mnist", "fashion"),
    "gradients": ("mnist", "fashion"),
    "occlusion": ("mnist", "fashion"),
    "sanity": ("mnist",),
}
FINE = {"kernels", "activations", "gradients", "occlusion"}  # whose colours are many
HEAD = """# Gallery

Every picture that `assay explain` draws, from real runs: three seeds of a small network each on MNIST and
Fashion-MNIST, three epochs ([mnist.toml](mnist.toml), [fashion.toml](fashion.toml)). The captions are Assay's own.
`make gallery` trains, draws and writes this page. What each picture means and needs: [Explain](../guides/explain.md).

In Python, the code below each heading follows this line:

```python
result = assay.run("mnist.toml")
```
"""
CODE = """```python
result.explain(only=["{kind}"])
```

```sh
assay explain {study} --only {kind}
```
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, default=Path("gallery-store"))
    store = parser.parse_args().store
    made: dict[str, list[Picture]] = {}
    for name in STUDIES:
        result = assay.run(HERE / f"{name}.toml", store=store)
        only = [kind for kind, shown in SHOWN.items() if name in shown]
        for picture in result.explain(only=only):
            made.setdefault(f"{picture.kind} {name}", []).append(picture)
    parts = [HEAD]
    for kind, names in SHOWN.items():
        parts.append(f"## `{kind}`\n\n{CODE.format(kind=kind, study=names[0])}")
        for name in names:
            for picture in made[f"{kind} {name}"]:
                path = HERE / f"{name}-{picture.name}.png"
                content = picture.encoded()
                path.write_bytes(content if kind in FINE else compact(content))
                end = "" if picture.title.endswith("?") else "."
                about = f"**{STUDIES[name]}: {picture.title[0].lower()}{picture.title[1:]}{end}** {picture.caption}"
                parts.append(f"{about}\n\n![{STUDIES[name]}: {picture.title}]({path.name})\n")
                print(f"{path} {path.stat().st_size / 1000:.0f} kB")
    (HERE / "index.md").write_text("\n".join(parts))


def compact(png: bytes) -> bytes:
    """The same picture in at most 256 colours."""
    from PIL import Image

    content = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    few = picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(content, "PNG", optimize=True)
    return content.getvalue()


if __name__ == "__main__":
    main()
