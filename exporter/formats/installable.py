"""What can be used only where something more is installed: a package with a compiler, an emulator, a driver."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Installable:
    """`missing` says why it cannot be used on this machine, None if it can; `needs` what to do about that."""

    missing: Callable[[], str | None] = lambda: None
    needs: str = ""

    def lack(self) -> str | None:
        """Both, as errors and `doctor` say it; None for what can be used."""
        reason = self.missing()
        return None if reason is None else f"{reason}; {self.needs}"


def missing_package(module: str, package: str) -> str | None:
    """A line on the package that `module` is of, unless it is installed; it is not imported."""
    return None if importlib.util.find_spec(module) else f"the package {package} is not installed"
