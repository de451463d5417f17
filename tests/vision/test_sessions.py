import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from recognizer.vision.sessions import LazySession
from tests.vision.tiny_model import tiny_network

ROOT = Path(__file__).resolve().parents[2]
FACES = np.ones((2, 48, 48, 1), np.float32)


def test_the_model_is_loaded_on_first_use_and_once() -> None:
    loads = []
    session = LazySession(lambda: loads.append(1) or tiny_network(), threads=1)  # type: ignore[func-returns-value]
    assert loads == []
    for _ in range(2):
        (logits,) = session.run(["ferplus"], {"faces": FACES})
    assert logits.shape == (2, 8)
    assert loads == [1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_session_made_before_a_fork_works_after_it() -> None:
    done = fresh_process(
        """
        import os
        import numpy as np
        from recognizer.vision.sessions import LazySession
        from tests.vision.tiny_model import tiny_network
        session = LazySession(tiny_network, threads=2)
        faces = np.ones((64, 48, 48, 1), np.float32)
        (before,) = session.run(["ferplus"], {"faces": faces})
        child = os.fork()
        if child == 0:
            (after,) = session.run(["ferplus"], {"faces": faces})
            # As multiprocessing and Celery's pool end their children; ONNX Runtime's own
            # exit handler waits for ever in a child whose parent had a session.
            os._exit(0 if np.array_equal(before, after) else 3)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    assert done == "0"


def test_recognising_imports_neither_tensorflow_nor_django(tiny_model: Path) -> None:
    done = fresh_process(
        f"""
        import sys
        from pathlib import Path
        import numpy as np
        from recognizer.vision import Recognizer, annotate
        loaded = {{"onnx", "onnxruntime", "joblib", "PIL", "pillow_heif"}} & sys.modules.keys()
        assert not loaded, loaded  # The import is quick: these wait for the first photo.
        from recognizer.vision.classification import OnnxClassifier
        from recognizer.vision.images import decode, encode_jpeg
        photo = decode(encode_jpeg(np.random.default_rng(0).integers(
            0, 255, (200, 200, 3), dtype=np.uint8)))
        recognizer = Recognizer(classifier=OnnxClassifier(Path({str(tiny_model)!r})))
        annotate(photo.image, recognizer.recognize(photo.image))
        recognizer.classifier.probabilities(np.ones((1, 48, 48, 1), np.float32))
        print(*sorted({{"tensorflow", "keras", "mtcnn", "django"}} & sys.modules.keys()))
        """
    )
    assert done == ""


def fresh_process(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
