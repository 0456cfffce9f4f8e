-- Who made the rows of operators' things, when, and when they changed last; and views for reports (docs/tables.md), which stay as they are
-- when the tables change.

alter table wallet_cert_ref add column created_at bigint; -- Unix seconds
alter table wallet_cert_ref add column created_by text; -- the actor: `operator:…`, `system:…`
alter table wallet_cert_ref add column updated_at bigint; -- Unix seconds

alter table wallet_apns_key add column created_at bigint; -- Unix seconds
alter table wallet_apns_key add column created_by text; -- the actor: `operator:…`, `system:…`
alter table wallet_apns_key add column updated_at bigint; -- Unix seconds

alter table wallet_organization add column created_by text;
alter table wallet_organization add column updated_at bigint; -- Unix seconds

alter table wallet_pass_type add column updated_at bigint; -- Unix seconds

alter table wallet_api_key add column created_by text;

create view report_pass as
select pass.pass_type_identifier,
       pass.serial_number,
       pass.organization_id as org_id,
       pass.ticket_style,
       pass.poster,
       pass.voided,
       pass.retired,
       pass.etag,
       pass.update_tag,
       to_timestamp(pass.created_at) as created_at,
       pass.created_by,
       to_timestamp(pass.updated_at) as updated_at,
       to_timestamp(pass.deleted_at) as deleted_at
from wallet_pass pass;

create view report_pass_content as
select content.pass_type_identifier,
       content.serial_number,
       pass.organization_id as org_id,
       content.content,
       to_timestamp(pass.created_at) as created_at,
       pass.created_by,
       to_timestamp(pass.updated_at) as updated_at,
       to_timestamp(pass.deleted_at) as deleted_at
from wallet_pass_content content
join wallet_pass pass
  on pass.pass_type_identifier = content.pass_type_identifier and pass.serial_number = content.serial_number;

create view report_device as
select pass_type_identifier,
       device_library_identifier,
       to_timestamp(created_at) as created_at,
       to_timestamp(registered_at) as updated_at,
       to_timestamp(deleted_at) as deleted_at
from wallet_device;

create view report_registration as
select registration.pass_type_identifier,
       registration.device_library_identifier,
       registration.serial_number,
       pass.organization_id as org_id,
       registration.deleted_at is null as active,
       to_timestamp(registration.registered_at) as created_at,
       to_timestamp(registration.deleted_at) as deleted_at
from wallet_registration registration
left join wallet_pass pass
  on pass.pass_type_identifier = registration.pass_type_identifier and pass.serial_number = registration.serial_number;

create view report_pass_type as
select pass_type_identifier,
       organization_id as org_id,
       team_identifier,
       coalesce(cert_ref, pass_type_identifier) as cert_ref,
       to_timestamp(created_at) as created_at,
       created_by,
       to_timestamp(updated_at) as updated_at
from wallet_pass_type;

create view report_cert as
select cert_ref,
       pass_type_identifier,
       team_identifier,
       certificate_serial,
       description,
       fingerprint is not null and not revoked as active,
       is_enhanced,
       to_timestamp(not_before) as not_before,
       to_timestamp(not_after) as not_after,
       to_timestamp(created_at) as created_at,
       created_by,
       to_timestamp(updated_at) as updated_at
from wallet_cert_ref;

create view report_apns_key as
select coalesce(key_ref, key_identifier) as key_ref,
       team_identifier,
       key_identifier,
       active,
       to_timestamp(created_at) as created_at,
       created_by,
       to_timestamp(updated_at) as updated_at
from wallet_apns_key;

create view report_organization as
select organization_id as org_id,
       coalesce(shown_name, name) as name,
       is_test,
       disabled,
       image_bytes,
       to_timestamp(created_at) as created_at,
       created_by,
       to_timestamp(updated_at) as updated_at
from wallet_organization;

create view report_api_key as
select organization_id as org_id,
       label,
       scopes,
       not revoked as active,
       to_timestamp(expires_at) as expires_at,
       to_timestamp(added_at) as created_at,
       created_by
from wallet_api_key;
