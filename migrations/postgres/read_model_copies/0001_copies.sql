-- The copies of the read model: the one that is read, the one that is filled, the one that is kept. The first is in this schema, every other in one of
-- its own.

create table read_model_copy (
    copy        bigint  primary key, -- 1 is the first, which was there before any other
    version     bigint  not null, -- of the projection
    state       text    not null, -- filling, catchingUp, ready, live, kept, leaving, gone
    prepared    boolean not null default false, -- its tables were made
    paused      boolean not null default false,
    held        boolean not null default false, -- stays ready until an operator switches
    compares    boolean not null default false, -- an operator waits for a comparison with the live copy
    comparison  text, -- JSON, of the last one
    note        text, -- why it is not further
    position    bigint  not null default 0, -- as far as it was reported
    target      bigint  not null default 0, -- the head of the event log when that was reported
    events      bigint  not null default 0, -- applied since the beginning
    rate        bigint  not null default 0, -- events per second
    seconds_left bigint, -- until it has reached the target
    started_at  bigint, -- Unix seconds; null for one that no rebuild has made
    finished_at bigint, -- when it was live for the first time
    check (state in ('filling', 'catchingUp', 'ready', 'live', 'kept', 'leaving', 'gone'))
);

create unique index one_live_copy on read_model_copy (version) where state = 'live';
create unique index one_copy_at_work on read_model_copy (version) where state in ('filling', 'catchingUp', 'ready');

-- The processes that read a copy. One that has not said so for five seconds does not read it any more, and knows that; nor does one that has not said so
-- for one and a half and whose session has ended.
create table read_model_reader (
    process         text        not null,
    copy            bigint      not null,
    version         bigint      not null,
    seen_at         timestamptz not null,
    session         integer, -- the process of the server
    session_started timestamptz,
    primary key (process, copy)
);
