import json
import ssl
from pathlib import Path

import pytest
from magnetar.credentials import BrokerCredentials
from magnetar.errors import StartError

TOKEN = "org.apache.pulsar.client.impl.auth.AuthenticationToken"
TLS = "org.apache.pulsar.client.impl.auth.AuthenticationTls"


@pytest.mark.parametrize("parameters", ["token:abc", "abc", '{"token": "abc"}'])
def test_a_token_is_found_in_each_of_pulsars_forms(parameters: str) -> None:
    """Prefixed, bare and JSON parameters give the same header."""
    assert BrokerCredentials(TOKEN, parameters).headers()["Authorization"] == "Bearer abc"


def test_a_token_file_is_read_anew_each_time(tmp_path: Path) -> None:
    """A renewed token counts without a restart, and a space in the path does no harm."""
    file = tmp_path / "my token"
    file.write_text("one\n")
    credentials = BrokerCredentials(TOKEN, file.as_uri())
    assert credentials.token() == "one"
    file.write_text("two\n")
    assert credentials.headers()["Authorization"] == "Bearer two"


def test_a_missing_token_file_is_named(tmp_path: Path) -> None:
    """The error names the setting and the file."""
    with pytest.raises(StartError, match=r"brokerClientAuthenticationParameters.*none\.jwt"):
        BrokerCredentials(TOKEN, f"file://{tmp_path}/none.jwt").token()


@pytest.mark.parametrize(
    "parameters", ["tlsCertFile:/c.pem, tlsKeyFile:/k.pem", '{"tlsCertFile":"/c.pem","tlsKeyFile":"/k.pem"}']
)
def test_a_client_certificate_is_found_in_both_forms(parameters: str) -> None:
    """The older list of pairs and JSON name the same files."""
    assert BrokerCredentials(TLS, parameters).client_certificate() == ("/c.pem", "/k.pem")


@pytest.mark.parametrize(
    ("plugin", "parameters", "named"),
    [
        ("com.example.Mine", "", "brokerClientAuthenticationPlugin"),
        (TLS, "tlsCertFile:/c.pem", "tlsKeyFile"),
        ("basic", '{"userId": "u"}', "password"),
        ("basic", "{no json", "brokerClientAuthenticationParameters"),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(plugin: str, parameters: str, named: str) -> None:
    """The error names what is wrong before anything connects."""
    with pytest.raises(StartError, match=named):
        BrokerCredentials(plugin, parameters)


def test_secrets_are_not_shown_when_printed() -> None:
    """The parameters never reach a log through repr."""
    assert "hush" not in repr(BrokerCredentials(TOKEN, "token:hush"))


def test_insecure_tls_verifies_nothing_and_is_not_the_default() -> None:
    """A peer is verified unless the config says otherwise."""
    assert BrokerCredentials().ssl_context().verify_mode == ssl.CERT_REQUIRED
    assert BrokerCredentials(allow_insecure=True).ssl_context().verify_mode == ssl.CERT_NONE


def test_user_and_password_make_a_basic_header() -> None:
    """The header is HTTP's own."""
    credentials = BrokerCredentials("basic", json.dumps({"userId": "u", "password": "p"}))
    assert credentials.headers()["Authorization"] == "Basic dTpw"
