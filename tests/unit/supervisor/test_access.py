import base64
import datetime as dt
import hmac
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
from certificates import Authority
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from magnetar.access import Authentication, Authorization, Caller, Presented, load_authentication
from magnetar.access.providers import BasicProvider, TlsProvider, TokenProvider
from magnetar.cli.doctor.findings import Verdict
from magnetar.cli.doctor.security import look_at_security
from magnetar.config import load_config
from magnetar.config.security_keys import BASIC_PROVIDER, TLS_PROVIDER, TOKEN_PROVIDER
from magnetar.errors import NotAuthenticatedError, NotAuthorizedError, StartError
from magnetar_broker.auth.passwords import apr1

SECRET = b"0123456789abcdef0123456789abcdef"
ALICE = {"subject": ((("organizationName", "us"),), (("commonName", ""),), (("commonName", "alice"),))}
HASHES = "bob:$apr1$abcdefgh$hnz8AY7O7E7QvKAVjuw920\n\ncarol:$apr1$x$bQatcK1BwS21uAoagMS9l.\n"


def bearer(token: str, **more: str) -> Presented:
    return Presented({"authorization": f"Bearer {token}", **more})


def token(key: object = SECRET, algorithm: str = "HS256", **claims: object) -> str:
    return jwt.encode({"sub": "alice", **claims}, key, algorithm)  # type: ignore[arg-type]


def forged(public: bytes) -> str:
    """Return a token that is signed with a public key as if that were a secret."""
    head = token().rpartition(".")[0]
    signature = hmac.digest(public, head.encode(), "sha256")
    return f"{head}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def seconds(number: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=number)


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "a secret.key"
    path.write_bytes(SECRET)
    return path


FORMS: dict[str, Callable[[Path], str]] = {
    "path": str,
    "file URL": Path.as_uri,
    "data URL": lambda path: "data:;base64," + base64.b64encode(path.read_bytes()).decode(),
    "base64": lambda path: base64.b64encode(path.read_bytes()).decode(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_secret_key_is_read_in_every_form_of_pulsar(secret_file: Path, form: Callable[[Path], str]) -> None:
    """A path, a file: or data: URL and base64 all mean the same bytes."""
    provider = TokenProvider({"tokenSecretKey": form(secret_file)})
    assert provider.authenticate(bearer(token())) == "alice"
    with pytest.raises(NotAuthenticatedError, match="Signature"):
        provider.authenticate(bearer(token(SECRET[::-1])))


@pytest.mark.parametrize(
    ("private", "algorithm"),
    [
        (rsa.generate_private_key(public_exponent=65537, key_size=2048), "RS256"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
    ],
    ids=["RSA", "elliptic"],
)
def test_a_public_key_judges_what_its_private_half_signed(
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, algorithm: str
) -> None:
    """Tokens of the private key hold; one that took the public key for a secret does not."""
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    properties = {"tokenPublicKey": base64.b64encode(public).decode(), "tokenPublicAlg": algorithm}
    provider = TokenProvider(properties)
    assert provider.authenticate(bearer(token(private, algorithm))) == "alice"
    for bad in (forged(public), token(None, "none"), token()):
        with pytest.raises(NotAuthenticatedError):
            provider.authenticate(bearer(bad))


@pytest.mark.parametrize(
    ("settings", "claims", "role"),
    [
        ({}, {"exp": seconds(36_000)}, "alice"),
        ({}, {"exp": seconds(-1)}, None),
        ({"tokenAllowedClockSkewSeconds": 36_000}, {"exp": seconds(-1)}, "alice"),
        ({}, {"nbf": seconds(36_000)}, None),
        ({"tokenAuthClaim": "role"}, {"role": ["first", "second"]}, "first"),
        ({"tokenAuthClaim": "role"}, {}, None),
        ({"tokenAudienceClaim": "aud", "tokenAudience": "w"}, {"aud": ["v", "w"]}, "alice"),
        ({"tokenAudienceClaim": "aud", "tokenAudience": "w"}, {"aud": "v"}, None),
        ({"tokenAudienceClaim": "aud", "tokenAudience": "w"}, {}, None),
    ],
)
def test_claims_are_judged(settings: Mapping[str, object], claims: Mapping[str, object], role: str | None) -> None:
    """Expiry, skew, the claim of the role and the audience count; settings may have a prefix."""
    secret = base64.b64encode(SECRET).decode()
    prefixed = {f"mine_{key}": value for key, value in {"tokenSecretKey": secret, **settings}.items()}
    provider = TokenProvider({"tokenSettingPrefix": "mine_", **prefixed})
    if role is not None:
        assert provider.authenticate(bearer(token(**claims))) == role
        return
    with pytest.raises(NotAuthenticatedError):
        provider.authenticate(bearer(token(**claims)))


def test_a_certificate_s_common_name_is_the_role() -> None:
    """The first one that is not empty; without one, or without a certificate, nobody is known."""
    provider = TlsProvider({})
    assert provider.authenticate(Presented({}, ALICE)) == "alice"
    for certificate in (None, {}, {"subject": ((("organizationName", "us"),),)}):
        with pytest.raises(NotAuthenticatedError):
            provider.authenticate(Presented({}, certificate))


def basic(pair: str) -> Presented:
    return Presented({"authorization": "Basic " + base64.b64encode(pair.encode()).decode()})


def test_passwords_are_judged_by_what_htpasswd_wrote() -> None:
    """Apache's MD5 hashes are read from base64 as from a file; nothing tells whether name or password was wrong."""
    provider = BasicProvider({"basicAuthConf": base64.b64encode(HASHES.encode()).decode()})
    assert provider.authenticate(basic("bob:opensesame")) == "bob"
    for bad in ("bob:other", "nobody:opensesame", "bob", "bob:", ":"):
        with pytest.raises(NotAuthenticatedError, match="Unknown user or invalid password"):
            provider.authenticate(basic(bad))
    for other in (Presented({}), bearer("x"), Presented({"authorization": "Basic ü"})):
        with pytest.raises(NotAuthenticatedError):
            provider.authenticate(other)
    assert apr1(b"a much longer password than 16", "x") == "$apr1$x$bQatcK1BwS21uAoagMS9l."


@pytest.mark.parametrize("text", ["bob", ":x", "bob:{SHA}xyz", "bob:$2y$05$abc"])
def test_passwords_in_another_form_are_refused_by_line(text: str) -> None:
    """A file that can't be judged by stops the start."""
    encoded = base64.b64encode(f"{HASHES}{text}\n".encode()).decode()
    with pytest.raises(StartError, match=r"line 4.*htpasswd -m"):
        BasicProvider({"basicAuthConf": encoded})


def test_passwords_as_unix_hashed_them() -> None:
    """What `htpasswd -d` wrote is read as Pulsar reads it, of eight characters; another user's stays as it was."""
    text = f"{HASHES}carol:abNANd1rDfiNc\n"
    provider = BasicProvider({"basicAuthConf": base64.b64encode(text.encode()).decode()})
    assert provider.authenticate(basic("carol:secret")) == "carol"
    assert provider.authenticate(basic("bob:opensesame")) == "bob"
    for bad in ("carol:Secret", "carol:", "carol:secret\0x", "bob:secret"):
        with pytest.raises(NotAuthenticatedError, match="Unknown user or invalid password"):
            provider.authenticate(basic(bad))


TOKENS = TokenProvider({"tokenSecretKey": base64.b64encode(SECRET).decode()})
METHOD = "x-pulsar-auth-method-name"


def test_several_providers_are_tried_in_order() -> None:
    """Without a method's name the first that knows the caller wins; with a name only that one is asked."""
    both = Authentication([TlsProvider({}), TOKENS])
    mixed = Presented({"authorization": f"Bearer {token(sub='carol')}"}, ALICE)
    assert (both.identify(mixed).role, both.identify(mixed).token) == ("alice", None)
    named = Presented({**mixed.headers, METHOD: "token"}, ALICE)
    assert (both.identify(named).role, both.identify(named).token) == ("carol", token(sub="carol"))
    assert both.identify(bearer(token())).method == "token"
    for nobody in (Presented({}), Presented({METHOD: "sasl"}, ALICE), Presented({METHOD: "token"}, ALICE)):
        with pytest.raises(NotAuthenticatedError, match=r"^Authentication required: "):
            both.identify(nobody)


def test_nobody_may_be_somebody() -> None:
    """The anonymous role is for requests that no provider knows, unless they name a method."""
    known = Authentication([TOKENS], anonymous="guest")
    assert known.identify(Presented({})) == Caller("guest", "anonymous")
    assert known.identify(bearer(token())).role == "alice"
    with pytest.raises(NotAuthenticatedError):
        known.identify(bearer("bad", **{METHOD: "token"}))
    strict = Authentication([TOKENS], strict=True)
    assert strict.identify(bearer(token(), **{METHOD: "token"})).role == "alice"
    with pytest.raises(NotAuthenticatedError, match="X-Pulsar-Auth-Method-Name"):
        strict.identify(bearer(token()))


def test_a_proxy_s_token_is_not_handed_on() -> None:
    """What a proxy shows is its own: it names whom it asks for, and a function must not get it."""
    known = Authentication([TOKENS], proxies=frozenset({"proxy"}))
    asked = known.identify(bearer(token(sub="proxy"), **{"x-original-principal": "alice"}))
    assert asked == Caller("proxy", "token", "alice", None)


class OneTenant:
    async def administrators(self, tenant: str) -> Collection[str]:
        return {"boss"} if tenant == "t" else ()

    async def permitted(self, tenant: str, namespace: str, action: str) -> Collection[str]:
        return {"worker"} if (tenant, namespace, action) == ("t", "n", "functions") else ()


JUDGE = Authorization(frozenset({"root"}), frozenset({"proxy", "other proxy", "root proxy"}), OneTenant())


@pytest.mark.parametrize(
    ("caller", "super_user", "administrator", "namespace"),
    [
        (Caller("root"), True, True, True),
        (Caller("boss"), False, True, True),
        (Caller("worker"), False, False, True),
        (Caller("stranger"), False, False, False),
        (Caller(None), False, False, False),
        (Caller(""), False, False, False),
        (Caller("root", original="root"), True, True, True),
        (Caller("root", original="worker"), False, False, False),
        (Caller("proxy"), False, False, False),
        (Caller("proxy", original="root"), False, False, False),
    ],
)
async def test_roles(caller: Caller, super_user: bool, administrator: bool, namespace: bool) -> None:
    """Super users may do everything, administrators what is in their tenant, others what is permitted to them."""
    for demand, allowed in (
        (JUDGE.demand_super_user(caller), super_user),
        (JUDGE.demand_tenant(caller, "t"), administrator),
        (JUDGE.demand_namespace(caller, "t", "n"), namespace),
        (JUDGE.demand_namespace(caller, "t2", "n"), super_user),
    ):
        if allowed:
            await demand
            continue
        with pytest.raises(NotAuthorizedError, match=r"^Client is not authorized to perform operation: ") as caught:
            await demand
        assert caught.value.status == 401


async def test_a_proxy_and_whom_it_asks_for_must_both_be_allowed() -> None:
    """A proxy that may do everything still does for a stranger only what the stranger may."""
    judge = Authorization(frozenset({"root", "proxy"}), frozenset({"proxy", "other"}), OneTenant())
    await judge.demand_super_user(Caller("proxy", original="root"))
    await judge.demand_namespace(Caller("proxy", original="worker"), "t", "n")
    for original in (None, "other", "proxy", "stranger"):
        with pytest.raises(NotAuthorizedError):
            await judge.demand_namespace(Caller("proxy", original=original), "t", "n")
    with pytest.raises(NotAuthorizedError):
        await judge.demand_super_user(Caller("proxy", original="worker"))


def loaded(providers: list[str], properties: Mapping[str, str]) -> Authentication | None:
    keys = {"authenticationEnabled": True, "authenticationProviders": providers, "properties": properties}
    return load_authentication(load_config(None, keys))


def test_providers_are_named_as_in_pulsar_or_as_python_classes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Pulsar's names mean ours; a Python class gets the properties; another Java class is refused by name."""
    secret = base64.b64encode(SECRET).decode()
    hashes = base64.b64encode(HASHES.encode()).decode()
    all_three = [TOKEN_PROVIDER, TLS_PROVIDER, BASIC_PROVIDER]
    found = loaded(all_three, {"tokenSecretKey": secret, "basicAuthConf": hashes})
    assert found is not None
    assert found.methods == {"token", "tls", "basic"}
    (tmp_path / "my_provider.py").write_text(
        "class Mine:\n    method = 'mine'\n    def __init__(self, properties): self.role = properties['role']\n"
        "    def authenticate(self, presented): return self.role\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    mine = loaded(["my_provider:Mine"], {"role": "me"})
    assert mine is not None
    assert mine.identify(Presented({})).role == "me"
    assert load_authentication(load_config()) is None
    with pytest.raises(StartError, match=r"com\.acme\.Mine.*AuthenticationProvider"):
        loaded(["com.acme.Mine"], {})
    with pytest.raises(StartError, match="HS256 needs 32"):
        loaded([TOKEN_PROVIDER], {"tokenSecretKey": "YWJj"})


def test_threads_are_named_where_roles_are_judged() -> None:
    """A function in the worker's own process could be anyone: with authorization, threads run only if they are named."""
    keys = {
        "authenticationEnabled": True,
        "authorizationEnabled": True,
        "authenticationProviders": [TLS_PROVIDER],
    }
    assert load_config(None, keys).magnetar.runtimes == ("process",)
    named = {**keys, "magnetar": {"runtimes": ["process", "thread"]}}
    assert load_config(None, named).magnetar.runtimes == ("process", "thread")
    chosen = {**keys, "magnetar": {"defaultRuntime": "thread"}}
    assert load_config(None, chosen).magnetar.runtimes == ("process", "thread")
    assert load_config().magnetar.runtimes == ("process", "thread")


def test_doctor_tells_who_may_ask(tmp_path: Path) -> None:
    """Anyone who reaches the worker, those whom providers know, or why it would not start; and how long TLS holds."""

    def found(**keys: Any) -> dict[str, tuple[Verdict, str]]:
        config = load_config(None, keys)
        return {each.what: (each.verdict, each.detail) for each in look_at_security(config)}

    assert found()["authenticationEnabled"][0] is Verdict.WARNING
    assert found(magnetar={"bindAddress": "127.0.0.1"})["authenticationEnabled"][0] is Verdict.OK
    on = {"authenticationEnabled": True, "authenticationProviders": [TOKEN_PROVIDER]}
    assert found(**on, properties={"tokenSecretKey": "YWJj"})["authenticationEnabled"][0] is Verdict.FAILURE
    assert "by token" in found(**on, properties={"tokenSecretKey": "YWJj" * 11})["authenticationEnabled"][1]
    certificate, key = Authority(tmp_path).issue("server")
    tls = {"tlsEnabled": True, "workerPortTls": 1, "tlsKeyFilePath": str(key)}
    assert found(**tls, tlsCertificateFilePath=str(certificate))["tlsCertificateFilePath"][0] is Verdict.WARNING
    assert found(**tls, tlsCertificateFilePath=str(key))["tlsCertificateFilePath"][0] is Verdict.FAILURE
