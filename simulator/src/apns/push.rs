//! The checks that Apple makes in a request: *Sending notification requests to APNs*.

use super::hpack::Head;

/// The largest payload.
pub(super) const MAX_PAYLOAD_BYTES: usize = 4096;

/// `apns-push-type` is one of these.
const PUSH_TYPES: [&str; 10] = [
    "alert",
    "background",
    "complication",
    "controls",
    "fileprovider",
    "liveactivity",
    "location",
    "mdm",
    "pushtotalk",
    "voip",
];

/// The parts that matter of a request that is well made.
pub(super) struct Push<'a> {
    pub(super) topic: Option<&'a [u8]>,
    pub(super) bearer: Option<&'a [u8]>,
}

/// The push token of the path; `None` when it is another path.
pub(super) fn token(head: &Head) -> Option<&[u8]> {
    head.get(":path")?.strip_prefix(b"/3/device/")
}

impl<'a> Push<'a> {
    /// Status and reason of the first rule that is broken.
    pub(super) fn read(head: &'a Head, body: &[u8]) -> Result<Self, (u16, &'static str)> {
        let mut push = Self { topic: None, bearer: None };
        let [mut method, mut path] = [None; 2];
        let [mut priority, mut push_type, mut expiration, mut apns_id, mut collapse] = [None; 5];
        for (name, value) in head.iter() {
            let field = match name {
                b":method" => &mut method,
                b":path" => &mut path,
                b"apns-topic" => &mut push.topic,
                b"authorization" => &mut push.bearer,
                b"apns-priority" => &mut priority,
                b"apns-push-type" => &mut push_type,
                b"apns-expiration" => &mut expiration,
                b"apns-id" => &mut apns_id,
                b"apns-collapse-id" => &mut collapse,
                _ => continue,
            };
            if field.replace(value).is_some() {
                return Err((400, "DuplicateHeaders"));
            }
        }
        if method != Some(b"POST".as_slice()) {
            return Err((405, "MethodNotAllowed"));
        }
        let token = path.and_then(|path| path.strip_prefix(b"/3/device/")).ok_or((404, "BadPath"))?;
        let background = push_type == Some(b"background".as_slice());
        let is_uuid = |id: &[u8]| std::str::from_utf8(id).is_ok_and(|id| uuid::Uuid::try_parse(id).is_ok());
        let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        let known = |kind: &[u8]| PUSH_TYPES.iter().any(|known| known.as_bytes() == kind);
        let checks = [
            (token.is_empty(), "MissingDeviceToken"),
            (!token.iter().all(u8::is_ascii_hexdigit), "BadDeviceToken"),
            (apns_id.is_some_and(|id| !is_uuid(id)), "BadMessageId"),
            (expiration.is_some_and(|at| !is_number(at)), "BadExpirationDate"),
            (push_type.is_some_and(|kind| !known(kind)), "InvalidPushType"),
            (!matches!(priority, None | Some(b"10" | b"5" | b"1")), "BadPriority"),
            (background && matches!(priority, None | Some(b"10")), "BadPriority"),
            (collapse.is_some_and(|id| id.len() > 64), "BadCollapseId"),
            (push.topic.is_some_and(<[u8]>::is_empty), "BadTopic"),
            (body.is_empty(), "PayloadEmpty"),
        ];
        if let Some((_, reason)) = checks.into_iter().find(|(broken, _)| *broken) {
            return Err((400, reason));
        }
        if body.len() > MAX_PAYLOAD_BYTES {
            return Err((413, "PayloadTooLarge"));
        }
        push.bearer = push.bearer.and_then(|value| value.strip_prefix(b"bearer "));
        Ok(push)
    }
}
