"""What is under test, and an evaluator of our own."""


def count_spaces(text: str) -> int:
    """Count words the wrong way."""
    return text.count(" ") + 1


async def count_words(text: str) -> int:
    """Count words; async functions work as well."""
    return len(text.split())


def is_number(output: object) -> tuple[bool, str]:
    """Judge an output: a value and the reason for it."""
    return isinstance(output, int), f"a {type(output).__name__}"
