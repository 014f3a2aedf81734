"""Write the endpoints and schemas into the page of the REST API, from the OpenAPI document.

The service makes that document; `GET /openapi.json` returns the same.
"""

import json
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from lentigo_inference.app import create_app
from lentigo_inference.settings import Settings

MARKER: Final = "<!-- openapi -->"
_REFERENCE: Final = "#/components/schemas/"

Json = dict[str, Any]


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace the marker, where a page has it."""
    del page, config, files
    if MARKER not in markdown:
        return markdown
    document = create_app(Settings()).openapi()
    return markdown.replace(MARKER, _endpoints(document) + _schemas(document))


def _endpoints(document: Json) -> str:
    text = ""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            text += f"### `{method.upper()} {path}` {{ #{_anchor(method, path)} }}\n\n"
            text += f"{operation.get('description', operation['summary'])}\n\n"
            text += _parameters(operation) + _request(operation) + _responses(operation)
    return text


def _anchor(method: str, path: str) -> str:
    words = "".join(letter if letter.isalnum() else "-" for letter in path)
    return f"{method}-{'-'.join(filter(None, words.split('-')))}"


def _parameters(operation: Json) -> str:
    rows = [
        f"| `{each['name']}` | {each['in']} | {_type(each['schema'])} "
        f"| {_default(each)} | {_cell(each.get('description', ''))} |"
        for each in operation.get("parameters", ())
    ]
    return _table("| Parameter | In | Type | Default | Description |", rows)


def _request(operation: Json) -> str:
    body = operation.get("requestBody")
    if body is None:
        return ""
    text = f"**Request body**{'' if body.get('required') else ', optional'}"
    forms = ", ".join(f"`{name}`" for name in body["content"])
    text += f": {forms}. {body.get('description', '')}\n\n"
    for name, content in body["content"].items():
        for example in _examples(content):
            text += _folded("example", f"Example: {name}", example)
    return text


def _responses(operation: Json) -> str:
    """Show what succeeds with its examples, and name the errors, which have a page of their own."""
    rows, examples, errors = [], "", []
    for status, response in sorted(operation["responses"].items()):
        contents = response.get("content", {})
        if not status.startswith("2"):
            errors.append(f"{status} ({_lowered(response['description'])})")
            continue
        forms = ", ".join(
            f"`{name}`{_of(content.get('schema', {}))}" for name, content in contents.items()
        )
        rows.append(f"| {status} | {_cell(response['description'])} | {forms} |")
        for name, content in contents.items():
            for example in _examples(content):
                if not isinstance(example, str):
                    examples += _folded("example", f"Example: {status} {name}", example)
    text = _table("| Status | Meaning | Body |", rows) + examples
    return f"{text}[Errors](errors.md): {'; '.join(errors)}.\n\n" if errors else text


def _lowered(description: str) -> str:
    """Return the titles of problems, which are joined by "; or ", as parts of a sentence."""
    titles = (title[0].lower() + title[1:] for title in _cell(description).split("; or "))
    return ", ".join(titles)


def _schemas(document: Json) -> str:
    text = "## Schemas\n\n"
    for name, schema in sorted(document["components"]["schemas"].items()):
        if "properties" not in schema:
            continue
        text += f"### {name}\n\n{schema.get('description', '')}\n\n"
        required = schema.get("required", ())
        rows = [
            f"| `{member}` | {_type(each)} | {'yes' if member in required else 'no'} "
            f"| {_cell(each.get('description', ''))} |"
            for member, each in schema["properties"].items()
        ]
        text += _table("| Member | Type | Always there | Description |", rows)
    return text


def _type(schema: Json) -> str:
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REFERENCE)
        return f"[{name}](#{name.lower()})"
    for joined in ("anyOf", "oneOf"):
        if joined in schema:
            return " or ".join(dict.fromkeys(_type(each) for each in schema[joined]))
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(each)}`" for each in schema["enum"])
    if schema.get("type") == "array":
        return f"array of {_type(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


def _of(schema: Json) -> str:
    return f" ({_type(schema)})" if "$ref" in schema else ""


def _default(parameter: Json) -> str:
    if parameter.get("required"):
        return "required"
    return f"`{json.dumps(parameter['schema'].get('default'))}`"


def _examples(content: Json) -> list[Any]:
    if "example" in content:
        return [content["example"]]
    return [each["value"] for each in content.get("examples", {}).values() if "value" in each]


def _folded(kind: str, title: str, example: object) -> str:
    block = json.dumps(example, indent=2, ensure_ascii=False).replace("\n", "\n    ")
    return f'??? {kind} "{title}"\n\n    ```json\n    {block}\n    ```\n\n'


def _table(head: str, rows: list[str]) -> str:
    if not rows:
        return ""
    return "\n".join([head, "|" + " --- |" * (head.count("|") - 1), *rows]) + "\n\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
