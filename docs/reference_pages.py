"""Makes the generated reference readable: links of names, attributes and types, and code in the help of commands."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode
from sphinx.util.typing import ExtensionMetadata


def link_names(app: Sphinx, page: str, content: list[str]) -> None:
    """Lead links such as ``studies.md#assay.Study`` to where autodoc puts the name."""
    content[0] = re.sub(r"\]\([\w./-]+\.md#(assay\.[\w.]+)\)", r"](#\1)", content[0])


def link_guides(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Lead the paths of guides in docstrings to their pages."""
    lines[:] = [re.sub(r"\bdocs/([\w/-]+)\.md", r":doc:`/\1`", line) for line in lines]


def keep_colons(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Let napoleon read no type in front of a colon in a property's first sentence: it looks at the first line."""
    if what in ("property", "attribute"):
        lines[:0] = ["..", ""]  # an empty comment


def mark_code(app: Sphinx, context: object, lines: list[str]) -> None:
    """Options and commands in the help of commands as code: as text, -- would become a dash."""
    for place, line in enumerate(lines):
        if not line.lstrip().startswith((".. ", ":", "|")):
            code = re.sub(r"`([^`]+)`", r"``\1``", line)
            lines[place] = re.sub(r"(?<![\w`-])(--[a-z][\w-]*)(?![^`]*`)", r"``\1``", code)
    link_guides(app, "", "", None, None, lines)


def short_signature(
    app: Sphinx, what: str, name: str, thing: object, options: object, signature: str | None, returned: str | None
) -> tuple[str, str | None] | None:
    """No signature for what calls return, which is read, not made; defaults that are specs by their name alone."""
    if not signature or what not in ("class", "exception"):
        return None
    if name.count(".") > 1:
        return "", ""
    return re.sub(r"=([A-Z]\w+)\((?:[^()]|\([^()]*\))*\)", r"=\1()", signature), returned


def name_attributes(app: Sphinx, doctree: nodes.document) -> None:
    """On the page of what calls return, parameters are attributes, and modules are nobody's concern."""
    if app.env.docname != "reference/python/returned":
        return
    for described in doctree.findall(addnodes.desc):
        if described["objtype"] == "class":
            for field in described.findall(nodes.field_name):
                if field.astext() == "Parameters" and field.parent.parent.parent.parent is described:
                    field.children[:] = [nodes.Text("Attributes")]
    for module in list(doctree.findall(addnodes.desc_addname)):
        module.parent.remove(module)


def find_by_last_name(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, text: nodes.TextElement
) -> nodes.Element | None:
    """Types in annotations that are known by another path, or by their name alone."""
    if node.get("refdomain") != "py":
        return None
    last = node["reftarget"].rpartition(".")[2]
    objects = env.domains.python_domain.objects
    pages = {(one.docname, one.node_id) for name, one in objects.items() if name.rpartition(".")[2] == last}
    if len(pages) != 1 or app.builder.name not in ("html", "dirhtml"):
        return None
    page, place = pages.pop()
    return make_refnode(app.builder, node["refdoc"], page, place, text)


def setup(app: Sphinx) -> ExtensionMetadata:
    app.connect("source-read", link_names)
    app.connect("autodoc-process-docstring", link_guides, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", keep_colons, priority=400)
    app.connect("autodoc-process-signature", short_signature)
    app.connect("sphinx-click-process-description", mark_code)
    app.connect("sphinx-click-process-options", mark_code)
    app.connect("doctree-read", name_attributes)
    app.connect("missing-reference", find_by_last_name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
