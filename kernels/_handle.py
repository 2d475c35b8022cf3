"""Tuples of arrays behind one pointer: a compiled function that takes a handle takes one argument instead of hundreds.

A handle is made of a named tuple when the engine is entered, and read like it.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.datamodel.registry import register_default
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic


class HandleType(types.Type):
    """Handle of a tuple type."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        super().__init__(name=f"handle({kind})")

    @property
    def key(self) -> Any:
        return self.kind


@register_default(HandleType)
class _HandleModel(models.PrimitiveModel):
    def __init__(self, manager: Any, handle: HandleType) -> None:
        super().__init__(manager, handle, manager.lookup(handle.kind).get_data_type().as_pointer())


@infer_getattr
class _Fields(AttributeTemplate):
    key = HandleType

    def generic_resolve(self, value: Any, attr: Any) -> Any:  # type: ignore[override]
        return value.kind[value.kind.fields.index(attr)] if attr in value.kind.fields else None


@lower_getattr_generic(HandleType)
def _read(context, builder, handle, value, name):
    index = handle.kind.fields.index(name)
    place = cgutils.gep_inbounds(builder, value, 0, index)
    return context.data_model_manager[handle.kind[index]].load_from_data_pointer(builder, place)


@intrinsic
def handle(context, value):
    """A handle of a named tuple, valid as long as the function that makes it runs; its arrays are lent."""
    kind = HandleType(value)

    def generate(context, builder, signature, arguments):
        model = context.data_model_manager[value]
        place = cgutils.alloca_once(builder, model.get_data_type())
        builder.store(model.as_data(builder, arguments[0]), place)
        return place

    return kind(value), generate
