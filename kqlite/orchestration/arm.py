"""The front door: it takes requests as Azure Resource Manager does, and answers with status, headers and body.

`routes` finds the handler for a request. The control plane runs the handler and commits its events. Then the front door makes the answer
from the handler's outcome. Source: Azure docs, "Track asynchronous Azure operations"; "Azure Resource Manager resource provider contract".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import format_datetime
from functools import cached_property
from typing import Any, cast
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from kqlite.errors import KqliteError
from kqlite.orchestration import arm_documents, errors
from kqlite.orchestration.azure_offerings import region_name
from kqlite.orchestration.chance import derived_guid
from kqlite.orchestration.clock import DAY, MINUTE, SECOND, iso, to_datetime
from kqlite.orchestration.control_plane import ControlPlane
from kqlite.orchestration.errors import ArmError
from kqlite.orchestration.faults import fault_hitting, value_of
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.model import FaultState, OperationState, ScaleSetState, Type, VmState
from kqlite.orchestration.paging import Listings, Page
from kqlite.orchestration.requests.call import Call, Outcome, check_locks
from kqlite.orchestration.routes import Route, find_route
from kqlite.orchestration.throttling import HOURLY, Limits, kind_of

MAX_BODY = 4 * 1024 * 1024
DEFAULT_BASE = "https://management.azure.com"
_WRITES = ("PUT", "PATCH", "POST", "DELETE")


@dataclass(frozen=True)
class Answer:
    """An answer of the front door.

    Args:
        status: HTTP status.
        headers: Headers, with names in ARM's casing.
        content: The body as bytes of JSON.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""

    @cached_property
    def body(self) -> Any:
        """The body as parsed JSON, which the caller may change; None for no body."""
        return json.loads(self.content) if self.content else None


def _answer(status: int, headers: dict[str, str], body: Any) -> Answer:
    # Documents share objects with definitions. As text they cannot be changed by the caller.
    return Answer(status, headers, b"" if body is None else json.dumps(body, ensure_ascii=False).encode())


class FrontDoor:
    """Azure Resource Manager's API for one control plane."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._requests = 0
        self._listings = Listings()
        self._limits = Limits()
        self._limit_headers: dict[str, str] = {}  # headers about request limits, for the current answer

    def handle(
        self,
        method: str,
        path_and_query: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        base: str = DEFAULT_BASE,
        commit: bool = True,
    ) -> Answer:
        """Answer a request. Everything that the answer shows is durable.

        Args:
            method: HTTP method.
            path_and_query: Path and query, percent-encoded.
            body: JSON as bytes or text, or the object that it describes.
            headers: Headers of the request.
            base: Scheme and host for absolute links in the answer.
            commit: False: the caller catches up with the clock before the request, and commits before it sends the answer.
        """
        with self._plane.lock:
            if commit:
                self._plane.catch_up()
            return self._handle(method, path_and_query, body, headers, base, commit)

    def perform(self, method: str, path: str, body: Any, api_version: str, actor: str) -> None:
        """Run a request of the simulation itself, during a step. It is validated as any other request.

        There is no answer, faults of the front door do not apply, and nothing is committed.

        Args:
            method: HTTP method.
            path: Path, decoded and without query.
            body: The body as an object; None for none.
            api_version: The api-version.
            actor: The actor, as events name it.

        Raises:
            ArmError: The request is refused.
        """
        plane = self._plane
        route, call = find_route(plane.recorder, method, path, {"api-version": api_version})
        call.body, call.path = body, path
        if route.is_locked:
            check_locks(plane.recorder, call)
        plane.request(lambda recorder: route.handle(recorder, call), route.cause(call), commit=False, actor=actor)

    def _handle(self, method: str, path_and_query: str, body: Any, headers: Mapping[str, str] | None, base: str, commit: bool) -> Answer:
        self._requests += 1
        self._limit_headers = {}
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        url = urlsplit(path_and_query)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        request = _Request(method.upper(), unquote(url.path), {k.lower(): v for k, v in query.items()}, query, sent, base)
        try:
            if not path_and_query.isascii() and not _is_text(path_and_query):
                raise errors.bad_request("The path is no text.")
            parsed, text = _parsed(body)
            answer = self._answer(request, parsed, text, commit)
        except ArmError as error:
            answer = self._refused(error)
        except KqliteError:
            raise
        except Exception as error:
            self._plane.record_internal_error(f"{request.method} {request.path}", error)
            answer = self._refused(errors.internal())
        return self._with_headers(request, answer)

    # Dispatch

    def _answer(self, request: _Request, body: Any, text: str | None, commit: bool) -> Answer:
        plane, recorder = self._plane, self._plane.recorder
        route, call = find_route(recorder, request.method, request.path, request.query)
        call.body, call.text, call.headers, call.path = body, text, request.headers, request.path
        self._apply_faults(request, call, route)
        if route.is_operation:
            return self._operation(request, call)
        if request.method in _WRITES:
            if route.is_locked:
                check_locks(recorder, call)
            outcome = plane.request(lambda recorder: route.handle(recorder, call), route.cause(call), commit)
            plane.crash_if("before-answer")
        else:
            outcome = route.handle(recorder, call)
        if isinstance(outcome, Page):
            return self._page(request, outcome)
        return self._from_outcome(request, call, outcome)

    def _apply_faults(self, request: _Request, call: Call, route: Route) -> None:
        """Apply the faults of the front door: late answers, errors, throttling. Raises ArmError."""
        plane = self._plane
        if not any(name in plane.fleet.faults for name in ("api_latency", "api_error", "throttle")):
            return
        cause = route.cause(call)
        scope = {"operation": cause}
        late = self._fault_hitting("api_latency", scope)
        if late is not None:
            plane.advance_to(plane.now + round(float(value_of(late, "limit", 1.0)) * SECOND))
        failed = self._fault_hitting("api_error", scope)
        if failed is not None:
            raise errors.injected(str(value_of(failed, "code", "InternalServerError")), _action(call.path, cause), call.path)
        throttled = self._fault_hitting("throttle", scope)
        if throttled is not None and value_of(throttled, "type") == "limits":
            self._apply_limits(request, call)
        elif throttled is not None:
            start, end = iso(plane.now - 30 * 60 * SECOND), iso(plane.now)
            raise errors.throttled("HighCostGet30Min", start, end, 800, 801)

    def _apply_limits(self, request: _Request, call: Call) -> None:
        """Apply Azure's request limits. Raises ArmError if the request exceeds one."""
        now, owner = self._plane.now, call.subscription.subscription
        self._limit_headers, refusal = self._limits.take(
            request.method, request.path, owner, _region(self._plane.fleet.containers, call), now
        )
        if refusal is not None:
            self._limit_headers |= {"Retry-After": str(refusal.seconds)}
            raise errors.throttled(refusal.policy, iso(now - MINUTE), iso(now), refusal.allowed, refusal.allowed + 1)

    def _fault_hitting(self, name: str, scope: dict[str, str]) -> FaultState | None:
        if name not in self._plane.fleet.faults:
            return None
        return self._plane.request(
            lambda recorder: fault_hitting(recorder, name, scope["operation"], scope, self._requests), "faults/strike"
        )

    # Answers

    def _from_outcome(self, request: _Request, call: Call, outcome: Outcome) -> Answer:
        body = outcome.document() if outcome.document is not None else None
        headers = dict(outcome.headers)
        if isinstance(body, dict) and "etag" in body:
            headers["ETag"] = body["etag"]
        if outcome.operation:
            headers |= self._operation_headers(request, call, outcome)
        return _answer(outcome.status, headers, body)

    def _operation_headers(self, request: _Request, call: Call, outcome: Outcome) -> dict[str, str]:
        version = request.query.get("api-version", "")
        provider = f"{request.base}{call.subscription.id}/providers/Microsoft.Compute"
        path = f"{provider}/locations/{outcome.location}/operations/{outcome.operation}"
        headers = {"Azure-AsyncOperation": f"{path}?api-version={version}"}
        if outcome.status == 202:
            headers["Location"] = f"{path}?monitor=true&api-version={version}"
        return headers | self._retry_after()

    def _retry_after(self) -> dict[str, str]:
        # With an automatic clock the first poll ends the operation, so the client need not wait.
        return {"x-ms-retry-after-ms": "1"} if self._plane.clock.mode == "auto" else {"Retry-After": "10"}

    def _operation(self, request: _Request, call: Call) -> Answer:
        plane = self._plane
        operation = cast("OperationState | None", call.subscription.get(Type.OPERATION, call.name))
        if operation is None:
            raise errors.ArmError(404, "NotFound", f"The entity was not found: operation '{call.name}'.")
        if not operation.ended and plane.clock.mode == "auto":
            name = operation.name

            def ended() -> bool:
                now = cast("OperationState | None", call.subscription.get(Type.OPERATION, name))
                return now is None or bool(now.ended)

            plane.run_until(ended, 7 * DAY)
            operation = cast("OperationState", call.subscription.get(Type.OPERATION, name))
        headers = {} if operation.ended else self._retry_after()
        if "monitor" not in request.query:
            return _answer(200, headers, arm_documents.operation(operation))
        if not operation.ended:
            return Answer(202, {**headers, "Location": f"{request.base}{request.path}?{_encoded(request.sent_query)}"})
        if operation.failure:
            return self._refused(ArmError(409, *operation.failure))
        output = arm_documents.operation_output(operation)
        if output is not None:
            return _answer(200, {}, output)
        return Answer(204 if operation.verb.endswith("/delete") and "resourceGroups" not in operation.verb else 200)

    def _page(self, request: _Request, page: Page) -> Answer:
        others = "&".join(f"{name}={value}" for name, value in sorted(request.query.items()) if name != "$skiptoken")
        list_key = f"{request.path.lower()}?{others}"
        items, token = self._listings.cut(page, list_key, request.query.get("$skiptoken", ""), self._plane.fleet.sequence)
        body: dict[str, Any] = {"value": items}
        if token:
            query = {name: value for name, value in request.sent_query.items() if name.lower() != "$skiptoken"}
            body["nextLink"] = f"{request.base}{request.path}?{_encoded({**query, '$skiptoken': token})}"
        return _answer(200, {}, body)

    def _refused(self, error: ArmError) -> Answer:
        headers = {"Retry-After": "10"} if error.status in (429, 503) else {}
        return _answer(error.status, headers, error.body())

    def _with_headers(self, request: _Request, answer: Answer) -> Answer:
        plane = self._plane
        moment = to_datetime(plane.now)
        id_ = derived_guid(self._requests, "request")
        headers = {
            "Cache-Control": "no-cache",
            "Pragma": "no-cache",
            "Expires": "-1",
            "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
            "X-Content-Type-Options": "nosniff",
            "x-ms-request-id": id_,
            "x-ms-correlation-request-id": request.headers.get("x-ms-correlation-request-id", id_),
            "x-ms-routing-request-id": f"EASTUS:{moment:%Y%m%dT%H%M%SZ}:{id_}",
            "Date": format_datetime(moment, usegmt=True),
        }
        if answer.content:
            headers["Content-Type"] = "application/json; charset=utf-8"
        if request.headers.get("x-ms-return-client-request-id", "").lower() == "true":
            headers["x-ms-client-request-id"] = request.headers.get("x-ms-client-request-id", "")
        kind = kind_of(request.method)
        headers[f"x-ms-ratelimit-remaining-subscription-{kind}"] = str(HOURLY[kind] - 1)
        return Answer(answer.status, {**headers, **answer.headers, **self._limit_headers}, answer.content)


def _region(containers: Mapping[str, Container], call: Call) -> str:
    """The region whose request limits apply: that of the body, or of the resource; "" for a request about several regions."""
    if isinstance(call.body, dict) and isinstance(call.body.get("location"), str):
        return region_name(call.body["location"])
    group = containers.get(f"{call.subscription.key}/resourcegroups/{call.group_name.lower()}")
    for type_ in (Type.VM, Type.SCALE_SET):
        state = cast("VmState | ScaleSetState | None", group.get(type_, call.name)) if group is not None else None
        if state is not None and f"/{type_}/".lower() in call.path.lower():
            return state.location
    return ""


def _action(path: str, cause: str) -> str:
    """The action of a request, as role definitions name it."""
    _, found, rest = path.rpartition("/providers/")
    return f"{rest.partition('/')[0] if found else 'Microsoft.Resources/subscriptions'}/{cause}"


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    query: dict[str, str]
    sent_query: dict[str, str]
    headers: dict[str, str]
    base: str


def _encoded(query: Mapping[str, str]) -> str:
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())


def _parsed(body: Any) -> tuple[Any, str | None]:
    """The parsed body, and its text (None for a body that came as an object). Raises ArmError."""
    if body is None:
        return None, None
    try:
        if not isinstance(body, (bytes, str)):
            return json.loads(json.dumps(body, allow_nan=False, ensure_ascii=False).encode()), None
        if len(body) > MAX_BODY:
            raise errors.too_large()
        text = body.decode() if isinstance(body, bytes) else body
        found = json.loads(text, parse_constant=_refuse_constant) if text.strip() else None
        # Refuses a lone surrogate and 1e999, which could not be stored.
        json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
        return found, text
    except (ValueError, TypeError, RecursionError) as error:
        raise errors.content_invalid(str(error)) from error


def _is_text(text: str) -> bool:
    """Whether the text can be encoded. A lone surrogate cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON number")
