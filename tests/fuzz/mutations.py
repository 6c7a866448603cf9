"""Ways in which files go wrong, or are made to: bytes, and values in the places that their formats have for them.

Each takes the content and a generator of random numbers, and gives another content: the same for the same seed.
"""

import io
import json
import random
import zipfile
from collections.abc import Callable
from typing import Any, Final

import h5py
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema

from mbexport.formats.tflite.file import packed

Mutation = Callable[[bytes, random.Random], bytes]

_NUMBERS: Final = (0, 1, -1, 2, 127, 128, 255, 256, -128, 2**15, 2**31 - 1, -(2**31), 2**31, 2**32, 2**40, 2**63 - 1)
_FLOATS: Final = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e38, 1e308, float("inf"), float("-inf"), float("nan"))
_TEXTS: Final = ("", "\x1b[2J", "../../x", "a\nb", "\0", "💥" * 50, "x" * 70_000, "%s", "{{x}}", "::error::", "\ud800")


def bytes_changed(content: bytes, rng: random.Random) -> bytes:
    """One to eight bytes, a cut, a repetition, a block of zeros, or numbers at the edge of 32 bits."""
    kind = rng.randrange(6)
    at = rng.randrange(len(content) + 1)
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + rng.randbytes(rng.randint(1, 64)) + content[at:]
    if kind == 2:
        size = rng.randint(1, 4096)
        return content[:at] + content[at + size :]
    changed = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(max(1, len(content)))
        if kind == 3:
            new = bytes([rng.randrange(256)])
        elif kind == 4:
            new = rng.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1]).to_bytes(4, "little")
        else:
            new = bytes(rng.randint(1, 512))
        changed[at : at + len(new)] = new[: max(0, len(content) - at)]
    return bytes(changed)


def json_changed(content: bytes, rng: random.Random) -> bytes:
    """One value of another type or size, one that is missing, one too deep, or a document that is no document."""
    if rng.random() < 0.15:
        deep = "[" * 50_000 + "]" * 50_000
        return rng.choice([b"", b"null", b"[]", b"{}", b"\xff\xfe", deep.encode(), b"NaN", b'{"a":1,"a":2}'])
    if rng.random() < 0.15:
        return bytes_changed(content, rng)
    value = json.loads(content)
    _change(value, rng)
    return json.dumps(value).encode()


def _change(value: Any, rng: random.Random) -> None:
    """Changes one value inside `value`."""
    places = [(value, key) for key in _keys(value)]
    for inner, key in places:
        if len(places) < 20_000:
            places += [(inner[key], each) for each in _keys(inner[key])]
    if not places:
        return
    inner, key = rng.choice(places)
    if isinstance(inner, dict) and rng.random() < 0.15:
        del inner[key]
    elif isinstance(inner, dict) and rng.random() < 0.1:
        inner[rng.choice(_TEXTS)] = inner[key]
    else:
        inner[key] = _odd(inner[key], rng)


def _keys(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value)
    return list(range(len(value))) if isinstance(value, list) else []


def _odd(value: Any, rng: random.Random) -> Any:
    """Another value, half of the time of the same type."""
    if rng.random() < 0.5 and isinstance(value, int | float) and not isinstance(value, bool):
        return rng.choice(_FLOATS if isinstance(value, float) else _NUMBERS)
    if rng.random() < 0.5 and isinstance(value, list):
        return rng.choice([value[:-1], value + value, [value], []])
    return rng.choice([None, True, [], {}, [[]], *_NUMBERS, *_FLOATS, *_TEXTS])


def toml_changed(content: bytes, rng: random.Random) -> bytes:
    """A line with another value, a deep one, or bytes."""
    if rng.random() < 0.3:
        return bytes_changed(content, rng)
    lines = content.decode().splitlines()
    at = rng.randrange(len(lines))
    name = lines[at].partition("=")[0].strip() or "alpha"
    odd = rng.choice(
        [
            "nan", "-inf", "1e400", "9" * 5000, "true", '""', '"a\\u0000b"', "[]", "[[]]", "{}", "1979-05-27",
            "[" * 20_000, "{a = " * 5_000, '"\\ud800"', "0x7fffffffffffffffff", '"💥"', "-1", "0", "2.5", '"../../x"',
        ]
    )  # fmt: skip
    lines[at] = rng.choice([f"{name} = {odd}", f"{odd} = {odd}", f"[{name}]", f"[[{name}]]", f"{name}.{name} = {odd}"])
    return "\n".join(lines).encode()


def text_changed(content: bytes, rng: random.Random) -> bytes:
    """Lines that are missing, repeated, odd, or bytes."""
    if rng.random() < 0.4:
        return bytes_changed(content, rng)
    lines = content.decode().splitlines()
    at = rng.randrange(max(1, len(lines)))
    lines[at : at + 1] = rng.choice([[], lines[at : at + 1] * 3, [rng.choice(_TEXTS)], [""]])
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def tflite_changed(content: bytes, rng: random.Random) -> bytes:
    """One field of one table of the network, or bytes."""
    if rng.random() < 0.4:
        return bytes_changed(content, rng)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    for _ in range(rng.randint(1, 2)):
        _change_table(model, rng)
    try:
        return packed(model)
    except Exception:  # a value that the format cannot hold
        return bytes_changed(content, rng)


def _change_table(model: Any, rng: random.Random) -> None:
    tables = [table for table in _tables(model) if vars(table)]  # the options of some ops have no field
    for _ in range(20):
        table = rng.choice(tables)
        name = rng.choice(sorted(vars(table)))
        value = getattr(table, name)
        if isinstance(value, np.ndarray) and value.size:
            changed = value.copy()
            at = rng.randrange(changed.size)
            odd = rng.choice(_FLOATS) if changed.dtype.kind == "f" else rng.choice(_NUMBERS)
            changed[at] = np.array(odd).astype(changed.dtype)
            setattr(table, name, rng.choice([changed, changed[:-1], np.repeat(changed, 2)]))
            return
        if isinstance(value, bool):
            setattr(table, name, not value)
            return
        if isinstance(value, int | float):
            setattr(table, name, rng.choice((0, 1, 3, 17, 100, 127)) if rng.random() < 0.5 else rng.choice(_NUMBERS))
            return
        if isinstance(value, list) and value:
            setattr(table, name, rng.choice([value[:-1], value[1:], value + value[:1], value[::-1], None]))
            return
        if value is not None and rng.random() < 0.3:
            setattr(table, name, None)
            return


def _tables(root: Any) -> list[Any]:
    found, at = [root], 0
    while at < len(found):
        for value in vars(found[at]).values():
            inner = value if isinstance(value, list) else [value]
            found += [each for each in inner if type(each).__module__ == schema.__name__]
        at += 1
    return found


def onnx_changed(content: bytes, rng: random.Random) -> bytes:
    """One field of one message of the network, text that is not UTF-8, or bytes."""
    if rng.random() < 0.4:
        return bytes_changed(content, rng)
    if rng.random() < 0.1:
        return content.replace(rng.choice([b"image", b"scores", b"labels", b"normalization"]), b"\xff\xfe\xfd", 1)
    model = onnx.ModelProto.FromString(content)
    messages, at = [model], 0
    while at < len(messages):
        for field, value in messages[at].ListFields():
            if field.message_type is not None:
                messages += list(value) if _is_list(value) else [value]
        at += 1
    for _ in range(rng.randint(1, 2)):
        _change_message(rng.choice(messages), rng)
    return model.SerializeToString()


def _is_list(value: Any) -> bool:
    return hasattr(value, "append") or hasattr(value, "add")


def _change_message(message: Any, rng: random.Random) -> None:
    fields = message.ListFields()
    if not fields:
        return
    field, value = rng.choice(fields)
    if rng.random() < 0.2:
        message.ClearField(field.name)
        return
    try:
        if _is_list(value):
            at = rng.randrange(len(value))
            if field.message_type is not None:
                del value[at]
            else:
                value[at] = _odd_scalar(value[at], rng)
        elif field.message_type is None:
            setattr(message, field.name, _odd_scalar(value, rng))
    except (TypeError, ValueError):  # a value that the field cannot hold
        message.ClearField(field.name)


def _odd_scalar(value: Any, rng: random.Random) -> Any:
    if isinstance(value, bytes):
        return bytes_changed(value, rng) if value else b"\xff"
    if isinstance(value, str):
        return rng.choice(_TEXTS[:-1])
    return rng.choice(_FLOATS if isinstance(value, float) else _NUMBERS)


def hdf5_changed(content: bytes, rng: random.Random) -> bytes:
    """An array of another shape or type, another configuration, an attribute that is missing, or bytes."""
    if rng.random() < 0.4:
        return bytes_changed(content, rng)
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        kind = rng.randrange(4)
        if kind == 0 and "model_config" in file.attrs:
            text = file.attrs["model_config"]
            changed = json_changed(text if isinstance(text, bytes) else text.encode(), rng)
            file.attrs["model_config"] = changed.replace(b"\0", b"")  # which no text of HDF5 can hold
        else:
            _change_array(file, rng)
    return buffer.getvalue()


def _change_array(file: Any, rng: random.Random) -> None:
    names: list[str] = []
    file.visititems(lambda name, value: names.append(name) if isinstance(value, h5py.Dataset) else None)
    name = rng.choice(names)
    value = file[name][()]
    del file[name]
    changed = rng.choice(
        [
            value[..., :-1] if value.ndim else value,
            value[None],
            value.reshape(-1),
            value.T,
            np.repeat(np.atleast_1d(value), 2, axis=0),
            value * np.nan,
            value.astype("S4"),
            value.astype(np.complex64),
            np.zeros((0,)),
            None,
        ]
    )
    if changed is None:
        file.create_group(name)
    elif rng.random() < 0.9:
        file[name] = changed


def keras_changed(content: bytes, rng: random.Random) -> bytes:
    """One member of the archive changed in its own way, one that is missing, or bytes."""
    if rng.random() < 0.3:
        return bytes_changed(content, rng)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(members))
    if rng.random() < 0.1:
        del members[name]
    elif name.endswith(".json"):
        members[name] = json_changed(members[name], rng)
    else:
        members[name] = hdf5_changed(members[name], rng)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for each, inner in members.items():
            archive.writestr(each, inner)
    return buffer.getvalue()
