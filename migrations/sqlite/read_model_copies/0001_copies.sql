-- The copies of the read model: the one that is read, the one that is filled, the one that is kept.

create table read_model_copy (
    copy        integer primary key, -- 1 is the first, which was there before any other
    version     integer not null, -- of the projection
    state       text    not null, -- filling, catchingUp, ready, live, kept, leaving, gone
    prepared    integer not null default 0, -- its tables were made
    paused      integer not null default 0,
    held        integer not null default 0, -- stays ready until an operator switches
    compares    integer not null default 0, -- an operator waits for a comparison with the live copy
    comparison  text, -- JSON, of the last one
    note        text, -- why it is not further
    position    integer not null default 0, -- as far as it was reported
    target      integer not null default 0, -- the head of the event log when that was reported
    events      integer not null default 0, -- applied since the beginning
    rate        integer not null default 0, -- events per second
    seconds_left integer, -- until it has reached the target
    started_at  integer, -- Unix seconds; null for one that no rebuild has made
    finished_at integer, -- when it was live for the first time
    check (state in ('filling', 'catchingUp', 'ready', 'live', 'kept', 'leaving', 'gone'))
) strict;

create unique index one_live_copy on read_model_copy (version) where state = 'live';
create unique index one_copy_at_work on read_model_copy (version) where state in ('filling', 'catchingUp', 'ready');
