-- The images that are an organisation's own: it has uploaded them, or a pass or a pass type of it was given them.

create table wallet_image (
    organization_id text collate "C" not null,
    digest          text collate "C" not null, -- SHA-256 of the bytes
    bytes           bigint, -- size; null for one that is known from a pass or a pass type alone
    primary key (organization_id, digest)
);
