"""Pixels in; faces, emotions and drawings out. NumPy, OpenCV and ONNX Runtime, no Django."""

from recognizer.vision.annotation import annotate
from recognizer.vision.emotions import EMOTIONS
from recognizer.vision.pipeline import Recognition, RecognizedFace, Recognizer

__all__ = ["EMOTIONS", "Recognition", "RecognizedFace", "Recognizer", "annotate"]
