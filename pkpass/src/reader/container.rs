//! What a file is that should have been a pass: mistakes are named by what was sent instead.

/// Bytes that are looked at.
const HEAD: usize = 1024;

/// Beginnings of files, with what they are.
const MAGIC: &[(&[u8], &str)] = &[
    (&[0x1f, 0x8b], "a gzip file (a server compressed it, or it was sent compressed twice: `gunzip` it)"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (&[0xff, 0xd8, 0xff], "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an xz file"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "a Zstandard file"),
    (b"bplist", "a binary property list"),
    (b"-----BEGIN", "PEM, a certificate or a key"),
    (b"UEsDB", "a ZIP archive written as Base64 (decode it)"),
    (&[0x30, 0x82], "DER, a certificate, a key or a signature"),
];

/// Where the magic of a tar file is, and what it is.
const TAR: (usize, &[u8]) = (257, b"ustar");

/// What a file that is no ZIP archive is, as far as its first bytes tell: a noun with its article.
pub(super) fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    if bytes.is_empty() {
        return Some("an empty file");
    }
    let head = &bytes[..bytes.len().min(HEAD)];
    if let Some((_, kind)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(kind);
    }
    if head.get(TAR.0..).is_some_and(|rest| rest.starts_with(TAR.1)) {
        return Some("a tar archive");
    }
    if head.starts_with(b"PK") {
        return Some("the beginning of a ZIP archive without its end: it was cut off");
    }
    let text = head.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(head).trim_ascii_start().to_ascii_lowercase();
    let begins = |marker: &str| text.starts_with(marker.as_bytes());
    let holds = |marker: &str| text.windows(marker.len()).any(|window| window == marker.as_bytes());
    match text.first() {
        Some(b'<') if begins("<!doctype html") || holds("<html") || holds("<head") || holds("<body") => {
            Some("an HTML page (the error page or the login page of a web server, say)")
        }
        Some(b'<') if holds("<plist") => Some("a property list"),
        Some(b'<') => Some("an XML document"),
        Some(b'{' | b'[') => Some("JSON (the error of a web service, or an unsigned pass.json)"),
        Some(_) if text.starts_with(b"http/1.") => Some("a whole HTTP answer with its headers"),
        Some(_) if head.iter().all(|byte| *byte == 0) => Some("nothing but zero bytes"),
        _ => None,
    }
}

/// Whether a file is a ZIP archive, or was meant to be one.
pub(super) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK")
}

/// Whether a file is JSON in one of its encodings.
pub(super) fn is_json(bytes: &[u8]) -> bool {
    // In UTF-16 and UTF-32 there are zero bytes and byte order marks around.
    let is_padding =
        |byte: &u8| matches!(byte, 0 | 0xef | 0xbb | 0xbf | 0xfe | 0xff) || byte.is_ascii_whitespace();
    let first = bytes.iter().take(HEAD).find(|byte| !is_padding(byte));
    matches!(first, Some(b'{' | b'['))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_their_first_bytes() {
        for (bytes, word) in [
            (&b""[..], "empty"),
            (b"<!DOCTYPE html><title>x", "HTML"),
            (b"\n <html lang=de>", "HTML"),
            (b"<?xml version='1.0'?><html xmlns=''>", "HTML"),
            (b"<?xml version='1.0'?><plist>", "property list"),
            (b"<?xml version='1.0'?><Error>", "XML"),
            (&[0x1f, 0x8b, 8], "gzip"),
            (b"%PDF-1.7", "PDF"),
            (b"{\"error\":1}", "JSON"),
            (b"\xef\xbb\xbf[1]", "JSON"),
            (b"PK\x03\x04", "cut off"),
            (b"UEsDBBQAAAAI", "Base64"),
            (b"HTTP/1.1 200 OK\r\n", "HTTP"),
            (&[0; 40], "zero"),
        ] {
            let kind = kind_of(bytes).unwrap_or_else(|| panic!("{bytes:?}"));
            assert!(kind.contains(word), "{bytes:?}: {kind}");
        }
        assert_eq!(kind_of(b"Lorem ipsum"), None);
    }

    #[test]
    fn json_is_known_in_every_encoding() {
        for bytes in [&b"  {}"[..], b"\xef\xbb\xbf{}", b"\xff\xfe{\0}\0", b"\0{\0}", b"\0\0\0{", b"[1]"] {
            assert!(is_json(bytes), "{bytes:?}");
        }
        assert!(!is_json(b"PK\x03\x04") && !is_json(b"") && !is_json(b"<html>"));
    }
}
