"""Put a mutant in the place of the code that it was made of.

Where the change is in the body of a function that did not run yet, the function's code is
exchanged: nothing has to be imported again. All other mutants (module level, class bodies,
functions that ran while modules were imported) are imported in place of their module.
"""

from __future__ import annotations

import gc
import importlib.abc
import importlib.util
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Self

__all__ = ["Importer", "Living", "Watch", "compiled", "functions_in"]


def compiled(text: str, file: str) -> CodeType:
    """The code of a module; warnings about odd but legal code are no concern of the tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code: CodeType = compile(text, file, "exec", dont_inherit=True)
    return code


def functions_in(code: CodeType) -> Iterator[CodeType]:
    """The outermost functions of a module's code: those that are in no other function."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_flags & 0x02:  # CO_NEWLOCALS: a function, not a class body
                yield constant
            else:
                yield from functions_in(constant)


class Living:
    """The function objects that were made of some files, to be given other code.

    Args:
        codes: File to the code of its module, as it was imported.
    """

    def __init__(self, codes: Mapping[str, CodeType]) -> None:
        self._codes = codes
        self._functions: dict[tuple[str, str, int], list[FunctionType]] = {}
        for found in gc.get_objects():
            if isinstance(found, FunctionType):
                code = found.__code__
                if code.co_filename in codes:
                    key = (code.co_filename, code.co_qualname, code.co_firstlineno)
                    self._functions.setdefault(key, []).append(found)

    def exchange(self, mutated: CodeType, name: str) -> int:
        """Give the functions of a name their new code.

        Args:
            mutated: Code of the module with the change.
            name: Qualified name of the outermost function around the change.

        Returns:
            How many function objects were changed.

        Raises:
            ValueError: The new code closes over other variables and cannot be put in.
        """
        file = mutated.co_filename
        olds, news = list(functions_in(self._codes[file])), list(functions_in(mutated))
        if [code.co_qualname for code in olds] != [code.co_qualname for code in news]:
            raise ValueError(f"the change in {name} is not within its body")
        count = 0
        for old, new in zip(olds, news, strict=True):
            if old.co_qualname == name:
                for function in self._functions.get((file, name, old.co_firstlineno), ()):
                    function.__code__ = new
                    count += 1
        return count


class Watch:
    """Which functions of some files run while it is on, by name of the outermost one.

    Attributes:
        seen: Pairs of file and qualified name.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = {str(file) for file in files}
        self.seen: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _profile(self, frame: Any, event: str, _: object) -> None:
        if event == "call":
            code = frame.f_code
            if code.co_filename in self._files and code.co_flags & 0x02:
                self.seen.add((code.co_filename, code.co_qualname.partition(".<locals>")[0]))


class Importer(importlib.abc.MetaPathFinder):
    """Imports one module from a text of ours."""

    def __init__(self, file: str, text: str) -> None:
        self._file, self._text = file, text

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """The module's specification, with a loader that compiles the text."""
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(fullname, path, target)
                if spec is not None:
                    if spec.origin == self._file:
                        loader = _Loader(fullname, self._file, self._text)
                        return importlib.util.spec_from_file_location(
                            fullname,
                            self._file,
                            loader=loader,
                            submodule_search_locations=spec.submodule_search_locations,
                        )
                    return spec
        return None


class _Loader(SourceFileLoader):
    def __init__(self, name: str, file: str, text: str) -> None:
        super().__init__(name, file)
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        return compiled(self._text, self.path)
