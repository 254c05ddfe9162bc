"""How Sphinx builds the documentation site: `make site`."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert as latex_to_mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

sys.path.insert(0, str(Path(__file__).parent))  # for reference_pages

project = "Assay"
author = "The Assay authors"
copyright = author
version = release = version_of("assay")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
    "reference_pages",
]
root_doc = "index"
highlight_language = "text"
# Of what the package does not own, no inventory is fetched: the site is built without a network.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!assay\.).*"),
    # How specs are written, and internal types of attributes that users seldom need.
    ("py:class", r"assay\.spec\.(base\.Spec|network\.(Block|Annotated)|arm_search\.ArmSearch)"),
    ("py:class", r"assay\.stats\.(typical\.Typical|learning_curve\.LearningCurve)"),
    ("py:class", r"assay\.nets\.(foundation|layers\.record|own\.description|parameters|receptive)\.\w+"),
    ("py:class", r"assay\.store\.(records\.SearchRecord|image_sets\.ImageSets)"),
    ("py:class", r"assay\.search\.(halving\.Step|sampler\.Observed)"),
    ("py:class", r"assay\.train\.task\.Task"),
]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "html_image"]
myst_heading_anchors = 4

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
python_maximum_signature_line_length = 88
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
napoleon_numpy_docstring = False
copybutton_exclude = ".linenos, .gp, .go"

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "Assay"
html_static_path = ["_static"]
html_favicon = "_static/assay.svg"
html_css_files = ["assay.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {
        "image_light": "_static/assay.svg",
        "image_dark": "_static/assay.svg",
        "text": "Assay",
        "alt_text": "Assay",
    },
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "navigation_with_keys": False,
}
html_sidebars = {"index": [], "gallery/index": []}

# Pages whose text lies outside docs/, where GitHub and package indexes look for it.
INCLUDED = {
    "](../../CHANGELOG.md": "](/reference/changelog.md",
    "](../../CONTRIBUTING.md": "](/development/contributing.md",
    "](../../benchmarks/README.md": "](/evidence/measuring.md",
}


def prepare_source(app: Sphinx, page: str, content: list[str]) -> None:
    """Lead links to such files to their pages; leave decision notes out of the search."""
    if page.startswith("decisions/"):
        content[0] = f"---\nnosearch: true\n---\n\n{content[0]}"
    for target, link in INCLUDED.items():
        content[0] = content[0].replace(target, link)


def write_math(writer: HTML5Translator, node: nodes.math | nodes.math_block) -> None:
    """Write a formula as MathML, which browsers draw without a script from elsewhere."""
    display = "block" if isinstance(node, nodes.math_block) else "inline"
    writer.body.append(latex_to_mathml(node.astext(), display=display))
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    app.add_html_math_renderer("mathml", (write_math, None), (write_math, None))
    app.connect("source-read", prepare_source)
