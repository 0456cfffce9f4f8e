-- Whether `nfc` is in the file of a pass, and which certificates may sign it.

alter table wallet_cert add column is_enhanced boolean; -- null when it was installed before this was asked
alter table wallet_cert add column allows_nfc boolean not null default false;
alter table wallet_pass_content add column nfc text not null default 'none'; -- none, undecided, kept, leftOut
