from __future__ import annotations

from dataclasses import replace

import pytest
from thespian.actors import ActorAddress

from greenroom.node.cluster import DEAD_SECONDS, FORGET_SECONDS, Cluster
from greenroom.node.messages import Beat

ONE, TWO, THREE, SHARD = (ActorAddress(name) for name in ("one", "two", "three", "shard"))


def beat(node_id: str = "two", **changed: object) -> Beat:
    plain = Beat(node_id, b"1", TWO, (f"{node_id}/0",), (SHARD,), False, (), ())
    return replace(plain, **changed)  # type: ignore[arg-type]


@pytest.fixture
def cluster() -> Cluster:
    return Cluster("one", b"1")


def test_a_beat_makes_a_member_and_the_next_one_changes_nothing(cluster: Cluster) -> None:
    assert cluster.hear(beat(), 0.0)
    assert not cluster.hear(beat(), 1.0)

    assert cluster.alive == ["two"]
    assert cluster.shards() == {"two/0": SHARD}


@pytest.mark.parametrize(
    "changed",
    [{"addresses": (None,)}, {"is_leaving": True}, {"shards": ("two/1",)}],
    ids=["a shard is away", "it leaves", "it has other shards"],
)
def test_whatever_concerns_shards_is_a_change(
    cluster: Cluster, changed: dict[str, object]
) -> None:
    cluster.hear(beat(), 0.0)

    assert cluster.hear(replace(beat(), **changed), 1.0)  # type: ignore[arg-type]


def test_who_is_silent_too_long_is_dead_until_heard_again(cluster: Cluster) -> None:
    cluster.hear(beat(), 0.0)

    assert cluster.expire(DEAD_SECONDS) == []
    assert cluster.expire(DEAD_SECONDS + 0.1) == ["two"]
    assert cluster.expire(DEAD_SECONDS + 0.2) == [], "it is told of once"
    assert (cluster.alive, cluster.shards()) == ([], {})
    assert dict(cluster.guardians()) == {"two": TWO}, "it may come back, so it is told"
    assert cluster.hear(beat(), 9.0)
    assert cluster.alive == ["two"]


def test_the_dead_are_forgotten_at_last(cluster: Cluster) -> None:
    cluster.hear(beat(), 0.0)
    cluster.expire(FORGET_SECONDS + 1)

    assert dict(cluster.guardians()) == {}


def test_its_own_beat_is_none(cluster: Cluster) -> None:
    assert not cluster.hear(beat("one"), 0.0)
    assert cluster.alive == []


def test_another_node_with_the_same_id_is_told_from_an_echo(cluster: Cluster) -> None:
    assert cluster.is_double(beat("one", incarnation=b"2"))
    assert not cluster.is_double(beat("one", incarnation=b"1"))
    assert not cluster.is_double(beat("two", incarnation=b"2"))


def test_who_is_known_to_others_is_told_but_is_no_member_before_it_is_heard(
    cluster: Cluster,
) -> None:
    cluster.hear(beat(known=("one", "three"), guardians=(ONE, THREE)), 0.0)

    assert dict(cluster.guardians()) == {"two": TWO, "three": THREE}
    assert cluster.alive == ["two"]
    assert cluster.expire(DEAD_SECONDS + 1) == ["two"]


def test_hearsay_does_not_change_what_a_node_said_itself(cluster: Cluster) -> None:
    cluster.hear(beat("three", guardian=THREE), 0.0)
    cluster.hear(beat(known=("three",), guardians=(ONE,)), 0.0)

    assert dict(cluster.guardians())["three"] == THREE


def test_a_node_that_leaves_keeps_its_shards_as_leaving_ones_until_its_farewell(
    cluster: Cluster,
) -> None:
    cluster.hear(beat(), 0.0)
    cluster.hear(beat(is_leaving=True), 1.0)

    assert cluster.leaving() == ["two/0"]
    assert cluster.leave("two")
    assert not cluster.leave("two"), "it was no member any more"
    assert (cluster.alive, cluster.leaving(), dict(cluster.guardians())) == ([], [], {})
