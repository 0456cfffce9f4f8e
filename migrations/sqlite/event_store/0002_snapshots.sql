-- The state of an aggregate after one of its events, so that not all of them have to be read. Derived: may be emptied at any time.
create table snapshots (
    aggregate_type text    not null,
    aggregate_id   text    not null,
    sequence       integer not null, -- of the last event in it
    position       integer not null, -- of that event
    shape          integer not null, -- what `state` looks like; another one than expected is ignored
    state          text    not null, -- JSON
    primary key (aggregate_type, aggregate_id)
) strict;
