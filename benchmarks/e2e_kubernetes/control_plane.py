"""A control plane on loopback: etcd, API server, controller manager and scheduler, real ones with little else."""

from __future__ import annotations

import json
import secrets
import ssl
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from benchmarks.e2e.waiting import until

NAMESPACE = "video"
_SERVER, _ETCD = "https://127.0.0.1:6443", "http://127.0.0.1:2379"
_ISSUER = "https://kubernetes.default.svc"
_USERS = {
    "admin": "system:masters",
    "system:kube-controller-manager": "system:masters",  # for all its controllers at once
    "system:kube-scheduler": "",
}
_READY_S = 180.0
# Nodes here are played, and nobody has to notice when one is gone.
_CONTROLLERS = "*,-nodelifecycle,-nodeipam,-cloud-node-lifecycle,-route,-service,-attachdetach,-persistentvolume-binder"


@dataclass
class ControlPlane:
    """Its programs run until this process ends, and everything that it started with it (:mod:`benchmarks.e2e.apart`).

    Attributes:
        folder: of this run.
        programs: where the programs are.
    """

    folder: Path
    programs: Path
    _tokens: dict[str, str] = field(default_factory=lambda: {user: secrets.token_hex(16) for user in _USERS})

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            StackError: it does not; the message has the end of a log.
        """
        self._write_keys()
        self._run("etcd", "--data-dir", self.folder / "etcd", "--listen-client-urls", _ETCD,
                  "--advertise-client-urls", _ETCD)  # fmt: skip
        self._run("kube-apiserver", *self._api_server())
        until(self._answers, lambda: f"the API server answers; its log ends:\n{self._log('kube-apiserver')}", _READY_S)
        manager = self.kubeconfig("system:kube-controller-manager")
        self._run("kube-controller-manager", "--kubeconfig", manager, "--controllers", _CONTROLLERS,
                  "--service-account-private-key-file", self.folder / "accounts.key",
                  "--root-ca-file", self.authority, "--leader-elect=false", "--port=0")  # fmt: skip
        self._run("kube-scheduler", "--kubeconfig", self.kubeconfig("system:kube-scheduler"), "--leader-elect=false",
                  "--port=0")  # fmt: skip

    @property
    def authority(self) -> Path:
        """The certificate by which clients know the API server."""
        return self.folder / "certificates" / "apiserver.crt"

    def client(self, token: str = "") -> client.ApiClient:
        """A client with this token; by default one that may do everything."""
        configuration = client.Configuration(host=_SERVER, api_key={"authorization": token or self._tokens["admin"]})
        configuration.api_key_prefix["authorization"] = "Bearer"
        configuration.ssl_ca_cert = str(self.authority)
        configuration.proxy = None
        return client.ApiClient(configuration)

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """What lies at a path, as JSON, to one who may see everything."""
        return self._call("GET", path, None)

    def post(self, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        """Post JSON to a path as one who may do everything.

        Raises:
            ApiException: it is refused.
        """
        return self._call("POST", path, body)

    def _call(self, method: str, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        headers = {"Authorization": f"Bearer {self._tokens['admin']}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{_SERVER}{path}", data, headers, method=method)  # noqa: S310 - loopback
        context = ssl.create_default_context(cafile=str(self.authority))
        opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))
        try:
            with opener.open(request, timeout=30) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise ApiException(error.code, error.read().decode(errors="replace")) from None

    def account_token(self, account: str) -> str:
        """A token of a service account, as its pods get one."""
        request = {"spec": {"audiences": [_ISSUER], "expirationSeconds": 7200}}
        path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{account}/token"
        return str(self.post(path, request)["status"]["token"])

    def kubeconfig(self, user: str = "admin", token: str = "") -> Path:
        """A file for programs that are clients as this user."""
        path = self.folder / f"{user.replace(':', '-')}.kubeconfig"
        cluster = {"server": _SERVER, "certificate-authority": str(self.authority)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token or self._tokens[user]}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": user, "namespace": NAMESPACE}}],
            "current-context": "here",
        }
        path.write_text(json.dumps(content))
        path.chmod(0o600)
        return path

    def _api_server(self) -> tuple[object, ...]:
        key, public = self.folder / "accounts.key", self.folder / "accounts.pub"
        return (
            "--etcd-servers", _ETCD, "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1",
            "--secure-port", "6443", "--cert-dir", self.authority.parent, "--endpoint-reconciler-type", "none",
            "--service-cluster-ip-range", "10.96.0.0/16", "--authorization-mode", "RBAC",
            "--token-auth-file", self.folder / "tokens.csv", "--service-account-issuer", _ISSUER,
            "--service-account-key-file", public, "--service-account-signing-key-file", key,
            "--api-audiences", _ISSUER,
        )  # fmt: skip

    def _write_keys(self) -> None:
        rows = [f'{self._tokens[user]},{user},{user},"{group}"' for user, group in _USERS.items()]
        (self.folder / "tokens.csv").write_text("\n".join(rows) + "\n")
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        open_format = serialization.PrivateFormat.TraditionalOpenSSL
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, open_format, serialization.NoEncryption())
        public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        (self.folder / "accounts.key").write_bytes(private)
        (self.folder / "accounts.pub").write_bytes(public)

    def _run(self, program: str, *words: object) -> None:
        with (self.folder / f"{program}.log").open("wb") as log:
            subprocess.Popen([self.programs / program, *map(str, words)], stdout=log, stderr=log)

    def _answers(self) -> bool:
        if not self.authority.is_file():
            return False
        try:
            client.CoreV1Api(self.client()).list_namespace(_request_timeout=5)
        except Exception:  # noqa: BLE001 - refused, not ready, roles not there yet: it is asked until it answers
            return False
        return True

    def _log(self, program: str) -> str:
        return (self.folder / f"{program}.log").read_text(errors="replace")[-2000:]
