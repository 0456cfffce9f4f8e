-- Images that the store had lost, and has again.

alter table wallet_job add column work text; -- JSON: the task of a job whose kind does not tell it
create index wallet_image_digest on wallet_image (digest);
