//! The file of a form (`multipart/form-data`, RFC 7578), as a browser sends it.

use bytes::Bytes;

/// The longest boundary (RFC 2046, section 5.1.1).
const LONGEST_BOUNDARY: usize = 70;

/// Bytes of the head of a part.
const MOST_HEAD: usize = 8 * 1024;

/// Parts that are looked at.
const MOST_PARTS: usize = 16;

/// The boundary that a content type names; `None` when it is no form.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    let (essence, parameters) = content_type.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then_some(value.trim())
    })?;
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    (1..=LONGEST_BOUNDARY).contains(&value.len()).then(|| value.to_owned())
}

/// The content of the first part that is a file; `None` when there is none.
pub(super) fn file(body: &Bytes, boundary: &str) -> Option<Bytes> {
    let first = format!("--{boundary}");
    let next = format!("\r\n--{boundary}");
    let mut at = find(body, first.as_bytes(), 0)? + first.len();
    for _ in 0..MOST_PARTS {
        let rest = body.get(at..)?;
        if rest.starts_with(b"--") {
            return None;
        }
        let head = &rest[..rest.len().min(MOST_HEAD)];
        let head_end = find(head, b"\r\n\r\n", 0)?;
        let (start, end) = (at + head_end + 4, find(body, next.as_bytes(), at + head_end + 2)?);
        if names_a_file(&head[..head_end]) {
            return Some(body.slice(start.min(end)..end));
        }
        at = end + next.len();
    }
    None
}

fn names_a_file(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.lines().any(|line| line.starts_with("content-disposition:") && line.contains("filename"))
}

fn find(bytes: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let (first, rest) = wanted.split_first()?;
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| byte == first)?;
        if bytes[at + 1..].starts_with(rest) {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &[u8] = b"preamble\r\n--XX\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--XX\r\n\
        Content-Disposition: form-data; name=\"pass\"; filename=\"a.pkpass\"\r\nContent-Type: application/zip\r\n\r\nPK\r\n--X\r\n\0\r\n--XX--\r\n";

    #[test]
    fn the_file_of_a_form_is_found() {
        assert_eq!(file(&Bytes::from_static(FORM), "XX").as_deref(), Some(&b"PK\r\n--X\r\n\0"[..]));
        let empty =
            Bytes::from_static(b"--XX\r\nContent-Disposition: form-data; filename=\"\"\r\n\r\n\r\n--XX--");
        assert_eq!(file(&empty, "XX").as_deref(), Some(&b""[..]));
    }

    #[test]
    fn a_form_that_is_cut_off_or_without_a_file_has_none() {
        for length in 0..FORM.len() - 8 {
            assert_eq!(file(&Bytes::from_static(&FORM[..length]), "XX"), None, "{length}");
        }
        let without =
            Bytes::from_static(b"--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--XX--\r\n");
        assert_eq!(file(&without, "XX"), None);
    }

    #[test]
    fn a_boundary_is_read_from_the_content_type() {
        assert_eq!(boundary("multipart/form-data; boundary=XX").as_deref(), Some("XX"));
        assert_eq!(boundary("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"").as_deref(), Some("a b"));
        for none in ["multipart/form-data", "text/plain; boundary=XX", "multipart/form-data; boundary=", ""] {
            assert_eq!(boundary(none), None, "{none}");
        }
        assert_eq!(boundary(&format!("multipart/form-data; boundary={}", "x".repeat(71))), None);
    }
}
