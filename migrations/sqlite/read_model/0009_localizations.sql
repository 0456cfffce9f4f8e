-- Texts of passes in other languages, as JSON: language -> {"strings": key -> text}.

alter table wallet_pass_content add column localizations text not null default '{}'; -- its own
alter table wallet_pass_content add column shown_localizations text not null default '{}'; -- those that end up in it
alter table wallet_pass_type add column localizations text not null default '{}'; -- those that its passes fall back to
