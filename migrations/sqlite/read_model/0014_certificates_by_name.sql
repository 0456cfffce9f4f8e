-- Certificates by the names that operators gave them, and the names of APNs keys. `wallet_cert` has, for each pass type, the one among them that signs its passes.

create table wallet_cert_ref (
    cert_ref               text    primary key,
    pass_type_identifier   text    not null,
    team_identifier        text    not null,
    certificate_serial     text, -- lowercase hex; this and what follows up to `installed_at`: null before the first certificate
    fingerprint            text, -- SHA-256 of the certificate
    not_before             integer, -- Unix seconds
    not_after              integer, -- Unix seconds, of the certificate or of its intermediate
    certificate            text, -- PEM
    intermediate           text, -- PEM
    private_key            text, -- sealed
    installed_at           integer, -- Unix seconds
    revoked                integer not null check (revoked in (0, 1)),
    is_enhanced            integer check (is_enhanced in (0, 1)),
    allows_nfc             integer not null check (allows_nfc in (0, 1)),
    description            text,
    requested_pass_type    text, -- this and what follows: null while no key waits for a certificate
    requested_team         text,
    requested_public_key   text, -- SHA-256
    requested_private_key  text, -- sealed
    requested_at           integer, -- Unix seconds
    position               integer not null, -- of the last event that changed it
    sequence               integer not null
) strict, without rowid;
create index wallet_cert_ref_by_pass_type on wallet_cert_ref (pass_type_identifier);

alter table wallet_cert add column cert_ref text;
alter table wallet_pass_type add column cert_ref text; -- null: that of its own name
alter table wallet_pass_type add column cert_position integer not null default 0; -- of the event that named the certificate
alter table wallet_pass_content add column issued_by text; -- the organisation that issued it: the `organizationName` of its file
alter table wallet_apns_key add column key_ref text; -- null: Apple's id of the key
create index wallet_pass_type_by_team on wallet_pass_type (team_identifier, pass_type_identifier);
