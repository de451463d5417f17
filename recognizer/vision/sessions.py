"""ONNX Runtime sessions, made on first use and anew in each process."""

import ctypes
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = list[int | str | None]
"""A name or None stands for a dimension that is free."""


def cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # Only Linux knows.
        return os.cpu_count() or 1


class LazySession:
    """An ONNX Runtime session that is made when first run.

    A session's threads do not survive a fork: a child of Celery's prefork pool would hang on
    its parent's session. So it is made on first use, and made again after a fork. Safe to
    share between threads.
    """

    def __init__(
        self, model: Callable[[], bytes], threads: int = 0, *, keep_memory: bool = False
    ) -> None:
        """Remember how to make the session.

        Args:
            model: gives the serialised ONNX model; called once per process.
            threads: intra-op threads; 0 lets ONNX Runtime take one per physical core.
            keep_memory: hold on to the memory that the runs so far took at most, all that went
                on at once together. Getting it anew from the system can cost as much as the run;
                but only where runs are of a bounded size and number is it bounded too.
        """
        if threads < 0:
            raise ValueError(f"threads must be 0 (automatic) or more, not {threads}.")
        self._model = model
        self._threads = threads
        self._keep_memory = keep_memory
        self._session: Any = None
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=_weak(self))

    def _reset_after_fork(self) -> None:
        # A lock that another thread held at the fork would stay locked in the child for ever.
        self._lock = threading.Lock()
        if self._session is not None:
            # Never freed: its destructor would wait for threads that only the parent has.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._session))
            self._session = None

    def run(self, outputs: list[str], inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Run the model; `outputs` are in the order asked for."""
        results = self._ready().run(outputs, inputs)
        return [np.asarray(result) for result in results]

    def shapes(self) -> tuple[dict[str, Shape], dict[str, Shape]]:
        """Shapes of the model's inputs and of its outputs, by name."""
        session = self._ready()
        return (
            {one.name: one.shape for one in session.get_inputs()},
            {one.name: one.shape for one in session.get_outputs()},
        )

    def metadata(self) -> dict[str, str]:
        """What the model's file says of itself, by name."""
        said: dict[str, str] = self._ready().get_modelmeta().custom_metadata_map
        return said

    def _ready(self) -> Any:
        with self._lock:
            if self._session is None:
                self._session = _make(self._model(), self._threads, self._keep_memory)
            return self._session


def _weak(session: LazySession) -> Callable[[], None]:
    """A fork hook that does not keep the session alive; hooks cannot be unregistered."""
    reference = weakref.ref(session)

    def reset() -> None:
        alive = reference()
        if alive is not None:
            alive._reset_after_fork()

    return reset


def _make(model: bytes, threads: int, keep_memory: bool) -> Any:
    # Imported here: `import recognizer.vision` stays quick for doors that never recognise.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Idle workers must not spin on the cores that other processes need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = keep_memory
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
