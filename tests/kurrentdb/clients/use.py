"""Uses a KurrentDB through the official client for Python, and compares what it says. Its connection string is the first argument."""

import sys
import threading
from uuid import uuid4

from kurrentdbclient import KurrentDBClient, NewEvent, StreamState
from kurrentdbclient.exceptions import (
    FailedPreconditionError,
    NotFoundError,
    StreamIsDeletedError,
    WrongCurrentVersionError,
)

client = KurrentDBClient(sys.argv[1])
prefix = f"python-{uuid4()}-"


def note(number):
    return NewEvent(type="Noted", data=b'{"number": %d}' % number, metadata=b'{"by": "python"}')


def notes(numbers):
    return [note(number) for number in numbers]


def numbers(events):
    return [int(event.data.split()[-1].rstrip(b"}")) for event in events]


def refused(error, what, *arguments, **named):
    try:
        what(*arguments, **named)
    except error:
        return
    raise AssertionError(f"{what.__name__} was not refused")


def append(stream, events, state=StreamState.ANY):
    return client.append_to_stream(stream, events=events, current_version=state)


# One event goes by an append of its own, several go by a batch.
stream = prefix + "one"
one = note(0)
first = append(stream, one, StreamState.NO_STREAM)
assert append(stream, one, StreamState.NO_STREAM) == first, "the same event again gets the first answer"
several = notes(range(1, 5))
fifth = append(stream, several, 0)
assert append(stream, several, 0) == fifth and fifth > first
for state in [StreamState.NO_STREAM, 2, 9]:
    refused(WrongCurrentVersionError, append, stream, note(9), state)
    refused(WrongCurrentVersionError, append, stream, notes([9, 10]), state)
refused(WrongCurrentVersionError, append, prefix + "none", note(9), StreamState.EXISTS)
assert append(stream, note(5), StreamState.EXISTS) > fifth
assert client.get_current_version(stream) == 5

# What was written comes back, both ways.
events = client.get_stream(stream)
assert numbers(events) == [0, 1, 2, 3, 4, 5]
assert [event.stream_position for event in events] == [0, 1, 2, 3, 4, 5]
assert (events[0].id, events[0].type, events[0].metadata) == (one.id, "Noted", b'{"by": "python"}')
assert (events[0].content_type, events[0].stream_name) == ("application/json", stream)
assert events[0].commit_position == events[0].prepare_position == first
assert events[0].recorded_at.year > 2020
assert numbers(client.get_stream(stream, backwards=True)) == [5, 4, 3, 2, 1, 0]
assert numbers(client.get_stream(stream, stream_position=2, limit=2)) == [2, 3]
assert numbers(client.get_stream(stream, stream_position=2, backwards=True)) == [2, 1, 0]
refused(NotFoundError, client.get_stream, prefix + "none")

# All streams, by their names; the client's own filter excludes the server's events with a pattern that looks ahead.
append(prefix + "two", notes(range(6, 9)))
ours = {"filter_include": [prefix], "filter_by_stream_name": True, "filter_by_prefix": True}
assert numbers(client.read_all(**ours)) == list(range(9))
assert numbers(client.read_all(backwards=True, limit=2, **ours)) == [8, 7]
assert numbers(client.read_all(commit_position=fifth, **ours)) == [4, 5, 6, 7, 8]
assert numbers(client.read_all(filter_include=[prefix + "t.*"], filter_by_stream_name=True)) == [6, 7, 8]
assert not any(event.is_system_event for event in client.read_all())
assert any(event.is_system_event for event in client.read_all(filter_exclude=[]))
assert client.get_commit_position() > fifth


def follow(subscription, until):
    """The numbers up to the last that is waited for; it is the client's own, so an end without an error is noticed, too."""
    found = []
    watch = threading.Timer(20, subscription.stop)
    watch.start()
    for event in subscription:
        if event.is_caught_up:
            found.append("caught up")
        elif event.is_checkpoint:
            found.append("checkpoint")
        else:
            found += numbers([event])
        if found[-1] == until:
            break
    watch.cancel()
    assert found and found[-1] == until, found
    return found


# A stream, from behind a revision; then what comes.
subscription = client.subscribe_to_stream(stream, stream_position=3, include_caught_up=True)
assert follow(subscription, "caught up") == [4, 5, "caught up"]
append(stream, notes([10, 11]))
assert follow(subscription, 11) == [10, 11]
subscription.stop()

# All streams, with checkpoints.
subscription = client.subscribe_to_all(include_caught_up=True, include_checkpoints=True, window_size=2, **ours)
found = follow(subscription, "caught up")
assert [number for number in found if isinstance(number, int)] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11]
assert found.count("checkpoint") >= 1
append(prefix + "two", notes([12]))
assert 12 in follow(subscription, 12)
for number in range(40):
    append("others-" + prefix, note(number))
follow(subscription, "checkpoint")
subscription.stop()
at_end = client.subscribe_to_all(from_end=True, include_caught_up=True, **ours)
follow(at_end, "caught up")
append(prefix + "two", note(13))
assert follow(at_end, 13) == [13]
at_end.stop()

# Metadata; deleting for now and for ever.
client.set_stream_metadata(stream, metadata={"$maxCount": 2})
assert client.get_stream_metadata(stream)[0] == {"$maxCount": 2}
assert numbers(client.get_stream(stream)) == [10, 11]
client.delete_stream(prefix + "two", current_version=StreamState.ANY)
refused(NotFoundError, client.get_stream, prefix + "two")
assert client.get_current_version(prefix + "two") == StreamState.NO_STREAM
append(prefix + "two", note(14), StreamState.NO_STREAM)
assert [event.stream_position for event in client.get_stream(prefix + "two")] == [5]
# The client tells a conflict with a stream that is not there by the trailer that says so.
refused(NotFoundError, client.delete_stream, prefix + "none", current_version=StreamState.EXISTS)
refused(WrongCurrentVersionError, client.delete_stream, stream, current_version=2)
client.tombstone_stream(prefix + "two", current_version=5)
refused(StreamIsDeletedError, client.get_stream, prefix + "two")
refused(FailedPreconditionError, append, prefix + "two", note(15))
refused(StreamIsDeletedError, append, prefix + "two", notes([15, 16]))
client.close()

# A cluster of one, found by gossip.
found = KurrentDBClient(sys.argv[1].replace("esdb://", "esdb+discover://", 1))
assert [member.state for member in found.read_gossip()] == ["NODE_STATE_LEADER"]
assert numbers(found.get_stream(stream)) == [10, 11]
found.close()
