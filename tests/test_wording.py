"""Everything that a real study prints, writes and shows keeps one way of writing numbers, counts and sentences."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from starlette.testclient import TestClient

import assay
from assay.cli import main
from assay.runner.progress import Silent
from assay.web import make_app
from assay.web.guard import Hosts

from .helpers import small_study

NOUNS = "images|runs|seeds|pairs|folds|times|looks|epochs|trials|classes|arms|files|layers|verdicts|comparisons|studies"
BETWEEN = r"(?:(?!(?:of|and|to|or|at|in|by|with) )[a-z]+ ){0,2}?"
RULES = {
    "a count of one and a plural": rf"(?<![\d.,/=-])1 {BETWEEN}(?:{NOUNS})\b",
    "percent without a space": r"\d%",
    "a hyphen for a minus": r"(?<![\w.,)\]-])-\d",
    "a zero with a sign": r"[+−]0\.0+(?!\d)",
    "a sentence that begins in lower case": r"(?<=[a-z0-9)]\. )[a-z]\w*",
}
# Names as they are spelled: of arms and factors, and what study files and code have.
SPELLED = re.compile(r"(?:rate|assay|macro|scikit)\b")


def violations(text: str) -> Iterator[str]:
    for rule, pattern in RULES.items():
        for match in re.finditer(pattern, text):
            if not SPELLED.match(text[match.start() :]):
                yield f"{rule}: ...{text[max(0, match.start() - 40) : match.end() + 20]!r}"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("1 images were left out", "a count of one"),
        ("1 training images", "a count of one"),
        ("it was looked at 1 times", "a count of one"),
        ("98.12%", "percent without"),
        ("from -0.21 to 0.12", "a hyphen"),
        ("+0.00 points", "a zero"),
        ("−0.000", "a zero"),
        ("It ended. nothing is known", "a sentence"),
    ],
)
def test_the_rules_see_what_they_are_for(text: str, rule: str) -> None:
    assert any(found.startswith(rule) for found in violations(text))


@pytest.mark.parametrize(
    "text",
    ["11 images", "0.1 points", "1 image", "98.12 %", "−0.21", "3-fold", "seed 1 of 2 runs", "+0.05", "Yes. No."],
)
def test_the_rules_let_the_right_forms_pass(text: str) -> None:
    assert list(violations(text)) == []


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two arms that differ and one that does not, with six seeds and its test split revealed."""
    folder = tmp_path_factory.mktemp("wording") / "store"
    # Vectors of 64: torch trains them at once, and no kernel is compiled.
    study = small_study(
        network={"layers": ["flatten", "dense {units} relu", "dropout {rate}", "dense classes softmax"]},
        factors={"rate": [0.0, 0.5], "units": [3, 12]},
        training={"epochs": 1, "batch_size": 128},
        seeds={"count": 6},
    )
    result = assay.run(study, store=folder, progress=Silent())
    result.reveal()
    return folder


@pytest.fixture
def printed(store: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def call(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--store", str(store)])
        assert not ended.value.code
        return "".join(capsys.readouterr())

    return call


COMMANDS = [
    ("status",), ("status", "small"), ("runs", "small"), ("compare", "small"), ("compare", "small", "--split", "test"),
    ("compare", "small", "--metric", "log_loss"), ("diagnose", "small"), ("ledger",), ("plan", "small"),
    ("doctor", "{store}"), ("explain", "small", "--only", "confusion"),
]  # fmt: skip


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_the_terminal(printed: Callable[..., str], store: Path, arguments: tuple[str, ...]) -> None:
    if arguments[0] == "doctor":
        with pytest.raises(SystemExit):
            main(["doctor", str(store)])
        return
    assert list(violations(printed(*arguments))) == []


def visible(html: str) -> str:
    page = BeautifulSoup(html, "html.parser")
    for hidden in page(["script", "style", "template"]):
        hidden.decompose()
    return "\n".join(" ".join(text.split()) for text in page.stripped_strings)


def test_the_report_in_each_form(store: Path) -> None:
    result = assay.result("small", store=store)
    for form in ("html", "markdown", "latex"):
        text = Path(result.report(form=form, explanations=())).read_text(encoding="utf-8")
        if form == "latex":  # whose escapes and comments have their own percent signs and minus
            lines = [line for line in text.splitlines() if not line.lstrip().startswith("%")]
            text = "\n".join(lines).replace("$-$", "−").replace("\\%", "%").replace("~", " ")
        if form == "markdown":
            text = text.split("```bibtex")[0].replace("\\", "").replace("---:", "").replace("---", "")
        assert list(violations(visible(text) if form == "html" else text)) == [], form


def test_a_notebook_and_python(store: Path) -> None:
    result = assay.result("small", store=store)
    shown = [result, result.compare(), result.diagnose(), result.run(seed=0), result.study]
    for one in shown:
        html = getattr(one, "_repr_html_", lambda: "")()
        assert list(violations(visible(html or str(one)))) == [], type(one).__name__


def test_the_pages(store: Path) -> None:
    with TestClient(make_app(store, Hosts("127.0.0.1", 8765)), base_url="http://127.0.0.1:8765") as client:
        for address in ("/", "/studies/small"):
            answer = client.get(address)
            assert answer.status_code == 200
            assert list(violations(visible(answer.text))) == []
