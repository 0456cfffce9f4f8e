-- What teams push with, the private keys sealed.

-- One row per team and key that ever was installed.
create table wallet_apns_key (
    team_identifier text collate "C" not null,
    key_identifier  text collate "C" not null,
    fingerprint     text    not null, -- SHA-256 of the public key
    private_key     text    not null, -- sealed
    installed_at    bigint  not null, -- Unix seconds
    installed       bigint  not null, -- log position of the installation: of several keys of a team the newest is pushed with
    active          boolean not null,
    position        bigint  not null, -- of the last event that changed it
    sequence        bigint  not null,
    primary key (team_identifier, key_identifier)
);
create index wallet_apns_key_by_team on wallet_apns_key (team_identifier, active);
create index wallet_apns_key_by_position on wallet_apns_key (position);
