"""JSON values with one part exchanged, for tests of what does not fit."""

import copy


def paths(value, path=()):
    """Yield the path of every part of a JSON value, the whole first."""
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from paths(value[key], (*path, key))


def replaced(value, path, part):
    """Return a copy of a JSON value with another part at a path."""
    if not path:
        return part
    value = copy.deepcopy(value)
    node = value
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = part
    return value
