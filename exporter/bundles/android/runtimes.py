"""The runtimes that an Android bundle can call, a row each: what an app gets with it, and from which Android on."""

from dataclasses import dataclass
from typing import Final

from mbexport.errors import OptionError

LITERT_GROUP: Final = "com.google.ai.edge.litert"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """One row: `name` is its choice of `--android-runtime`, and the folder of the wrapper's sources that call it.

    An app needs the `artifacts` of LiteRT's Maven group in this `version`, and Android from the API level `min_sdk` on;
    `rules` for its shrinker say what LiteRT's native code finds by name. `is_accelerated` says whether it reaches GPUs
    and NPUs.
    """

    name: str
    title: str
    version: str
    artifacts: tuple[str, ...]
    min_sdk: int
    rules: str = ""
    is_accelerated: bool

    @property
    def coordinates(self) -> tuple[str, ...]:
        """What a build asks for, as group:artifact:version."""
        return tuple(f"{LITERT_GROUP}:{each}:{self.version}" for each in self.artifacts)


# CompiledModel. Its GPU accelerator is an artifact of its own from 2.3.0 on; litert brings litert-api. The API level is
# that of LiteRT 2.3.0's own libraries: Gradle merges them into no app for an older Android. Native code of LiteRT makes
# a LiteRtException by its name, and ends the app where there is none (litert/kotlin/src/main/jni/litert_jni_common.h).
LITERT_2: Final = Runtime(
    name="litert2",
    title="LiteRT 2, CompiledModel",
    version="2.3.0",
    artifacts=("litert", "litert-gpu"),
    min_sdk=24,
    rules="-keep class com.google.ai.edge.litert.** { *; }\n",
    is_accelerated=True,
)
# The last LiteRT whose only interface is org.tensorflow.lite.Interpreter. 1.4.0 needs Android 8; those before it have
# no 16 KB pages, which Google Play demands since November 2025. litert-api is needed, too: without it the interpreter
# finds no implementation of itself (google-ai-edge/LiteRT issue 2752). The API level is that of "Supported Android
# versions" of ai.google.dev/edge/litert/android.
LITERT_1: Final = Runtime(
    name="litert1",
    title="LiteRT 1, Interpreter",
    version="1.4.1",
    artifacts=("litert", "litert-api"),
    min_sdk=21,
    is_accelerated=False,
)
RUNTIMES: Final = (LITERT_2, LITERT_1)
DEFAULT: Final = LITERT_2


def require_runtime(name: str) -> Runtime:
    """The runtime of this name. Raises `OptionError` for any other."""
    found = next((each for each in RUNTIMES if each.name == name), None)
    if found is None:
        legal = " or ".join(each.name for each in RUNTIMES)
        raise OptionError(f"--android-runtime must be {legal}, got {name!r}")
    return found
