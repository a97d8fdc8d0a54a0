"""The process of the local LLM server: `python -m ftm_core.llm.local_server_process`."""

from __future__ import annotations

import argparse
import os
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from ftm_core.llm import eight_bit_weights
from ftm_core.llm.gguf import read_gguf

_PARENT_CHECK_SECONDS = 0.25
# Connections beyond those being answered: health probes must never queue behind completions.
_SPARE_HTTP_THREADS = 64


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the model over HTTP on 127.0.0.1 until killed, or until the parent process is gone.

    Port 0 takes a free one; the address served is written to the address file once the model is
    loaded. The folder of that file is the server's own: an orphan removes it.
    """
    parser = argparse.ArgumentParser(prog="ftm_core.llm.local_server_process")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--alias", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--slot-context", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--address-file", type=Path, required=True)
    parser.add_argument("--chat-template", type=Path)
    options = parser.parse_args(arguments)
    threading.Thread(
        target=_end_with, args=(options.parent, options.address_file.parent), daemon=True
    ).start()

    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path = str(_served(options.model, options.address_file.parent))
    params.model_alias = {options.alias}
    params.hostnames = ["127.0.0.1"]
    params.port = options.port
    params.n_parallel = options.slots
    params.n_ctx = options.slot_context * options.slots
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads
    params.n_threads_http = options.slots + _SPARE_HTTP_THREADS
    params.n_gpu_layers = 0
    if options.chat_template is not None:
        params.chat_template = options.chat_template.read_text(encoding="utf-8")
    params.ui = False
    params.offline = True
    # Each slot keeps the prefix it shares with its next prompt. The further cache in main memory
    # would grow to gigabytes over a run and finds nothing more among prompts that differ.
    params.cache_prompt = True
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    server = Server(params)
    temporary = options.address_file.with_suffix(".part")
    temporary.write_text(server.listening_address, encoding="ascii")
    temporary.replace(options.address_file)
    threading.Event().wait()


def _served(model: Path, folder: Path) -> Path:
    """The file to load: the model's own, or a faster copy of it.

    The copy is made again at each start, in a second or less: one kept on disk would have to be
    verified as well.
    """
    file = read_gguf(model)
    if not eight_bit_weights.gains(file):
        return model
    copy = folder / f"{model.stem}.eight-bit.gguf"
    eight_bit_weights.write_copy(file, copy)
    return copy


def _end_with(parent: int, folder: Path) -> None:
    """End this process when its parent is gone; a killed parent cannot stop it any more.

    Nor can it remove the temporary ``folder`` of address and log, so that goes as well.
    The parent's death signal of Linux is no help: it fires when the parent's starting thread ends.
    """
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
