"""References of a study: its data set and the methods of its training and verdicts, as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

from ..analysis.classes import class_changes
from ..analysis.contrasts import contrasts, factor_effects, ranking_of
from ..analysis.general import general_verdicts
from ..analysis.image_spread import claim_of
from ..analysis.images import networks
from ..analysis.learning import has_sizes
from ..analysis.scores import rule_of
from ..nets.kinds import spelled
from ..nets.layers import CITATIONS
from ..spec import Base, Quantization, module_of, plain
from ..spec.metric import ACCURACY
from ..store.records import StudyRecord


@dataclass(frozen=True)
class Reference:
    """One entry.

    Args:
        key: Its BibTeX key.
        use: What the study uses it for.
        bibtex: The entry.
    """

    key: str
    use: str
    bibtex: str

    @property
    def title(self) -> str:
        return _field(self.bibtex, "title")

    @property
    def authors(self) -> str:
        """Surnames: all of up to three, or the first "and others"."""
        names = [_plain(name).split(",")[0].strip() for name in _field(self.bibtex, "author", raw=True).split(" and ")]
        if len(names) > 3:
            return f"{names[0]} and others"
        return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

    @property
    def year(self) -> str:
        return _field(self.bibtex, "year")

    @property
    def where(self) -> str:
        """Journal, proceedings, book or archive."""
        for name in ("journal", "booktitle", "publisher", "howpublished"):
            if value := _field(self.bibtex, name):
                return value
        return f"arXiv {value}" if (value := _field(self.bibtex, "eprint")) else ""


_ROBUSTNESS = (
    ("hendrycks2019benchmarking", "corruptions of images"),
    ("mu2019mnist", "corruptions of characters"),
    ("westfall1993resampling", "verdicts on all corruptions together"),
    ("holm1979simple", "p values of several contrasts"),
)


_CURVE = (
    ("viering2022shape", "learning curves"),
    ("domhan2015speeding", "learning curves of several families together"),
    ("hoeting1999bayesian", "averaging over families"),
)


def references(study: StudyRecord, *, has_robustness: bool = False) -> tuple[Reference, ...]:
    """The study's data set, then its methods of training, then those of its verdicts; each once.

    Args:
        study: Its record.
        has_robustness: With those of its verdicts on corrupted images.
    """
    training = [] if study.source else _training(study)
    robustness = _ROBUSTNESS if has_robustness else ()
    used = [*training, *_search(study), *(_CURVE if has_sizes(study) else ()), *robustness, *_verdicts(study)]
    entries = _entries()
    methods = tuple(Reference(key, use, entries[key]) for key, use in dict(used).items())
    return (*_data(study), *methods)


def bibtex(entries: Iterable[Reference]) -> str:
    """The entries as a file."""
    return "\n\n".join(reference.bibtex for reference in entries) + "\n"


def _data(study: StudyRecord) -> tuple[Reference, ...]:
    from ..data import entry, known

    names = study.sets or (str(study.data.get("name", "")),)
    cited = [entry(name) for name in names if name in known() and entry(name).citation]
    keys = [re.findall(r"@\w+\{([^,]+),", one.citation)[0] for one in cited]
    return tuple(Reference(key, f"data set {one.title}", one.citation) for key, one in zip(keys, cited, strict=True))


_HALVING = {
    "hyperband": ("li2018hyperband", "Hyperband"),
    "successive-halving": ("jamieson2016nonstochastic", "successive halving"),
    "asha": ("li2020system", "asynchronous successive halving"),
}
_SAMPLERS = {
    "tpe": ("bergstra2011algorithms", "tree-structured Parzen estimators"),
    "cma-es": ("hansen2001completely", "CMA-ES"),
    "nsga-ii": ("deb2002fast", "NSGA-II"),
}


def _search(study: StudyRecord) -> list[tuple[str, str]]:
    """The methods of a search, and of the importances that its report shows."""
    if study.search is None or (search := study.design.search) is None:
        return []
    used = [("akiba2019optuna", "proposals"), ("hutter2014efficient", "importance of parameters")]
    if search.proposer in _SAMPLERS:
        used.append(_SAMPLERS[search.proposer])
    if search.halving is not None:
        used.append(_HALVING[search.halving.method])
        if search.proposer != "random":
            used.append(("falkner2018bohb", "proposals from scores at several epochs"))
    return used


_OPTIMIZERS = {
    "sgd": "robbins1951stochastic",
    "adam": "kingma2015adam",
    "adamw": "loshchilov2019decoupled",
    "rmsprop": "tieleman2012lecture",
    "adadelta": "zeiler2012adadelta",
    "muon": "jordan2024muon",
}
_SCHEDULES = {"cosine": "loshchilov2017sgdr", "one-cycle": "smith2019super"}
_SETTINGS = {
    "early_stopping": ("prechelt1998early", "early stopping"),
    "label_smoothing": ("szegedy2016rethinking", "label smoothing"),
    "clip_norm": ("pascanu2013difficulty", "gradient clipping"),
    "global_clip_norm": ("pascanu2013difficulty", "gradient clipping"),
    "ema_momentum": ("polyak1992acceleration", "averaged weights"),
    "swa": ("izmailov2018averaging", "stochastic weight averaging"),
    "distillation": ("hinton2015distilling", "distillation"),
    "ensemble": ("lakshminarayanan2017simple", "ensembles"),
    "exclude": ("northcutt2021confident", "images with doubtful labels left out"),
}

_BASES = {
    "vgg16": ("simonyan2015very", "VGG16 as a base"),
    "vgg19": ("simonyan2015very", "VGG19 as a base"),
    "squeezenet": ("iandola2016squeezenet", "SqueezeNet as a base"),
    "resnet18": ("he2016deep", "ResNet-18 as a base"),
    "mobilenetv2": ("sandler2018mobilenetv2", "MobileNetV2 as a base"),
}
# As Keras and torchvision name the files that they publish.
_PUBLISHED = re.compile(r"weights_tf_dim_ordering_tf_kernels.*\.h5$|-[0-9a-f]{8}\.pth$")


def _base(base: Base) -> list[tuple[str, str]]:
    """A pretrained network, and what its weights come from; nothing for a run's."""
    if base.name not in _BASES or base.run is not None:
        return []
    is_imagenet = base.weights == "imagenet" or _PUBLISHED.search(base.weights) is not None
    return [_BASES[base.name], *([("russakovsky2015imagenet", "the base's weights")] if is_imagenet else [])]


def _training(study: StudyRecord) -> list[tuple[str, str]]:
    used = []
    words: set[str] = set()  # layer words, blocks and activations
    for arm in study.arms:
        design, training = arm.design, arm.design.training
        if module_of(design.layers) is None:  # a module's text holds names of the user's
            words |= set(map(spelled, re.findall(r"[A-Za-z0-9_-]+", str(plain(list(design.layers))))))
            used.append(("glorot2010understanding", "initial weights"))
        if design.base is not None:
            used += _base(design.base)
        optimizer, schedule = training.optimizer.name, training.schedule.name
        if optimizer in _OPTIMIZERS:
            used.append((_OPTIMIZERS[optimizer], f"optimizer {optimizer}"))
        if schedule in _SCHEDULES:
            used.append((_SCHEDULES[schedule], f"{schedule} learning rate"))
        used += [_SETTINGS[key] for key in _SETTINGS if getattr(training, key) not in (None, 0, "none")]
        if design.search is not None:
            used.append(("bouthillier2021accounting", "a search for each seed"))
        augmentation = training.augmentation
        used += [("zhang2018mixup", "mixup")] if augmentation and augmentation.mixup else []
        used += [("yun2019cutmix", "CutMix")] if augmentation and augmentation.cutmix else []
        used += [("devries2017improved", "cutout")] if augmentation and augmentation.cutout else []
        used += [("jordan2024airbench", "alternating flips")] if augmentation and augmentation.alternates else []
        used += [("jordan2024airbench", "evaluation by several views")] if training.evaluation else []
        used += _quantization(training.quantization) if training.quantization is not None else []
    return used + [(citation.key, citation.use) for word, citation in CITATIONS.items() if word in words]


def _quantization(quantization: Quantization) -> list[tuple[str, str]]:
    used = [
        ("bengio2013estimating", "gradients through rounding"),
        ("jacob2018quantization", "training in whole numbers"),
        ("jain2020trained", "scales of activations that are powers of two"),
    ]
    is_ternary = "ternary" in (quantization.weights, *quantization.layers.values())
    return [*used, ("li2016ternary", "ternary weights")] if is_ternary else used


_MEASURES = {
    "macro_auc": ("delong1988comparing", "spread of an area under the ROC curve"),
    "brier_score": ("brier1950verification", "Brier score"),
    "calibration_error": ("naeini2015obtaining", "expected calibration error"),
    "worst_group_accuracy": ("sagawa2020distributionally", "accuracy of the worst group"),
}


def _verdicts(study: StudyRecord) -> list[tuple[str, str]]:
    judged = (*contrasts(study), *factor_effects(study)) if len(study.arms) > 1 else ()
    findings = [contrast.finding for contrast in judged]
    rule, is_folded = rule_of(study), any(finding.is_corrected for finding in findings)
    used = [("student1908probable", "intervals of means")]
    if is_folded:
        used.append(("nadeau2003inference", "corrected test for folds"))
    elif findings:
        used.append(("fisher1935design", "sign-flip test"))
    if findings:
        used += [
            ("lan1983discrete", "looks while the study grows"),
            ("liu2008adaptive", "p values over all looks"),
            ("jennison1989interim", "intervals that hold at every look"),
        ]
        used += [("gallas2007multireader", "new images")] if claim_of(study) == "new images" else []
        used += [("nadeau2003inference", "new training sets")] if claim_of(study) == "new training sets" else []
    if len(judged) > 1:
        used.append(("holm1979simple", "several contrasts"))
    metric = study.design.measured
    if findings and metric != ACCURACY:
        used.append(("hampel1974influence", "what images add to a measure"))
    used += [_MEASURES[metric]] if metric in _MEASURES else []
    if len(study.arms) > 1 and class_changes(study):
        used.append(("benjamini2001control", "classes that a change hurts"))
    if any(finding.bad_runs and (finding.bad_runs.a or finding.bad_runs.b) for finding in findings):
        used += [("boschloo1970raised", "rates of failed runs"), ("hodges1963estimates", "typical difference")]
    if any(finding.bootstrap for finding in findings):
        used.append(("efron1987better", "BCa bootstrap interval"))
    if any(finding.superiority for finding in findings) or study.test_hits:
        used.append(("wilson1927probable", "intervals of shares"))
    if rule.stop == "best":
        used += [("paulson1964sequential", "the best arm by elimination"), ("maron1994hoeffding", "races of models")]
    if rule.margin is not None and rule.stop != "best":
        used.append(("schuirmann1987comparison", "equivalence"))
    if study.sets and any(one.finding.p_value is not None for one in general_verdicts(study)):
        used.append(("demsar2006statistical", "verdicts over data sets"))
    if ranking_of(study):
        used += [("demsar2006statistical", "ranks"), ("benavoli2016should", "which ranks are told apart")]
    if len(networks(study)) > 1:
        used.append(("mcnemar1947note", "two networks on the test images"))
    return used


@cache
def _entries() -> dict[str, str]:
    text = (resources.files("assay.report") / "methods.bib").read_text(encoding="utf-8")
    return {match[1]: match[0].strip() for match in re.finditer(r"@\w+\{([^,]+),.*?\n\}", text, re.DOTALL)}


def _field(entry: str, name: str, *, raw: bool = False) -> str:
    match = re.search(rf"^\s*{name}\s*=\s*\{{(.*?)\}},?\s*$", entry, re.MULTILINE)
    text = match[1] if match else ""
    return text if raw else _plain(text)


_ACCENTS = {"{\\'e}": "é", "{\\v{s}}": "š", "{\\c{c}}": "ç", "{\\'E}": "É", '{\\"o}': "ö", '{\\"u}': "ü"}


def _plain(text: str) -> str:
    """Braces and accents of LaTeX as people read them."""
    for written, meant in _ACCENTS.items():
        text = text.replace(written, meant)
    return text.replace("{", "").replace("}", "").replace("--", "–").replace("\\&", "&").replace("\\%", "%")
