"""The only importer of LiteLLM.

Importing it costs 4.5 s of CPU, so it happens at the first call that needs it, or in a background
thread started by `prewarm_litellm`. Everything that would touch the network, read files that
nobody named, or write to the terminal is switched off before the import.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
import threading
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["bundled_file", "close_litellm", "litellm_module", "litellm_version", "load_litellm", "prewarm_litellm"]

_ENVIRONMENT = {
    # Without this the import fetches a price map from the network.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    # The default mode loads a `.env` file from the working directory at import.
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "CRITICAL",
    "DO_NOT_TRACK": "1",
}
_LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")
_lock = threading.Lock()


def load_litellm() -> Any:
    """Import LiteLLM once, silent and offline, and return the module.

    Safe to call from several threads; all get the same, fully configured module.
    """
    with _lock:
        return _load()


@cache
def _load() -> ModuleType:
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Warnings about LiteLLM's own code are nothing that a user of Bakeoff can act on.
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"litellm(\.|$)")
    warnings.filterwarnings("ignore", message=r"Items? .* on TypedDict class .* using the `ReadOnly` qualifier")
    import litellm

    module: Any = litellm
    module.suppress_debug_info = True
    module.drop_params = False
    module.num_retries = 0
    module.request_timeout = 600
    module.telemetry = False
    module.disable_streaming_logging = True
    # Else the first call to a Llama or Command model fetches a tokenizer from the network, and blocks the event loop.
    module.disable_hf_tokenizer_download = True
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.CRITICAL)
        logger.propagate = False
    return litellm


def litellm_module(name: str) -> Any:
    """Return a module inside LiteLLM, for instance `main`."""
    load_litellm()
    return importlib.import_module(f"litellm.{name}")


def prewarm_litellm() -> threading.Thread:
    """Start importing LiteLLM in a background thread, and return that thread."""
    thread = threading.Thread(target=load_litellm, name="bakeoff-import-litellm", daemon=True)
    thread.start()
    return thread


@cache
def _package_folder() -> Path:
    spec = importlib.util.find_spec("litellm")  # finds it without importing it
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def bundled_file(*parts: str) -> Path:
    """Return the path of a file that LiteLLM brings along, without importing LiteLLM.

    Examples:
        >>> bundled_file("model_prices_and_context_window_backup.json").is_file()
        True
    """
    return _package_folder().joinpath(*parts)


@cache
def litellm_version() -> str:
    """Return the version of the installed LiteLLM, without importing it.

    Examples:
        >>> litellm_version().count(".") >= 2
        True
    """
    from importlib.metadata import version

    return version("litellm")


def _forget_closed_loops(worker: Any) -> None:
    """Drop tasks that an earlier event loop left behind: awaiting them raises that it is closed."""
    left: set[Any] = worker._running_tasks  # noqa: SLF001 - LiteLLM is pinned, and offers no other way
    left -= {task for task in left if task.get_loop().is_closed()}
    if worker._worker_task is not None and worker._worker_task.get_loop().is_closed():  # noqa: SLF001
        worker._worker_task = None  # noqa: SLF001


async def close_litellm() -> None:
    """Close what LiteLLM keeps open in this event loop: cached HTTP clients and its queue of logging tasks."""
    if "litellm" not in sys.modules:
        return
    from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER
    from litellm.llms.custom_httpx.async_client_cleanup import close_litellm_async_clients

    litellm: Any = load_litellm()
    _forget_closed_loops(GLOBAL_LOGGING_WORKER)
    await GLOBAL_LOGGING_WORKER.clear_queue()
    await GLOBAL_LOGGING_WORKER.stop()
    await close_litellm_async_clients()
    # The one client that is not in its cache; its transport opens a new session when it is used again.
    transport: Any = getattr(litellm.module_level_aclient.client, "_transport", None)
    if transport is not None:
        await transport.aclose()
    litellm.in_memory_llm_clients_cache.flush_cache()
