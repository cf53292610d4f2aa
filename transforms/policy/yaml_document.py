"""YAML as people mean it, and the line that each of its values stands on."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core types.

    YAML 1.1, which PyYAML reads, makes False of `off` and `no`, 1320 of `22:00` and a date of
    `2026-01-05`: a policy is full of such words.
    """

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own name, filled below


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first
    )


def _int(loader: Any, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))  # PyYAML's own reads 010 as 8


def _float(loader: Any, node: yaml.ScalarNode) -> float:
    return float(re.sub(r"\.(inf|nan)", r"\1", loader.construct_scalar(node).lower()))


_Loader.add_constructor("tag:yaml.org,2002:int", _int)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)


@dataclass(frozen=True)
class Document:
    """A YAML document: its value, and where each part of it stands."""

    value: Any
    node: yaml.Node | None

    def line(self, path: Sequence[str | int]) -> int:
        r"""The line of the value at a path of keys and indexes, or of what there is of the path.

        Example:
            >>> document = read_yaml(b"rules:\n  - quiet: 5m\n  - off: [silent]\n")
            >>> document.line(["rules", 1, "off"]), document.line(["rules", 0, "nothing"])
            (3, 2)
        """
        node, line = self.node, 1
        for step in path:
            children = {key: (start, child) for key, start, child in _children(node)}
            if step not in children:
                break
            line, node = children[step]
        return line


def read_yaml(content: bytes) -> Document:
    r"""Read one YAML document with the types of YAML 1.2's core schema.

    Raises:
        ValueError: It is no YAML, or a key is there twice. The words quote no line of the file:
            somebody may have written a secret into it.

    Example:
        >>> read_yaml(b"off: [no, 22:00, 010, 2026-01-05]").value
        {'off': ['no', '22:00', 10, '2026-01-05']}
        >>> read_yaml(b"quiet: 5m\nquiet: 10m\n")
        Traceback (most recent call last):
        ValueError: line 2: 'quiet' is there twice, first on line 1
    """
    try:
        loader = _Loader(content)
        node = loader.get_single_node()
        if node is None:
            return Document(None, None)
        _check_keys(node, set())
        return Document(loader.construct_document(node), node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{line}no YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:  # such as bytes that are no text
        raise ValueError(f"no YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ValueError("no YAML that can be read: it is nested too deeply") from None


def _children(node: yaml.Node | None) -> Iterator[tuple[str | int, int, yaml.Node]]:
    """Key or index, line and node of each child."""
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            if isinstance(key, yaml.ScalarNode):  # other keys are refused by what reads the value
                yield key.value, key.start_mark.line + 1, child
    elif isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            yield index, child.start_mark.line + 1, child


def _check_keys(node: yaml.Node, seen: set[int]) -> None:
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    first: dict[str | int, int] = {}
    for key, line, child in _children(node):
        if key in first and key != "<<":
            raise ValueError(f"line {line}: {key!r} is there twice, first on line {first[key]}")
        first[key] = line
        _check_keys(child, seen)
