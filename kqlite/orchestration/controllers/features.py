"""Registration of preview features and resource providers. A registration takes a while.

Compute honours a feature only after the registration of its provider has ended once more.

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
# Another name of the feature, in the documentation's troubleshooting section.
ALIASES = {"vmscalesetpublicpreview": "VMScaleSetFlexPreview"}
PROVIDERS = ("Microsoft.Compute", "Microsoft.Network", "Microsoft.Insights", "Microsoft.Features", "Microsoft.Resources")

_FEATURE_SECONDS = (60.0, 300.0, 900.0)
_PROVIDER_SECONDS = (5.0, 15.0, 60.0)
_NEXT = {"Registering": "Registered", "Unregistering": "Unregistered"}


def feature_name(name: str) -> str:
    """The feature's name in Azure's casing. An unknown name is returned unchanged."""
    known = {feature.lower(): feature for feature in FEATURES} | ALIASES
    return known.get(name.lower(), name)


def known_name(name: str) -> str:
    """As `feature_name`, for a name or id. Raises CoreError for an unknown feature."""
    found = feature_name(name.rpartition("/")[2])
    if found not in FEATURES:
        raise CoreError(f"no feature {name!r}; there are {', '.join(FEATURES)}")
    return found


def begin_feature(recorder: Recorder, subscription: Container, name: str, state: str) -> FeatureState:
    """Begin to register or unregister a feature. state: "Registering" or "Unregistering"."""
    feature = cast("FeatureState | None", subscription.get(Type.FEATURE, name))
    if feature is None:
        feature = recorder.create(subscription, Type.FEATURE, FeatureState(name, 1, "NotRegistered", 0))
    done = _NEXT[state]
    if feature.state in (state, done):
        return feature
    seconds = recorder.chance.triangular(_FEATURE_SECONDS, "feature", subscription.scope(Type.FEATURE) + name, feature.version)
    return recorder.change(subscription, Type.FEATURE, feature, state=state, due=recorder.now + round(seconds * SECOND))


def wake_feature(recorder: Recorder, subscription: Container, name: str, due: int) -> None:
    """End the registration of a feature."""
    feature = cast("FeatureState | None", subscription.get(Type.FEATURE, name))
    if feature is None or feature.due != due:
        return
    with recorder.because("feature", "features/register"):
        recorder.change(subscription, Type.FEATURE, feature, state=_NEXT[feature.state], due=0)


def begin_provider(recorder: Recorder, subscription: Container, name: str, state: str) -> ProviderState:
    """Begin to register or unregister a provider. A registered provider can register again. state: as for `begin_feature`."""
    provider = cast("ProviderState | None", subscription.get(Type.PROVIDER, name))
    if provider is None:
        provider = recorder.create(subscription, Type.PROVIDER, ProviderState(name, 1, "NotRegistered", 0, ()))
    seconds = recorder.chance.triangular(_PROVIDER_SECONDS, "provider", subscription.scope(Type.PROVIDER) + name, provider.version)
    # A registered provider stays Registered while it registers again, so that its requests are not refused meanwhile.
    shown = provider.state if provider.state == "Registered" and state == "Registering" else state
    return recorder.change(subscription, Type.PROVIDER, provider, state=shown, due=recorder.now + round(seconds * SECOND))


def wake_provider(recorder: Recorder, subscription: Container, name: str, due: int) -> None:
    """End the registration of a provider. From now on Compute honours the features that are registered now."""
    provider = cast("ProviderState | None", subscription.get(Type.PROVIDER, name))
    if provider is None or provider.due != due:
        return
    state = _NEXT.get(provider.state, "Registered")
    effective = registered(subscription) if state == "Registered" else ()
    with recorder.because("feature", "providers/register"):
        recorder.change(subscription, Type.PROVIDER, provider, state=state, due=0, effective=effective)


def registered(subscription: Container) -> tuple[str, ...]:
    """The registered features in lower case, sorted."""
    features = cast("dict[str, FeatureState]", subscription.of(Type.FEATURE)).values()
    return tuple(sorted(feature.name.lower() for feature in features if feature.state == "Registered"))
