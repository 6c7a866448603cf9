"""Put JPEG pictures into a page."""

import base64


def data_uri(jpeg: bytes) -> str:
    """The picture as a URL that holds it."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
