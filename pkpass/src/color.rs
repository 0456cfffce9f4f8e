//! Colours as pass.json writes them.

/// What a text is as a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    /// As documented: `rgb(r, g, b)` with integers from 0 to 255, `#RGB` or `#RRGGBB`.
    Opaque,
    /// `rgba(r, g, b, a)`, which no document has. An airline's passes and those that iOS itself makes have it.
    WithAlpha,
}

/// Reads a colour; `None` when it is none. The case of the letters and spaces around do not matter, as in Apple's own reader.
///
/// <https://developer.apple.com/documentation/walletpasses/pass>
pub(crate) fn read_color(text: &str) -> Option<Color> {
    let text = text.trim_matches(' ');
    if let Some(digits) = text.strip_prefix('#') {
        let is_hex = matches!(digits.len(), 3 | 6) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        return is_hex.then_some(Color::Opaque);
    }
    let (name, rest) = text.split_once('(')?;
    let parts: Vec<&str> = rest.strip_suffix(')')?.split(',').map(|part| part.trim_matches(' ')).collect();
    let is_rgb = |channels: &[&str]| channels.len() == 3 && channels.iter().all(|part| is_channel(part));
    match (name.trim_end_matches(' ').to_ascii_lowercase().as_str(), &parts[..]) {
        ("rgb", channels) if is_rgb(channels) => Some(Color::Opaque),
        ("rgba", [channels @ .., alpha]) if is_rgb(channels) && is_alpha(alpha) => Some(Color::WithAlpha),
        _ => None,
    }
}

/// The colour as every reader takes it: without spaces around, its name in lower case. A text that is no colour, or is written like that, stays.
pub(crate) fn plain_color(text: &str) -> String {
    let trimmed = text.trim_matches(' ');
    match (read_color(text), trimmed.split_once('(')) {
        (Some(_), Some((name, rest))) => {
            format!("{}({rest}", name.trim_end_matches(' ').to_ascii_lowercase())
        }
        (Some(_), None) => trimmed.to_owned(),
        (None, _) => text.to_owned(),
    }
}

fn is_channel(digits: &str) -> bool {
    // `u8::from_str` alone would accept a plus sign.
    digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u8>().is_ok()
}

/// From 0 to 1, such as `0.75` or `1.00`.
fn is_alpha(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && text.parse::<f64>().is_ok_and(|alpha| (0.0..=1.0).contains(&alpha))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_notations_are_colours() {
        for text in ["rgb(0, 128, 255)", "rgb(0,128,255)", "rgb( 0 , 1 , 2 )", "#fff", "#00FF7f"] {
            assert_eq!((read_color(text), plain_color(text)), (Some(Color::Opaque), text.to_owned()));
        }
    }

    #[test]
    fn case_and_spaces_around_do_not_matter_and_are_not_passed_on() {
        for (text, plain) in [
            ("RGB(1, 2, 3)", "rgb(1, 2, 3)"),
            ("  rgb(1,2,3) ", "rgb(1,2,3)"),
            ("Rgb (1,2,3)", "rgb(1,2,3)"),
            (" #fFf", "#fFf"),
        ] {
            assert_eq!((read_color(text), &*plain_color(text)), (Some(Color::Opaque), plain));
        }
        assert_eq!(plain_color(" RGBA(1, 2, 3, 0.5)"), "rgba(1, 2, 3, 0.5)");
    }

    #[test]
    fn an_alpha_is_read() {
        for text in ["rgba(255, 255, 255, 0.75)", "rgba(0,0,0,1.00)", "RGBA(1, 2, 3, 0)", "rgba(1, 2, 3, .5)"]
        {
            assert_eq!(read_color(text), Some(Color::WithAlpha), "{text}");
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
            "rgb(0, 0, 0, 1)",
            "rgba(0, 0, 0)",
            "rgba(0, 0, 0, 1.5)",
            "rgba(0, 0, 0, -0)",
            "rgba(0, 0, 0, inf)",
            "rgba(0, 0, 0, )",
            "#ffff",
            "#ffffff80",
            "#ggg",
            "#",
            "fff",
            "rgb(1.5, 0, 0)",
            "hsl(1, 2, 3)",
        ] {
            assert_eq!((read_color(text), plain_color(text)), (None, text.to_owned()));
        }
    }
}
