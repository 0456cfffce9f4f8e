-- How far the log has been said, by feed; `sweep`: up to where everything that was said has arrived. Of another epoch than the log's: the log
-- was restored from a backup.
create table feed_checkpoint (
    feed     text    primary key,
    epoch    text    not null,
    position integer not null
) strict, without rowid;

-- Passes that stood still when their events were due to be said.
create table held_back_pass (
    pass_type_identifier text    not null,
    serial_number        text    not null,
    position             integer not null, -- of the last event that nobody could see
    said                 integer not null default 0, -- the state that was said after all
    primary key (pass_type_identifier, serial_number)
) strict, without rowid;
