"""Any sequence of operations on a storage ends as it would on a dictionary."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from ftm_core.contracts.errors import ObjectMissingError
from ftm_core.storage import Storage
from tests.integration.storage.conftest import Place

# No key is the folder of another: a local folder could not hold both.
KEYS = st.sampled_from(["a", "b", "f/a", "f/b", "f/ab", "f/g/a", "g/é €", "run.json"])
PREFIXES = st.sampled_from(["", "a", "f", "f/", "f/a", "f/g/", "g", "nothing/"])
DATA = st.one_of(st.binary(max_size=50), st.sampled_from([b"", b"one", b"one", b"x" * 70_000]))
_numbers = itertools.count()


class StorageModel(RuleBasedStateMachine):
    """One storage beside a dictionary with the same operations."""

    def __init__(self, fresh: Callable[[], Storage]) -> None:
        super().__init__()
        self._fresh = fresh

    @initialize()
    def begin(self) -> None:
        self.storage: Storage = self._fresh()
        self.model: dict[str, bytes] = {}
        self.versions: dict[str, tuple[bytes, str]] = {}

    @rule(key=KEYS, data=DATA)
    def write(self, key: str, data: bytes) -> None:
        self.storage.write(key, data)
        self.model[key] = data

    @rule(key=KEYS, data=DATA, pieces=st.integers(1, 3), fails=st.booleans())
    def write_through_a_file(self, key: str, data: bytes, pieces: int, fails: bool) -> None:
        try:
            with self.storage.open_output(key) as file:
                for _ in range(pieces):
                    file.write(data)
                if fails:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            return
        self.model[key] = data * pieces

    @rule(key=KEYS, data=DATA)
    def create(self, key: str, data: bytes) -> None:
        assert self.storage.create(key, data) == (key not in self.model)
        self.model.setdefault(key, data)

    @rule(key=KEYS)
    def remember_the_version(self, key: str) -> None:
        if key in self.model:
            self.versions[key] = self.storage.read_versioned(key)
            assert self.versions[key][0] == self.model[key]

    @rule(key=KEYS, data=DATA)
    def replace(self, key: str, data: bytes) -> None:
        content, version = self.versions.get(key, (None, "0" * 32))
        unchanged = content is not None and self.model.get(key) == content
        assert self.storage.replace(key, data, version=version) == unchanged
        if unchanged:
            self.model[key] = data

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.storage.delete(key)
        self.model.pop(key, None)

    @rule(key=KEYS)
    def read(self, key: str) -> None:
        assert self.storage.exists(key) == (key in self.model)
        if key not in self.model:
            with pytest.raises(ObjectMissingError):
                self.storage.read(key)
            return
        assert self.storage.read(key) == self.model[key]
        assert self.storage.size(key) == len(self.model[key])

    @rule(key=KEYS, offset=st.integers(0, 80_000), length=st.integers(0, 80_000))
    def read_a_range(self, key: str, offset: int, length: int) -> None:
        if key in self.model:
            with self.storage.open_input(key) as file:
                assert file.size() == len(self.model[key])
                file.seek(min(offset, file.size()))
                assert file.read(length) == self.model[key][offset : offset + length]

    @rule(prefix=PREFIXES)
    def list_a_prefix(self, prefix: str) -> None:
        expected = sorted(key for key in self.model if key.startswith(prefix))
        assert list(self.storage.list(prefix)) == expected

    @invariant()
    def nothing_more_and_nothing_less(self) -> None:
        if hasattr(self, "model"):
            assert list(self.storage.list("")) == sorted(self.model)


def test_storage_behaves_as_a_dictionary(place: Place) -> None:
    class Machine(StorageModel):
        def __init__(self) -> None:
            super().__init__(lambda: place.under(f"run-{next(_numbers)}"))

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=25 if place.kind == "local" else 10,
            stateful_step_count=25,
            suppress_health_check=list(HealthCheck),
        ),
    )
