"""Checks on SQL."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections import Counter
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PositiveFloat, ValidationInfo, field_validator
from typing_extensions import override

from bakeoff.evaluators._base import Finding, OutputCheck, ReferenceCheck
from bakeoff.evaluators._checks_format import code_block
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, Family
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import as_text, preview

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SqlEquivalent", "SqlValid"]

_LONGEST_SQL = 50_000
_MOST_ROWS = 10_000
_READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep sqlglot's notes on statements it does not know out of the log."""
    logger = logging.getLogger("sqlglot")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def _parse(text: str, dialect: str | None) -> list[Any]:
    """Parse statements.

    Raises:
        ValueError: It is no SQL; the message says where it breaks.
    """
    import sqlglot
    from sqlglot.errors import SqlglotError

    text = text.encode("utf-8", "replace").decode("utf-8")  # SQLite takes no lone surrogates
    if len(text) > _LONGEST_SQL:
        raise CannotScoreError(f"{len(text)} characters of SQL; {_LONGEST_SQL} are the most this parses")
    try:
        with _quiet():
            statements = [one for one in sqlglot.parse(text, read=dialect) if one is not None]
    except SqlglotError as error:
        details = getattr(error, "errors", None) or [{}]
        where = f": line {details[0]['line']}, column {details[0]['col']}" if details[0].get("line") else ""
        raise ValueError(f"{details[0].get('description') or str(error).partition(chr(10))[0]}{where}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not statements:
        raise ValueError("there is no statement")
    return statements


def _check_dialect(value: str | None) -> str | None:
    if value is not None:
        from sqlglot.dialects.dialect import Dialect

        try:
            Dialect.get_or_raise(value)
        except ValueError as error:
            raise ValueError(str(error)) from None
    return value


@evaluator("sql_valid")
class SqlValid(OutputCheck):
    """Check that the output is SQL that parses, and only statements of the allowed kinds.

    A statement within another counts, too: a query that deletes in a `WITH`, or selects `INTO` a table, is no `select`.

    Value:
        Pass or fail; the reason says where it breaks. Tables and columns are not looked up.

    Missing when:
        There is no output, or it has more than 50,000 characters.

    Source:
        The `sqlglot` parser.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> check = load_evaluator({"sql_valid": {"allow": ["select"]}})
        >>> check.evaluate(EvaluatorContext(output="DROP TABLE t")).reason
        'a DROP statement, not select'
    """

    family: ClassVar[Family] = "check"
    version: ClassVar[str] = "2"  # 2: statements within others
    shorthand: ClassVar[str | None] = "dialect"

    dialect: str | None = None
    """Dialect of sqlglot: `postgres`, `snowflake`, `bigquery`, `tsql`, `duckdb` ..."""
    allow: list[str] = Field(default_factory=list)
    """Kinds of statement that pass: `select`, `insert`, `update` ...; all when omitted."""
    single: bool = False
    """Whether several statements fail."""
    extract: bool = False
    """Take the SQL out of a Markdown code block."""

    @field_validator("dialect")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        return _check_dialect(value)

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        from sqlglot import exp

        text = self.text(context)
        try:
            statements = _parse(code_block(text, ("sql",)) if self.extract else text, self.dialect)
        except ValueError as error:
            return Finding(False, f"not SQL: {error}")
        if self.single and len(statements) > 1:
            return Finding(False, f"{len(statements)} statements instead of one")
        for statement in statements:
            if isinstance(statement, (exp.Command, exp.Column, exp.Alias, exp.Literal, exp.Identifier)):
                return Finding(False, f"not SQL: {preview(statement.sql())} is no statement that is understood")
            for kind in _kinds(statement):
                if self.allow and kind not in [one.lower() for one in self.allow]:
                    return Finding(False, f"a {kind.upper()} statement, not {' or '.join(self.allow)}")
        return Finding(True)


def _kinds(statement: Any) -> list[str]:
    """Give the kind of a statement and of what it does within."""
    from sqlglot import exp

    within = statement.find_all(exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Into)
    kinds = ["select" if isinstance(statement, exp.Query) else statement.key]
    return kinds + [node.key for node in within if node is not statement]


@evaluator("sql_equivalent")
class SqlEquivalent(ReferenceCheck):
    """Check that a query in the output means the same as the expected query.

    With `setup` (SQL that creates and fills tables) both queries run on an in-memory SQLite database that can only
    be read, and their rows are compared: execution accuracy; functions that SQLite lacks fail. Without it, both are
    brought to one form (case, quotes, parentheses, order of conditions, of the sides of `=`, of `IN` lists) and
    compared as text: equal forms are equivalent, but some equivalent queries have different forms and fail.

    Value:
        Pass or fail. Row order counts only when the expected query has ORDER BY.

    Missing when:
        There is no output or expected value, the expected query itself fails, or a text has more than 50,000
        characters.

    Source:
        The `sqlglot` optimiser; execution accuracy after Yu et al. 2018 (Spider).

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> context = EvaluatorContext(output="SELECT n FROM t WHERE n >= 2", expected="select n from t where n > 1")
        >>> load_evaluator("sql_equivalent").evaluate(context).value
        False
        >>> setup = "CREATE TABLE t(n INT); INSERT INTO t VALUES (1), (2), (3)"
        >>> load_evaluator({"sql_equivalent": {"setup": setup}}).evaluate(context).value
        True
    """

    family: ClassVar[Family] = "check"
    version: ClassVar[str] = "2"  # 2: sides of `=`, lists of IN, ASC and INNER

    dialect: str | None = None
    """Dialect of both queries; they are translated to SQLite before running."""
    setup: str | None = None
    """SQL that creates and fills the tables, or the name of a `.sql` file beside the spec."""
    extract: bool = True
    """Take the SQL out of a Markdown code block."""
    timeout_s: PositiveFloat = Field(default=2.0, le=60)
    """Longest time for one query."""

    @field_validator("dialect")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        return _check_dialect(value)

    @field_validator("setup")
    @classmethod
    def _read(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        if value.endswith(".sql") and "\n" not in value:
            path = Path((info.context or {}).get("base_dir", ".")) / value
            try:
                value = path.read_text(encoding="utf-8")
            except OSError as error:
                raise ValueError(f"cannot read {str(path)!r}: {error.strerror}") from None
        try:
            with closing(sqlite3.connect(":memory:")) as connection:
                connection.executescript(value)
        except sqlite3.Error as error:
            raise ValueError(f"the setup does not run on SQLite: {error}") from None
        return value

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        text = self.text(context)
        text = code_block(text, ("sql",)) if self.extract else text
        wanted = as_text(self.reference(context))
        try:
            right = _parse(wanted, self.dialect)
        except ValueError as error:
            raise CannotScoreError(f"the expected query is not SQL: {error}") from None
        try:
            given = _parse(text, self.dialect)
        except ValueError as error:
            return Finding(False, f"not SQL: {error}")
        if len(given) != len(right):
            return Finding(False, f"{len(given)} statements instead of {len(right)}")
        if self.setup is not None:
            return self._by_rows(given[-1], right[-1])
        for one, other in zip(given, right, strict=True):
            if _form(one) != _form(other):
                return Finding(False, f"the queries have different forms: {preview(_form(one), 200)}")
        return Finding(True, "same form")

    def _by_rows(self, given: Any, right: Any) -> Finding:
        from sqlglot import exp

        try:
            expected = self._run(right.sql(dialect="sqlite"))
        except sqlite3.Error as error:
            raise CannotScoreError(f"the expected query does not run: {error}") from None
        try:
            found = self._run(given.sql(dialect="sqlite"))
        except sqlite3.Error as error:
            return Finding(False, f"the query does not run: {error}")
        ordered = isinstance(right, exp.Query) and right.args.get("order") is not None
        same = found == expected if ordered else Counter(found) == Counter(expected)
        return Finding(same, None if same else f"{len(found)} rows, not the {len(expected)} expected ones")

    def _run(self, query: str) -> list[tuple[Any, ...]]:
        """Run a query that may only read, for a bounded time, with bounded rows and values."""
        deadline = time.monotonic() + self.timeout_s
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript(self.setup or "")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1_000_000)
            connection.set_authorizer(
                lambda action, *_: sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY
            )
            connection.set_progress_handler(lambda: int(time.monotonic() > deadline), 10_000)
            rows = connection.execute(query).fetchmany(_MOST_ROWS + 1)
        if len(rows) > _MOST_ROWS:
            raise sqlite3.OperationalError(f"more than {_MOST_ROWS} rows")
        return [tuple(round(cell, 9) if isinstance(cell, float) else cell for cell in row) for row in rows]


def _settle(tree: Any) -> None:
    """Give what may be written in several ways one way: sides of `=`, lists of `IN`, ASC and INNER."""
    from sqlglot import exp

    for node in tree.find_all(exp.EQ, exp.NEQ):
        sides = sorted((node.this, node.expression), key=lambda one: one.sql())
        node.set("this", sides[0])
        node.set("expression", sides[1])
    for node in tree.find_all(exp.In):
        node.set("expressions", sorted(node.expressions, key=lambda one: one.sql()))
    for node in tree.find_all(exp.Ordered):
        node.set("desc", bool(node.args.get("desc")))
    for node in tree.find_all(exp.Join):
        if str(node.args.get("kind") or "").upper() == "INNER":
            node.set("kind", None)


def _form(statement: Any) -> str:
    """Bring a statement to one form; steps that need to know the tables are left out."""
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
    from sqlglot.optimizer.simplify import simplify

    tree = normalize_identifiers(statement.copy())
    try:
        tree = simplify(tree)
    except (SqlglotError, RecursionError, ValueError, TypeError, AttributeError):
        tree = statement.copy()
    for identifier in tree.find_all(exp.Identifier):
        identifier.set("quoted", False)
    _settle(tree)
    for node in list(tree.find_all(exp.And, exp.Or)):
        if node.parent is not None and not isinstance(node.parent, type(node)):
            parts = sorted(node.flatten(), key=lambda one: one.sql())
            combined = parts[0].copy()
            for part in parts[1:]:
                combined = type(node)(this=combined, expression=part.copy())
            node.replace(combined)
    return tree.sql(comments=False, normalize_functions="upper")
