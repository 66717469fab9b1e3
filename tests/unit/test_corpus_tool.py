"""The corpus tool: what it writes it accepts, and nothing else."""

from __future__ import annotations

import hashlib
import io
import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mptcp_oracle.generators import corpus
from mptcp_oracle.generators.capture_scan import scan_capture
from mptcp_oracle.generators.corpus_command import corpus_command

from mptcp_oracle.errors import CaptureError, UsageError
from mptcp_oracle.facts import write
from tests.common.checkout import ROOT
from tests.common.tiny import SYN_PCAP

# A real sidecar, to be made to speak about another capture.
PATTERN = ROOT / "corpus/kernel/close-without-data.json"


def sidecar(octets: bytes) -> dict[str, object]:
    """A valid sidecar about these octets."""
    body: dict[str, object] = json.loads(PATTERN.read_bytes())
    scan = scan_capture(octets)
    capture = body["capture"]
    assert isinstance(capture, dict)
    capture |= {
        "sha256": hashlib.sha256(octets).hexdigest(),
        "size": len(octets),
        "format": scan.format,
        "frames": scan.frames,
        "linktypes": ["RAW"],
    }
    return body


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A corpus with two entries, ``kernel/one`` and ``kernel/two``."""
    made = tmp_path / "corpus"
    made.mkdir()
    (made / "schema.json").write_bytes((ROOT / "corpus/schema.json").read_bytes())
    (tmp_path / "new.pcap").write_bytes(SYN_PCAP)
    (tmp_path / "new.json").write_text(json.dumps(sidecar(SYN_PCAP)))
    for slug in ("two", "one"):
        corpus.add(
            made,
            tmp_path / "new.pcap",
            tmp_path / "new.json",
            slug=slug,
            why="Shows  nothing\nbut the tool.",
            flags=("join", "backup"),
            shipped=slug == "one",
        )
    return made


def test_what_the_tool_writes_is_in_order(folder: Path) -> None:
    """A corpus made by the tool passes its own check, and reads back as it was added."""
    assert corpus.check(folder) == []
    one, two = corpus.read_index(folder)
    assert (one.slug, two.slug) == ("one", "two")
    assert (one.frames, one.size, one.linktypes) == (1, len(SYN_PCAP), ("RAW",))
    assert one.flags == ("backup", "join")
    assert one.why == "Shows nothing but the tool."
    assert one.licence == "CC0-1.0"
    assert corpus.shipped(folder) == [one]


def test_the_index_explains_its_flags(folder: Path) -> None:
    """Each flag is explained once in the index, also those that no entry has yet."""
    text = (folder / "index.toml").read_text()
    assert all(text.count(f"{json.dumps(name)} = ") == 1 for name in corpus.FLAGS)


def test_adding_again_replaces(folder: Path, tmp_path: Path) -> None:
    """The same slug added twice is one entry, and no old file stays behind."""
    corpus.add(folder, tmp_path / "new.pcap", tmp_path / "new.json", slug="one", why="Again.")
    assert [item.why for item in corpus.read_index(folder)].count("Again.") == 1
    assert corpus.check(folder) == []


def test_removing_takes_the_files_too(folder: Path) -> None:
    """A removed entry leaves neither files nor a line, and cannot be removed twice."""
    corpus.remove(folder, "one")
    assert corpus.check(folder) == []
    assert sorted(path.name for path in (folder / "kernel").iterdir()) == ["two.json", "two.pcap"]
    with pytest.raises(UsageError):
        corpus.remove(folder, "one")


def truth(octets: bytes, **changes: object) -> str:
    """A truth without facts about these octets."""
    origin = {"name": "new", "why": "Told by the truth.", "license": "CC0-1.0"} | changes
    written = io.StringIO()
    write(
        written, (), capture="new.pcap", sha256=hashlib.sha256(octets).hexdigest(),
        version="1", tool="tests", generated=origin,
    )  # fmt: skip
    return written.getvalue()


def test_a_regression_has_its_truth_beside_it(folder: Path, tmp_path: Path) -> None:
    """Name and reason are those of the truth, the entry is in order, and damage to it is found."""
    (tmp_path / "new.truth.jsonl").write_text(truth(SYN_PCAP))
    result = run(folder, "add", str(tmp_path / "new.pcap"), "--family", "regression")
    assert result.exit_code == 0, result.stderr
    entry = corpus.read_index(folder)[-1]
    assert (entry.sidecar, entry.why) == ("regression/new.truth.jsonl", "Told by the truth.")
    assert entry.provenance == "tests 1, generated"
    assert corpus.check(folder) == []
    beside = folder / entry.sidecar
    beside.write_text(beside.read_text().replace('"observation":0', '"observation":1'))
    assert any("another SHA-256" in text for text in corpus.check(folder))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (truth(SYN_PCAP + b"x"), "sha256"),
        (truth(SYN_PCAP, license="MIT"), "license"),
        (truth(SYN_PCAP).replace("new.pcap", "old.pcap"), "capture"),
        (truth(SYN_PCAP).replace('"connection":0', '"connection":1'), "cannot be read"),
        ("{}", "cannot be read"),
    ],
)
def test_a_truth_that_does_not_fit_is_refused(
    folder: Path, tmp_path: Path, text: str, words: str
) -> None:
    """Another capture, licence or name, counts that are wrong, and what is no truth at all."""
    (tmp_path / "new.truth.jsonl").write_text(text)
    with pytest.raises(UsageError, match=words):
        corpus.add(
            folder, tmp_path / "new.pcap", tmp_path / "new.truth.jsonl", slug="new",
            why="Because.", family="regression",
        )  # fmt: skip
    assert corpus.check(folder) == []


def change(name: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    """Damage: one replacement in one file."""

    def damage(folder: Path) -> None:
        octets = (folder / name).read_bytes()
        assert old in octets
        (folder / name).write_bytes(octets.replace(old, new, 1))

    return damage


def unsort(folder: Path) -> None:
    """Damage: the entries in another order."""
    head, one, two = (folder / "index.toml").read_text().split("[[entry]]\n")
    (folder / "index.toml").write_text(f"{head}[[entry]]\n{two.rstrip()}\n\n[[entry]]\n{one}")


def repeat(folder: Path) -> None:
    """Damage: an entry listed twice."""
    text = (folder / "index.toml").read_text()
    (folder / "index.toml").write_text(text + "\n[[entry]]\n" + text.split("[[entry]]\n")[-1])


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a changed octet": (
        change("kernel/one.pcap", b"\x1e\x04\x01", b"\x1e\x04\x00"),
        "one.pcap has another SHA-256",
    ),
    "a changed sidecar": (change("kernel/one.json", b"close()", b"close[]"), "another SHA-256"),
    "an unlisted file": (lambda at: (at / "kernel/extra.pcap").touch(), "extra.pcap: not listed"),
    "a missing capture": (lambda at: (at / "kernel/one.pcap").unlink(), "one.pcap is missing"),
    "a missing sidecar": (lambda at: (at / "kernel/two.json").unlink(), "two.json is missing"),
    "an unsorted index": (unsort, "not as the tool writes it"),
    "a repeated entry": (repeat, "listed 2 times"),
    "an edited reason": (change("index.toml", b'why = "Shows', b'why =  "Shows'), "not as the"),
    "a wrong frame count": (change("index.toml", b"frames = 1", b"frames = 2"), "frames or link"),
    "another licence": (change("index.toml", b"CC0-1.0", b"CC-BY-4.0"), "licence CC-BY-4.0"),
    "an unknown flag": (change("index.toml", b'["backup", ', b'["backed", '), "flags unknown"),
    "no reason": (change("index.toml", b"Shows nothing but the tool.", b""), "no reason"),
    "another file name": (change("index.toml", b'"kernel/one.pcap"', b'"one.pcap"'), "other names"),
    "an unknown key": (change("index.toml", b"why = ", b"because = "), "unknown ['because']"),
    "another layout": (change("index.toml", b"schema = 1", b"schema = 2"), "schema 2, not 1"),
    "no TOML": (change("index.toml", b"[[entry]]", b"[[entry"), "damaged"),
    "no index": (lambda at: (at / "index.toml").unlink(), "index.toml: missing"),
    "no schema": (lambda at: (at / "schema.json").unlink(), "cannot be read"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found(folder: Path, name: str) -> None:
    """Each way to damage the corpus is refused, and the refusal says what is wrong."""
    damage, words = DAMAGE[name]
    damage(folder)
    problems = corpus.check(folder)
    assert any(words in text for text in problems), problems


def test_the_shipped_selection_is_limited(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too much to ship is a problem."""
    monkeypatch.setattr(corpus, "SHIPPED_LIMIT", 1_000)
    assert any("more than 1000" in text for text in corpus.check(folder))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slug": "Not A Slug"}, "slug"),
        ({"family": "../outside"}, "family"),
        ({"why": "  "}, "reason"),
        ({"flags": ("nonsense",)}, "nonsense"),
    ],
)
def test_a_wrong_request_is_refused(
    folder: Path, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    """What the check would not accept cannot be added, and the corpus stays as it was."""
    arguments = {"slug": "three", "why": "Because.", **changes}
    with pytest.raises(UsageError, match=words):
        corpus.add(folder, tmp_path / "new.pcap", tmp_path / "new.json", **arguments)  # type: ignore[arg-type]
    assert corpus.check(folder) == []


def test_a_sidecar_about_another_capture_is_refused(folder: Path, tmp_path: Path) -> None:
    """The sidecar must name the capture's own digest."""
    with pytest.raises(UsageError, match="sha256"):
        corpus.add(folder, tmp_path / "new.pcap", PATTERN, slug="three", why="Because.")


def test_a_sidecar_that_lacks_something_is_refused(folder: Path, tmp_path: Path) -> None:
    """The schema is applied when an entry is added."""
    body = sidecar(SYN_PCAP)
    del body["kernel"]
    (tmp_path / "new.json").write_text(json.dumps(body))
    with pytest.raises(UsageError, match="kernel is missing"):
        corpus.add(folder, tmp_path / "new.pcap", tmp_path / "new.json", slug="a", why="Because.")


def run(folder: Path, *arguments: str) -> Result:
    """The command, on this corpus."""
    return CliRunner().invoke(corpus_command, [*arguments, "--corpus", str(folder)])


def test_the_command_checks(folder: Path) -> None:
    """Exit status 0 for a corpus in order, 1 with every problem on standard error."""
    assert run(folder, "check").exit_code == 0
    (folder / "kernel/extra").touch()
    result = run(folder, "check")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "kernel/extra" in result.stderr


def test_the_command_takes_name_and_reason_from_the_sidecar(folder: Path, tmp_path: Path) -> None:
    """Without options an entry is what the scenario says of itself."""
    result = run(folder, "add", str(tmp_path / "new.pcap"))
    assert result.exit_code == 0, result.stderr
    (entry,) = [item for item in corpus.read_index(folder) if item.slug == "close-without-data"]
    assert entry.why.startswith("A connection that is opened and closed")
    assert entry.shipped
    assert "close-without-data" in run(folder, "list", "--why").stdout
    assert run(folder, "remove", "close-without-data").exit_code == 0
    assert corpus.check(folder) == []


def test_the_command_tells_usage_from_unreadable_input(folder: Path, tmp_path: Path) -> None:
    """A wrong request ends with 2, a capture that cannot be read with 3."""
    assert run(folder, "add", str(tmp_path / "absent.pcap")).exit_code == 2
    assert run(folder, "add", str(tmp_path / "new.pcap"), "--flag", "nonsense").exit_code == 2
    assert run(folder, "remove", "absent").exit_code == 2
    (tmp_path / "new.pcap").write_bytes(b"text")
    assert run(folder, "add", str(tmp_path / "new.pcap")).exit_code == 3


@pytest.mark.parametrize("size", range(25, len(SYN_PCAP)))
def test_a_cut_pcap_is_no_corpus_entry(size: int) -> None:
    """A file that ends inside a frame is refused wherever it is cut."""
    with pytest.raises(CaptureError):
        scan_capture(SYN_PCAP[:size])


PCAPNG = (
    struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    + struct.pack("<IIHHII", 1, 20, 276, 0, 96, 20)
    + struct.pack("<IIIIIII4sI", 6, 36, 0, 0, 0, 4, 60, b"abcd", 36)
)


def test_sections_may_differ_in_byte_order() -> None:
    """Each section of a pcapng file says its own byte order, and frames are counted over all."""
    big = struct.pack(">IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    big += struct.pack(">IIHHII", 1, 20, 1, 0, 100, 20)
    big += struct.pack(">III4sI", 3, 20, 60, b"abcd", 20)
    scan = scan_capture(PCAPNG + big)
    assert (scan.linktypes, scan.snaplen, scan.frames) == ((276, 1), 100, 2)


@pytest.mark.parametrize("size", [size for size in range(12, len(PCAPNG)) if size not in (28, 48)])
def test_a_cut_pcapng_is_no_corpus_entry(size: int) -> None:
    """A file that ends inside a block is refused wherever it is cut."""
    with pytest.raises(CaptureError):
        scan_capture(PCAPNG[:size])
