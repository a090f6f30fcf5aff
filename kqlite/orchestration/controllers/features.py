"""Feature and provider registration: what was asked for takes its time, and Compute honours a feature only after the provider
was registered again.

Source: Azure docs, "Set up preview features in Azure subscription".
"""

from __future__ import annotations

from typing import cast

from kqlite.orchestration.clock import SECOND
from kqlite.orchestration.errors import CoreError
from kqlite.orchestration.fleet import Container
from kqlite.orchestration.model import FeatureState, ProviderState, Type
from kqlite.orchestration.recorder import Recorder

FEATURES = (
    "VMOrchestratorSingleFD",
    "VMOrchestratorMultiFD",
    "VMScaleSetFlexPreview",
    "SkipPublicIpWriteRBACCheckForVMNetworkInterfaceConfigurationsPublicPreview",
)
# The page's troubleshooting section calls the feature by another name; both are one.
ALIASES = {"vmscalesetpublicpreview": "VMScaleSetFlexPreview"}
PROVIDERS = ("Microsoft.Compute", "Microsoft.Network", "Microsoft.Insights", "Microsoft.Features", "Microsoft.Resources")

_FEATURE_SECONDS = (60.0, 300.0, 900.0)
_PROVIDER_SECONDS = (5.0, 15.0, 60.0)
_NEXT = {"Registering": "Registered", "Unregistering": "Unregistered"}


def feature_name(name: str) -> str:
    """The feature's name in Azure's casing; an unknown one as it is."""
    known = {feature.lower(): feature for feature in FEATURES} | ALIASES
    return known.get(name.lower(), name)


def known_name(name: str) -> str:
    """The same for one that has to be known. Raises CoreError."""
    found = feature_name(name.rpartition("/")[2])
    if found not in FEATURES:
        raise CoreError(f"no feature {name!r}; there are {', '.join(FEATURES)}")
    return found


def begin_feature(recorder: Recorder, subscription: Container, name: str, state: str) -> FeatureState:
    """A registration, or its opposite, begins."""
    feature = cast("FeatureState | None", subscription.get(Type.FEATURE, name))
    if feature is None:
        feature = recorder.create(subscription, Type.FEATURE, FeatureState(name, 1, "NotRegistered", 0))
    done = _NEXT[state]
    if feature.state in (state, done):
        return feature
    seconds = recorder.chance.triangular(_FEATURE_SECONDS, "feature", subscription.scope(Type.FEATURE) + name, feature.version)
    return recorder.change(subscription, Type.FEATURE, feature, state=state, due=recorder.now + round(seconds * SECOND))


def wake_feature(recorder: Recorder, subscription: Container, name: str, due: int) -> None:
    """The registration of a feature is complete."""
    feature = cast("FeatureState | None", subscription.get(Type.FEATURE, name))
    if feature is None or feature.due != due:
        return
    with recorder.because("feature", "features/register"):
        recorder.change(subscription, Type.FEATURE, feature, state=_NEXT[feature.state], due=0)


def begin_provider(recorder: Recorder, subscription: Container, name: str, state: str) -> ProviderState:
    """The registration of a provider, or its opposite, begins; a registered one registers again."""
    provider = cast("ProviderState | None", subscription.get(Type.PROVIDER, name))
    if provider is None:
        provider = recorder.create(subscription, Type.PROVIDER, ProviderState(name, 1, "NotRegistered", 0, ()))
    seconds = recorder.chance.triangular(_PROVIDER_SECONDS, "provider", subscription.scope(Type.PROVIDER) + name, provider.version)
    # A registered provider stays so while it registers again: nothing is refused meanwhile.
    shown = provider.state if provider.state == "Registered" and state == "Registering" else state
    return recorder.change(subscription, Type.PROVIDER, provider, state=shown, due=recorder.now + round(seconds * SECOND))


def wake_provider(recorder: Recorder, subscription: Container, name: str, due: int) -> None:
    """The registration of a provider is complete; what features are registered at this moment is honoured from now on."""
    provider = cast("ProviderState | None", subscription.get(Type.PROVIDER, name))
    if provider is None or provider.due != due:
        return
    state = _NEXT.get(provider.state, "Registered")
    effective = registered(subscription) if state == "Registered" else ()
    with recorder.because("feature", "providers/register"):
        recorder.change(subscription, Type.PROVIDER, provider, state=state, due=0, effective=effective)


def registered(subscription: Container) -> tuple[str, ...]:
    """The features that are registered, in lower case and in order."""
    features = cast("dict[str, FeatureState]", subscription.of(Type.FEATURE)).values()
    return tuple(sorted(feature.name.lower() for feature in features if feature.state == "Registered"))
