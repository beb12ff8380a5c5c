"""``--config FILE``: options from a YAML file, each checked as the same option of the command line is.

Of YAML a map of names and single values is read, and nothing else: its scalars as they are written, so
that ``1e-3`` is a number and ``1:30:00:00`` a duration, which YAML 1.1 would have otherwise. What is
given by hand comes before what a file says, wherever it stands in the command line.

``hparams.yaml``, which a run leaves, is such a file: what it tells of the run besides its options
(`ansnet.training.described.DESCRIBED`) is passed over.
"""

from __future__ import annotations

import codecs
import stat
from argparse import Action
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jsonargparse import ActionYesNo

from ansnet.commands.parser import Mistake, OneLineParser
from ansnet.training.described import DESCRIBED

if TYPE_CHECKING:
    import yaml

LARGEST = 2**20  # bytes; ours have a thousandth of it
DEEPEST = 20  # maps and lists in each other, of which none is needed
NO_OPTIONS = ("help", "config", "print_config")  # in a file
ON, OFF = ("true", "yes", "on"), ("false", "no", "off")
YAMLS_OWN = "tag:yaml.org,2002:"
KINDS = {"int": "a number", "float": "a number", "bool": "true or false", "timestamp": "a date"}


class Entry(NamedTuple):
    """A line of the file: its number from 1, the name, and the value as it is written.

    Attributes:
        kind: what YAML takes the value for: ``"str"``, ``"int"``, ``"float"``, ``"bool"``, ``"null"``…
    """

    line: int
    key: str
    value: str
    kind: str


class ConfigParser(OneLineParser):
    """A parser with the option ``--config``.

    Args:
        prog: the command, as its user writes it.
        ignored: names that mean nothing to this command, but do to another one that takes such files.
        **options: see `OneLineParser`.
    """

    def __init__(self, prog: str | None = None, ignored: Collection[str] = (), **options: Any) -> None:
        super().__init__(prog, **options)
        self.ignored = {*DESCRIBED, *ignored}
        self.place = ""  # of the file's line whose option is being read
        self.lines: dict[str, int] = {}
        self.add_argument(
            "--config", metavar="FILE", help="read options from a YAML file, as a run's hparams.yaml"
        )

    def parse_args(  # type: ignore[override]  # as jsonargparse's, which has more than argparse's
        self, args: Sequence[str] | None = None, *rest: Any, **options: Any
    ) -> Any:
        words = self.given(args)
        files = [word for file in config_files(words) for word in self.words_of(file)]
        return super().parse_args([*files, *words], *rest, **options)

    def words_of(self, file: str) -> list[str]:
        """What a file says, as words of a command line, each of them checked."""
        try:
            entries = [each for each in read_entries(Path(file)) if each.kind != "null"]
            words = [self.word(file, each) for each in entries if each.key not in self.ignored]
        except Mistake as mistake:
            self.error(f"--config {mistake}")
        self.place, self.lines = file, {each.key: each.line for each in entries}
        super().parse_args(words)
        self.place, self.lines = "", {}
        return words

    def word(self, file: str, entry: Entry) -> str:
        """An entry as a word of the command line.

        Raises:
            Mistake: no option has the name, or one that takes another kind of value.
        """
        place = f"{file}, line {entry.line}: {entry.key}"
        known = {action.dest: action for action in self._actions if action.dest not in NO_OPTIONS}
        if entry.key not in known:
            raise Mistake(f"{place} is no option; {nearest_key(entry.key, known)}")
        action = known[entry.key]
        flag = f"--{entry.key.replace('_', '-')}"
        if is_switch(action):
            word = entry.value.lower()
            if word not in (*ON, *OFF):
                raise Mistake(f"{place}: got {shortened(entry.value)}, expected true or false")
            return flag if word in ON else f"--no-{flag.removeprefix('--')}"
        if entry.kind != "str" and is_text(action):
            raise Mistake(
                f"{place}: got {shortened(entry.value)}, {KINDS.get(entry.kind, 'something else')}, "
                "expected text; if it is meant so, put it in quotes"
            )
        return f"{flag}={entry.value}"

    def error(self, message: str, exception: Exception | None = None) -> Any:
        if self.place:
            line = self.one_line(message)
            for key, number in self.lines.items():
                flag = f"--{key.replace('_', '-')}"
                if line.startswith((f"{flag}: ", f"argument {flag}: ")):
                    rest = line.partition(f"{flag}: ")[2]
                    message = f"--config {self.place}, line {number}: {key}: {rest}"
                    break
            else:
                message = f"--config {self.place}: {line}"
        super().error(message, exception)


def is_switch(action: Action) -> bool:
    return isinstance(action, ActionYesNo) or action.nargs == 0


def is_text(action: Any) -> bool:
    """Whether the option takes any text, and so would take a number for one."""
    kind = getattr(action, "_typehint", action.type)
    return action.choices is None and kind in (None, str)


def config_files(words: Sequence[str]) -> Iterator[str]:
    """The files that a command line names with ``--config``, in order."""
    following = iter(words)
    for word in following:
        if word == "--":
            return
        if word == "--config":
            file = next(following, None)
            if file is not None and not file.startswith("--"):  # or else the parser will refuse it
                yield file
        elif word.startswith("--config="):
            yield word.removeprefix("--config=")


def nearest_key(key: str, known: Mapping[str, Any]) -> str:
    nearest = get_close_matches(key.replace("-", "_").lower(), known, n=1)
    return f"did you mean {nearest[0]}?" if nearest else "--print-config prints those that are"


def read_entries(file: Path) -> list[Entry]:
    """The names and values of a YAML file, in their order.

    Raises:
        Mistake: it cannot be read, is no map of single values, or gives a name twice.
    """
    import yaml

    text = read_text(file)
    try:
        refuse_depth(file, text)
        document = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise Mistake(f"{file}{line}: this is no YAML ({one_line(str(error.problem))})") from error
    except yaml.YAMLError as error:
        raise Mistake(f"{file}: this is no YAML ({one_line(str(error))})") from error
    if document is None:
        return []
    if not isinstance(document, yaml.MappingNode):
        raise Mistake(f'{file}: expected a line an option, as "lr: 0.1", and got {described(document)}')
    entries = [entry(file, key, value) for key, value in document.value]
    for number, each in enumerate(entries):
        for before in entries[:number]:
            if each.key == before.key:
                raise Mistake(
                    f"{file}, line {each.line}: {each.key} is given twice, on line {before.line} as "
                    "well; leave one of them out"
                )
    return entries


def entry(file: Path, key: yaml.Node, value: yaml.Node) -> Entry:
    import yaml

    line = key.start_mark.line + 1
    if not isinstance(key, yaml.ScalarNode) or not key.value:
        raise Mistake(f"{file}, line {line}: expected the name of an option, and got {described(key)}")
    name = shortened(key.value)
    if not isinstance(value, yaml.ScalarNode):
        raise Mistake(f"{file}, line {line}: {name}: expected one value, and got {described(value)}")
    kind = value.tag.rpartition(":")[2]
    if value.tag != f"{YAMLS_OWN}{kind}" or kind not in ("str", "null", *KINDS):
        raise Mistake(f"{file}, line {line}: {name}: got {value.tag}, expected text or a number")
    return Entry(line, name, value.value, kind)


def refuse_depth(file: Path, text: str) -> None:
    """Refuse what is nested so deeply that the reader, which calls itself, would not come back.

    Raises:
        Mistake: naming the line.
    """
    import yaml

    opening = (yaml.BlockMappingStartToken, yaml.BlockSequenceStartToken)
    flow = (yaml.FlowMappingStartToken, yaml.FlowSequenceStartToken)
    closing = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
    depth = 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        depth += isinstance(token, (*opening, *flow)) - isinstance(token, closing)
        if depth > DEEPEST:
            raise Mistake(
                f"{file}, line {token.start_mark.line + 1}: expected a line an option, and got lists "
                "or maps in each other"
            )


def read_text(file: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte order mark, as PowerShell writes it.

    Raises:
        Mistake: it cannot be read, or is no text.
    """
    try:
        kind = file.stat().st_mode
        if stat.S_ISREG(kind):
            with file.open("rb") as opened:
                content = opened.read(LARGEST + 1)
    except FileNotFoundError as error:
        raise Mistake(f"{file}: there is no such file; name a YAML file") from error
    except OSError as error:
        name = shortened(str(file))
        raise Mistake(f"{name}: it cannot be read ({error.strerror}); name another") from error
    if not stat.S_ISREG(kind):  # a pipe might never end
        raise Mistake(
            f"{file}: this is {'a folder' if stat.S_ISDIR(kind) else 'no file'}; name a YAML file"
        )
    if len(content) > LARGEST:
        raise Mistake(f"{file}: it has more than {LARGEST:,} bytes; name a file of options")
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Mistake(f"{file}, line {line}: this is no UTF-8; save it in UTF-8") from error


def described(node: yaml.Node) -> str:
    import yaml

    if isinstance(node, yaml.MappingNode):
        return "a map"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return shortened(node.value) if node.value else "nothing"


def shortened(text: str) -> str:
    """A text that may be anything, on one line and not too long."""
    line = one_line(text)
    return line if len(line) <= 80 else f"{line[:79]}…"


def one_line(text: str) -> str:
    return " ".join(text.split())
