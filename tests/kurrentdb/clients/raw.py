"""Says to a KurrentDB, with the messages of the official client for Python, what no client says by itself, and looks at what clients hide.
Its connection string is the first argument; a server with TLS is left alone."""

import sys
import threading
from urllib.parse import urlsplit
from uuid import uuid4

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty as Nothing
from kurrentdbclient.protos.google.rpc import code_pb2
from kurrentdbclient.protos.v1 import shared_pb2, streams_pb2, streams_pb2_grpc

address = urlsplit(sys.argv[1])
if "tls=false" not in address.query:
    sys.exit()
channel = grpc.insecure_channel(address.netloc.rpartition("@")[2])
streams = streams_pb2_grpc.StreamsStub(channel)
prefix = f"raw-{uuid4()}-"
EMPTY = shared_pb2.Empty()
JSON = {"type": "Noted", "content-type": "application/json"}


def identifier(name):
    return shared_pb2.StreamIdentifier(stream_name=name.encode())


def uuid():
    return shared_pb2.UUID(string=str(uuid4()))


def refusal(call):
    """The error of a call, with its trailers."""
    try:
        call()
    except grpc.RpcError as error:
        return error, dict(error.trailing_metadata())
    raise AssertionError("it was not refused")


# Appends of one batch come in pieces and mixed; each is answered by its id, as a pair of numbers, whatever becomes of the others.
def options(name, seconds=5.0, **expected):
    deadline = Duration(nanos=int(seconds * 1e9) % 10**9, seconds=int(seconds))
    return streams_pb2.BatchAppendReq.Options(stream_identifier=identifier(name), deadline=deadline, **expected)


def batched(*properties):
    message = streams_pb2.BatchAppendReq.ProposedMessage
    return [message(id=uuid(), metadata=properties[0] if properties else JSON, data=b"{}")]


def key(id):
    if id.WhichOneof("value") == "string":
        return id.string
    halves = id.structured
    number = ((halves.most_significant_bits & (1 << 64) - 1) << 64) | halves.least_significant_bits & (1 << 64) - 1
    hexadecimal = f"{number:032x}"
    return "-".join(hexadecimal[a:b] for a, b in [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)])


mixed, late, lost, wrong, unnamed = (uuid() for _ in range(5))
request = streams_pb2.BatchAppendReq
requests = [
    request(correlation_id=late, options=options(prefix + "late", 0.3, any=Nothing()), proposed_messages=batched()),
    request(correlation_id=mixed, options=options(prefix + "mixed", no_stream=Nothing()), proposed_messages=batched()),
    request(correlation_id=lost, options=options(prefix + "lost", 0, any=Nothing()), is_final=True),
    request(correlation_id=wrong, options=options(prefix + "wrong", stream_position=7), proposed_messages=batched(), is_final=True),
    request(correlation_id=unnamed, options=options(prefix + "unnamed", any=Nothing()), proposed_messages=batched({"type": "Noted"}), is_final=True),
    request(correlation_id=mixed, proposed_messages=batched(), is_final=True),
]


def asked():
    """Everything that is to be asked; the last waits, so that the time of one that is never finished runs out."""
    yield from requests
    answered.wait()


answered = threading.Event()
answers = {}
for answer in streams.BatchAppend(asked(), timeout=20):
    answers[key(answer.correlation_id)] = answer
    if len(answers) == 5:
        answered.set()
assert answers[mixed.string].success.current_revision == 1
assert answers[mixed.string].stream_identifier == identifier(prefix + "mixed")
position = answers[mixed.string].success.position
assert position.commit_position == position.prepare_position > 0
for id, code, detail in [
    (late, code_pb2.DEADLINE_EXCEEDED, shared_pb2.Timeout),
    (lost, code_pb2.DEADLINE_EXCEEDED, shared_pb2.Timeout),
    (wrong, code_pb2.ALREADY_EXISTS, shared_pb2.WrongExpectedVersion),
    (unnamed, code_pb2.INVALID_ARGUMENT, shared_pb2.BadRequest),
]:
    error = answers[id.string].error
    assert error.code == code and error.details.Is(detail.DESCRIPTOR), error
conflict = shared_pb2.WrongExpectedVersion()
answers[wrong.string].error.details.Unpack(conflict)
assert conflict.expected_stream_position == 7 and conflict.HasField("current_no_stream")


# An append says a conflict in fields for clients of today and for those of 20.6; other refusals are trailers.
def append(name, *events, **expected):
    head = streams_pb2.AppendReq.Options(stream_identifier=identifier(name), **expected)
    message = streams_pb2.AppendReq.ProposedMessage
    events = [message(id=uuid(), metadata=metadata, data=data) for metadata, data in events]
    parts = [streams_pb2.AppendReq(options=head)] + [streams_pb2.AppendReq(proposed_message=event) for event in events]
    return streams.Append(iter(parts), timeout=20)


told = append(prefix + "mixed", (JSON, b"{}"), no_stream=EMPTY).wrong_expected_version
assert (told.current_revision, told.current_revision_20_6_0) == (1, 1)
assert told.HasField("expected_no_stream") and told.expected_revision_20_6_0 == 2**64 - 1
told = append(prefix + "none", (JSON, b"{}"), stream_exists=EMPTY).wrong_expected_version
assert told.HasField("current_no_stream") and told.HasField("no_stream_20_6_0")
assert told.HasField("expected_stream_exists") and told.HasField("stream_exists_20_6_0")
error, trailers = refusal(lambda: append(prefix + "none", ({"type": "Noted"}, b"{}"), any=EMPTY))
assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
assert trailers["exception"] == "missing-required-metadata-property", trailers
assert append(prefix + "none", any=EMPTY).success.HasField("no_stream"), "nothing was to be stored"


# Reading.
def read(**more):
    all = streams_pb2.ReadReq.Options.AllOptions(start=EMPTY)
    defaults = {"all": all, "count": 5, "no_filter": EMPTY, "uuid_option": {"structured": EMPTY}}
    return streams.Read(streams_pb2.ReadReq(options={**defaults, **more}), timeout=20)


first = next(read())
assert first.event.event.id.WhichOneof("value") == "structured"
assert first.event.WhichOneof("position") == "commit_position"
error, _ = refusal(lambda: next(read(uuid_option=None)))
assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
between = {"position": {"commit_position": position.commit_position + 1, "prepare_position": 0}}
error, _ = refusal(lambda: list(read(all=between)))
assert error.code() == grpc.StatusCode.UNKNOWN, "a plain read has no word for it"
error, _ = refusal(lambda: list(read(all=between, count=None, subscription={})))
assert error.code() == grpc.StatusCode.INVALID_ARGUMENT and "invalid position" in error.details()
name = {"stream_identifier": identifier(prefix + "mixed")}
ends = list(read(all=None, stream={**name, "revision": 9}, control_option={"compatibility": 1}))
assert [(end.first_stream_position, end.last_stream_position) for end in ends] == [(2, 0), (0, 1)]

# A subscription says that it begins, what it has, and up to where.
following = read(all=None, stream={**name, "start": EMPTY}, count=None, subscription={})
said = [next(following) for _ in range(4)]
assert [message.WhichOneof("content") for message in said] == ["confirmation", "event", "event", "caught_up"]
assert said[3].caught_up.stream_revision == 1 and said[3].caught_up.HasField("timestamp")
following.cancel()
streams.Tombstone(streams_pb2.TombstoneReq(options={**name, "revision": 1}), timeout=20)
error, trailers = refusal(lambda: list(read(all=None, stream={**name, "start": EMPTY})))
assert (error.code(), trailers["exception"]) == (grpc.StatusCode.FAILED_PRECONDITION, "stream-deleted")
assert trailers["stream-name"] == prefix + "mixed"
missing = streams_pb2.DeleteReq(options={"stream_identifier": identifier(prefix + "none"), "any": EMPTY})
error, trailers = refusal(lambda: streams.Delete(missing, timeout=20))
assert (trailers["expected-version"], trailers["actual-version"]) == ("-2", "-1"), trailers
channel.close()
