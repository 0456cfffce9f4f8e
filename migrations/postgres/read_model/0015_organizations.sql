-- What operators change about organisations. `name` stays the first one, which passes keep.

alter table wallet_organization add column shown_name text; -- for operators; null: the first one
alter table wallet_organization add column disabled boolean not null default false;
alter table wallet_organization add column image_bytes bigint; -- the most that its images have in all; null: no limit
alter table wallet_organization add column created_at bigint; -- Unix seconds
