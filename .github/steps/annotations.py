"""Print a workflow error on stdout for each gate of junit.xml that failed."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def escaped(text: str, *, in_property: bool = False) -> str:
    """`text` as GitHub's runner reads it back; a property ends at a comma and a name at a colon."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if in_property else text


def annotations(junit: bytes) -> list[str]:
    """`::error title=gate NAME::TEXT` for each failure, in the file's order."""
    found = []
    for case in ET.fromstring(junit).iter("testcase"):
        for failure in case.iter("failure"):
            title = escaped(f"gate {case.get('name', '')}", in_property=True)
            text = escaped((failure.text or failure.get("message") or "failed").strip())
            found.append(f"::error title={title}::{text}")
    return found


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in annotations(Path(sys.argv[1]).read_bytes()))
