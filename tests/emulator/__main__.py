"""Serve the emulated AWS: ``python -m tests.emulator PORT``."""

from __future__ import annotations

import logging
import os
import sys


def main(port: int) -> None:
    """Serve on 127.0.0.1 until killed."""
    # Moto's own clients call back to this port; a proxy's bundle of certificates is not for them.
    os.environ["MOTO_PORT"] = str(port)
    os.environ.pop("AWS_CA_BUNDLE", None)
    from tests.emulator import patches

    patches.host_network()
    patches.apply_all(f"http://127.0.0.1:{port}")

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    from tests.emulator.iam_gate import IamGate

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = IamGate(DomainDispatcherApplication(create_backend_app))
    make_server("127.0.0.1", port, application, threaded=True).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
