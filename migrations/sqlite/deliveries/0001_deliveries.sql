-- Which phones are to be woken for which state of a pass, and what became of it. This cannot be rebuilt from the log: it is backed up with it.
-- All times are Unix milliseconds.

-- One wake-up of one phone for one state. The push token is not here: the one that the phone has when it is woken counts.
create table delivery (
    id                        integer primary key,
    pass_type_identifier      text    not null,
    serial_number             text    not null,
    etag                      text    not null,
    cause                     text    not null, -- empty: the state itself; else the id of a push that an operator asked for
    device_library_identifier text    not null,
    position                  integer not null, -- log position of the state
    urgent                    integer not null check (urgent in (0, 1)),
    state                     text    not null default 'pending' check (state in ('pending', 'sent', 'failed', 'superseded', 'dead')),
    attempts                  integer not null default 0, -- requests made
    last_error                text,
    apns_id                   text,
    created_at                integer not null,
    changed_at                integer not null
) strict;
create unique index delivery_once on delivery (pass_type_identifier, serial_number, etag, cause, device_library_identifier);
create index delivery_by_pass on delivery (pass_type_identifier, serial_number, id);
create index delivery_pending on delivery (pass_type_identifier, device_library_identifier) where state = 'pending';
create index delivery_ended on delivery (changed_at) where state <> 'pending';

-- When a phone is woken next for a topic: one push stands for everything that is pending.
create table wake (
    pass_type_identifier      text    not null,
    device_library_identifier text    not null,
    due_at                    integer,          -- null when nothing is pending
    urgent                    integer not null check (urgent in (0, 1)), -- something urgent came since it was claimed
    enqueued                  integer not null, -- grows with everything that is enqueued, so that nothing is overlooked
    attempts                  integer not null, -- failures in a row
    quiet_until               integer not null, -- end of the coalescing window, or of the rest after a failure
    claimed_by                text,             -- the sender that is at it
    primary key (pass_type_identifier, device_library_identifier)
) strict, without rowid;
create index wake_due on wake (due_at) where due_at is not null;

-- Up to where the phones of a pass were woken, also when there was no phone. Kept for ever.
create table woken (
    pass_type_identifier text    not null,
    serial_number        text    not null,
    position             integer not null,
    primary key (pass_type_identifier, serial_number)
) strict, without rowid;

-- Messages that can never succeed, for an operator to see.
create table parked_message (
    id         text    primary key,
    payload    text    not null,
    reason     text    not null,
    request_id text,
    parked_at  integer not null
) strict, without rowid;
create index parked_message_by_time on parked_message (parked_at);

-- Credentials that APNs refuses for a topic. Nothing is sent with them until they are replaced, or one attempt succeeds.
create table parked_credential (
    credential           text    not null,
    pass_type_identifier text    not null,
    reason               text    not null,
    parked_at            integer not null,
    probe_at             integer not null, -- when one push is tried
    primary key (credential, pass_type_identifier)
) strict, without rowid;

-- What an operator has paused.
create table pause (
    what      text    primary key check (what in ('relay', 'pusher')),
    paused_at integer not null,
    paused_by text    not null
) strict, without rowid;
