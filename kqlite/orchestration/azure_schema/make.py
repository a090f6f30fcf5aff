"""Makes `table.json`: the members of request bodies in Azure's public API specifications.

    python kqlite/orchestration/azure_schema/make.py FOLDER

FOLDER has a folder for each package below, such as `azure-mgmt-compute-30.6.0`, made by
`pip install --no-deps --target FOLDER/NAME PACKAGE==VERSION`. `azure-mgmt-core` and `isodate` must be installed. The packages are generated
from the specifications. This program takes from their models the names, types, words, and what is required or read-only.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

# (api-version, package) for each api-version. "" is the only version in its package.
_COMPUTE_30, _COMPUTE_34, _COMPUTE_39 = ("azure-mgmt-compute", "30.6.0"), ("azure-mgmt-compute", "34.1.0"), ("azure-mgmt-compute", "39.0.0")
_NETWORK_22, _NETWORK_25 = ("azure-mgmt-network", "22.2.0"), ("azure-mgmt-network", "25.4.0")
_MONITOR = ("azure-mgmt-monitor", "6.0.2")
_MACHINES = [
    *((version, _COMPUTE_30) for version in ("2021-07-01", "2021-11-01", "2022-03-01", "2022-08-01", "2022-11-01", "2023-03-01")),
    *((version, _COMPUTE_30) for version in ("2023-07-01", "2023-09-01")),
    ("2024-11-01", _COMPUTE_34),
    ("", _COMPUTE_39),
]
_DISKS = [
    *((version, _COMPUTE_30) for version in ("2020-12-01", "2021-04-01", "2021-08-01", "2021-12-01", "2022-03-02", "2022-07-02")),
    *((version, _COMPUTE_30) for version in ("2023-01-02", "2023-04-02", "2023-10-02")),
    ("2024-03-02", _COMPUTE_34),
    ("", _COMPUTE_39),
]
_NETWORKS = [*((version, _NETWORK_22) for version in ("2020-11-01", "2021-02-01", "2022-07-01")), ("", _NETWORK_25)]
_MONITORS = [(version, _MONITOR) for version in ("2015-04-01", "2021-05-01-preview", "2022-10-01")]

# The models that kqlite reads bodies with, and the versions to merge. A PATCH is read with the model of the whole resource.
ROOTS: dict[str, list[tuple[str, tuple[str, str]]]] = {
    "VirtualMachineScaleSet": _MACHINES,
    "VirtualMachineScaleSetVM": _MACHINES,
    "VirtualMachineScaleSetVMInstanceRequiredIDs": _MACHINES,
    "OrchestrationServiceStateInput": _MACHINES,
    "VirtualMachine": _MACHINES,
    "VirtualMachineExtension": _MACHINES,
    "VirtualMachineReimageParameters": _MACHINES,
    "VirtualMachineInstallPatchesParameters": _MACHINES,
    "VirtualMachineCaptureParameters": _MACHINES,
    "ProximityPlacementGroup": _MACHINES,
    "Disk": _DISKS,
    "NetworkInterface": _NETWORKS,
    "PublicIPAddress": _NETWORKS,
    "LoadBalancer": _NETWORKS,
    "AutoscaleSettingResource": _MONITORS,
}
# Choices that are not closed. `azure_offerings` lists the sizes.
_OPEN = {"VirtualMachineSizeTypes"}
_NEWEST = "9999-12-31"
_PLAIN = {"str": "str", "bool": "bool", "int": "int", "long": "long", "float": "num", "iso-8601": "datetime", "duration": "duration"}


@dataclass
class Member:
    """A member of the table. added_after: the last version known not to have it."""

    type: str
    required: bool
    read_only: bool
    limits: dict[str, float]
    added_after: str = ""


@dataclass
class ModelMember:
    """A member of a model in a package. nested: the class of its value, for objects and choices."""

    name: str
    kind: str
    nested: type | None
    required: bool
    read_only: bool
    limits: dict[str, float] = field(default_factory=dict)


class Table:
    """The table: all objects and choices, merged over the versions."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Member]] = {}
        self.words: dict[str, dict[str, str]] = {}
        self._seen: dict[str, set[str]] = {}  # versions in which an object or choice occurs
        self._done: set[tuple[str, str, str]] = set()

    def add(self, node: str, cls: type, version: str) -> None:
        """Merge a class of a version into an object of the table."""
        key = (node, cls.__name__, version)
        if key in self._done:
            return
        self._done.add(key)
        self._merge(node, list(_members(cls)), version)

    def _merge(self, node: str, found: list[ModelMember], version: str) -> None:
        before = self._before(node, version)
        members = self.objects.setdefault(node, {})
        below: dict[str, list[ModelMember]] = {}
        for each in found:
            head, _, rest = each.name.partition(".")
            if rest:
                below.setdefault(head, []).append(ModelMember(rest, each.kind, each.nested, each.required, each.read_only, each.limits))
                continue
            self._member(members, node, each, version, before)
        for head, inner in below.items():
            members.setdefault(head, Member(f"{node}.{head}", False, False, {}, before))
            self._merge(f"{node}.{head}", inner, version)

    def _before(self, name: str, version: str) -> str:
        """The last earlier version with this object or choice. Members that are new in `version` were added after it."""
        versions = self._seen.setdefault(name, set())
        before = max((each for each in versions if each < version), default="")
        versions.add(version)
        return before

    def _member(self, members: dict[str, Member], node: str, each: ModelMember, version: str, before: str) -> None:
        known = members.get(each.name)
        type_ = each.kind
        if each.nested is not None and not each.read_only:
            type_ = self._below(known, node, each, version)
        if known is None:
            members[each.name] = Member(type_, each.required, each.read_only, each.limits, before)
            return
        known.required = known.required and each.required
        if known.read_only and not each.read_only:
            known.type, known.read_only = type_, False
        known.limits = {
            name: (min if name.startswith("min") else max)(bound, each.limits.get(name, bound)) for name, bound in known.limits.items()
        }

    def _below(self, known: Member | None, node: str, each: ModelMember, version: str) -> str:
        assert each.nested is not None
        if issubclass(each.nested, enum.Enum):
            if each.nested.__name__ in _OPEN:
                return each.kind.replace("*", "str")
            self._words(each.nested, version)
            return each.kind.replace("*", each.nested.__name__)
        if _is_reference(each.nested, node):
            return each.kind.replace("*", "SubResource")
        name = each.nested.__name__
        if known is not None and not known.read_only:
            name = re.sub(r"[\[\]{}]", "", known.type)
            if name not in self.objects:
                return known.type
        elif each.name == "properties":
            name = f"{node}.properties"
        self.add(name, each.nested, version)
        return each.kind.replace("*", name)

    def _words(self, cls: type[enum.Enum], version: str) -> None:
        before = self._before(cls.__name__, version)
        kept = self.words.setdefault(cls.__name__, {})
        for word in cls:
            kept.setdefault(str(word.value), before)

    def document(self) -> dict[str, Any]:
        """The content of `table.json`."""
        objects = {
            node: {name: _written(member) for name, member in sorted(members.items())} for node, members in sorted(self.objects.items())
        }
        words = {
            name: [f"{word} >{added_after}" if added_after else word for word, added_after in kept.items()]
            for name, kept in self.words.items()
        }
        return {"words": dict(sorted(words.items())), "objects": objects}


def _written(member: Member) -> str:
    if member.read_only:
        return "read-only"
    parts = [member.type, *(["required"] if member.required else [])]
    parts += [f"{name}={bound:g}" for name, bound in sorted(member.limits.items())]
    return " ".join([*parts, *([f">{member.added_after}"] if member.added_after else [])])


def _is_reference(cls: type, node: str) -> bool:
    """Whether a member of this class refers to another resource. Azure shows that resource in full and reads only its id."""
    if "azure.mgmt.network" not in cls.__module__:
        return False
    own = _OWN.get(node, ())
    return cls.__name__ not in own and (cls.__name__ in _ELSEWHERE or {"id", "location"} <= set(getattr(cls, "_attribute_map", ())))


# Classes of child resources, and the resource that they belong to.
_ELSEWHERE = ("Subnet", "ApplicationGatewayBackendAddressPool", "InboundNatRule", "BackendAddressPool", "IPConfiguration")
_OWN = {"LoadBalancer": ("InboundNatRule", "BackendAddressPool"), "LoadBalancer.properties": ("InboundNatRule", "BackendAddressPool")}


def _members(cls: type) -> Iterator[ModelMember]:
    mapping = getattr(cls, "_attribute_map", None)
    if mapping is None:
        yield from _fields(cls)
        return
    rules = getattr(cls, "_validation", {})
    module = sys.modules[cls.__module__.rpartition(".")[0]]
    annotations: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if "__init__" in vars(base):
            annotations |= {name: str(hint) for name, hint in inspect.get_annotations(base.__init__).items()}  # type: ignore[misc]
    for attribute, entry in mapping.items():
        rule = rules.get(attribute, {})
        name = entry["key"]
        kind, nested = _classic(entry["type"], annotations.get(attribute, ""), module)
        limits = {
            short: float(rule[long])
            for short, long in (("min", "minimum"), ("max", "maximum"), ("minItems", "min_items"), ("maxItems", "max_items"))
            if long in rule
        }
        yield ModelMember(name, kind, nested, bool(rule.get("required")), bool(rule.get("readonly")), limits)


def _classic(type_: str, annotation: str, module: ModuleType) -> tuple[str, type | None]:
    inner = type_.strip("[]{}")
    shape = type_.replace(inner, "*")
    if inner in ("object", "{object}") or "object" in inner:
        return shape.replace("*", "object"), None
    if inner == "str":
        named = re.search(r"(?:_models|models)\.(\w+)", annotation)
        cls = getattr(module, named.group(1), None) if named else None
        if isinstance(cls, type) and issubclass(cls, enum.Enum):
            return shape, cls
    if inner in _PLAIN:
        return shape.replace("*", _PLAIN[inner]), None
    cls = getattr(module, inner)
    assert isinstance(cls, type)
    return shape, cls


def _fields(cls: type) -> Iterator[ModelMember]:
    module = sys.modules[cls.__module__.rpartition(".")[0]]
    seen: set[str] = set()
    for base in cls.__mro__:
        for attribute, hint in inspect.get_annotations(base).items():
            rest = vars(base).get(attribute)
            if type(rest).__name__ != "_RestField" or attribute in seen:
                continue
            seen.add(attribute)
            text = str(hint).replace("typing.", "")
            optional = text.startswith("Optional[") or "NoneType" in text
            text = text.removeprefix("Optional[")
            shape = "[*]" if text.lower().startswith("list[") else "{*}" if text.lower().startswith("dict[") else "*"
            named = re.search(r"_models\.(\w+)", text)
            nested = getattr(module, named.group(1)) if named else None
            plain = next((ours for theirs, ours in _HINTS if theirs in text), "object")
            read_only = rest._visibility == ["read"]  # type: ignore[union-attr]
            name = rest._rest_name_input or attribute  # type: ignore[union-attr]
            yield ModelMember(name, shape if nested else shape.replace("*", plain), nested, not optional, read_only)


_HINTS = (
    ("datetime", "datetime"),
    ("timedelta", "duration"),
    ("bool", "bool"),
    ("int", "int"),
    ("float", "num"),
    ("Any", "object"),
    ("str", "str"),
)


@contextmanager
def _models(folder: Path, package: tuple[str, str], version: str) -> Iterator[ModuleType]:
    """The module with the models of a version, imported from its package's folder."""
    path = str(folder / f"{package[0]}-{package[1]}")
    sys.path.insert(0, path)
    mgmt = importlib.import_module("azure.mgmt")
    mgmt.__path__ = [f"{path}/azure/mgmt", *mgmt.__path__]
    name = package[0].replace("-", ".")
    suffix = f".v{version.replace('-', '_')}" if version else ""
    try:
        yield importlib.import_module(f"{name}{suffix}.models")
    finally:
        sys.path.remove(path)
        mgmt.__path__ = list(mgmt.__path__)[1:]
        for loaded in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
            del sys.modules[loaded]
        importlib.invalidate_caches()


def make(folder: Path) -> dict[str, Any]:
    """The content of `table.json`, from the packages in the folder."""
    table = Table()
    for root, sources in ROOTS.items():
        for version, package in sources:
            with _models(folder, package, version) as module:
                cls = getattr(module, root, None)
                if cls is not None:
                    table.add(root, cls, version or _NEWEST)
    return table.document()


if __name__ == "__main__":
    _written_to = Path(__file__).with_name("table.json")
    _written_to.write_text(json.dumps(make(Path(sys.argv[1])), indent=1) + "\n", encoding="utf-8")
