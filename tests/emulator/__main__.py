"""Serve the emulated AWS: ``python -m tests.emulator PORT``."""

from __future__ import annotations

import logging
import os
import sys
import threading


def main(port: int) -> None:
    """Serve on 127.0.0.1 until killed."""
    # Moto's own clients call back to this port; a proxy's bundle of certificates is not for them.
    os.environ["MOTO_PORT"] = str(port)
    os.environ.pop("AWS_CA_BUNDLE", None)
    from tests.emulator import mends

    mends.host_network()
    mends.apply_all(f"http://127.0.0.1:{port}")

    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
