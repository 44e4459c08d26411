"""Prompts: sandboxed Jinja2 templates with a version by content."""

from bakeoff.prompts._load import load_prompt
from bakeoff.prompts._prompt import Prompt
from bakeoff.prompts._spec import MessageSpec, PromptSpec

__all__ = ["MessageSpec", "Prompt", "PromptSpec", "load_prompt"]
