-- What phones, integrators and operators ask for. Everything here is derived from the log and can be thrown away; with it go the
-- decisions in `skipped_event`, so that what was skipped is parked again.

-- Of which log, under which meaning of the tables, and how far.
create table projection_checkpoint (
    projection text    primary key,
    epoch      text    not null,
    version    integer not null,
    position   integer not null
) strict, without rowid;

-- Events that could not be applied, and the later events of the same aggregates, which wait behind them.
create table parked_event (
    projection     text    not null,
    position       integer not null,
    aggregate_type text    not null,
    aggregate_id   text    not null,
    sequence       integer not null,
    event_type     text    not null,
    error          text    not null,
    waiting        integer not null check (waiting in (0, 1)), -- 1: only because an earlier one is parked
    primary key (projection, position)
) strict, without rowid;
create index parked_event_by_aggregate on parked_event (aggregate_type, aggregate_id);

-- Events that an operator decided to do without, and why.
create table skipped_event (
    projection text    not null,
    position   integer not null,
    error      text    not null,
    reason     text    not null,
    primary key (projection, position)
) strict, without rowid;

create table wallet_organization (
    organization_id text primary key,
    name            text not null,
    sequence        integer not null
) strict, without rowid;

create table wallet_api_key (
    key_digest      text primary key, -- SHA-256 of the key
    organization_id text not null,
    label           text not null
) strict, without rowid;

create table wallet_pass_type (
    pass_type_identifier text    primary key,
    organization_id      text    not null,
    team_identifier      text    not null,
    assets               text    not null, -- JSON: file name -> digest
    sequence             integer not null
) strict, without rowid;

create table wallet_brand_assets (
    id       integer primary key check (id = 1),
    assets   text    not null, -- JSON: file name -> digest
    sequence integer not null
) strict;

-- Hot and narrow: what a phone's request needs.
create table wallet_pass (
    pass_type_identifier text    not null,
    serial_number        text    not null,
    authentication_token text    not null,
    organization_id      text    not null,
    ticket_style         text    not null,
    poster               integer not null check (poster in (0, 1)),
    voided               integer not null check (voided in (0, 1)),
    etag                 text    not null,
    updated_at           integer not null, -- Unix seconds, decided by the aggregate
    update_tag           integer not null, -- log position of the last event that changed the pass
    sequence             integer not null,
    primary key (pass_type_identifier, serial_number)
) strict, without rowid;
create index wallet_pass_by_authentication_token on wallet_pass (authentication_token);
create index wallet_pass_by_updated_at on wallet_pass (updated_at);

create table wallet_pass_content (
    pass_type_identifier text not null,
    serial_number        text not null,
    content              text not null, -- JSON
    images               text not null, -- JSON: the images that end up in it, file name -> digest
    primary key (pass_type_identifier, serial_number)
) strict;

-- One row per device and pass type, while the device holds a pass of the type.
create table wallet_device (
    pass_type_identifier      text    not null,
    device_library_identifier text    not null,
    push_token                text    not null,
    registered_at             integer not null, -- Unix seconds, of the last word from the device about its token
    sequence                  integer not null,
    primary key (pass_type_identifier, device_library_identifier)
) strict, without rowid;

create table wallet_registration (
    pass_type_identifier      text    not null,
    device_library_identifier text    not null,
    serial_number             text    not null,
    registered_at             integer not null, -- Unix seconds
    primary key (pass_type_identifier, device_library_identifier, serial_number)
) strict, without rowid;
create index wallet_registration_by_pass on wallet_registration (pass_type_identifier, serial_number);
