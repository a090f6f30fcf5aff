"""Scenario files: requests, faults, time and expectations as text. They also serve as tests.

Each line is a command. A line that begins with blanks continues the command above it. `#` begins a comment line.

    options features=all seed=1             arguments of `Simulation`; only before the first command
    PUT $rg {"location": "eastus"}          any ARM request; `$sub $rg $sets $vms $disks $nics $ips $autoscale` and
                                            `let` names are filled in, an api-version is added where there is none
    set web capacity=3 domains=2 {..}       a Flexible set with a small profile; the JSON is merged into its body
    vm db set=web domain=1 {..}             a VM in the same way, standalone without `set`
    scale web 5 | act db deallocate | delete db
    advance 5m | settle                     time passes; until every operation has ended
    metric web "Percentage CPU" 80          the value of a metric of a set, or of an instance, from now on
    fault allocation region=eastus as f     a fault and a name for it
    recover f
    let one = instance web 0                a name for the id of an instance (in the order of names)
    let x = body properties.vmId            a name for a part of the last answer
    restart                                 the process ends and starts again from its log
    expect 409 OperationNotAllowed "text"   the last answer: status, code, and what its message contains
    expect body properties.x == "y"         the last answer's body
    expect $vms/db properties.x == "y"      the answer to a GET (VMs with their instance view)
    expect instances web name count 3       the list of what each instance has at a path
    expect domains web [1, 1]               members of each fault domain
    expect operation Failed AllocationFailed "text"   the operation that the last answer named
    expect note "text"                      an entry of the activity log

After a path come `==`, `!=`, `>=`, `<=`, `contains`, `starts`, `count`, `all` (every one equals), `absent`, `present`. `[*]` in a path
stands for every element. Values are JSON, or a bare word.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from kqlite.errors import KqliteError
from kqlite.orchestration.arm import Answer
from kqlite.orchestration.errors import CoreError
from kqlite.orchestration.events import Event
from kqlite.orchestration.model import NoteState
from kqlite.orchestration.requests.schema import merged

_METHODS = ("GET", "PUT", "PATCH", "POST", "DELETE", "HEAD")
_LATER = "api-version=2023-09-01"  # for `set` and `vm`, so that their JSON may use later members
_OPTIONS = ("features", "seed", "profile", "subscriptions", "clock")
_SUB = "/subscriptions/00000000-0000-0000-0000-000000000001"
_RG = f"{_SUB}/resourceGroups/rg"
_NAMES = {
    "sub": _SUB,
    "rg": _RG,
    "sets": f"{_RG}/providers/Microsoft.Compute/virtualMachineScaleSets",
    "vms": f"{_RG}/providers/Microsoft.Compute/virtualMachines",
    "disks": f"{_RG}/providers/Microsoft.Compute/disks",
    "nics": f"{_RG}/providers/Microsoft.Network/networkInterfaces",
    "ips": f"{_RG}/providers/Microsoft.Network/publicIPAddresses",
    "autoscale": f"{_RG}/providers/Microsoft.Insights/autoscaleSettings",
}


class ScenarioError(KqliteError):
    """A scenario file that cannot be parsed, or an expectation that fails. The message has file, line and reason."""


class ScenarioSimulation(Protocol):
    """The methods of `kqlite.Simulation` that scenarios use."""

    def arm(self, method: str, path_and_query: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer: ...
    def advance(self, by: str = "0s") -> None: ...
    def settle(self) -> bool: ...
    def feed_metric(self, resource_id: str, name: str, value: float) -> None: ...
    def inject(self, fault: Mapping[str, Any]) -> str: ...
    def recover(self, fault_id: str) -> None: ...
    def create_scale_set(self, name: str, **options: Any) -> dict[str, Any]: ...
    def create_vm(self, name: str, **options: Any) -> dict[str, Any]: ...
    def instances(self, name: str) -> list[dict[str, Any]]: ...
    def events(self, after: int = 0, limit: int = 10_000) -> list[Event]: ...
    def set_body(self, name: str, **options: Any) -> dict[str, Any]: ...
    def vm_body(self, name: str, **options: Any) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Step:
    """A line of a scenario.

    Args:
        line: Line number, from 1.
        command: Its first word.
        rest: The text after it.
    """

    line: int
    command: str
    rest: str


@dataclass(frozen=True)
class Scenario:
    """A parsed scenario file. title: its first comment line."""

    name: str
    title: str
    options: dict[str, Any]
    steps: tuple[Step, ...]


def parse(text: str, name: str = "scenario") -> Scenario:
    """Parse a scenario. Raises ScenarioError with line and reason."""
    title, options = "", dict[str, Any]()
    steps: list[Step] = []
    for number, raw in enumerate(text.splitlines(), 1):
        if not raw.strip() or raw.startswith("#"):
            title = title or raw.lstrip("# ").strip()
            continue
        if raw[0].isspace():
            if not steps:
                raise ScenarioError(f"{name}:{number}: a line that goes on, and nothing before it")
            steps[-1] = Step(steps[-1].line, steps[-1].command, f"{steps[-1].rest} {raw.strip()}")
            continue
        word, _, rest = raw.strip().partition(" ")
        if word == "options":
            if steps:
                raise ScenarioError(f"{name}:{number}: options come before the first command")
            options |= _options(rest, name, number)
        elif word in _COMMANDS:
            steps.append(Step(number, word, rest.strip()))
        else:
            raise ScenarioError(f"{name}:{number}: no command {word!r}; there are {', '.join(_COMMANDS)}")
    if not steps:
        raise ScenarioError(f"{name}:1: no command in it")
    return Scenario(name, title, options, tuple(steps))


def _options(rest: str, name: str, number: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in rest.split():
        key, equals, value = word.partition("=")
        if key not in _OPTIONS or not equals:
            raise ScenarioError(f"{name}:{number}: no option {key!r}; there are {', '.join(_OPTIONS)}")
        if key in ("seed", "subscriptions") and not value.isdecimal():
            raise ScenarioError(f"{name}:{number}: {key} is a whole number, not {value!r}")
        if key == "clock" and value not in ("manual", "auto"):
            raise ScenarioError(f"{name}:{number}: clock is manual or auto, not {value!r}")
        found[key] = int(value) if key in ("seed", "subscriptions") else value
    if found.get("features", "all") != "all":
        found["features"] = tuple(part for part in found["features"].split(",") if part)
    return found


def fault_of(text: str) -> tuple[dict[str, Any], str]:
    """The fault that a text such as `name key=value .. [as alias]` describes, and its alias (the name without `as`)."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise CoreError(f"a fault is a name and KEY=VALUE, not {text!r}: {error}") from error
    alias = words[0] if words else ""
    if len(words) > 2 and words[-2] == "as":
        alias, words = words[-1], words[:-2]
    spec: dict[str, Any] = {"fault": alias if not words else words[0]}
    for word in words[1:]:
        key, _, value = word.partition("=")
        spec[key] = value if key in ("duration", "start", "zone", "set", "vm") else _value(value)
    return spec, alias


@dataclass
class Runner:
    """Runs a scenario on a simulation.

    Args:
        restarted: Restarts the simulation from its directory and returns it; None if it has no directory.
        names: Values of `$name`.
        faults: Ids of faults by alias.
        answer: The last answer.
        expectations: Number of expectations checked so far.
    """

    scenario: Scenario
    simulation: ScenarioSimulation
    restarted: Callable[[], ScenarioSimulation] | None = None
    names: dict[str, str] = field(default_factory=lambda: dict(_NAMES))
    faults: dict[str, str] = field(default_factory=dict)
    answer: Answer = field(default_factory=lambda: Answer(0))
    expectations: int = 0

    def run(self) -> None:
        """Run every step. Raises ScenarioError at the first one that fails."""
        for step in self.scenario.steps:
            try:
                self._step(step)
            except ScenarioError as error:
                raise ScenarioError(f"{self.scenario.name}:{step.line}: {error}") from None
            except (KqliteError, json.JSONDecodeError) as error:
                raise ScenarioError(f"{self.scenario.name}:{step.line}: {type(error).__name__}: {error}") from error
            except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
                form = _COMMANDS[step.command].form
                raise ScenarioError(f"{self.scenario.name}:{step.line}: {type(error).__name__}: {error}; write `{form}`") from error

    def _step(self, step: Step) -> None:
        _COMMANDS[step.command].run(self, self._filled(step.rest))

    def _request(self, rest: str, method: str) -> None:
        path, body = _with_json(rest)
        self.answer = self.simulation.arm(method, _versioned(path), body)

    def _filled(self, text: str) -> str:
        def name(found: re.Match[str]) -> str:
            if found.group(1) not in self.names:
                # `$expand`, `$filter` and the like are query parameters.
                return found.group(0)
            return self.names[found.group(1)]

        return re.sub(r"\$(\w+)", name, text)

    # Commands; each takes the rest of its line.

    def _set(self, rest: str) -> None:
        name, options, extra = _named(rest)
        body = merged(self.simulation.set_body(name, **options), extra)
        if self.simulation.arm("HEAD", _versioned(_RG)).status == 404:
            self.simulation.arm("PUT", _versioned(_RG), {"location": body["location"]})
        self.answer = self.simulation.arm("PUT", f"{_NAMES['sets']}/{name}?{_LATER}", body)

    def _vm(self, rest: str) -> None:
        name, options, extra = _named(rest)
        if "set" in options:
            options["scale_set"] = options.pop("set")
        body = merged(self.simulation.vm_body(name, **options), extra)
        if self.simulation.arm("HEAD", _versioned(_RG)).status == 404:
            self.simulation.arm("PUT", _versioned(_RG), {"location": body["location"]})
        self.answer = self.simulation.arm("PUT", f"{_NAMES['vms']}/{name}?{_LATER}", body)

    def _scale(self, rest: str) -> None:
        name, capacity = rest.split()
        self.answer = self.simulation.arm("PATCH", _versioned(f"{_NAMES['sets']}/{name}"), {"sku": {"capacity": int(capacity)}})

    def _act(self, rest: str) -> None:
        name, action = rest.split()
        self.answer = self.simulation.arm("POST", _versioned(f"{self._vm_id(name)}/{action}"))

    def _delete(self, rest: str) -> None:
        self.answer = self.simulation.arm("DELETE", _versioned(self._vm_id(rest)))

    def _vm_id(self, name: str) -> str:
        return name if name.startswith("/") else f"{_NAMES['vms']}/{name}"

    def _advance(self, rest: str) -> None:
        self.simulation.advance(rest)

    def _settle(self, rest: str) -> None:
        if not self.simulation.settle():
            raise ScenarioError("operations are still in progress after a day")

    def _metric(self, rest: str) -> None:
        target, name, value = shlex.split(rest)
        self.simulation.feed_metric(target if target.startswith("/") else f"{_NAMES['sets']}/{target}", name, float(value))

    def _fault(self, rest: str) -> None:
        spec, alias = fault_of(rest)
        self.faults[alias] = self.simulation.inject(spec)

    def _recover(self, rest: str) -> None:
        self.simulation.recover(self.faults[rest])

    def _restart(self, rest: str) -> None:
        if self.restarted is None:
            raise ScenarioError("a restart needs a simulation with a directory")
        self.simulation = self.restarted()

    def _let(self, rest: str) -> None:
        found = re.fullmatch(r"(\w+)\s*=\s*(?:instance (\S+) (\d+)|body (\S+))", rest)
        if found is None:
            raise ScenarioError("write `let name = instance SET INDEX` or `let name = body PATH`")
        name, set_name, index, path = found.groups()
        if path is not None:
            self.names[name] = str(_at(self.answer.body, path))
        else:
            self.names[name] = sorted(each["id"] for each in self.simulation.instances(set_name))[int(index)]

    # Expectations

    def _expect(self, rest: str) -> None:
        self.expectations += 1
        word, _, more = rest.partition(" ")
        if word.isdigit():
            self._expect_answer(shlex.split(rest))
        elif word.startswith("/"):
            self._expect_resource(word, more)
        elif word in _EXPECTATIONS:
            _EXPECTATIONS[word](self, more)
        else:
            raise ScenarioError(f"nothing to expect of {word!r}")

    def _expect_body(self, condition: str) -> None:
        _compare(self.answer.body, condition)

    def _expect_header(self, more: str) -> None:
        name, value = shlex.split(more)
        _same(self.answer.headers.get(name), value, f"header {name}")

    def _expect_instances(self, more: str) -> None:
        name, _, condition = more.partition(" ")
        _compare(self.simulation.instances(name), f"[*].{condition}")

    def _expect_resource(self, path: str, condition: str) -> None:
        if "/virtualMachines/" in path and "expand" not in path:
            path += f"{'&' if '?' in path else '?'}$expand=instanceView"
        answer = self.simulation.arm("GET", _versioned(path))
        _compare(answer.body if condition.split()[0] != "status" else {"status": answer.status}, condition)

    def _expect_answer(self, words: list[str]) -> None:
        error = (self.answer.body or {}).get("error", {}) if isinstance(self.answer.body, dict) else {}
        found = f"{self.answer.status} {error.get('code', '')} {error.get('message', '')}".strip()
        if self.answer.status != int(words[0]):
            raise ScenarioError(f"expected {words[0]}, found {found}")
        if len(words) > 1 and error.get("code") != words[1]:
            raise ScenarioError(f"expected code {words[1]}, found {found}")
        if len(words) > 2 and words[2] not in error.get("message", ""):
            raise ScenarioError(f"expected message {words[2]!r}, found {error.get('message')!r}")
        if len(words) > 3:
            _same(error.get("target"), words[3], "target")

    def _expect_operation(self, more: str) -> None:
        words = shlex.split(more)
        link = self.answer.headers.get("Azure-AsyncOperation", "")
        if not link:
            raise ScenarioError("the last answer named no operation")
        body = self.simulation.arm("GET", link.removeprefix("https://management.azure.com")).body
        found = f"{body.get('status')} {(body.get('error') or {}).get('code', '')}".strip()
        _same(found, " ".join(words[:2]), "operation")
        if len(words) > 2 and words[2] not in body["error"]["message"]:
            raise ScenarioError(f"expected message {words[2]!r}, found {body['error']['message']!r}")

    def _expect_domains(self, more: str) -> None:
        name, _, wanted = more.partition(" ")
        expected = json.loads(wanted)
        counts = [0] * len(expected)
        for each in self.simulation.instances(name):
            if each["properties"]["provisioningState"] != "Deleting":
                counts[each["properties"]["instanceView"]["platformFaultDomain"]] += 1
        _same(counts, expected, "domains")

    def _expect_note(self, more: str) -> None:
        text, after = shlex.split(more)[0], 0
        while page := self.simulation.events(after):
            if any(isinstance(event.state, NoteState) and text in event.state.text for event in page):
                return
            after = page[-1].sequence
        raise ScenarioError(f"no entry of the activity log contains {text!r}")


@dataclass(frozen=True)
class Command:
    """A command of scenario files.

    Args:
        form: How the command is written, for error messages.
        run: Runs the command; it takes the rest of the command's line.
    """

    form: str
    run: Callable[[Runner, str], None]


_COMMANDS: dict[str, Command] = {
    **{method: Command(f"{method} PATH [JSON]", partial(Runner._request, method=method)) for method in _METHODS},
    "set": Command("set NAME [KEY=VALUE ..] [{JSON}]", Runner._set),
    "vm": Command("vm NAME [KEY=VALUE ..] [{JSON}]", Runner._vm),
    "scale": Command("scale SET CAPACITY", Runner._scale),
    "act": Command("act VM ACTION", Runner._act),
    "delete": Command("delete VM", Runner._delete),
    "advance": Command("advance DURATION", Runner._advance),
    "settle": Command("settle", Runner._settle),
    "metric": Command("metric SET NAME VALUE", Runner._metric),
    "fault": Command("fault NAME [KEY=VALUE ..] [as ALIAS]", Runner._fault),
    "recover": Command("recover ALIAS", Runner._recover),
    "let": Command("let NAME = instance SET INDEX, or let NAME = body PATH", Runner._let),
    "restart": Command("restart", Runner._restart),
    "expect": Command("expect STATUS [CODE [MESSAGE [TARGET]]], or what its other forms ask for", Runner._expect),
}


_EXPECTATIONS: dict[str, Callable[[Runner, str], None]] = {
    "body": Runner._expect_body,
    "header": Runner._expect_header,
    "operation": Runner._expect_operation,
    "domains": Runner._expect_domains,
    "instances": Runner._expect_instances,
    "note": Runner._expect_note,
}


def _versioned(path: str) -> str:
    if "api-version=" in path:
        return path
    version = "2022-10-01" if "microsoft.insights" in path.lower() else "2021-07-01"
    return f"{path}{'&' if '?' in path else '?'}api-version={version}"


def _with_json(rest: str) -> tuple[str, Any]:
    at = rest.find(" {") if " {" in rest else rest.find(" [")
    if at < 0:
        return rest, None
    return rest[:at].strip(), json.loads(rest[at:])


def _named(rest: str) -> tuple[str, dict[str, Any], Any]:
    head, extra = _with_json(rest)
    words = head.split()
    options = {}
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if not equals:
            raise ScenarioError(f"not a setting: {word!r}")
        options[key] = value if key in ("zone", "set", "size", "location") else _value(value)
    return words[0], options, extra if extra is not None else {}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _at(value: Any, path: str) -> Any:
    """The value at a path such as `properties.disks[0].name`. `[*]` gives the list of the values in all elements."""
    for number, name in re.findall(r"\[(\d+|\*)\]|([^.\[\]]+)", path):
        if number == "*":
            rest = path[path.index("[*]") + 3 :].lstrip(".")
            found = [_at(item, rest) if rest else item for item in value or []]
            return [item for item in found if item is not None]
        if number:
            value = value[int(number)] if isinstance(value, list) and int(number) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda found, value: bool(found == value),
    "!=": lambda found, value: bool(found != value),
    ">=": lambda found, value: bool(found is not None and found >= value),
    "<=": lambda found, value: bool(found is not None and found <= value),
    "contains": lambda found, value: found is not None and value in found,
    "starts": lambda found, value: isinstance(found, str) and found.startswith(value),
    "count": lambda found, value: len(found or []) == value,
    "all": lambda found, value: bool(found) and all(item == value for item in found),
}


def _compare(body: Any, condition: str) -> None:
    found = re.fullmatch(r"(\S+)\s+(absent|present|(==|!=|>=|<=|contains|starts|count|all)\s+(.*))", condition.strip())
    if found is None:
        raise ScenarioError(f"not a condition: {condition!r}")
    path, whole, operator, text = found.groups()
    value = _at(body, path)
    if operator is None:
        if (value is None or value == []) != (whole == "absent"):
            raise ScenarioError(f"expected {path} {whole}, found {value!r}")
    elif not _OPERATORS[operator](value, _value(text)):
        raise ScenarioError(f"expected {path} {operator} {text}, found {json.dumps(value, default=str)}")


def _same(found: Any, expected: Any, what: str) -> None:
    if found != expected:
        raise ScenarioError(f"expected {what} {expected!r}, found {found!r}")
