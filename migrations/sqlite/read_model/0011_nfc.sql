-- Whether `nfc` is in the file of a pass, and which certificates may sign it.

alter table wallet_cert add column is_enhanced integer check (is_enhanced in (0, 1)); -- null when it was installed before this was asked
alter table wallet_cert add column allows_nfc integer not null default 0 check (allows_nfc in (0, 1));
alter table wallet_pass_content add column nfc text not null default 'none'; -- none, undecided, kept, leftOut
