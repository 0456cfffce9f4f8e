-- Whoever is woken is woken once, also when two devices have one push token.
create index wallet_device_by_push_token on wallet_device (pass_type_identifier, push_token, device_library_identifier);
