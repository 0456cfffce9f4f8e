-- The log of record. Columns as cqrs-es and postgres-es name them, plus `position` and `recorded_at`.
-- `position` is given under one lock at append: gapless and strictly increasing in commit order. It is no sequence of the database's: those
-- are drawn before the commit, so that a reader could see n + 1 before n; and it goes on where it was in another cluster.
-- `payload` is `json`, not `jsonb`: nobody asks for what is inside, and it is read faster.
create table events (
    position       bigint primary key,
    aggregate_type text collate "C" not null,
    aggregate_id   text collate "C" not null,
    sequence       bigint           not null check (sequence >= 1),
    event_type     text             not null,
    event_version  text             not null,
    payload        json             not null,
    metadata       json             not null,
    recorded_at    bigint           not null, -- Unix milliseconds
    constraint events_stream unique (aggregate_type, aggregate_id, sequence)
);

-- One row: what the update tags of this log begin with, so that a tag of another log is known as foreign.
create table log (
    id    smallint primary key check (id = 1),
    epoch text     not null check (length(epoch) = 8)
);

-- The state of an aggregate after one of its events, so that not all of them have to be read. Derived: may be emptied at any time.
create table snapshots (
    aggregate_type text collate "C" not null,
    aggregate_id   text collate "C" not null,
    sequence       bigint           not null, -- of the last event in it
    position       bigint           not null, -- of that event
    shape          bigint           not null, -- what `state` looks like; another one than expected is ignored
    state          text             not null, -- JSON
    primary key (aggregate_type, aggregate_id)
);
