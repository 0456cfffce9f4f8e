-- How far the log has been said, by feed; `sweep`: up to where everything that was said has arrived. Of another epoch than the log's: the log
-- was restored from a backup. Who may move one: the process whose `fence` is the newest, while its lease lasts and its session lives.
create table feed_checkpoint (
    feed           text        primary key,
    epoch          text        not null,
    position       bigint      not null,
    fence          bigint      not null default 0,
    leased_until   timestamptz not null default '-infinity',
    holder_pid     integer,
    holder_started timestamptz
);

-- Passes that stood still when their events were due to be said.
create table held_back_pass (
    pass_type_identifier text collate "C" not null,
    serial_number        text collate "C" not null,
    position             bigint           not null, -- of the last event that nobody could see
    said                 bigint           not null default 0, -- the state that was said after all
    primary key (pass_type_identifier, serial_number)
);
