"""Comparing syntax trees of different texts."""

import dataclasses

from kqlite.language.source import Span

NOWHERE = Span(0, 0)


def without_spans(tree: object) -> object:
    """The tree with every span at the same place."""
    if isinstance(tree, tuple):
        return tuple(map(without_spans, tree))
    if isinstance(tree, Span):
        return NOWHERE
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        return type(tree)(*[without_spans(getattr(tree, field.name)) for field in dataclasses.fields(tree)])
    return tree
