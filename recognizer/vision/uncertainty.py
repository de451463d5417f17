"""When the model is not sure, and why."""

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.vision.cards import ScoreKind, UncertaintyRule


def score(
    probabilities: NDArray[np.floating],
    kind: ScoreKind,
    guess: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """How unsure the model is of its guess, from the probabilities alone.

    Args:
        probabilities: (N, K) rows that sum to 1, K at least 2.
        kind: with g the guess' probability and r that of the best other class, "confidence" is
            1 - g; "margin" is 1 - (g - r), at most 1; "entropy" is Shannon's entropy divided by
            log K, and 1 where r is above g.
        guess: (N,) the class that is answered; the most probable one, if not given.

    Returns:
        (N,) in 0-1, higher is less sure.

    Raises:
        ValueError: another shape or another kind.
    """
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise ValueError(
            f"Expected probabilities of shape (N, 2 or more), got {probabilities.shape}."
        )
    p = probabilities.astype(np.float64)
    place = (p.argmax(axis=1) if guess is None else guess)[:, np.newaxis]
    guessed = np.take_along_axis(p, place, axis=1)[:, 0]
    others = p.copy()
    np.put_along_axis(others, place, -np.inf, axis=1)
    lead = guessed - others.max(axis=1)
    scores: NDArray[np.float64]
    match kind:
        case "confidence":
            scores = 1 - guessed
        case "margin":
            scores = 1 - np.maximum(lead, 0)
        case "entropy":
            logs = np.log(p, out=np.zeros_like(p), where=p > 0)
            entropy = -(p * logs).sum(axis=1) / np.log(p.shape[1])
            scores = np.where(lead < 0, 1.0, entropy)
        case _:
            raise ValueError(f'Expected "confidence", "margin" or "entropy", not {kind!r}.')
    return scores


def doubt(
    probabilities: NDArray[np.floating],
    rule: UncertaintyRule,
    ambiguity: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """The one scalar that the uncertain rule thresholds.

    The score of the probabilities, averaged with the ambiguity head's answer: people who look
    at such a face would disagree. `rule.ambiguity_weight` is that answer's share. What lifts
    rare emotions, `rule.lift`, is taken off the probabilities before: how often an answer is
    wrong depends on how frequent the emotions are, and a guess that only the lift makes is none
    to be sure of.

    Args:
        probabilities: (N, K) rows that sum to 1.
        rule: the model card's.
        ambiguity: (N,) 0-1, or None for a model without that head.

    Returns:
        (N,) in 0-1, higher is less sure.
    """
    base = score(without_lift(probabilities, rule), rule.score, probabilities.argmax(axis=1))
    if ambiguity is None:
        return base
    return (1 - rule.ambiguity_weight) * base + rule.ambiguity_weight * ambiguity


def without_lift(
    probabilities: NDArray[np.floating], rule: UncertaintyRule
) -> NDArray[np.floating]:
    """(N, K) probabilities as they would be if nothing lifted rare emotions."""
    if not any(rule.lift):
        return probabilities
    odds = probabilities * np.exp(-np.array(rule.lift))
    shares: NDArray[np.floating] = odds / odds.sum(axis=1, keepdims=True)
    return shares


def against(
    doubts: NDArray[np.float64],
    rule: UncertaintyRule,
    face_sides: NDArray[np.float64] | None = None,
    sharpness: NDArray[np.float64] | None = None,
    not_a_face: NDArray[np.float64] | None = None,
) -> dict[str, NDArray[np.bool_]]:
    """What keeps a model from answering: by kind, (N,) for which of the faces.

    Args:
        doubts: (N,) as `doubt` gives them.
        rule: the model card's.
        face_sides, sharpness, not_a_face: (N,) each, as in `judge`.
    """
    found = {"unsure": doubts > rule.threshold}
    if face_sides is not None:
        found["small_face"] = face_sides < rule.min_face
    if sharpness is not None:
        found["blurred"] = sharpness < rule.min_sharpness
    if not_a_face is not None:
        found["not_a_face"] = not_a_face > rule.not_a_face
    return found


def judge(
    probabilities: NDArray[np.floating],
    rule: UncertaintyRule,
    face_side: float | None = None,
    sharpness: float | None = None,
    ambiguity: float | None = None,
    not_a_face: float | None = None,
) -> list[str]:
    """Why one face is uncertain; an empty list means that the model commits.

    Args:
        probabilities: (K,) calibrated.
        rule: the model card's.
        face_side: longer side of the face's box in pixels of the photo; None where there is
            no photo, as when a data set is evaluated.
        sharpness: of the normalised crop, see `sharpness`; None as above.
        ambiguity: probability that people would disagree; None without such a head.
        not_a_face: probability that this is no face at all; None without such a head.

    Returns:
        At most one of "ambiguous", "close_call" and "low_confidence", then "small_face",
        "blurred", "not_a_face".
    """
    side, sharp, asked, none = (
        None if one is None else np.array([one], np.float64)
        for one in (face_side, sharpness, ambiguity, not_a_face)
    )
    doubts = doubt(probabilities[np.newaxis], rule, asked)
    reasons = [kind for kind, of in against(doubts, rule, side, sharp, none).items() if of[0]]
    if reasons[:1] == ["unsure"]:
        runner_up, top = np.partition(probabilities.astype(np.float64), -2)[-2:]
        if ambiguity is not None and ambiguity > 0.5:
            reasons[0] = "ambiguous"
        elif top - runner_up < rule.close_call_margin:
            reasons[0] = "close_call"
        else:
            reasons[0] = "low_confidence"
    return reasons


def sharpness(crops: NDArray[np.float32]) -> NDArray[np.float64]:
    """Variance of the Laplacian of each normalised crop (Pech-Pacheco et al. 2000).

    Args:
        crops: (N, size, size, 1), mean 0 and deviation 1, as `preprocessing.normalize` gives them.

    Returns:
        (N,), 0 or more; about 0.01 for an upsampled blur, above 1 for fine texture.
    """
    edges = [cv2.Laplacian(crop[:, :, 0], cv2.CV_32F, ksize=1) for crop in crops]
    return np.array([float(edge.var()) for edge in edges])
