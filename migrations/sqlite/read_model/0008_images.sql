-- The images that are an organisation's own: it has uploaded them, or a pass or a pass type of it was given them.

create table wallet_image (
    organization_id text    not null,
    digest          text    not null, -- SHA-256 of the bytes
    bytes           integer, -- size; null for one that is known from a pass or a pass type alone
    primary key (organization_id, digest)
) strict, without rowid;
