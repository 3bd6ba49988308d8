"""A relying party and an API made of Authlib. Reads one JSON command a line on stdin, answers one JSON line each."""

import json
import os
import sys

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import ClientSecretJWT, PrivateKeyJWT
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

metadata = {}
session = None
verifier = None
nonce = None


def discover(issuer, **_):
    metadata.update(requests.get(f"{issuer}/.well-known/openid-configuration", timeout=10).json())
    metadata["jwks"] = requests.get(metadata["jwks_uri"], timeout=10).json()
    return {"issuer": metadata["issuer"]}


def authorize(client_id, client_secret, redirect_uri, scope, method, extra, **_):
    global session, verifier, nonce
    verifier, nonce = generate_token(48), generate_token(24)
    session = OAuth2Session(
        client_id,
        client_secret,
        scope=scope,
        redirect_uri=redirect_uri,
        code_challenge_method="S256",
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
    )
    if method == "client_secret_jwt":
        session.register_client_auth_method(ClientSecretJWT(metadata["token_endpoint"]))
    url, state = session.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce, **extra
    )
    return {"url": url, "state": state}


def redeem(url, **_):
    token = session.fetch_token(metadata["token_endpoint"], authorization_response=url, code_verifier=verifier)
    decoded = jwt.decode(token["id_token"], KeySet.import_key_set(metadata["jwks"]))
    claims = CodeIDToken(
        decoded.claims,
        decoded.header,
        options={"iss": {"essential": True, "value": metadata["issuer"]}},
        params={"client_id": session.client_id, "nonce": nonce, "access_token": token["access_token"]},
    )
    claims.validate()
    told = session.get(metadata["userinfo_endpoint"]).json()
    return {"token": dict(token), "claims": dict(decoded.claims), "userinfo": told}


def refresh(**_):
    before = session.token["refresh_token"]
    token = session.refresh_token(metadata["token_endpoint"], refresh_token=before)
    return {"rotated": token["refresh_token"] != before, "access_token": token["access_token"]}


def introspect(token, **_):
    return session.introspect_token(metadata["introspection_endpoint"], token=token).json()


def revoke(token, **_):
    return {"status": session.revoke_token(metadata["revocation_endpoint"], token=token).status_code}


def make_key(**_):
    key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"})
    key.ensure_kid()
    globals()["key"] = key
    return key.as_dict(private=False)


def service(client_id, scope, **_):
    """A service that signs its client assertion (RFC 7523)."""
    own = OAuth2Session(client_id, key.as_dict(private=True), scope=scope, token_endpoint_auth_method="private_key_jwt")
    own.register_client_auth_method(PrivateKeyJWT(metadata["token_endpoint"], headers={"kid": key.kid}))
    return dict(own.fetch_token(metadata["token_endpoint"], grant_type="client_credentials"))


class Validator(JWTBearerTokenValidator):
    def get_jwks(self):
        return KeySet.import_key_set(metadata["jwks"])


def protect(token, audience, scopes, **_):
    """An API that takes JWT access tokens (RFC 9068)."""
    validator = Validator(issuer=metadata["issuer"], resource_server=audience)
    found = validator.authenticate_token(token)
    validator.validate_token(found, scopes, None)
    return {"claims": dict(found)}


commands = [discover, authorize, redeem, refresh, introspect, revoke, make_key, service, protect]
by_name = {command.__name__: command for command in commands}

for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer = by_name[asked.pop("do")](**asked)
    except Exception as error:  # noqa: BLE001: told to the test, which decides
        answer = {"failed": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer, default=str), flush=True)
