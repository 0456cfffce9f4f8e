-- What signs the passes of each type, with its private key sealed, and keys of integrators that were revoked.

-- One row per pass type that ever had a certificate: the last one.
create table wallet_cert (
    pass_type_identifier text    primary key,
    team_identifier      text    not null,
    certificate_serial   text    not null, -- lowercase hex
    fingerprint          text    not null, -- SHA-256 of the certificate
    not_before           integer not null, -- Unix seconds
    not_after            integer not null, -- Unix seconds, of the certificate or of its intermediate
    certificate          text    not null, -- PEM
    intermediate         text    not null, -- PEM
    private_key          text    not null, -- sealed
    installed_at         integer not null, -- Unix seconds
    revoked              integer not null check (revoked in (0, 1)),
    position             integer not null, -- of the last event that changed it
    sequence             integer not null
) strict, without rowid;
create index wallet_cert_by_team on wallet_cert (team_identifier);
create index wallet_cert_by_position on wallet_cert (position);

alter table wallet_api_key add column added_at integer; -- Unix seconds
alter table wallet_api_key add column revoked integer not null default 0 check (revoked in (0, 1));
create index wallet_api_key_by_organization on wallet_api_key (organization_id);
