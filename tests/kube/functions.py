"""Functions and runtimes for tests on the bed."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kube.bed import Room
from magnetar.config.runtime_keys import KubernetesRuntimeConfig
from magnetar.lifecycle import Phase
from magnetar.runtimes.base import FunctionSpec
from magnetar.runtimes.kubernetes.api.access import Access
from magnetar.runtimes.kubernetes.customizer import BasicKubernetesManifestCustomizer
from magnetar.runtimes.kubernetes.objects.manifests import Extensions
from magnetar.runtimes.kubernetes.runtime import KubernetesRuntime
from magnetar.runtimes.kubernetes.settings import KubernetesSettings
from magnetar_instance.proto.function import FunctionDetails, PackageLocationMetaData


def access(kubeconfig: Path) -> Access:
    return Access(environ={**os.environ, "KUBECONFIG": str(kubeconfig)})


def function(name: str = "shout", options: dict[str, Any] | None = None, **changes: Any) -> FunctionSpec:
    details = FunctionDetails(
        tenant="public",
        namespace="default",
        name=name,
        className="shout.Shout",
        runtime=FunctionDetails.PYTHON,
        componentType=FunctionDetails.FUNCTION,
        parallelism=changes.pop("parallelism", 2),
        customRuntimeOptions=json.dumps(options) if options else "",
        **changes,
    )
    details.source.inputSpecs["persistent://public/default/in"].schemaType = "STRING"
    details.resources.ram = 64 << 20
    details.resources.cpu = 0.1
    return FunctionSpec(details, PackageLocationMetaData(packagePath="function://p", originalFileName="shout.py"))


def settings(room: Room, own: Any = None, **keys: Any) -> KubernetesSettings:
    document = {"jobNamespace": room.namespace, "gracePeriodSeconds": 0, **keys}
    return KubernetesSettings(
        keys=KubernetesRuntimeConfig.model_validate(document),
        cluster="standalone",
        service_url="pulsar://broker:6650",
        admin_url="http://worker:6750",
        functions_may_shape_pods=True,
        **({"own": own} if own else {}),
    )


def runtime(
    room: Room,
    config: KubernetesSettings | None = None,
    extensions: Extensions | None = None,
    kubeconfig: Path | None = None,
) -> KubernetesRuntime:
    return KubernetesRuntime(
        config or settings(room),
        extensions or Extensions(customizer=BasicKubernetesManifestCustomizer({})),
        access(kubeconfig or room.bed.kubeconfig),
    )


async def reach(runtime: KubernetesRuntime, spec: FunctionSpec, phase: Phase, count: int | None = None) -> list[str]:
    """Wait until every instance is in a phase; returns the reasons."""
    while True:
        seen = runtime.generation
        reports = runtime.reports(spec)
        if all(each.phase is phase for each in reports) and len(reports) == (count or spec.details.parallelism):
            return [each.reason for each in reports]
        await runtime.changed(seen)


@asynccontextmanager
async def submitted(runtime: KubernetesRuntime, spec: FunctionSpec) -> AsyncIterator[None]:
    """Submit a function and wait until it runs; it is removed afterwards."""
    await runtime.submit(spec)
    await reach(runtime, spec, Phase.RUNNING)
    yield
    await runtime.remove(spec)
