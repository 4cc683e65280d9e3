"""TensorFlow and Keras, loaded when a function needs them: importing takes seconds, and they are an extra."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from privwiz.errors import MissingExtra

__all__ = ["load_keras", "load_tensorflow", "quiet_logger", "silence"]


def load_tensorflow() -> Any:
    """Import TensorFlow, without its start-up notes unless ``TF_CPP_MIN_LOG_LEVEL`` asks for them.

    Raises
    ------
    MissingExtra
        If the extra ``federated`` is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "tensorflow" not in sys.modules and find_spec("tensorflow") is None:
        raise MissingExtra("training a Keras model", "federated")
    with silence() if "tensorflow" not in sys.modules else nullcontext():
        import tensorflow as tf
    return tf


def load_keras() -> Any:
    """Import the Keras that comes with TensorFlow; fails as `load_tensorflow`."""
    return load_tensorflow().keras


@contextmanager
def quiet_logger() -> Iterator[None]:
    """Keep TensorFlow from telling users what concerns its developers: which operations take a loop, which names are old."""
    logger: logging.Logger = load_tensorflow().get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def silence() -> Iterator[None]:
    """Let nothing come out on standard error: TensorFlow's libraries write there before any setting can stop them."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
