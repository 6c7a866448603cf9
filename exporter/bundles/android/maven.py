"""Lay out a Maven repository with one library, as Gradle and Maven read it."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mbexport.bundles.android.runtimes import LITERT_GROUP, Runtime
from mbexport.escaping.markup import escaped

_CHECKSUMS: Final = ("md5", "sha1", "sha256", "sha512")

_POM: Final = """<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
         xsi:schemaLocation="http://maven.apache.org/POM/4.0.0 http://maven.apache.org/xsd/maven-4.0.0.xsd">
  <modelVersion>4.0.0</modelVersion>
  <groupId>{group}</groupId>
  <artifactId>{artifact}</artifactId>
  <version>{version}</version>
  <packaging>aar</packaging>
  <name>{name}</name>
  <description>{description}</description>
{licences}  <dependencies>
{dependencies}  </dependencies>
</project>
"""
_LICENCE: Final = """  <licenses>
    <license>
      <name>{licence}</name>
    </license>
  </licenses>
"""
_DEPENDENCY: Final = """    <dependency>
      <groupId>{group}</groupId>
      <artifactId>{artifact}</artifactId>
      <version>{version}</version>
      <type>aar</type>
      <scope>runtime</scope>
    </dependency>
"""
# Without lastUpdated: the same library has to give the same bytes.
_METADATA: Final = """<?xml version="1.0" encoding="UTF-8"?>
<metadata>
  <groupId>{group}</groupId>
  <artifactId>{artifact}</artifactId>
  <versioning>
    <latest>{version}</latest>
    <release>{version}</release>
    <versions>
      <version>{version}</version>
    </versions>
  </versioning>
</metadata>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinates:
    """A library's name in a build: group:artifact:version."""

    group: str
    artifact: str
    version: str

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"

    @property
    def folder(self) -> str:
        """The folder of the library's versions in a repository."""
        return f"{self.group.replace('.', '/')}/{self.artifact}"

    def path(self, suffix: str) -> str:
        """The path in a repository of this version's file with that suffix, such as `.aar`."""
        return f"{self.folder}/{self.version}/{self.artifact}-{self.version}{suffix}"


def artifact_id(stem: str) -> str:
    """A Maven artifact id for `stem`: other letters than Maven allows become dashes."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip(".-") or "model"


def repository(
    at: Coordinates, *, aar: bytes, sources: bytes, needs: Runtime, description: str, licence: str | None
) -> dict[str, bytes]:
    """The files of a repository with this one library by their paths in it, each with its checksums.

    `sources` is a jar; the library `needs` a runtime; a `licence` of None leaves the licence out of the POM.
    """
    return _with_checksums(
        {
            at.path(".aar"): aar,
            at.path("-sources.jar"): sources,
            at.path(".pom"): _pom(at, needs=needs, description=description, licence=licence),
            f"{at.folder}/maven-metadata.xml": _filled(_METADATA, at).encode(),
        }
    )


def _pom(at: Coordinates, *, needs: Runtime, description: str, licence: str | None) -> bytes:
    dependencies = (
        _DEPENDENCY.format(group=LITERT_GROUP, artifact=name, version=needs.version) for name in needs.artifacts
    )
    return _filled(
        _POM,
        at,
        name=escaped(at.artifact),
        description=escaped(description),
        licences="" if licence is None else _LICENCE.format(licence=escaped(licence)),
        dependencies="".join(dependencies),
    ).encode()


def _filled(template: str, at: Coordinates, **others: str) -> str:
    return template.format(
        group=escaped(at.group), artifact=escaped(at.artifact), version=escaped(at.version), **others
    )


def _with_checksums(files: Mapping[str, bytes]) -> dict[str, bytes]:
    sums = {
        f"{path}.{name}": hashlib.new(name, content, usedforsecurity=False).hexdigest().encode()
        for path, content in files.items()
        for name in _CHECKSUMS
    }
    return {**files, **sums}
