"""TensorFlow and Keras, loaded when a function needs them: importing takes seconds, and they are an extra."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from privwiz.errors import MissingExtra

__all__ = ["load_keras", "load_tensorflow", "no_conversion_warnings"]


def load_tensorflow() -> Any:
    """Import TensorFlow, without its start-up notes unless ``TF_CPP_MIN_LOG_LEVEL`` asks for them.

    Raises
    ------
    MissingExtra
        If the extra ``federated`` is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow as tf
    except ImportError:
        raise MissingExtra("training a Keras model", "federated") from None
    return tf


def load_keras() -> Any:
    """Import the Keras that comes with TensorFlow; fails as `load_tensorflow`."""
    return load_tensorflow().keras


@contextmanager
def no_conversion_warnings() -> Iterator[None]:
    """Keep `tf.vectorized_map` from telling users which of its operations take a loop: the result is the same."""
    logger: logging.Logger = load_tensorflow().get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
