"""Start the service: check what it needs, take the port, build the application, serve."""

import gc
import ipaddress
import os
import socket
from typing import Final

import structlog
from prometheus_client import disable_created_metrics

from lentigo_contract.errors import LentigoError
from lentigo_contract.fhir.codes import read_code_map
from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_contract.system.allocator import return_large_blocks
from lentigo_contract.system.resources import require_memory
from lentigo_inference import __version__
from lentigo_inference.app import create_app
from lentigo_inference.audit.folder import series_folders
from lentigo_inference.audit.signing import read_signer
from lentigo_inference.observability.logging import configure_logs
from lentigo_inference.observability.tracing import Tracing, traces_wanted
from lentigo_inference.security.api_keys import read_keys
from lentigo_inference.security.oidc.tokens import token_verifier
from lentigo_inference.server.serve import address_of, listen, serve
from lentigo_inference.serving.limits.admission import Shutdown
from lentigo_inference.serving.loading import load_options
from lentigo_inference.settings import Settings, unknown_variables

_log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

# Bytes that the service uses with LiteRT for each version, before its first prediction.
_NEEDED_MEMORY: Final = 256 * 2**20


class UnsafeStartError(LentigoError):
    """The service must not start with these settings; the message says why."""


def run_service(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ListenError: the address cannot be listened on.
        UnsafeStartError: too little memory; an unusable key file, issuer, prevalence, map of codes,
            audit trail or key of versions; or no keys on an address that other machines can reach.
    """
    listener = listen(settings.host, settings.port)
    try:
        _require_safe_start(settings, listener)
    except UnsafeStartError:
        listener.close()
        raise
    configure_logs(settings)
    for name in unknown_variables(dict(os.environ)):
        _log.warning("unknown setting ignored", variable=name)
    # Process-wide, like the log. Nobody reads when a series began, and every scrape pays for it.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    shutdown = Shutdown()
    tracing = Tracing() if traces_wanted(os.environ) else None
    app = create_app(settings, shutdown=shutdown, tracing=tracing)
    _settle_memory()
    _log.info(
        "listening",
        url=address_of(listener),
        version=__version__,
        model_repository=str(settings.model_repository),
        access=_access(settings),
        audit=settings.audit if settings.audit_dir is not None else "off",
        signed_versions="required" if settings.model_key is not None else "not required",
        shadow_version=settings.shadow_version,
        notice=RESEARCH_NOTICE,
    )
    serve(app, settings, listener, shutdown)


def _settle_memory() -> None:
    """Prepare the process to run for months; before there are other threads."""
    return_large_blocks()
    # What was made until here stays: modules, routes, schemas, some 90,000 objects. Looking through
    # all of them stops every request for 25 to 50 ms, whenever Python collects its oldest ones.
    gc.collect()
    gc.freeze()


def _require_safe_start(settings: Settings, listener: socket.socket) -> None:
    """Check memory and files, and that other machines need a key; raises UnsafeStartError."""
    try:
        versions = 1 if settings.shadow_version is None else 2
        require_memory(versions * _NEEDED_MEMORY, "The service")
        load_options(settings)
        if settings.fhir_codes is not None:
            read_code_map(settings.fhir_codes)
        if settings.audit_dir is not None and settings.audit_key is not None:
            read_signer(settings.audit_key)
            series_folders(settings.audit_dir)
        # It is not asked yet: what is away at start may be back in a minute.
        token_verifier(settings)
        if settings.key_file is not None:
            read_keys(settings.key_file)
    except LentigoError as error:
        raise UnsafeStartError(str(error)) from error
    listens_on = str(listener.getsockname()[0]).partition("%")[0]
    address = settings.published_address or ipaddress.ip_address(listens_on)
    if settings.asks_who or settings.allow_anonymous or address.is_loopback:
        return
    raise UnsafeStartError(
        f"without API keys or an issuer of tokens it listens on loopback alone, and {address} is "
        "not. Make a key with `lentigo-inference keys add NAME --scope predict --file FILE` and "
        "set LENTIGO_KEY_FILE=FILE, or set LENTIGO_OIDC_ISSUER, or set "
        "LENTIGO_ALLOW_ANONYMOUS=true to serve anyone who asks."
    )


def _access(settings: Settings) -> str:
    if settings.asks_who:
        ways = ["API key"] if settings.key_file is not None else []
        if settings.oidc_issuer is not None:
            ways.append(f"token of {settings.oidc_issuer}")
        return f"by {' or '.join(ways)}"
    if settings.allow_anonymous:
        return "anyone, without a key (LENTIGO_ALLOW_ANONYMOUS)"
    return "anyone on this machine: there is no key file, so loopback alone"
