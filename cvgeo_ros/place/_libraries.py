"""The one place that imports sentence-transformers, which takes seconds: when the first sentence is asked for."""

import sys
from typing import Any


def sentence_transformer_class() -> Any:
    """`sentence_transformers.SentenceTransformer`.

    The compiled operators of torchvision are absent where a CPU-only torch is paired with the build from PyPI, and
    importing it raises. transformers can do without torchvision, but asks only whether it is installed; so where it
    cannot be imported it is hidden meanwhile.
    """
    hidden = False
    if "torchvision" not in sys.modules:
        try:
            import torchvision  # noqa: F401
        except (ImportError, RuntimeError):
            for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
                del sys.modules[name]
            sys.modules["torchvision"] = None  # type: ignore[assignment]  # cannot be imported
            hidden = True
    try:
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # of a second's loading, in the midst of what commands and nodes print
    finally:
        if hidden:
            del sys.modules["torchvision"]
    return SentenceTransformer
