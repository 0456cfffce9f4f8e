-- What operators change about organisations. `name` stays the first one, which passes keep.

alter table wallet_organization add column shown_name text; -- for operators; null: the first one
alter table wallet_organization add column disabled integer not null default 0 check (disabled in (0, 1));
alter table wallet_organization add column image_bytes integer; -- the most that its images have in all; null: no limit
alter table wallet_organization add column created_at integer; -- Unix seconds
