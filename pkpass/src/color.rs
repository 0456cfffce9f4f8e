//! Colours as pass.json writes them.

/// Whether Wallet reads `text` as a colour: `rgb(r, g, b)` with integers from 0 to 255, `#RGB` or `#RRGGBB`.
/// There is no alpha.
///
/// <https://developer.apple.com/documentation/walletpasses/pass>
pub(crate) fn is_color(text: &str) -> bool {
    if let Some(digits) = text.strip_prefix('#') {
        return matches!(digits.len(), 3 | 6) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    let Some(parts) = text.strip_prefix("rgb(").and_then(|rest| rest.strip_suffix(')')) else {
        return false;
    };
    parts.split(',').count() == 3 && parts.split(',').all(is_channel)
}

fn is_channel(text: &str) -> bool {
    let digits = text.trim_matches(' ');
    // `u8::from_str` alone would accept a plus sign.
    digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u8>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::is_color;

    #[test]
    fn the_documented_notations_are_colours() {
        for text in ["rgb(0, 128, 255)", "rgb(0,128,255)", "rgb( 0 , 1 , 2 )", "#fff", "#00FF7f"] {
            assert!(is_color(text), "{text}");
        }
    }

    #[test]
    fn anything_else_is_not_a_colour() {
        for text in [
            "",
            "red",
            "rgb(0, 0)",
            "rgb(0, 0, 256)",
            "rgb(0, 0, -1)",
            "rgb(0, 0, +1)",
            "rgb(0, 0, )",
            "rgb(0, 0, 0",
            "rgb(0%, 0%, 0%)",
            "rgba(0, 0, 0, 1)",
            "#ffff",
            "#ggg",
            "#",
            "fff",
            " #fff",
            "rgb(1.5, 0, 0)",
        ] {
            assert!(!is_color(text), "{text}");
        }
    }
}
