"""What Java instances are configured with."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from magnetar.config.worker import WorkerConfig
from magnetar.java.archive import find_archive
from magnetar.java.installation import JavaInstallation, cache_directory, find_installation
from magnetar.java.version import find_java, java_release
from magnetar.runtimes.process.java import JavaSettings
from magnetar.worker_settings.shared import exposed_web_service

if TYPE_CHECKING:
    pass


def java_settings(config: WorkerConfig, environment: Mapping[str, str]) -> JavaSettings:
    """Return the settings of Java instances; the cache is looked into at each start, for it may be filled meanwhile."""
    process = config.process_runtime
    cache = cache_directory()

    def archive(found: JavaInstallation) -> Path | None:
        program = find_java(environment)
        return program and find_archive(found, program, cache)

    return JavaSettings(
        find=lambda: find_installation(process.java_instance_jar_location, process.function_instance_class_path, cache),
        program=lambda: find_java(environment),
        release=java_release,
        archive=archive,
        additional_arguments=config.additional_java_runtime_arguments,
        max_pending_async_requests=config.max_pending_async_requests,
        web_service_url=exposed_web_service(config),
        ignore_unknown_config_fields=config.ignore_unknown_config_fields,
        nar_extraction_directory=str(config.nar_extraction_directory or ""),
        host_memory=psutil.virtual_memory().total,
    )
