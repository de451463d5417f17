"""Detection against the mtcnn package (and fer): time, the machine's limit, and the same faces."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recognizer.vision import boxes as b
from recognizer.vision.detection import LANDMARKS, MTCNN, Detection
from recognizer.vision.sessions import cores
from scripts.bench import scenes
from scripts.bench.measuring import Table, Way, compare, line_through, multiply_rate, timed
from scripts.bench.scenes import Image

MIN_FACE = 20  # pixels; the default of the mtcnn package
SURE = 0.9  # score from which on a face counts as one
SAME = 0.7  # intersection over union from which on two boxes are the same
FACES = 500


def speed(table: Table, rounds: int, _: Path | None) -> None:
    rate = multiply_rate(cores())
    for across in (1, 2, 4):
        image = scenes.tiled(across)
        table.title(f"Detection, {image.shape[1]}x{image.shape[0]}, faces from {MIN_FACE} pixels")
        table.head("way", "median", "ratio", "faces")
        medians = compare(table, detection_ways(image), rounds)
        macs = work(image)
        limit = sum(macs.values()) / rate
        stages = ", ".join(f"{name} {count / 1e9:.2f}" for name, count in macs.items())
        table.note(
            f"Limit: {limit * 1000:.0f} ms for {sum(macs.values()) / 1e9:.2f} GMAC ({stages}) at "
            f"NumPy's {rate / 1e9:.0f} GMAC/s; ours takes {medians['ours'] / limit:.1f} times that."
        )


def defaults(table: Table, rounds: int, _: Path | None) -> None:
    image = scenes.twelve_megapixels()
    package = reference()
    table.title("Detection with each one's defaults, 4000x3000")
    table.head("way", "median", "ratio", "faces")
    detector = MTCNN()
    compare(
        table,
        {
            "ours": lambda: len(detector.detect(image)),
            "mtcnn package": lambda: len(package.detect_faces(image)),
        },
        max(1, rounds // 3),
    )
    theirs = [face for face in found_by(package, image) if max(face[0][2:]) >= 0.025 * 3000]
    lost = len(theirs) - matched(theirs, [(face.box, {}) for face in detector.detect(image)])
    table.note(f"Faces of 2.5% of the short side and more that only the package finds: {lost}.")


def agreement(table: Table, _: int, folder: Path | None) -> None:
    package, detector = reference(), MTCNN(min_face=MIN_FACE)
    theirs_seen = theirs_missed = ours_seen = ours_missed = pictures = 0
    away: list[float] = []
    for image in scenes.scenes(scenes.photos(folder)):
        theirs, ours = found_by(package, image), of(detector.detect(image))
        sure_theirs, sure_ours = above(theirs), above(ours)
        theirs_seen += len(sure_theirs)
        theirs_missed += len(sure_theirs) - matched(sure_theirs, ours)
        ours_seen += len(sure_ours)
        ours_missed += len(sure_ours) - matched(sure_ours, theirs)
        away += landmark_distances(sure_theirs, ours)
        pictures += 1
        if min(theirs_seen, ours_seen) >= FACES:
            break
    table.title(f"The same faces as the mtcnn package, {pictures} pictures")
    table.head("of those that", "are sure of", "found by both")
    for name, seen, missed in (
        ("the package", theirs_seen, theirs_missed),
        ("we", ours_seen, ours_missed),
    ):
        table.row(name, f"{seen}", f"{1 - missed / seen:.2%}")
    table.note(
        f"Sure: a score of {SURE}; found by both: boxes overlap by {SAME}. Each "
        f"face's farthest landmarks lie {np.median(away):.2%} of the box width apart (median), "
        f"{np.quantile(away, 0.99):.2%} in 99 of 100 faces, {max(away):.2%} at most."
    )


def scaling(table: Table, rounds: int, _: Path | None) -> None:
    detector = MTCNN(min_face=MIN_FACE)
    table.title("Time against pixels, and against faces")
    table.head("what grows", "from", "to", "R² of a line")
    sides = (512, 1024, 1536, 2048, 3072)
    wall = np.full((max(sides), max(sides), 3), 90, np.uint8)
    wall += np.random.default_rng(0).integers(0, 60, wall.shape).astype(np.uint8)
    plain = [np.ascontiguousarray(wall[:side, :side]) for side in sides]
    megapixels = [side**2 / 1e6 for side in sides]
    row("pixels, no faces", "{:.1f} megapixels", detector, plain, megapixels, table, rounds)
    counts = (1, 4, 9, 16, 25)
    crowds = []
    for across in (1, 2, 3, 4, 5):
        crowd = np.full((1600, 1600, 3), 90, np.uint8)
        faces = scenes.tiled(across, scenes.portrait()[:320, 100:420])
        crowd[: faces.shape[0], : faces.shape[1]] = faces
        crowds.append(crowd)
    row("faces, 1600x1600 pixels", "{}", detector, crowds, list(counts), table, rounds)


def row(
    name: str,
    unit: str,
    detector: MTCNN,
    images: list[Image],
    sizes: list[Any],
    table: Table,
    rounds: int,
) -> None:
    seconds = [
        float(np.median([timed(lambda image=image: detector.detect(image)) for _ in range(rounds)]))  # type: ignore[misc]
        for image in images
    ]
    _, _, fit = line_through(sizes, seconds)
    first, last = (f"{unit.format(sizes[at])}: {seconds[at] * 1000:.0f} ms" for at in (0, -1))
    table.row(name, first, last, f"{fit:.3f}")


def detection_ways(image: Image) -> Mapping[str, Way]:
    """Each way finds the faces and gives their number."""
    detector = MTCNN(min_face=MIN_FACE)
    ways: dict[str, Way] = {"ours": lambda: len(detector.detect(image))}
    if find_spec("tensorflow"):
        package = reference()
        ways["mtcnn package"] = lambda: len(package.detect_faces(image, min_face_size=MIN_FACE))
    if find_spec("fer"):
        from fer.fer import FER  # type: ignore[import-not-found]

        haar = FER()
        ways["fer (Haar cascade)"] = lambda: len(haar.find_faces(image))
    return ways


def reference() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import mtcnn

    return mtcnn.MTCNN(device="CPU:0")


Found = tuple[tuple[float, ...], Mapping[str, Any]]
"""A box (x, y, width, height), and `score` and landmarks by name."""


def of(faces: list[Detection]) -> list[Found]:
    return [(face.box, {"score": face.score, **face.landmarks}) for face in faces]


def found_by(package: Any, image: Image) -> list[Found]:
    """The package's answers before it rounds them: a pixel is 5% of a face of 20."""
    return [_as_found(row) for row in package.detect_faces(image, output_type="numpy")]


def _as_found(row: NDArray[np.float64]) -> Found:
    """The package's row: picture, box, score, then five x and five y."""
    points = zip(LANDMARKS, zip(row[6:11], row[11:16], strict=True), strict=True)
    return tuple(row[1:5].tolist()), {"score": float(row[5]), **dict(points)}


def above(faces: list[Found]) -> list[Found]:
    return [face for face in faces if face[1]["score"] >= SURE]


def matched(faces: list[Found], others: list[Found]) -> int:
    """How many faces are among the others."""
    if not faces or not others:
        return 0
    return int((b.overlap(corners(faces), corners(others)).max(axis=1) >= SAME).sum())


def landmark_distances(faces: list[Found], others: list[Found]) -> list[float]:
    """The farthest landmark of each face that is among the others, in widths of its box."""
    if not faces or not others:
        return []
    shares = b.overlap(corners(faces), corners(others))
    distances = []
    for face, best, share in zip(faces, shares.argmax(axis=1), shares.max(axis=1), strict=True):
        if share >= SAME:
            other = others[best][1]
            apart = [np.subtract(face[1][name], other[name]) for name in other if name != "score"]
            distances.append(float(np.hypot(*np.transpose(apart)).max() / face[0][2]))
    return distances


def corners(faces: list[Found]) -> NDArray[np.float64]:
    boxes = np.array([face[0] for face in faces], float)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


# Multiply-accumulates of one output's convolutions: kernel area, inputs and outputs per layer,
# and the side of the map that each makes of a patch.
_RNET = ((3, 3, 28, 22), (3, 28, 48, 9), (2, 48, 64, 3))
_ONET = ((3, 3, 32, 46), (3, 32, 64, 21), (3, 64, 64, 8), (2, 64, 128, 3))
_RNET_DENSE = 576 * 128 + 128 * 6
_ONET_DENSE = 1152 * 256 + 256 * 16


def work(image: Image) -> dict[str, float]:
    """Multiply-accumulates that the cascade spends on a photo, by network."""
    detector = MTCNN(min_face=MIN_FACE, threads=1)
    counts = dict.fromkeys(detector.networks, 0.0)
    for name, session in detector.networks.items():
        run = session.run

        def counted(outputs: Any, inputs: Any, name: Any = name, run: Any = run) -> Any:
            counts[name] += _macs(name, inputs["pixels"].shape)
            return run(outputs, inputs)

        session.run = counted  # type: ignore[method-assign]
    detector.detect(image)
    return {str(name): count for name, count in counts.items()}


def _macs(network: str, shape: tuple[int, ...]) -> float:
    count, _, height, width = shape
    if network == "pnet":
        first = (height - 2) * (width - 2) * 9 * 3 * 10
        half = np.ceil((height - 2) / 2), np.ceil((width - 2) / 2)
        second = (half[0] - 2) * (half[1] - 2) * 9 * 10 * 16
        third = (half[0] - 4) * (half[1] - 4) * (9 * 16 * 32 + 32 * 6)
        return float(count * (first + second + third))
    layers, dense = (_RNET, _RNET_DENSE) if network == "rnet" else (_ONET, _ONET_DENSE)
    return float(count * (sum(k * k * i * o * side**2 for k, i, o, side in layers) + dense))
