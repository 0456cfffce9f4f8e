// Uses a KurrentDB through the official client for JavaScript, and compares what it says. Its connection string is the first argument.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import {
  ANY,
  BACKWARDS,
  END,
  FORWARDS,
  KurrentDBClient,
  NO_STREAM,
  START,
  STREAM_EXISTS,
  StreamDeletedError,
  StreamNotFoundError,
  WrongExpectedVersionError,
  excludeSystemEvents,
  jsonEvent,
  streamNameFilter,
} from "@kurrent/kurrentdb-client";

// The client calls the older name of the scheme outdated.
const address = process.argv[2].replace(/^esdb:/, "kurrentdb:");
const client = KurrentDBClient.connectionString(address);
const prefix = `javascript-${randomUUID()}-`;

const note = (number) => jsonEvent({ type: "Noted", data: { number }, metadata: { by: "javascript" } });
const notes = (...numbers) => numbers.map(note);
const append = (stream, events, streamState = ANY, more = {}) =>
  client.appendToStream(stream, events, { streamState, ...more });

async function all(read) {
  const found = [];
  for await (const { event } of read) found.push(event);
  return found;
}
const numbers = async (read) => (await all(read)).map(({ data }) => data.number);

// By batches, which is the way that the client chooses; a large one comes in several messages.
const stream = `${prefix}one`;
const events = notes(0, 1, 2);
const first = await append(stream, events, NO_STREAM);
assert.deepEqual([first.success, first.nextExpectedRevision], [true, 2n]);
const again = await append(stream, events, NO_STREAM);
assert.deepEqual(again.position, first.position, "the same events again get the first answer");
const parts = await append(stream, notes(3, 4, 5), 2n, { batchAppendSize: 100 });
assert.equal(parts.nextExpectedRevision, 5n);
for (const state of [NO_STREAM, 2n, 9n]) {
  await assert.rejects(append(stream, note(9), state), (error) => {
    assert.ok(error instanceof WrongExpectedVersionError, error);
    assert.equal(error.actualState, 5n);
    return true;
  });
}
await assert.rejects(append(`${prefix}none`, note(9), STREAM_EXISTS), WrongExpectedVersionError);

// One by one: that is how the client appends when a call has credentials, which a server without TLS never sees.
const oneByOne = { credentials: { username: "admin", password: "changeit" } };
const sixth = note(6);
const alone = await append(stream, sixth, 5n, oneByOne);
assert.equal(alone.nextExpectedRevision, 6n);
assert.deepEqual((await append(stream, sixth, 5n, oneByOne)).position, alone.position);
await assert.rejects(append(stream, note(9), 2n, oneByOne), (error) => {
  assert.ok(error instanceof WrongExpectedVersionError, error);
  assert.equal(error.actualState, 6n);
  return true;
});
const plain = KurrentDBClient.connectionString(`${address}&throwOnAppendFailure=false`);
const told = await plain.appendToStream(stream, note(9), { streamState: 2n, ...oneByOne });
assert.deepEqual([told.success, told.nextExpectedRevision], [false, 6n]);

// What was written comes back, both ways.
const read = await all(client.readStream(stream));
assert.deepEqual(read.map(({ data }) => data.number), [0, 1, 2, 3, 4, 5, 6]);
assert.deepEqual(read.map(({ revision }) => revision), [0n, 1n, 2n, 3n, 4n, 5n, 6n]);
assert.equal(read[0].id, events[0].id);
assert.deepEqual([read[0].type, read[0].isJson, read[0].metadata], ["Noted", true, { by: "javascript" }]);
assert.deepEqual(read[2].position, first.position);
assert.ok(read[0].created > new Date("2020"), `${read[0].created}`);
assert.deepEqual(await numbers(client.readStream(stream, { direction: BACKWARDS, fromRevision: END })), [6, 5, 4, 3, 2, 1, 0]);
assert.deepEqual(await numbers(client.readStream(stream, { fromRevision: 2n, maxCount: 2 })), [2, 3]);
await assert.rejects(all(client.readStream(`${prefix}none`)), StreamNotFoundError);

// All streams, by their names.
await append(`${prefix}two`, notes(7, 8));
const ours = streamNameFilter({ prefixes: [prefix] });
assert.deepEqual(await numbers(client.readAll({ direction: FORWARDS, fromPosition: START, filter: ours })), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
assert.deepEqual(await numbers(client.readAll({ direction: BACKWARDS, fromPosition: END, maxCount: 2, filter: ours })), [8, 7]);
assert.deepEqual(await numbers(client.readAll({ fromPosition: parts.position, filter: ours })), [5, 6, 7, 8]);
const system = (await all(client.readAll({ fromPosition: START }))).filter(({ type }) => type.startsWith("$"));
assert.ok(system.length > 0, "the server has events of its own");
const excluded = await all(client.readAll({ fromPosition: START, filter: excludeSystemEvents() }));
assert.ok(excluded.every(({ type }) => !type.startsWith("$")));

// Listens until the condition holds, for a while.
function follow(subscription) {
  const said = { numbers: [], checkpoints: [], caughtUp: 0 };
  let look = () => {};
  let fault;
  subscription.on("data", ({ event }) => (said.numbers.push(event.data.number), look()));
  subscription.on("caughtUp", () => ((said.caughtUp += 1), look()));
  subscription.on("error", (error) => ((fault = error), look()));
  const until = (holds) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(JSON.stringify(said, (_, value) => `${value}`))), 20_000);
      look = () => {
        if (!fault && !holds(said)) return;
        clearTimeout(timer);
        look = () => {};
        if (fault) reject(fault);
        else resolve(said);
      };
      look();
    });
  return { said, until, subscription };
}

// A stream, from behind a revision; then what comes.
const one = follow(client.subscribeToStream(stream, { fromRevision: 3n }));
await one.until(({ caughtUp }) => caughtUp === 1);
assert.deepEqual(one.said.numbers, [4, 5, 6]);
await append(stream, notes(10, 11));
await one.until(({ numbers }) => numbers.length === 5);
assert.deepEqual(one.said.numbers, [4, 5, 6, 10, 11]);
await one.subscription.unsubscribe();

// All streams, with checkpoints also while nothing matches.
const checkpoints = [];
const checkpointReached = async (_, position) => void checkpoints.push(position);
const filter = streamNameFilter({ prefixes: [prefix], checkpointInterval: 1, checkpointReached });
const every = follow(client.subscribeToAll({ fromPosition: START, filter }));
await every.until(({ caughtUp }) => caughtUp === 1);
assert.deepEqual(every.said.numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11]);
await append(`${prefix}two`, notes(12));
await every.until(({ numbers }) => numbers.at(-1) === 12);
const before = checkpoints.length;
for (let number = 0; number < 80; number += 1) await append(`others-${prefix}`, note(number));
await append(`${prefix}two`, notes(13));
await every.until(({ numbers }) => numbers.at(-1) === 13);
assert.ok(checkpoints.length > before, `${checkpoints.length} checkpoints, before it ${before}`);
await every.subscription.unsubscribe();

// Deleting for now and for ever.
await assert.rejects(client.deleteStream(`${prefix}two`, { expectedRevision: 2n }), WrongExpectedVersionError);
await client.deleteStream(`${prefix}two`, { expectedRevision: 3n });
await assert.rejects(all(client.readStream(`${prefix}two`)), StreamNotFoundError);
const goesOn = await append(`${prefix}two`, note(14), NO_STREAM);
assert.equal(goesOn.nextExpectedRevision, 4n);
assert.deepEqual(await numbers(client.readStream(`${prefix}two`)), [14]);
await assert.rejects(client.deleteStream(`${prefix}none`), WrongExpectedVersionError);
await client.tombstoneStream(`${prefix}two`);
await assert.rejects(all(client.readStream(`${prefix}two`)), StreamDeletedError);
await assert.rejects(append(`${prefix}two`, note(15)), StreamDeletedError);

await client.dispose();
await plain.dispose();
