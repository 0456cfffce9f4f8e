-- What phones, integrators and operators ask for. Everything here is derived from the log and can be thrown away; with it go the
-- decisions in `skipped_event`, so that what was skipped is parked again.

-- Of which log, under which meaning of the tables, and how far. Who may write: the process whose `fence` is the newest, while its lease lasts
-- and its session lives.
create table projection_checkpoint (
    projection     text        primary key,
    epoch          text        not null,
    version        bigint      not null,
    position       bigint      not null,
    fence          bigint      not null default 0,
    leased_until   timestamptz not null default '-infinity',
    holder_pid     integer,
    holder_started timestamptz
);

-- Events that could not be applied, and the later events of the same aggregates, which wait behind them.
create table parked_event (
    projection     text             not null,
    position       bigint           not null,
    aggregate_type text collate "C" not null,
    aggregate_id   text collate "C" not null,
    sequence       bigint           not null,
    event_type     text             not null,
    error          text             not null,
    waiting        boolean          not null, -- only because an earlier one is parked
    primary key (projection, position)
);
create index parked_event_by_aggregate on parked_event (aggregate_type, aggregate_id);

-- Events that an operator decided to do without, and why.
create table skipped_event (
    projection text   not null,
    position   bigint not null,
    error      text   not null,
    reason     text   not null,
    primary key (projection, position)
);

create table wallet_organization (
    organization_id text collate "C" primary key,
    name            text   not null,
    sequence        bigint not null
);

create table wallet_api_key (
    key_digest      text collate "C" primary key, -- SHA-256 of the key
    organization_id text collate "C" not null,
    label           text             not null
);

create table wallet_pass_type (
    pass_type_identifier text collate "C" primary key,
    organization_id      text collate "C" not null,
    team_identifier      text             not null,
    assets               jsonb            not null, -- file name -> digest
    sequence             bigint           not null
);

create table wallet_brand_assets (
    id       bigint primary key check (id = 1),
    assets   jsonb  not null, -- file name -> digest
    sequence bigint not null
);

-- Hot and narrow: what a phone's request needs.
create table wallet_pass (
    pass_type_identifier text collate "C" not null,
    serial_number        text collate "C" not null,
    authentication_token text collate "C" not null,
    organization_id      text collate "C" not null,
    ticket_style         text             not null,
    poster               boolean          not null,
    voided               boolean          not null,
    etag                 text             not null,
    updated_at           bigint           not null, -- Unix seconds, decided by the aggregate
    update_tag           bigint           not null, -- log position of the last event that changed the pass
    sequence             bigint           not null,
    primary key (pass_type_identifier, serial_number)
);
create index wallet_pass_by_authentication_token on wallet_pass (authentication_token);
create index wallet_pass_by_updated_at on wallet_pass (updated_at);

create table wallet_pass_content (
    pass_type_identifier text collate "C" not null,
    serial_number        text collate "C" not null,
    content              jsonb            not null,
    images               jsonb            not null, -- the images that end up in it, file name -> digest
    primary key (pass_type_identifier, serial_number)
);

-- One row per device and pass type, while the device holds a pass of the type.
create table wallet_device (
    pass_type_identifier      text collate "C" not null,
    device_library_identifier text collate "C" not null,
    push_token                text             not null,
    registered_at             bigint           not null, -- Unix seconds, of the last word from the device about its token
    sequence                  bigint           not null,
    primary key (pass_type_identifier, device_library_identifier)
);

create table wallet_registration (
    pass_type_identifier      text collate "C" not null,
    device_library_identifier text collate "C" not null,
    serial_number             text collate "C" not null,
    registered_at             bigint           not null, -- Unix seconds
    primary key (pass_type_identifier, device_library_identifier, serial_number)
);
create index wallet_registration_by_pass on wallet_registration (pass_type_identifier, serial_number);
