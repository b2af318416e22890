"""Artefacts by way of Maven, where it is installed: it knows the user's mirrors, proxies and credentials."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from magnetar.errors import BrokenDownloadError
from magnetar.java.lock import INSTANCE_ARTIFACT, LOCKED

_INSTANCE_VERSIONS = {LOCKED: "4.0.8"}
"""Versions of the instance jar that go with another version of the rest: 4.0.7 of it was not published."""
_POM = """<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>magnetar</groupId><artifactId>java-instance</artifactId><version>1</version><packaging>pom</packaging>
  <dependencyManagement><dependencies><dependency>
    <groupId>org.apache.pulsar</groupId><artifactId>pulsar</artifactId><version>{version}</version>
    <type>pom</type><scope>import</scope>
  </dependency></dependencies></dependencyManagement>
  <dependencies>
    <dependency>
      <groupId>org.apache.pulsar</groupId><artifactId>pulsar-functions-runtime</artifactId><version>{version}</version>
      <exclusions>
        <exclusion><groupId>io.kubernetes</groupId><artifactId>*</artifactId></exclusion>
        <exclusion><groupId>org.apache.pulsar</groupId><artifactId>jetcd-core-shaded</artifactId></exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.apache.pulsar</groupId><artifactId>{instance}</artifactId><version>{instance_version}</version>
      <exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>
    </dependency>
  </dependencies>
</project>
"""
_LAST_LINES = 5


def find_maven() -> str | None:
    """Return where Maven is, None where it is not installed."""
    return shutil.which("mvn")


def pom(version: str) -> str:
    """Return the Maven project that depends on the Java instance and on what it needs; not on Kubernetes and etcd."""
    return _POM.format(
        version=version, instance=INSTANCE_ARTIFACT, instance_version=_INSTANCE_VERSIONS.get(version, version)
    )


def resolve(maven: str, version: str, folder: Path, told: Callable[[str], None], *options: str) -> None:
    """Have Maven copy all jars into a folder; `told` hears each of its lines. Raises BrokenDownloadError with the last.

    Checksums are verified by Maven itself, strictly; a download that broke off is resumed by it next time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    project = folder.parent / "pom.xml"
    project.write_text(pom(version), encoding="utf-8")
    command = [maven, "-B", "-C", "-f", str(project), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    command += [f"-DoutputDirectory={folder}", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip())
            told(line.rstrip())
    if process.returncode:
        errors = [line for line in lines if "ERROR" in line] or lines
        raise BrokenDownloadError(f"Maven could not resolve Pulsar {version}: {' '.join(errors[:_LAST_LINES])}")
