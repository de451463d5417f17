"""Who said what the faces of a data set show, in the words of reports and tables."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recognizer.training.datasets.faces import Faces
from recognizer.training.datasets.reading import FER2013, PACKED, UNVOTED, Reading


@dataclass(frozen=True, slots=True)
class Labelling:
    """The words for one kind of labels.

    Attributes:
        title: the data set, to follow "Evaluation on".
        heading: above the numbers of the eight emotions.
        scored: the pictures that count, to follow their number in a caption.
        agreed: the same in a sentence.
        meaning: what `heading` is, for those who do not know.
        voted: whether several people may disagree about a picture; else it has one label.
        own: above the numbers of the head for FER-2013's seven labels; "" where these are not
            FER-2013's labels.
    """

    title: str
    heading: str
    scored: str
    agreed: str
    meaning: str
    voted: bool
    own: str = ""

    @property
    def two_sets(self) -> bool:
        """Whether the faces have both votes and FER-2013's own labels."""
        return self.voted and bool(self.own)


_MAJORITY: Final = (
    "single votes are dropped, and the winner needs more than half of the rest. Pictures without "
    "such an emotion are left out of every number but the AUROC."
)
_ONE_LABEL: Final = (
    "Each picture has one label of its own; nobody voted on it. Pictures that are labelled as "
    "something else than one of the eight emotions are left out."
)
_OWN: Final = "FER-2013’s own labels"


def labelling(reading: Reading, source: Path, ferplus: Path | None, faces: Faces) -> Labelling:
    """The words for a data set that was read.

    Args:
        reading: all of it.
        source: the file or the folder.
        ferplus: FER+'s votes for it, if there are any.
        faces: the rows that are scored. A packed set is taken for what these show: FER-2013's
            labels beside votes that differ are found in FER-2013 with FER+ only.
    """
    layout = reading.layout.partition(":")[0]
    named = f"{source.resolve().name} ({layout})"
    if ferplus is not None:
        return _ferplus("FER-2013 with FER+ votes")
    if reading.layout == FER2013:
        title = "FER-2013 with its own labels"
        return _one_label(title, _OWN, f"{_OWN}, by the head for seven")
    differing = bool((faces.votes.max(axis=1) < faces.votes.sum(axis=1)).any())
    if reading.layout in UNVOTED or (reading.layout == PACKED and not differing):
        return _one_label(named, "Labels")
    if reading.layout == PACKED and (faces.labels >= 0).any():
        return _ferplus(named)
    return Labelling(
        title=named,
        heading="Majority of the votes",
        scored="pictures with a majority of the votes",
        agreed="pictures on whose emotion most votes agree",
        meaning=f"People voted on the pictures, fewer than ten votes counting as shares of ten; "
        f"{_MAJORITY}",
        voted=True,
    )


def _ferplus(title: str) -> Labelling:
    return Labelling(
        title=title,
        heading="FER+ majority",
        scored="pictures with a FER+ majority",
        agreed="pictures on whose emotion the annotators agree",
        meaning=f"Ten annotators voted on every picture; {_MAJORITY}",
        voted=True,
        own=_OWN,
    )


def _one_label(title: str, heading: str, own: str = "") -> Labelling:
    return Labelling(
        title=title,
        heading=heading,
        scored="pictures labelled with an emotion",
        agreed="pictures labelled with an emotion",
        meaning=_ONE_LABEL,
        voted=False,
        own=own,
    )
