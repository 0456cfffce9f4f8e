-- When rows came and went, and who made them. Rows of devices and registrations that have left stay for a while, with the time at which they did.

alter table wallet_pass add column created_at integer; -- Unix seconds
alter table wallet_pass add column created_by text; -- the actor: `api-key:…`, `operator:…`, `system:…`
alter table wallet_pass add column deleted_at integer; -- Unix seconds: when it was retired; null until then

alter table wallet_pass_type add column created_at integer; -- Unix seconds
alter table wallet_pass_type add column created_by text;

alter table wallet_device add column created_at integer; -- Unix seconds, since when it has held a pass of the type without a break
alter table wallet_device add column deleted_at integer; -- Unix seconds: when its last pass of the type went; null while it has one

alter table wallet_registration add column deleted_at integer; -- Unix seconds: when it was unregistered; null while it is registered

create index wallet_registration_by_deletion on wallet_registration (deleted_at) where deleted_at is not null;
create index wallet_device_by_deletion on wallet_device (deleted_at) where deleted_at is not null;

-- No question is asked by a token.
drop index wallet_pass_by_authentication_token;
