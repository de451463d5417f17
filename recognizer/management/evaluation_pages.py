"""What the templates of evaluation reports need: texts and charts, in their order."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from recognizer.training.evaluation import charts, tables
from recognizer.training.evaluation.charts import Span, Spot
from recognizer.training.evaluation.corruptions import Corrupted
from recognizer.training.evaluation.histories import CurveGroup
from recognizer.training.evaluation.metrics import Reliability
from recognizer.training.evaluation.reporting import (
    Compared,
    Evaluated,
    Mistake,
    Number,
    Protocol,
    Selection,
)
from recognizer.vision.emotions import percent


def evaluation(
    one: Evaluated,
    mistakes: Sequence[Mistake],
    history: Sequence[CurveGroup],
    *,
    pictures: bool = True,
) -> dict[str, Any]:
    """The context of reports/evaluation.html; without pictures, anybody may see the page."""
    return {
        "card": one.card,
        "split": one.split,
        "rows": f"{one.rows:,}",
        "labelling": one.labelling,
        "facts": _facts(one),
        "ferplus": _protocol(one.ferplus, one.headlines),
        "fer2013": None if one.own is None else _protocol(one.own, one.own.numbers),
        "agreement": f"{one.agreement:.0%}",
        "summary": _summary(one),
        "by_heart": one.by_heart,
        "rule": one.selection.rule,
        "selection": _risk_coverage([one]),
        "corrupted": _corrupted([one]),
        "pictures": pictures,
        "mistakes": [_mistake(mistake) for mistake in mistakes],
        "wrong": f"{int((~one.right).sum()):,}",
        "history": [
            (
                group.title,
                charts.lines(f"history-{place}", group.title, group.curves, group.shares),
            )
            for place, group in enumerate(history)
        ],
    }


def comparison(models: Sequence[Compared]) -> dict[str, Any]:
    """The context of reports/comparison.html."""
    evaluated = [one.evaluated for one in models]
    names = [one.name for one in models]
    classes = [one.ferplus.classes for one in evaluated]
    accuracies, differences = _spans(models)
    return {
        "names": names,
        "split": evaluated[0].split,
        "labelling": evaluated[0].labelling,
        "caption": tables.caption(models),
        "rows": tables.rows(models),
        "accuracy": charts.spans("accuracy", "Accuracy", accuracies),
        "difference": differences
        and charts.spans("difference", f"Accuracy against {names[0]}", differences, True),
        "recall": charts.class_dots("recall", names, classes),
        "selection": _risk_coverage(evaluated),
        "corrupted": _corrupted(evaluated),
        "models": [
            {
                "name": one.card.name,
                "confusion": charts.confusion(
                    f"confusion-{place}", one.ferplus.labels, one.ferplus.confusion
                ),
                "reliability": charts.reliability(
                    f"reliability-{place}", one.ferplus.reliability, one.ferplus.chance
                ),
            }
            for place, one in enumerate(evaluated)
        ],
    }


def _facts(one: Evaluated) -> list[tuple[str, str]]:
    card = one.card
    return [
        ("model", f"{card.name} {card.version}"),
        ("architecture", card.architecture),
        ("size", f"{card.parameters:,} parameters, {card.macs:,} MACs a face"),
        ("convolutions", f"in {card.weights.precision_in_words}"),
        ("input", f"{card.preprocessing.size}×{card.preprocessing.size} grey"),
        ("uncertain", f"where {one.selection.rule}"),
        ("weights", f"SHA-256 {card.weights.sha256}"),
    ]


def _summary(one: Evaluated) -> str:
    accuracy, coverage = one.ferplus.number("accuracy"), one.ferplus.number("coverage")
    told = (
        f"Of {one.ferplus.rows:,} {one.labelling.agreed}, it is right on {accuracy.text}. It "
        f"commits itself on {coverage.text} of them"
    )
    error = one.ferplus.number("selective_error")
    return f"{told}; of those, {error.text} are wrong." if error.value is not None else f"{told}."


def _protocol(protocol: Protocol, numbers: Sequence[Number]) -> dict[str, Any]:
    key = protocol.key
    return {
        "rows": f"{protocol.rows:,}",
        "numbers": numbers,
        "confusion": charts.confusion(f"{key}-confusion", protocol.labels, protocol.confusion),
        "bars": charts.class_bars(f"{key}-classes", protocol.classes),
        "classes": [_class(one) for one in protocol.classes],
        "reliability": charts.reliability(
            f"{key}-reliability", protocol.reliability, protocol.chance
        ),
        "bins": _bins(protocol.reliability),
    }


def _class(one: charts.ClassBars) -> dict[str, str]:
    shown = {
        name: f"{value:.1%}" for name, value in asdict(one).items() if name not in ("name", "n")
    }
    if not one.n:
        shown = dict.fromkeys(shown, "–")
    return shown | {"name": one.name, "n": f"{one.n:,}"}


def _bins(bins: Reliability) -> list[dict[str, str]]:
    size = len(bins.count)
    return [
        {
            "range": f"{place / size:.0%}–{(place + 1) / size:.0%}",
            "n": f"{bins.count[place]:,}",
            "confidence": f"{bins.confidence[place]:.1%}",
            "accuracy": f"{bins.accuracy[place]:.1%}",
            "gap": f"{100 * (bins.accuracy[place] - bins.confidence[place]):+.1f}",
        }
        for place in np.flatnonzero(bins.count).tolist()
    ]


def _risk_coverage(models: Sequence[Evaluated]) -> str:
    selections = [one.selection for one in models]
    ideal = selections[0].ideal if len(selections) == 1 else None
    curves = [selection.curve for selection in selections]
    return charts.risk_coverage("risk", curves, [_spot(one) for one in selections], ideal)


def _spot(selection: Selection) -> Spot:
    risk = selection.risk or 0.0
    return Spot(
        selection.coverage, risk, f"answers {selection.coverage:.1%}, {risk:.1%} of them wrong"
    )


def _mistake(mistake: Mistake) -> dict[str, str]:
    return {
        "row": str(mistake.row),
        "picture": charts.picture(mistake.image),
        "true": mistake.true,
        "predicted": mistake.predicted,
        "probability": percent(mistake.probability),
        "probability_of_true": percent(mistake.probability_of_true),
        "votes": ", ".join(f"{name}\u00a0{count}" for name, count in mistake.votes),
    }


def _corrupted(models: Sequence[Evaluated]) -> list[dict[str, Any]]:
    """How each model does on spoilt pictures, as charts and as numbers."""
    return [
        {
            "name": one.card.name,
            "accuracy": charts.spans(
                f"corrupted-accuracy-{place}",
                f"Accuracy of {one.card.name} on spoilt pictures",
                [
                    Span(same.name, same.accuracy, *same.accuracy_interval, place)
                    for same in one.corrupted
                ],
            ),
            "error": charts.spans(
                f"corrupted-error-{place}",
                f"Wrong among the answers of {one.card.name} to spoilt pictures",
                [
                    Span(same.name, same.selective_error, *same.selective_error_interval, place)
                    for same in one.corrupted
                    if same.selective_error is not None and same.selective_error_interval
                ],
            )
            if any(same.coverage for same in one.corrupted)
            else "",
            "rows": [_answers(same) for same in one.corrupted],
        }
        for place, one in enumerate(models)
        if one.corrupted
    ]


def _answers(one: Corrupted) -> dict[str, str]:
    return {
        "name": one.name,
        "accuracy": f"{one.accuracy:.1%}",
        "mean_recall": f"{one.mean_recall:.1%}",
        "coverage": f"{one.coverage:.1%}",
        "error": "–" if one.selective_error is None else f"{one.selective_error:.1%}",
    }


def _spans(models: Sequence[Compared]) -> tuple[list[Span], list[Span]]:
    """The accuracies, and their differences to the first model's."""
    accuracies, differences = [], []
    for place, one in enumerate(models):
        number = one.evaluated.ferplus.number("accuracy")
        if number.value is not None and number.interval:
            accuracies.append(Span(one.name, number.value, *number.interval, place))
        if one.difference:
            value, interval = one.difference
            differences.append(Span(one.name, value, *interval, place))
    return accuracies, differences
