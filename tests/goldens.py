"""Golden texts: a file of sections, compared or, with `--golden=update`, rewritten."""

from pathlib import Path

ROOT = Path(__file__).parent / "golden"


def check(name, sections, update):
    """Compare a mapping of section to text with `golden/name`.

    With `update` the file is rewritten first; its diff is then read by a person.
    """
    path = ROOT / name
    text = "".join(f"## {title}\n{body.rstrip()}\n\n" for title, body in sections.items())
    if update:
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), f"{path.name} is missing: run pytest --golden=update and read it"
    assert text == path.read_text(encoding="utf-8")
