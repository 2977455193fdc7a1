"""An app that runs elsewhere: its address, and its faults over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.errors import LabError, TargetRefused
from labkit.loopback import open_session

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

TIMEOUT_SECONDS = 5.0
_OK = 200
_FORBIDDEN = 403
_BAD_REQUEST = 400
_NOT_FOUND = 404


class RemoteFaults:
    """The faults of an app elsewhere, read and changed through its `/faults`.

    Its fields are attributes, as those of the app's own `Faults` are: reading one asks the app,
    assigning to one changes it there.

    Args:
        url: the app's address.
        token: the app's LABKIT_TOKEN; without it the faults can only be read.
        headers: sent with each request.
        verify: whether TLS certificates are checked, or the file of the authority to trust.
    """

    _OWN = frozenset({"_url", "_token", "_headers", "_verify"})

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        verify: bool | str = True,
    ) -> None:
        self._url = f"{url.rstrip('/')}/faults"
        self._token = token
        self._headers = dict(headers or {})
        self._verify = verify

    def to_dict(self) -> dict[str, float]:
        """Return the fields as plain numbers.

        Raises:
            TargetRefused: the app is not reached, or has no `/faults`.
        """
        fields: dict[str, float] = self._ask("GET", None)
        return fields

    def update(self, /, **fields: float) -> None:
        """Change the fields given and keep the others; nothing changes if one is refused.

        Raises:
            ValueError: the app refused a value, in its own words.
            LabError: no token was given.
            TargetRefused: the app is not reached, has no `/faults`, or knows another token.
        """
        self._put(fields)

    def preset(self, name: str, /, **fields: float) -> None:
        """Set every field to that of a preset, classic or healthy, except the fields given.

        Raises as `update` does.
        """
        self._put({"preset": name, **fields})

    def _put(self, body: Mapping[str, Any]) -> None:
        if not self._token:
            raise LabError(
                "The faults of an app elsewhere can be changed only with its token.",
                next_step="labkit.connect(..., token=...), with the LABKIT_TOKEN the app runs with",
            )
        self._ask("PUT", body)

    def _ask(self, method: str, body: Mapping[str, Any] | None) -> Any:
        import requests

        headers = self._headers | ({"X-Lab-Token": self._token} if self._token and body else {})
        try:
            with open_session(self._url) as session:
                answer = session.request(
                    method,
                    self._url,
                    json=body,
                    headers=headers,
                    verify=self._verify,
                    timeout=TIMEOUT_SECONDS,
                    allow_redirects=False,
                )
            if _is_json(answer):
                return answer.json()
        except requests.RequestException as error:  # of a body that is no JSON, too
            raise TargetRefused(
                f"{self._url} gave no answer that makes sense.",
                evidence=str(error),
                next_step="check the address; labkit.connect(...).check() looks at every part.",
            ) from error
        raise _refusal(answer.status_code, answer.text[:500], self._url)

    def __getattr__(self, name: str) -> float:
        if name.startswith("_"):
            raise AttributeError(name)
        fields = self.to_dict()
        if name not in fields:
            raise AttributeError(f"there is no field {name!r}; there are {', '.join(fields)}")
        return fields[name]

    def __setattr__(self, name: str, value: float) -> None:
        if name in self._OWN:
            object.__setattr__(self, name, value)
        else:
            self.update(**{name: value})

    def __repr__(self) -> str:
        return f"<RemoteFaults {self._url}>"


def _is_json(answer: requests.Response) -> bool:
    return answer.status_code == _OK and answer.headers.get("Content-Type") == "application/json"


def _refusal(status: int, text: str, url: str) -> Exception:
    """Tell apart a refused value, a wrong token and an app without faults."""
    if status == _BAD_REQUEST:
        return ValueError(text)
    if status == _FORBIDDEN:
        return TargetRefused(
            "The app refused the token.", evidence=text, next_step="give the app's own LABKIT_TOKEN"
        )
    if status == _NOT_FOUND:
        return TargetRefused(
            f"The app has no faults to change: there is nothing at {url}.",
            next_step="only the lab's own app has /faults; traffic and queries work without.",
        )
    return TargetRefused(f"{url} answered {status}.", evidence=text)


class RemoteApp:
    """An app that someone else starts and stops.

    Args:
        url: its address, without a slash at the end.
        faults: its faults, over HTTP.
    """

    running = True

    def __init__(self, url: str, faults: RemoteFaults) -> None:
        self.url = url
        self.faults = faults
        self.token = None

    def start(self) -> None:
        """Refuse: the lab did not start it."""
        raise self._not_ours()

    def stop(self) -> None:
        """Refuse: the lab did not start it."""
        raise self._not_ours()

    def _not_ours(self) -> LabError:
        return LabError(
            f"The app at {self.url} was not started by this lab.",
            next_step="start and stop it where it runs; labkit.start() has an app of its own.",
        )
