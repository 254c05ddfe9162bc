"""The data that a command-line argument names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..spec import Data


def named_data(
    name: str, test: str | None = None, groups: str | None = None, read: Mapping[str, Any] | None = None
) -> Data:
    """A registered data set, a study's data, or a file or folder of one's own with these values.

    Raises:
        SpecError: There is nothing of that name, or the values have no meaning for it.
    """
    from ..data import known
    from ..data.readers.placeholders import missing_fix
    from ..errors import Problem, SpecError, nearest
    from ..spec import read_study
    from ..spec.data import last_of

    path = Path(name)
    if name.startswith("hf://"):
        values: dict[str, Any] = {"path": name, "test": test, "groups": groups}
        return Data.of({**values, "read": dict(read)} if read else values)
    if name in known() or path.suffix == ".toml":
        is_study, says = path.suffix == ".toml", "is a study, and says this itself"
        keys = {f"--{key.replace('_', '-')}": value for key, value in (read or {}).items()}
        own = dict.fromkeys(("--test", "--groups"), "has a test split of its own and no groups")
        problems = [
            Problem(f"{name} {says if is_study else own.get(option, 'is read in one way')}", f"leave {option} out")
            for option, value in {"--test": test, "--groups": groups, **keys}.items()
            if value is not None
        ]
        if problems:
            raise SpecError(problems)
        return read_study(path).data if is_study else Data(name=name)
    if not path.exists():
        raise SpecError(
            Problem(f'"{name}" is no known data set and no file', missing_fix(path, nearest(name, known())))
        )
    test_source: Any = test
    if test is not None and last_of(test) is None:
        try:
            test_source = int(test) if test.isdigit() else float(test)
        except ValueError:
            test_source = str(Path(test).absolute())
    values = {"path": str(path.absolute()), "test": test_source, "groups": groups}
    return Data.of({**values, "read": dict(read)} if read else values)
