"""TLS of DICOM connections, by the BCP 195 profile: both sides show a certificate (PS3.15, B.9)."""

import ssl

from lentigo_gateway.config import TlsConfig
from lentigo_gateway.errors import ConfigError


def server_context(config: TlsConfig) -> ssl.SSLContext:
    """Return the context of a listener, which asks callers for a certificate.

    Raises:
        ConfigError: a file cannot be used.
    """
    return _context(config, ssl.PROTOCOL_TLS_SERVER)


def client_context(config: TlsConfig) -> ssl.SSLContext:
    """Return the context of a caller, which checks whom it reached.

    Raises:
        ConfigError: a file cannot be used.
    """
    return _context(config, ssl.PROTOCOL_TLS_CLIENT)


def _context(config: TlsConfig, protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(config.certificate, config.key)
        context.load_verify_locations(config.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"The TLS files {config.certificate}, {config.key} and {config.ca_file} cannot be used."
        ) from error
    return context
