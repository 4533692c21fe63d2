//! Text from elsewhere, safe to be shown.

/// The text with every character escaped that acts on whoever shows it, but line ends: parts of it
/// may come from a CA or a server.
pub(crate) fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, c| {
        if acts(c) && c != '\n' {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
        safe
    })
}

/// Whether a character acts on a terminal or a reader's eye: control characters, those without a
/// shape, and those that turn the direction of writing.
pub(crate) fn acts(c: char) -> bool {
    let unseen = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
    );
    unseen || c.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts_on_a_terminal_or_an_eye() {
        let table = [
            ("a\nb", "a\nb"),
            ("\u{1b}[2J\r", "\\u{1b}[2J\\r"),
            ("\u{202e}moc.elpmaxe\u{2069}", "\\u{202e}moc.elpmaxe\\u{2069}"),
            ("a\u{200b}b\u{e0041}", "a\\u{200b}b\\u{e0041}"),
            ("grüße", "grüße"),
        ];
        for (text, safe) in table {
            assert_eq!(printable(text), safe);
        }
    }
}
