"""How a data set is described in an experiment file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator
from typing_extensions import override

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

__all__ = ["DatasetSpec", "Format", "SplitSpec"]

Format = Literal["jsonl", "json", "csv", "tsv", "parquet", "xlsx"]
_BUNDLED = "bundled:"
_Path = Annotated[str, Field(min_length=1)]


class SplitSpec(BaseModel):
    """Which part of the data is used.

    Either by a field (`{field: split, use: test}`; a plain string `test` means the field `split`), or by shares
    (`{train: 0.8, test: 0.2, use: test}`): then the part of an item depends on the seed and its id alone (on its
    cluster, where there is one), so that it stays where it is when rows are added.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    # pydantic reads this annotation as the type of the extra keys; its own is wider.
    __pydantic_extra__: dict[str, Annotated[float, Field(gt=0, le=1)]]  # type: ignore[bad-override]

    use: str
    """Name of the part."""
    field: _Path | None = None
    """Field that holds the name of the part of each row."""

    @property
    def shares(self) -> dict[str, float]:
        """Share of each part, in the order of the file."""
        return dict(self.__pydantic_extra__)

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        return {"field": "split", "use": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_way(self) -> SplitSpec:
        shares = self.shares
        if (self.field is not None) == bool(shares):
            raise ValueError("needs either `field` or shares such as `train: 0.8, test: 0.2`")
        if shares and self.use not in shares:
            raise ValueError(f"uses {self.use!r}, which is not one of {', '.join(shares)}")
        if math.fsum(shares.values()) > 1 + 1e-9:
            raise ValueError(f"has shares that add up to {math.fsum(shares.values()):g}; at most 1 is possible")
        return self

    @classmethod
    @override
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return _or_string(handler.resolve_ref_schema(handler(core_schema)), "A value of the field `split`.")


def _or_string(schema: JsonSchemaValue, description: str) -> JsonSchemaValue:
    """Return the schema of a section that has a short form."""
    about = schema.pop("description", "")
    schema.pop("title", None)
    return {"description": about, "anyOf": [{"type": "string", "description": description}, schema]}


class DatasetSpec(BaseModel):
    """Where items come from and what the fields of a row mean.

    A string is a path, or `bundled:NAME`. Fields are named by dotted paths: `answer.text` is the field `text` of
    the field `answer`, `choices.0` the first of a list; a field whose own name has a dot is found too.

    Examples:
        >>> DatasetSpec.model_validate("questions.jsonl").path
        'questions.jsonl'
        >>> DatasetSpec.model_validate({"path": "q.csv", "inputs": "question"}).inputs
        'question'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: _Path | None = None
    """File, relative to the experiment file."""
    bundled: _Path | None = None
    """Name of a data set that comes with Bakeoff."""
    rows: list[dict[str, Any]] | None = None
    """Rows written out here."""
    python: Annotated[str, Field(pattern=r"^.+:.+$")] | None = None
    """`module:function` or `file.py:function`; returns an iterable of dicts."""
    format: Format | None = None
    """By the extension when omitted."""
    encoding: _Path = "utf-8"
    """Of text files. A byte order mark is understood without this."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Of CSV files; a comma when omitted, a tab for TSV."""
    sheet: _Path | None = None
    """Of Excel files; the first when omitted."""
    records: _Path | None = None
    """Dotted path to the list of rows inside a JSON file."""
    id: _Path | None = None
    """The field `id` when omitted; without one the 1-based number of the row."""
    inputs: _Path | list[_Path] | dict[str, _Path] | None = None
    """What the target sees: one field, several, or names with their fields; all that is not used elsewhere when
    omitted (or the field `inputs` where it is an object)."""
    expected: _Path | None = None
    """The right answer; the field `expected` when omitted."""
    metadata: _Path | list[_Path] | dict[str, _Path] | None = None
    """For segments; never shown to the target. The field `metadata` when omitted and an object."""
    cluster: _Path | None = None
    """Items that belong together: one document, one user."""
    weight: _Path | None = None
    """How much an item counts; a finite number >= 0."""
    filter: _Path | None = None
    """Condition in SQL over the fields of a row: `language = 'en' and length(text) < 500`."""
    split: SplitSpec | None = None
    sample: Annotated[int | float, Field(gt=0)] | None = None
    """Seeded random sample: a number of items, or a share below 1."""
    limit: PositiveInt | None = None
    """The first n items of what is left."""
    seed: int = 0
    """Of `sample` and `split`."""

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return {"bundled": value.removeprefix(_BUNDLED)} if value.startswith(_BUNDLED) else {"path": value}

    @field_validator("sample", mode="after")
    @classmethod
    def _number_or_share(cls, value: float | None) -> float | None:
        if value is not None and value > 1 and value != int(value):
            raise ValueError("must be a whole number of items, or a share below 1")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> DatasetSpec:
        given = [name for name in ("path", "bundled", "rows", "python") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"has {' and '.join(f'`{name}`' for name in given)}; keep one of them")
        return self

    @classmethod
    @override
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return _or_string(handler.resolve_ref_schema(handler(core_schema)), "A path, or `bundled:NAME`.")
