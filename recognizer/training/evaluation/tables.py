"""Models side by side as text: for a terminal, for a model card, and as JSON types."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from recognizer.training.evaluation.charts import ClassBars
from recognizer.training.evaluation.corruptions import Corrupted
from recognizer.training.evaluation.reporting import Compared, Evaluated, Number, Protocol

Row = tuple[str, list[str]]
"""A label, and one cell per model."""

CORRUPTED: Final = "The same pictures spoilt: accuracy / mean recall / answered / wrong of these"
"""What the cells of `corrupted_rows` hold."""


def rows(models: Sequence[Compared]) -> list[Row]:
    """Everything that is compared, with 95% intervals in brackets."""
    evaluated = [one.evaluated for one in models]
    table = []
    for number in evaluated[0].headlines:
        table.append((number.label, [_cell(one.ferplus, number.name) for one in evaluated]))
        if number.name == "ece":
            table.append(("ECE by chance, 95% limit", [_chance(one.ferplus) for one in evaluated]))
    if len(models) > 1:
        table.insert(1, ("difference to the first", [_difference(one) for one in models]))
    labelling = evaluated[0].labelling
    if labelling.own:
        what = "accuracy on FER-2013's labels" if labelling.two_sets else "accuracy, head for seven"
        table.append((what, [_own_accuracy(one) for one in evaluated]))
    table += _by_heart(evaluated)
    table += _recalls([one.ferplus for one in evaluated])
    table.append(("parameters", [f"{one.card.parameters:,}" for one in evaluated]))
    table.append(("MACs a face", [f"{one.card.macs:,}" for one in evaluated]))
    table.append(("convolutions in", [one.card.weights.precision_in_words for one in evaluated]))
    table.append(("ms a face, one core", [_milliseconds(one) for one in models]))
    table.append(("training time", [_effort(one.card.training) for one in evaluated]))
    return table


def _chance(protocol: Protocol) -> str:
    return f"{protocol.chance.expected:.4f}, {protocol.chance.at_most:.4f}"


def _by_heart(models: Sequence[Evaluated]) -> list[Row]:
    """What knowing the leaks would be worth; they are the same for all models, if there are any."""
    known = [one.by_heart for one in models if one.by_heart]
    if not known:
        return []
    what = f"accuracy, knowing {known[0].pictures:,} leaked"
    table = [(what, [f"{one.accuracy:.2%}" for one in known])]
    if models[0].labelling.own:
        shares = [one.own_accuracy for one in known]
        shown = ["–" if share is None else f"{share:.2%}" for share in shares]
        table.append(("that on FER-2013's labels", shown))
    return table


def _recalls(protocols: Sequence[Protocol]) -> list[Row]:
    """A row for each emotion that the pictures show, however few do."""
    return [
        (f"recall of {same[0].name} ({same[0].n:,})", [_recall(one) for one in same])
        for same in zip(*(one.classes for one in protocols), strict=True)
        if same[0].n
    ]


def _recall(one: ClassBars) -> str:
    return f"{one.recall:.1%} {_interval(one)}"


def corrupted_rows(models: Sequence[Evaluated]) -> list[Row]:
    """A row for each way to spoil the pictures, if that was asked; `CORRUPTED` says of what."""
    return [
        (same[0].name, [_corrupted(one) for one in same])
        for same in zip(*(one.corrupted for one in models), strict=True)
    ]


def _corrupted(one: Corrupted) -> str:
    wrong = "–" if one.selective_error is None else f"{one.selective_error:.1%}"
    return " / ".join(
        [f"{one.accuracy:.1%}", f"{one.mean_recall:.1%}", f"{one.coverage:.1%}", wrong]
    )


def text(models: Sequence[Compared]) -> list[str]:
    """The table as lines of aligned columns."""
    head: Row = ("", [one.name for one in models])
    lines = [caption(models), "", *_aligned([head, *rows(models)])]
    if spoilt := corrupted_rows([one.evaluated for one in models]):
        lines += ["", CORRUPTED, "", *_aligned([head, *spoilt])]
    return lines


def _aligned(table: Sequence[Row]) -> list[str]:
    wide = max(len(label) for label, _ in table)
    sizes = [max(map(len, column)) for column in zip(*(cells for _, cells in table), strict=True)]
    return [
        "  ".join(
            [
                label.ljust(wide),
                *(cell.ljust(size) for cell, size in zip(cells, sizes, strict=True)),
            ]
        ).rstrip()
        for label, cells in table
    ]


def alone(one: Evaluated) -> list[str]:
    """One model's numbers as lines: the eight emotions, and FER-2013's own labels, if any."""
    lines = [f"{one.card.name} on {_where(one)}", f"\n{one.labelling.heading}"]
    lines += _lines(one.ferplus, one.headlines)
    lines += _unlifted(one.scores["ferplus"]["without_lift"])
    if one.labelling.own:
        lines.append(f"\n{one.labelling.own}")
        lines += (
            ["  the model has no such head, or no row such a label"]
            if one.own is None
            else _lines(one.own, one.own.numbers)
        )
    if spoilt := corrupted_rows([one]):
        lines += [f"\n{CORRUPTED}", *(f"  {line}" for line in _aligned(spoilt))]
    if one.by_heart:
        lines.append(f"\n{one.by_heart.in_words}")
    return [
        *lines,
        "\nIn brackets 95% intervals: Wilson's of recalls, bootstrap of all else.",
        "By chance: the ECE of a perfectly calibrated model; 95 of 100 lie below the limit.",
    ]


def _unlifted(found: Mapping[str, float] | None) -> list[str]:
    if not found:
        return []
    told = (
        f"accuracy {found['accuracy']:.2%}, mean recall {found['mean_recall']:.2%}, macro-F1 "
        f"{found['macro_f1']:.3f}, ECE {found['ece']:.4f}, NLL {found['nll']:.4f}"
    )
    return ["  Without the lift of rare emotions:", f"    {told}"]


def _where(one: Evaluated) -> str:
    return f"{one.labelling.title}, {one.split}"


def _lines(protocol: Protocol, numbers: Sequence[Number]) -> list[str]:
    chance = protocol.chance
    by_chance = f"  by chance {chance.expected:.4f}, 95% limit {chance.at_most:.4f}"
    return [
        f"  {'n':20} {protocol.rows}",
        *(_line(number, by_chance if number.name == "ece" else "") for number in numbers),
        *(
            f"  {one.name:20} recall {_share(one.recall, one.n)} {_interval(one):>10}"
            f"  precision {_share(one.precision, one.n)}  n {one.n}"
            for one in protocol.classes
        ),
    ]


def _line(number: Number, note: str) -> str:
    interval = f"({number.range})" if number.range else ""
    return f"  {number.name:20} {number.text:7} {interval}{note}".rstrip()


def _interval(recall: ClassBars) -> str:
    return f"({100 * recall.low:.0f}–{100 * recall.high:.0f}%)" if recall.n else ""


def _share(value: float, of: int) -> str:
    """Of a class without rows there is nothing to be right about."""
    return f"{value:6.1%}" if of else f"{'–':>6}"


def markdown(models: Sequence[Compared]) -> list[str]:
    """The table in Markdown, to be pasted into a model card."""
    names = [one.name for one in models]
    lines = [caption(models), "", *_grid(names, rows(models))]
    if spoilt := corrupted_rows([one.evaluated for one in models]):
        lines += ["", CORRUPTED, "", *_grid(names, spoilt)]
    return lines


def _grid(names: Sequence[str], body: Sequence[Row]) -> list[str]:
    head = ["", *names]
    table = [head, ["---"] * len(head), *([label, *cells] for label, cells in body)]
    return ["| " + " | ".join(map(_escaped, line)) + " |" for line in table]


def caption(models: Sequence[Compared]) -> str:
    """What the numbers are about, in a sentence."""
    first = models[0].evaluated
    return (
        f"{_where(first)}, {first.ferplus.rows:,} {first.labelling.scored}; in brackets 95% "
        "intervals (Wilson's of recalls, bootstrap of all else), of times the middle half."
    )


def as_json(one: Compared) -> dict[str, Any]:
    """One model as JSON types: what `evaluate` gives, and what comparing adds."""
    evaluated = one.evaluated
    protocols = {"fer2013": evaluated.fer2013, "ferplus": evaluated.ferplus}
    return {
        "model": one.name,
        "split": evaluated.split,
        **evaluated.scores,
        "intervals": {name: _intervals(protocol) for name, protocol in protocols.items()},
        "accuracy_difference": one.difference[0] if one.difference else None,
        "accuracy_difference_interval": list(one.difference[1]) if one.difference else None,
        "parameters": evaluated.card.parameters,
        "macs": evaluated.card.macs,
        "precision": evaluated.card.weights.precision,
        "ms_per_face": one.milliseconds,
        "ms_per_face_quartiles": list(one.milliseconds_middle),
        **asides_json(evaluated),
    }


def asides_json(one: Evaluated) -> dict[str, Any]:
    """What only some evaluations have: `corrupted`, by the keys of the corruptions, and `leaks`."""
    found = {each.key: asdict(each) for each in one.corrupted}
    spoilt = {"corrupted": found} if found else {}
    return {**spoilt, "leaks": asdict(one.by_heart)} if one.by_heart else spoilt


def _intervals(protocol: Protocol | None) -> dict[str, Any] | None:
    """By the names of the numbers, and of the recalls by class; None where there is none."""
    if protocol is None:
        return None
    intervals = {
        number.name: None if number.interval is None else list(number.interval)
        for number in protocol.numbers
    }
    recalls = {one.name: [one.low, one.high] if one.n else None for one in protocol.classes}
    return {**intervals, "recall": recalls}


def _cell(protocol: Protocol, name: str) -> str:
    number = protocol.number(name)
    return f"{number.text} ({number.range})" if number.range else number.text


def _own_accuracy(evaluated: Evaluated) -> str:
    return "–" if evaluated.fer2013 is None else _cell(evaluated.fer2013, "accuracy")


def _difference(one: Compared) -> str:
    if one.difference is None:
        return "–"
    value, (low, high) = one.difference
    shown = f"{100 * value:+.2f} points ({100 * low:+.2f} to {100 * high:+.2f})"
    return shown.replace("-", "−")


def _effort(training: Mapping[str, Any]) -> str:
    """What the card says about the time its training took; it may say anything, or nothing."""
    if (own := _time(training)) is not None:
        return f"{own[0]:.0f} min, {own[1]} epochs"
    # The card of an average holds what its members' cards say, by their names.
    members = [_time(one) for one in training.values()]
    told = [one for one in members if one is not None]
    if not told or len(told) < len(members):
        return "–"
    minutes, epochs = (sum(column) for column in zip(*told, strict=True))
    return f"{minutes:.0f} min, {epochs} epochs in all"


def _time(training: object) -> tuple[float, int] | None:
    """Minutes and epochs."""
    if not isinstance(training, Mapping):
        return None
    minutes, epochs = training.get("minutes"), training.get("epochs_done")
    if not isinstance(minutes, int | float) or not isinstance(epochs, int):
        return None
    return minutes, epochs


def _milliseconds(one: Compared) -> str:
    low, high = one.milliseconds_middle
    return f"{one.milliseconds:.2f} ({low:.2f}–{high:.2f})"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
