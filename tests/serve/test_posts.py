from __future__ import annotations

import select
import threading

from greenroom.node.posts import Posts


def rings(posts: Posts) -> bool:
    return bool(select.select([posts.fileno], [], [], 0)[0])


def test_what_threads_put_rings_and_comes_out_in_each_ones_order() -> None:
    posts = Posts()
    assert not rings(posts)

    def put(name: str) -> None:
        for number in range(500):
            posts.put(name, number)

    threads = [threading.Thread(target=put, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert rings(posts)
    taken = [*posts.take()]
    for name in "ab":
        assert [message for address, message in taken if address == name] == [*range(500)]
    assert not rings(posts)


def test_more_than_the_bell_can_hold_are_all_taken() -> None:
    posts = Posts()
    for number in range(70_000):  # a pipe holds 65,536 rings
        posts.put("a", number)

    assert rings(posts)
    assert len([*posts.take()]) == 70_000
    assert [*posts.take()] == [], "further rings are for nothing, and harmless"


def test_what_is_put_while_others_are_taken_is_not_left() -> None:
    posts = Posts()
    posts.put("a", 1)
    taken = []
    for _, message in posts.take():
        taken.append(message)
        if message == 1:
            posts.put("a", 2)

    assert taken == [1, 2] or rings(posts)
