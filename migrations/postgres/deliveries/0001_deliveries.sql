-- Which phones are to be woken for which state of a pass, and what became of it. This cannot be rebuilt from the log: it is backed up with it.
-- All times are Unix milliseconds.

-- One wake-up of one phone for one state. The push token is not here: the one that the phone has when it is woken counts.
create table delivery (
    id                        bigint generated always as identity primary key,
    pass_type_identifier      text collate "C" not null,
    serial_number             text collate "C" not null,
    etag                      text collate "C" not null,
    cause                     text collate "C" not null, -- empty: the state itself; else the id of a push that an operator asked for
    device_library_identifier text collate "C" not null,
    position                  bigint  not null, -- log position of the state
    urgent                    boolean not null,
    state                     text    not null default 'pending' check (state in ('pending', 'sent', 'failed', 'superseded', 'dead')),
    attempts                  bigint  not null default 0, -- requests made
    last_error                text,
    apns_id                   text,
    created_at                bigint  not null,
    changed_at                bigint  not null
);
create unique index delivery_once on delivery (pass_type_identifier, serial_number, etag, cause, device_library_identifier);
create index delivery_by_pass on delivery (pass_type_identifier, serial_number, id);
create index delivery_pending on delivery (pass_type_identifier, device_library_identifier) where state = 'pending';
create index delivery_ended on delivery (changed_at) where state <> 'pending';

-- When a phone is woken next for a topic: one push stands for everything that is pending.
create table wake (
    pass_type_identifier      text collate "C" not null,
    device_library_identifier text collate "C" not null,
    due_at                    bigint,           -- null when nothing is pending
    urgent                    boolean not null, -- something urgent came since it was claimed
    enqueued                  bigint  not null, -- grows with everything that is enqueued, so that nothing is overlooked
    attempts                  bigint  not null, -- failures in a row
    quiet_until               bigint  not null, -- end of the coalescing window, or of the rest after a failure
    claimed_by                text,             -- the sender that is at it
    primary key (pass_type_identifier, device_library_identifier)
) with (fillfactor = 80); -- claiming changes no index
create index wake_due on wake (due_at) where due_at is not null;

-- Up to where the phones of a pass were woken, also when there was no phone. Kept for ever.
create table woken (
    pass_type_identifier text collate "C" not null,
    serial_number        text collate "C" not null,
    position             bigint  not null,
    primary key (pass_type_identifier, serial_number)
);

-- Messages that can never succeed, for an operator to see.
create table parked_message (
    id         text    primary key,
    payload    text    not null,
    reason     text    not null,
    request_id text,
    parked_at  bigint  not null
);
create index parked_message_by_time on parked_message (parked_at);

-- Credentials that APNs refuses for a topic. Nothing is sent with them until they are replaced, or one attempt succeeds.
create table parked_credential (
    credential           text collate "C" not null,
    pass_type_identifier text collate "C" not null,
    reason               text    not null,
    parked_at            bigint  not null,
    probe_at             bigint  not null, -- when one push is tried
    primary key (credential, pass_type_identifier)
);

-- What an operator has paused.
create table pause (
    what      text    primary key check (what in ('relay', 'pusher')),
    paused_at bigint  not null,
    paused_by text    not null
);

-- Senders that are alive. What one has claimed that is no longer is free.
create table sender (
    sender      text        primary key,
    alive_until timestamptz not null
);
