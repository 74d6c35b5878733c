"""The store ladder: rootless.store.place."""

import os

from rootless.store import place


def test_usual_place_is_taken_when_it_can_hold_a_store(tmp_path):
    assert place.choose(f"{tmp_path}/store", os.getuid()) == (f"{tmp_path}/store", None)


def test_file_system_that_cannot_hold_a_store_gives_the_fallback_and_the_reason():
    # Nobody has this UID, so nothing of theirs is in /var/tmp.
    store, problem = place.choose("/proc/rl", 4242424)
    assert store == "/var/tmp/rl-4242424"
    assert problem is not None and "/proc" in problem.what
