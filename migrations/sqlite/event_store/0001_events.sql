-- The log of record. Columns as cqrs-es and postgres-es name them, plus `position` and `recorded_at`.
-- `position` is given by the one writer: gapless and strictly increasing in commit order.
create table events (
    position       integer primary key,
    aggregate_type text    not null,
    aggregate_id   text    not null,
    sequence       integer not null check (sequence >= 1),
    event_type     text    not null,
    event_version  text    not null,
    payload        text    not null,
    metadata       text    not null,
    recorded_at    integer not null, -- Unix milliseconds
    constraint events_stream unique (aggregate_type, aggregate_id, sequence)
) strict;

-- One row: what the update tags of this log begin with, so that a tag of another log is known as foreign.
create table log (
    id    integer primary key check (id = 1),
    epoch text    not null check (length(epoch) = 8)
) strict;
